"""Streaming uploads: direct multipart, or by signed links (`signed_upload`), from a source that can be reopened."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from fwsync.client import signed_upload, urls
from fwsync.client.api import Flywheel
from fwsync.client.bodies import IN_THREAD, entry_of, put, target
from fwsync.client.session import ApiSession, FailedTryError
from fwsync.client.signed_upload import Keeper
from fwsync.client.transfer import HASH_PREFIX
from fwsync.errors import LostAnswerError, NotAsAskedError, UnreachableError
from fwsync.model import FileEntry
from fwsync.work import SendFile

FIRST_LOOK = 0.25
"""Seconds between the first two looks for an upload whose answer was lost; doubled each time."""

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
        self.had = 0
        """Bytes that the site had of it from a run before."""
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


async def send(
    fw: Flywheel,
    file: SendFile,
    local: Local,
    before: FileEntry | None,
    *,
    keeper: Keeper | None = None,
    again: Callable[[], Awaitable[None]] | None = None,
) -> tuple[FileEntry, int]:
    """Send a file; its new entry and the number of tries.

    `local` has the bytes of the file, `before` is the entry that was there. `keeper` remembers what the site has of an
    upload in many parts, `again` is called before each try but the first. A lost answer is settled by
    looking at the entry: a newer version with our size and hash means that it arrived. Raises NotAsAskedError when the
    local file changes meanwhile.
    """
    session = fw.session
    attempt, idle_since = 0, time.monotonic()
    while True:
        attempt += 1
        try:
            async with session.bodies.slot():
                entry = await _once(fw, file, local, keeper)
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
        if again is not None:
            await again()


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


async def _once(fw: Flywheel, file: SendFile, local: Local, keeper: Keeper | None) -> FileEntry | None:
    if file.size <= WHOLE:
        return await _direct(fw.session, file, local.read())
    _unchanged(file)
    if file.size >= DIRECT and (await fw.config()).signed_urls:
        sent = await signed_upload.send(fw.session, file, keeper)
        if sent is not None:
            entry, local.had = sent
            return entry
    return await _direct(fw.session, file)


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
    url = urls.build(session.key.base, target(file))
    what = f"POST file {file.name!r}"
    raw = await put(session, "POST", url, what, file, (0, file.size), headers, around=(head, tail), data=data)
    return entry_of(raw, file, what)


def _part(boundary: str, disposition: str, mime: str) -> bytes:
    return f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {mime}\r\n\r\n".encode()


def _changed(file: SendFile) -> NotAsAskedError:
    return NotAsAskedError(f"{file.source}: changed while it was being sent; run again to send it as it is now")
