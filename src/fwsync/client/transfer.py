"""Streaming downloads: one body into a sink, resumed by Range, verified by size and hash."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import aiohttp
import msgspec

from fwsync.client import urls
from fwsync.client.retry import AdaptiveLimiter
from fwsync.client.session import ApiSession, FailedTryError
from fwsync.errors import IntegrityError, NotAsAskedError, ProtocolError
from fwsync.model import PLURALS
from fwsync.work import FetchFile

HASH_PREFIX = "v0-sha384-"
MOST_FRESH_LINKS = 4
"""Links refused in a row after which a refusal is believed."""

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)\Z")
_HTML = re.compile(r"\.html?\Z", re.IGNORECASE)


class Taker(Protocol):
    """Takes the pieces of a body."""

    async def write(self, data: bytes) -> None:
        """Take the next piece."""


class Sink(Taker, Protocol):
    """Where a body goes. It hashes what it is given, what it held before included."""

    @property
    def position(self) -> int:
        """How many bytes it holds."""

    async def restart(self) -> None:
        """Forget everything: the next write is at position 0."""

    async def sha384(self) -> str:
        """Hex digest of all it holds."""

    def crc32(self) -> int:
        """CRC-32 of all it holds."""


class Meter(msgspec.Struct):
    """Counts the bytes of a body as they cross the network, over all tries."""

    bytes: int = 0


class Fetched(msgspec.Struct, frozen=True):
    """What a transfer took: bytes that crossed the network, tries, and what proved the content."""

    moved: int
    attempts: int
    proof: str


async def fetch(session: ApiSession, file: FetchFile, sink: Sink, limiter: AdaptiveLimiter | None = None) -> Fetched:
    """Bring a whole file into `sink`, going on from what it already holds.

    `limiter` bounds it together with others (default: with the bodies; small files go with the calls).

    Raises IntegrityError when the content never verifies, else the last failure of the transport.
    """

    meter = Meter()
    return await persist(
        session, sink, lambda: _stream(session, file, sink, meter), lambda: verify(file, sink), meter, limiter
    )


async def persist(
    session: ApiSession,
    sink: Sink,
    once: Callable[[], Awaitable[None]],
    verify: Callable[[], Awaitable[str]],
    meter: Meter,
    limiter: AdaptiveLimiter | None = None,
) -> Fetched:
    """Repeat `once` until the body is whole and `verify` accepts it. Progress resets the count of failures; a failed
    verification starts from zero and is no progress."""
    limiter = limiter or session.bodies
    attempts = failures = best = fresh_links = 0
    idle_since = time.monotonic()
    while True:
        attempts += 1
        try:
            async with limiter.slot():
                await once()
            limiter.went_well()
            return Fetched(meter.bytes, attempts, await verify())
        except IntegrityError as error:
            await sink.restart()
            failure = FailedTryError(error, again=True)
        except FailedTryError as caught:
            failure = caught
        if sink.position > best:
            best, failures, fresh_links, idle_since = sink.position, 0, 0, time.monotonic()
        failures += 1
        if failure.slow_down:
            limiter.too_much()
        fresh_links += failure.expired
        if failure.expired and fresh_links == 1:
            continue  # every try asks for a link of its own; the first fresh one is free
        if not failure.again and not (failure.expired and fresh_links <= MOST_FRESH_LINKS):
            raise failure.error from failure.__cause__
        await session.pause(failure, failures, idle_since)


async def _stream(session: ApiSession, file: FetchFile, sink: Sink, meter: Meter) -> None:
    """One request from the sink's position to the end. Raises FailedTryError."""
    if file.size is not None and sink.position > file.size:
        await sink.restart()
    if file.size is not None and sink.position == file.size and file.size > 0:
        return
    url = urls.build(
        session.key.base,
        (PLURALS[file.container_type], file.container_id, "files", file.name),
        {"view": "true", "version": file.version},
    )
    what = f"GET file {file.name!r}"
    headers = {"Accept": "*/*", **({"Range": f"bytes={sink.position}-"} if sink.position else {})}
    async with session.open("GET", url, what, headers=headers, raw=True) as response:
        await _accept(response, file, sink, what)
        await pour(session, response, sink, what, meter)


def range_of(
    session: ApiSession, file: FetchFile, start: int, end: int
) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
    """A request for bytes [start, end) of a file."""
    url = urls.build(
        session.key.base,
        (PLURALS[file.container_type], file.container_id, "files", file.name),
        {"view": "true", "version": file.version},
    )
    headers = {"Accept": "*/*", "Range": f"bytes={start}-{end - 1}"}
    return session.open("GET", url, f"GET range of {file.name!r}", headers=headers, raw=True)


class NoRangesError(Exception):
    """The site does not serve exactly the range that was asked for."""


def require_range(response: aiohttp.ClientResponse, start: int, end: int, total: int | None = None) -> None:
    """NoRangesError unless an answer is bytes [start, end) of a file, of `total` bytes where that is given."""
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    if found is None or response.status != 206 or found.group(3) == "*":
        raise NoRangesError
    first, last, whole = map(int, found.groups())
    if (first, last) != (start, end - 1) or total not in (None, whole):
        raise NoRangesError


async def _accept(response: aiohttp.ClientResponse, file: FetchFile, sink: Sink, what: str) -> None:
    """Whether this answer really continues what the sink holds; starts the sink over where it does not."""
    refuse_strange(response, file.name, what)
    if response.status == 206:
        found = _RANGE.match(response.headers.get("Content-Range", ""))
        total = found.group(3) if found else "*"
        wrong_total = file.size is not None and total not in ("*", str(file.size))
        if found is None or int(found.group(1)) != sink.position or wrong_total:
            await sink.restart()
            raise again(f"{what}: the answer to a range is another range", what)
    elif response.status == 416:
        await sink.restart()
        raise again(f"{what}: the file is shorter than before", what)
    elif sink.position:
        await sink.restart()  # 200: this server ignores Range, or the file is another one now


def refuse_strange(response: aiohttp.ClientResponse, name: str, what: str) -> None:
    """Refuse what is not the stored bytes: an encoded body, or an HTML page in place of something else."""
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding not in ("", "identity"):
        error = ProtocolError(f"the body is {encoding}-encoded although identity was asked", status=200, request=what)
        raise FailedTryError(error, again=False)
    if response.content_type == "text/html" and not _HTML.search(name):
        raise again("an HTML page came instead of the file (a proxy?)", what)


def again(reason: str, what: str) -> FailedTryError:
    """A failure that is worth another try."""
    return FailedTryError(ProtocolError(reason, status=200, request=what), again=True)


async def pour(session: ApiSession, response: aiohttp.ClientResponse, sink: Taker, what: str, meter: Meter) -> None:
    """The answer's body into the sink."""
    try:
        async for data in response.content.iter_any():
            meter.bytes += len(data)
            if session.pacer is not None:
                await session.pacer.take(len(data))
            await sink.write(data)
    except NotAsAskedError:
        raise
    except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
        raise session.transport_failure(error, what) from error


async def verify(file: FetchFile, sink: Sink) -> str:
    """What proves the content: `hash`, `size` or `nothing`. IntegrityError where it is not what the entry says."""
    if file.size is not None and sink.position != file.size:
        raise IntegrityError(f"{file.name}: {sink.position:,} bytes came, the entry says {file.size:,}")
    if file.hash and file.hash.startswith(HASH_PREFIX):
        if await sink.sha384() != file.hash.removeprefix(HASH_PREFIX):
            raise IntegrityError(f"{file.name}: the bytes that came have another hash than the file entry")
        return "hash"
    return "size" if file.size is not None else "nothing"
