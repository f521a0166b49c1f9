"""What every request passes through: errors in Flywheel's form, authorization, JSON in and out."""

from __future__ import annotations

import hmac
import logging
import secrets
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.site import site_of

log = logging.getLogger("fwsync.sandbox")

K = TypeVar("K", dict[str, Any], list[Any])
MOST_JSON = 64 * 1024 * 1024


def answer(data: Any, status: int = 200) -> web.Response:
    """A JSON answer; headers and body leave in one write."""
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")


def error_answer(error: ApiError) -> web.Response:
    """Flywheel's error body."""
    body = {
        "message": error.message,
        "status_code": error.status,
        "core_status_code": None,
        "request_id": secrets.token_hex(8),
        **error.extra,
    }
    headers = {"WWW-Authenticate": "scitran-user"} if error.status == 401 else {}
    return web.json_response(body, status=error.status, headers=headers)


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check the key; turn errors into answers, of which only a bug of ours becomes a 500."""
    try:
        if request.path.startswith("/api/"):
            _check_key(request)
        return await handler(request)
    except ApiError as error:
        return error_answer(error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return error_answer(ApiError(error.status, str(error.reason)))
    except HttpProcessingError as error:  # within a body: a multipart part with a broken header
        return error_answer(malformed(f"the body is broken: {' '.join(error.message.split())}"))
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return error_answer(ApiError(500, "internal error of the sandbox; its log has the details"))


def _check_key(request: web.Request) -> None:
    """401 without a key of the site's, 403 for a change with the read-only one.

    Links with a ticket carry their own right (`routes/downloads.py` checks it).
    """
    if not _may_pass(request):
        raise ApiError(401, "a valid API key is needed")
    if is_reader(request) and not _only_reads(request):
        raise ApiError(403, f"{request.method} {request.path}: a read-only key may not do this")


def takes_ticket(handler: Handler) -> Handler:
    """Mark a handler that checks `?ticket=<id>` itself, so that such a request needs no key."""
    handler.takes_ticket = True  # type: ignore[attr-defined]
    return handler


def public(handler: Handler) -> Handler:
    """Mark a handler that needs no key: the official `fw` command reads `/config` without one."""
    handler.public = True  # type: ignore[attr-defined]
    return handler


def reads(handler: Handler) -> Handler:
    """Mark a handler of a POST that changes nothing, so that a read-only key may use it."""
    handler.reads = True  # type: ignore[attr-defined]
    return handler


def changes(handler: Handler) -> Handler:
    """Mark a handler of a GET that does change something."""
    handler.changes = True  # type: ignore[attr-defined]
    return handler


def is_reader(request: web.Request) -> bool:
    """Whether a request brings the read-only key."""
    key = site_of(request).options.read_only_key
    return key is not None and hmac.compare_digest(_secret(request).encode(), key.encode())


def _only_reads(request: web.Request) -> bool:
    handler = request.match_info.handler
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return not getattr(handler, "changes", False)
    return bool(getattr(handler, "reads", False))


def _may_pass(request: web.Request) -> bool:
    if getattr(request.match_info.handler, "public", False):
        return True
    if request.query.get("ticket") and getattr(request.match_info.handler, "takes_ticket", False):
        return True
    return hmac.compare_digest(_secret(request).encode(), site_of(request).secret.encode()) or is_reader(request)


def _secret(request: web.Request) -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() not in ("scitran-user", "bearer"):
        return ""
    # fw-client sends what follows the host, which may still hold a marker or a port in front of the secret.
    return secret.strip().rsplit(":", 1)[-1]


def accepts(request: web.Request, feature: str) -> bool:
    """Whether the client named a feature in `x-accept-feature`."""
    return feature in request.headers.get("x-accept-feature", "").lower()


async def body(request: web.Request, kind: type[K], *, optional: bool = False) -> K:
    """The JSON body, which must be an object or a list as asked; 400 otherwise."""
    if (request.content_length or 0) > MOST_JSON:
        raise ApiError(413, "the body is too large")
    raw = await request.read()
    if not raw.strip():
        if optional:
            return kind()
        raise malformed("the body is empty; a JSON document is needed")
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(f"the body is not JSON: {error}") from error
    if not isinstance(data, kind):
        raise malformed("the body must be a JSON " + {"dict": "object"}.get(kind.__name__, kind.__name__))
    return data


async def unknown_route(request: web.Request) -> web.Response:
    """501 for a route of the platform that the sandbox does not have: never a silent 200."""
    log.warning("no such route here: %s %s", request.method, request.path)
    raise ApiError(501, f"the sandbox does not implement {request.method} {request.path}", route=request.path)
