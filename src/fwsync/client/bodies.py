"""One request whose body is part of a local file, and what an upload answers."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread
import msgspec
from yarl import URL

from fwsync.client.pacing import Pacer
from fwsync.client.session import ApiSession, FailedTryError
from fwsync.errors import NotAsAskedError, ProtocolError, UnreachableError
from fwsync.model import PLURALS, FileEntry
from fwsync.work import SendFile

PIECE = 256 * 1024

IN_THREAD = 1024 * 1024
"""Sources from this size on are read and hashed in a thread: smaller ones cost less inline."""


def target(file: SendFile) -> tuple[str, ...]:
    """The path of a container's files."""
    return PLURALS[file.container_type], file.container_id, "files"


def entry_of(raw: bytes, file: SendFile, what: str) -> FileEntry | None:
    """The entry that an answer tells of; None for an empty list. FailedTryError for anything else."""
    try:
        found = msgspec.json.decode(raw, type=list[FileEntry], strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FailedTryError(
            ProtocolError(f"not a list of files: {error}", status=200, request=what), again=True
        ) from error
    return next((entry for entry in found if entry.name == file.name), found[0] if found else None)


async def put(
    session: ApiSession,
    method: str,
    url: URL,
    what: str,
    file: SendFile,
    span: tuple[int, int],
    headers: dict[str, str],
    *,
    around: tuple[bytes, bytes] = (b"", b""),
    data: bytes | None = None,
    signed: bool = True,
    tags: list[str] | None = None,
) -> bytes:
    """One request whose body is part of a local file; the answer's body. Cut when no byte leaves for the read
    time-out: aiohttp has no time-out for writing."""
    quiet = session.settings.read_timeout
    whole: list[bool] = []

    async def once() -> bytes:
        if data is not None and session.pacer is not None:
            await session.pacer.take(len(data))
        with anyio.CancelScope(deadline=anyio.current_time() + quiet) as scope:
            body: bytes | AsyncIterator[bytes]
            if data is not None:
                body = around[0] + data + around[1]
                whole.append(True)
                scope.deadline = anyio.current_time() + 10 * quiet
            else:
                body = body_of(file, span, around, scope, quiet, whole, session.pacer)
            async with session.open(method, url, what, data=body, headers=headers, signed=signed) as response:
                if tags is not None and "ETag" in response.headers:
                    tags.append(response.headers["ETag"])
                try:
                    return await response.read()
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    raise session.transport_failure(error, what) from error
        silent = UnreachableError(f"{what}: nothing could be sent for {quiet:g} s")
        raise FailedTryError(silent, again=True, slow_down=True)

    try:
        return await once()
    except FailedTryError as failure:
        # A body that was never sent to its end can't have been stored.
        failure.untouched = failure.untouched or not whole
        raise


async def body_of(
    file: SendFile,
    span: tuple[int, int],
    around: Sequence[bytes],
    scope: anyio.CancelScope,
    quiet: float,
    whole: list[bool],
    pacer: Pacer | None,
) -> AsyncIterator[bytes]:
    """The bytes of a request; `whole` gets an entry before the last ones leave."""
    begin, end = span
    left = end - begin
    if around[0]:
        yield around[0]
    try:
        with Path(file.source).open("rb") as source:
            source.seek(begin)
            while left:
                want = min(PIECE, left)
                piece = (
                    source.read(want) if file.size < IN_THREAD else await anyio.to_thread.run_sync(source.read, want)
                )
                if not piece:
                    raise NotAsAskedError(f"{file.source}: became shorter while it was being sent")
                if pacer is not None:
                    scope.deadline = math.inf  # it is us who wait
                    await pacer.take(len(piece))
                left -= len(piece)
                if not left and not around[1]:
                    whole.append(True)
                scope.deadline = anyio.current_time() + quiet
                yield piece
    except OSError as error:
        raise NotAsAskedError(f"{file.source}: can't be read: {error.strerror}") from error
    whole.append(True)
    if around[1]:
        yield around[1]
    # From here on the session's own read time-out watches; a site may take its time to store what it got.
    scope.deadline = anyio.current_time() + 10 * quiet
