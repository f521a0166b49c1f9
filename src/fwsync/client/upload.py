"""Streaming uploads: direct multipart, or by signed links in one or many parts, from a source that can be reopened."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.to_thread
import msgspec
from yarl import URL

from fwsync.client import urls
from fwsync.client.api import Flywheel
from fwsync.client.pacing import Pacer
from fwsync.client.session import ApiSession, FailedTryError, decode
from fwsync.client.transfer import HASH_PREFIX
from fwsync.errors import LostAnswerError, NotAsAskedError, ProtocolError, UnreachableError
from fwsync.model import PLURALS, FileEntry
from fwsync.work import SendFile

PIECE = 256 * 1024
FIRST_LOOK = 0.25
"""Seconds between the first two looks for an upload whose answer was lost; doubled each time."""

IN_THREAD = 1024 * 1024
"""Sources from this size on are read and hashed in a thread: smaller ones cost less inline."""


DIRECT = 1024 * 1024
"""Smaller files go by the direct form also where the site signs: one request instead of three."""

WHOLE = 256 * 1024
"""Bodies of files up to this size are put together before they leave: a stream of pieces costs more than they do."""


async def hash_of(path: Path, size: int) -> str:
    """The SHA-384 of a local file of about this size, in the platform's form."""
    if size < IN_THREAD:
        return HASH_PREFIX + hashlib.sha384(path.read_bytes()).hexdigest()

    def run() -> str:
        with path.open("rb") as source:
            return HASH_PREFIX + hashlib.file_digest(source, "sha384").hexdigest()

    return await anyio.to_thread.run_sync(run)


class Local:
    """The bytes of a local file: its hash, worked out once and only if somebody asks. Those of a small one are read
    once, and kept until it is sent."""

    def __init__(self, file: SendFile) -> None:
        self._file = file
        self.known = file.digest
        self.data: bytes | None = None
        self._lock = anyio.Lock()

    async def hash(self) -> str:
        """The hash. NotAsAskedError if the file is not the one that was planned."""
        if self.known is None and self._file.size <= WHOLE:
            self.known = HASH_PREFIX + hashlib.sha384(self.read()).hexdigest()
        if self.known is None:
            async with self._lock:
                if self.known is None:
                    self.known = await hash_of(Path(self._file.source), self._file.size)
        return self.known

    def read(self) -> bytes:
        """All of a small file, as it was planned."""
        if self.data is None:
            try:
                with open(self._file.source, "rb", buffering=0) as source:  # noqa: PTH123 - in the hot path
                    data = source.read(self._file.size + 1)
                    while data and len(data) <= self._file.size and (more := source.read(self._file.size + 1)):
                        data += more
                    found = os.fstat(source.fileno())
            except OSError as error:
                raise NotAsAskedError(f"{self._file.source}: can't be read: {error.strerror}") from error
            if len(data) != self._file.size or found.st_mtime_ns != self._file.mtime_ns:
                raise _changed(self._file)
            self.data = data
        return self.data


async def find_entry(fw: Flywheel, file: SendFile) -> FileEntry | None:
    """The file of this name that the container holds now."""
    held = await fw.noun(file.container_type).files_of(file.container_id)
    return next((entry for entry in held if entry.name == file.name), None)


async def send(fw: Flywheel, file: SendFile, local: Local, before: FileEntry | None) -> tuple[FileEntry, int]:
    """Send a file; its new entry and the number of tries.

    `local` has the bytes of the file, `before` is the entry that was there. A lost answer is settled by
    looking at the entry: a newer version with our size and hash means that it arrived. Raises NotAsAskedError when the
    local file changes meanwhile.
    """
    session = fw.session
    attempt, idle_since = 0, time.monotonic()
    while True:
        attempt += 1
        try:
            async with session.bodies.slot():
                entry = await _once(fw, file, local)
            session.bodies.went_well()
            if local.data is None:
                _unchanged(file)
            if entry is not None:
                return entry, attempt
            failure = FailedTryError(UnreachableError(f"{file.name}: the site stored nothing"), again=True)
        except FailedTryError as caught:
            failure = caught
        except LostAnswerError as caught:
            failure = FailedTryError(caught, again=True)
        if failure.slow_down:
            session.bodies.too_much()
        if not failure.again:
            raise failure.error from failure.__cause__
        grace = session.settings.read_timeout
        if not failure.untouched and (arrived := await turns_up(fw, file, await local.hash(), before, grace)):
            return arrived, attempt
        await session.pause(failure, attempt, idle_since)


async def turns_up(
    fw: Flywheel, file: SendFile, digest: str, before: FileEntry | None, grace: float
) -> FileEntry | None:
    """Our entry, if it turns up by the end of the grace time: a site may store a body after the connection died, and
    sending it again meanwhile would make a second version."""
    left, wait = grace, FIRST_LOOK
    while (entry := await _arrived(fw, file, digest, before)) is None and left > 0:
        await anyio.sleep(min(wait, left))
        left, wait = left - wait, 2 * wait
    return entry


async def _arrived(fw: Flywheel, file: SendFile, digest: str, before: FileEntry | None) -> FileEntry | None:
    entry = await find_entry(fw, file)
    if entry is None or entry.size != file.size or (entry.hash or digest) != digest:
        return None
    newer = before is None or (entry.version or 0) > (before.version or 0) or entry.file_id != before.file_id
    return entry if newer else None


def _unchanged(file: SendFile) -> None:
    """NotAsAskedError if the local file is not the one that was planned."""
    try:
        found = Path(file.source).stat()
    except OSError as error:
        raise NotAsAskedError(f"{file.source}: {error.strerror}") from error
    if (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns):
        raise _changed(file)


def _changed(file: SendFile) -> NotAsAskedError:
    return NotAsAskedError(f"{file.source}: changed while it was being sent; run again to send it as it is now")


async def _once(fw: Flywheel, file: SendFile, local: Local) -> FileEntry | None:
    if file.size <= WHOLE:
        return await _direct(fw.session, file, local.read())
    _unchanged(file)
    if file.size >= DIRECT and (await fw.config()).signed_urls:
        ticket = await _ticket(fw.session, file)
        if ticket is not None:
            return await _signed(fw.session, file, ticket)
    return await _direct(fw.session, file)


def _target(file: SendFile) -> tuple[str, ...]:
    return PLURALS[file.container_type], file.container_id, "files"


async def _direct(session: ApiSession, file: SendFile, data: bytes | None = None) -> FileEntry | None:
    """One multipart request of known length, metadata first; `data` are all the bytes of a small file."""
    boundary = secrets.token_hex(16)
    name = file.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    mime = str(file.metadata.get("mimetype") or "application/octet-stream")
    head = (
        (_part(boundary, 'name="metadata"', "application/json") + msgspec.json.encode(file.metadata) + b"\r\n")
        if file.metadata
        else b""
    ) + _part(boundary, f'name="file"; filename="{name}"', mime)
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f"multipart/form-data; boundary={boundary}",
        "Content-Length": str(len(head) + file.size + len(tail)),
    }
    url = urls.build(session.key.base, _target(file))
    what = f"POST file {file.name!r}"
    raw = await _put(session, "POST", url, what, file, (0, file.size), headers, around=(head, tail), data=data)
    return _entry(raw, file, what)


def _part(boundary: str, disposition: str, mime: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {mime}\r\n\r\n".encode()


def _entry(raw: bytes, file: SendFile, what: str) -> FileEntry | None:
    try:
        found = msgspec.json.decode(raw, type=list[FileEntry], strict=False)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise FailedTryError(
            ProtocolError(f"not a list of files: {error}", status=200, request=what), again=True
        ) from error
    return next((entry for entry in found if entry.name == file.name), found[0] if found else None)


class _Ticket(msgspec.Struct):
    ticket: str
    urls: dict[str, str | list[str]]
    headers: dict[str, str] = {}


async def _ticket(session: ApiSession, file: SendFile) -> _Ticket | None:
    """Step one of a signed upload; None where the site can't sign after all."""
    about = {**file.metadata, "name": file.name, "size": file.size}
    metadata: Any = [about] if file.container_type == "analysis" else about
    answer = await session.call(
        "POST", *_target(file), query={"ticket": ""}, json={"metadata": metadata, "filenames": [file.name]}, safe=True
    )
    if not answer.body.strip():
        return None
    found: _Ticket = decode(answer, _Ticket, f"POST ticket for {file.name!r}")
    return found


async def _signed(session: ApiSession, file: SendFile, ticket: _Ticket) -> FileEntry | None:
    """The bytes to the links, then the completion. Completing is safe to repeat: the ticket is used up once."""
    given = ticket.urls.get(file.name)
    links = [given] if isinstance(given, str) else list(given or ())
    if not links:
        raise FailedTryError(UnreachableError(f"{file.name}: the site gave no link to send to"), again=True)
    size = -(-file.size // len(links)) if file.size else 0
    tags: list[str] = [""] * len(links)

    async def part(number: int) -> None:
        begin = min(number * size, file.size)
        tags[number] = await _send_part(session, file, links[number], ticket, (begin, min(begin + size, file.size)))

    await _all_parts(part, len(links))
    s3 = any(mark in links[0] for mark in (".s3.", ".amazonaws."))
    upload_id = URL(links[0], encoded=True).query.get("uploadId")
    body = {"multipart": {"e_tags": tags, "upload_id": upload_id}} if s3 and upload_id else None
    answer = await session.call("POST", *_target(file), query={"ticket": ticket.ticket}, json=body, safe=True)
    return _entry(answer.body, file, f"POST ticket for {file.name!r}")


async def _all_parts(part: Any, count: int) -> None:
    """All parts, a few at a time; the first failure of a part cancels the others and is raised as itself."""
    at_once = asyncio.Semaphore(4)
    failed: list[BaseException] = []

    async def bounded(number: int) -> None:
        async with at_once:
            try:
                await part(number)
            except (FailedTryError, NotAsAskedError, UnreachableError) as error:
                failed.append(error)
                group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for number in range(count):
            group.start_soon(bounded, number)
    if failed:
        raise failed[0]


async def _send_part(session: ApiSession, file: SendFile, link: str, ticket: _Ticket, span: tuple[int, int]) -> str:
    """One part to its link, repeated by itself when it fails; its ETag."""
    begin, end = span
    headers = {**ticket.headers, "Content-Length": str(end - begin)}
    if ".googleapis." in link:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
    attempt, idle_since = 0, time.monotonic()
    while True:
        attempt += 1
        try:
            tags: list[str] = []
            url = URL(link, encoded=True)
            await _put(session, "PUT", url, f"PUT part of {file.name!r}", file, span, headers, signed=False, tags=tags)
            return tags[0] if tags else ""
        except FailedTryError as failure:
            if not failure.again:
                # An expired link: the whole upload begins anew with a fresh ticket.
                raise FailedTryError(failure.error, again=attempt == 1, untouched=True) from failure
            await session.pause(failure, attempt, idle_since)


async def _put(
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
                body = _body(file, span, around, scope, quiet, whole, session.pacer)
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


async def _body(
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
