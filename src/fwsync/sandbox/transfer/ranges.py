"""The Range header (RFC 9110): which bytes of a body of known size are asked for."""

from __future__ import annotations

import re

_SPEC = re.compile(r"(\d*)-(\d*)\Z")
MOST_RANGES = 64


class UnsatisfiableError(Exception):
    """No range of the header overlaps the body: 416."""


def parse(header: str | None, size: int) -> list[tuple[int, int]]:
    """The asked ranges as (first, last) positions, both inclusive; empty means the whole body.

    A header that is malformed, or of another unit, is ignored as the RFC tells. Raises UnsatisfiableError.
    """
    if not header or not header.lower().startswith("bytes="):
        return []
    parts = [part.strip() for part in header[6:].split(",") if part.strip()]
    found = []
    for part in parts:
        match = _SPEC.match(part)
        if match is None or part == "-" or len(part) > 40:
            return []
        first, last = match.groups()
        if not first:
            length = min(int(last), size)
            if length:
                found.append((size - length, size - 1))
        elif last and int(last) < int(first):
            return []
        elif int(first) < size:
            found.append((int(first), min(int(last), size - 1) if last else size - 1))
    if not found or len(parts) > MOST_RANGES:
        raise UnsatisfiableError
    return found
