"""Errors as the platform answers them."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """Ends a request with `status` and Flywheel's error body; `extra` joins that body."""

    def __init__(self, status: int, message: str, **extra: Any) -> None:
        super().__init__(message)
        self.status, self.message, self.extra = status, message, extra


def not_found(kind: str, ident: str) -> ApiError:
    """404 for a container, file or anything else with an id."""
    return ApiError(404, f"{kind} {ident} not found")


def invalid(message: str) -> ApiError:
    """422: the request is well-formed but its values are not."""
    return ApiError(422, message)


def malformed(message: str) -> ApiError:
    """400: the request itself is broken."""
    return ApiError(400, message)
