"""One large file in parallel ranges. Pieces are put together in their order, so what is on disk is always a beginning:
a crash, a cut or a server without ranges goes on exactly as a plain download would.
"""

from __future__ import annotations

import itertools

import anyio

from fwsync.client.memory import MemorySink
from fwsync.client.session import ApiSession
from fwsync.client.transfer import (
    Fetched,
    Meter,
    NoRangesError,
    Sink,
    fetch,
    persist,
    pour,
    range_of,
    refuse_strange,
    require_range,
    verify,
)
from fwsync.errors import FwsyncError, IntegrityError
from fwsync.work import FetchFile

SEGMENT = 4 * 1024 * 1024
"""Bytes of one range. Each lane holds at most one in memory."""

LEAST = 64 * 1024 * 1024
"""Smaller files are not split: one connection is at full speed by then."""


async def fetch_split(session: ApiSession, file: FetchFile, sink: Sink, lanes: int) -> Fetched:
    """`transfer.fetch` by so many ranges at a time, where file and server allow it."""
    if lanes < 2 or file.size is None or file.size < LEAST:
        return await fetch(session, file, sink)
    if sink.position > file.size:
        await sink.restart()
    parts = _Parts(session, file, sink)
    try:
        await parts.fetch(lanes)
        proof = await verify(file, sink)
    except (NoRangesError, IntegrityError) as error:
        if isinstance(error, IntegrityError):
            await sink.restart()
        took = await fetch(session, file, sink)  # goes on from what is there
        return Fetched(parts.meter.bytes + took.moved, parts.attempts + took.attempts, took.proof)
    return Fetched(parts.meter.bytes, max(parts.attempts, 1), proof)


class _Parts:
    """The ranges of one file, each fetched by whichever lane is free, written in their order."""

    def __init__(self, session: ApiSession, file: FetchFile, sink: Sink) -> None:
        self._session, self._file, self._sink = session, file, sink
        self.meter, self.attempts = Meter(), 0
        self._starts = iter(range(sink.position, file.size or 0, SEGMENT))
        self._numbers = itertools.count()
        self._next = 0
        self._turn = anyio.Condition()

    async def fetch(self, lanes: int) -> None:
        """Fetch all. Raises NoRangesError, or the first error of a lane as itself."""
        try:
            async with anyio.create_task_group() as group:
                for _ in range(lanes):
                    group.start_soon(self._lane)
        except BaseExceptionGroup as several:
            ours, rest = several.split((FwsyncError, NoRangesError))
            if rest is None and ours is not None:
                raise _first(ours) from None
            raise

    async def _lane(self) -> None:
        for start in self._starts:
            number = next(self._numbers)
            data = await self._range(start, min(start + SEGMENT, self._file.size or 0))
            async with self._turn:
                while self._next != number:
                    await self._turn.wait()
                for piece in data:
                    await self._sink.write(piece)
                self._next += 1
                self._turn.notify_all()

    async def _range(self, start: int, end: int) -> list[bytes]:
        part = MemorySink()

        async def once() -> None:
            at = start + part.position
            what = f"GET range of {self._file.name!r}"
            async with range_of(self._session, self._file, at, end) as response:
                refuse_strange(response, self._file.name, what)
                require_range(response, at, end, self._file.size)
                await pour(self._session, response, part, what, self.meter)

        async def whole() -> str:
            if part.position != end - start:
                raise IntegrityError(f"{self._file.name}: a range came short")
            return "size"

        took = await persist(self._session, part, once, whole, self.meter)
        self.attempts += took.attempts - 1
        return part.pieces


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
