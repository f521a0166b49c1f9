"""Neighbours in a remote zip by one range: a series of a thousand slices is a few requests, not a thousand."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby

from fwsync.client.remotezip import end_of, read_range
from fwsync.client.session import ApiSession
from fwsync.client.transfer import NoRangesError
from fwsync.client.zipmember import Unpacker
from fwsync.errors import FwsyncError
from fwsync.work import FetchFile

GAP = 32 * 1024
"""Bytes between two members that are rather fetched in vain than skipped by another request."""

MOST = 8 * 1024 * 1024
"""Bytes of one range."""


def spans(files: Sequence[FetchFile]) -> Iterator[list[FetchFile]]:
    """Members that lie close together in one archive, at least two in each list; the others are left out."""
    for _, some in groupby(sorted(filter(_fit, files), key=_place), key=lambda file: _place(file)[:-1]):
        span: list[FetchFile] = []
        for file in some:
            start = span[0].member_offset or 0 if span else 0
            near = span and (file.member_offset or 0) - end_of(span[-1]) <= GAP and end_of(file) - start <= MOST
            if span and not near:
                if len(span) > 1:
                    yield span
                span = []
            span.append(file)
        if len(span) > 1:
            yield span


async def fetch_span(session: ApiSession, span: Sequence[FetchFile]) -> dict[str, list[bytes]]:
    """The contents of members, by path in the tree: those of which size and CRC agree. Others are simply missing."""
    start, end = span[0].member_offset or 0, max(map(end_of, span))
    try:
        data = await read_range(session, span[0], start, end)
    except (NoRangesError, FwsyncError):
        return {}  # each of them is then asked for by itself, and tells what is wrong
    found: dict[str, list[bytes]] = {}
    for file in span:
        at = (file.member_offset or 0) - start
        pieces = _unpacked(file, data[at : end_of(file) - start])
        if pieces is not None:
            found[file.path] = pieces
    return found


def _unpacked(file: FetchFile, data: bytes) -> list[bytes] | None:
    unpacker = Unpacker(file.member_packed or 0, file.member_method or 0, file.member_size)
    try:
        pieces = list(unpacker.feed(data))
    except (zlib.error, ValueError):
        return None
    crc = 0
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
    whole = unpacker.done and sum(map(len, pieces)) == file.member_size and crc == file.member_crc
    return pieces if whole else None


def _fit(file: FetchFile) -> bool:
    told = None not in (file.member_offset, file.member_packed, file.member_crc, file.member_size)
    return file.member is not None and told and file.member_method in (0, 8)


def _place(file: FetchFile) -> tuple[str, str, str, int, int]:
    return file.container_type, file.container_id, file.name, file.version or 0, file.member_offset or 0
