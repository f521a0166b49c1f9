"""Small files, a batch at a time: into memory by single requests or a bulk archive, verified, then landed together."""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio
import msgspec

from fwsync.client import remotezip, transfer
from fwsync.client.archives import Archives
from fwsync.client.memory import MemorySink
from fwsync.client.session import ApiSession
from fwsync.client.zipspans import fetch_span, spans
from fwsync.run.journal import Journal
from fwsync.run.landing import Body, Landing, mtime_ns_of
from fwsync.run.pool import Failure, Handler
from fwsync.run.ways import Ways
from fwsync.work import FetchFile, Outcome, WorkItem

SMALL = 1024 * 1024
"""Files and members up to this size (bytes) are held in memory until they are verified, and land many at a time."""

LANES = 16
"""Files of one batch that are fetched at the same time."""


class _Fetched(msgspec.Struct, frozen=True):
    item: WorkItem
    began: float
    took: transfer.Fetched
    body: Body


def is_small(item: WorkItem) -> bool:
    """Whether an item brings a file or member that is known to be small."""
    file = item.payload
    if not isinstance(file, FetchFile):
        return False
    size = file.size if file.member is None else file.member_size
    return size is not None and size <= SMALL


class SmallFiles:
    """Fetches batches of small files for one run. `unproved` counts those that only their size proves."""

    def __init__(self, session: ApiSession, journal: Journal, landing: Landing, alone: Handler) -> None:
        """`alone` takes the files at whose place something lies that fwsync did not put there."""
        self._session, self._journal, self._landing, self._alone = session, journal, landing, alone
        self._archives, self._ways = Archives(session, SMALL), Ways()
        self.unproved = 0

    async def fetch(self, items: Sequence[WorkItem]) -> list[Outcome | Failure]:
        """Bring the files to their places. What fails, fails by itself."""
        free = await self._free([item.payload.path for item in items])
        answers: list[Outcome | Failure] = []
        for item in items:
            if item.payload.path not in free:
                answers += await self._by_itself(item)
        fetched, failed = await self._to_memory([item for item in items if item.payload.path in free])
        return answers + failed + await self._land(fetched)

    async def _free(self, paths: list[str]) -> frozenset[str]:
        """The paths where nothing lies, or what fwsync itself put there."""
        there = self._landing.in_the_way(paths)
        ours = await self._journal.index(self._landing.root, paths=list(there)) if there else {}
        return frozenset(path for path in paths if path not in there or path in ours)

    async def _by_itself(self, item: WorkItem) -> Sequence[Outcome | Failure]:
        began = time.monotonic()
        try:
            return await self._alone(item, None)
        except Exception as error:
            return [Failure(item, error, time.monotonic() - began)]

    async def _to_memory(self, items: Sequence[WorkItem]) -> tuple[list[_Fetched], list[Outcome | Failure]]:
        """All bodies: first those that an archive brings, if that is quicker here, then the rest by single requests."""
        began = time.monotonic()
        alike = [item.payload for item in items if self._archives.takes(item.payload)]
        way = self._ways.choose(len(alike), offered=self._archives.offered)
        archived = await self._archives.fetch(alike) if way == "archive" else {}
        if archived:
            self._ways.took("archive", len(archived), time.monotonic() - began)
        members = await self._members([item.payload for item in items])

        def brought(file: FetchFile) -> Sequence[bytes] | None:
            """What came of a file already, together with others."""
            if file.member is not None:
                return members.get(file.path)
            body = archived.get(file.hash or "")
            return None if body is None else [body]

        fetched: list[_Fetched] = []
        failed: list[Outcome | Failure] = []
        left = iter(items)

        async def lane() -> None:
            for item in left:
                start = time.monotonic()
                try:
                    took, body = await self._body(item.payload, brought(item.payload))
                    fetched.append(_Fetched(item, start, took, body))
                except Exception as error:
                    failed.append(Failure(item, error, time.monotonic() - start))

        async with anyio.create_task_group() as group:
            for _ in range(min(LANES, len(items))):
                group.start_soon(lane)
        if way == "single" and not failed:
            self._ways.took("single", len(items), time.monotonic() - began)
        return fetched, failed

    async def _members(self, files: Sequence[FetchFile]) -> dict[str, list[bytes]]:
        """Members that lie together in their archives, by path."""
        found: dict[str, list[bytes]] = {}

        async def one(span: list[FetchFile]) -> None:
            found.update(await fetch_span(self._session, span))

        async with anyio.create_task_group() as group:
            for span in spans(files):
                group.start_soon(one, span)
        return found

    async def _body(self, file: FetchFile, brought: Sequence[bytes] | None) -> tuple[transfer.Fetched, Body]:
        """One file in memory and verified; `brought` are its pieces if they came, verified, together with others."""
        sink, session = MemorySink(), self._session
        if file.content is not None:
            await sink.write(file.content)
            took = transfer.Fetched(0, 1, "hash")
        elif brought is not None:
            for piece in brought:
                await sink.write(piece)
            moved = sink.position if file.member is None else file.member_packed or 0
            took = transfer.Fetched(moved, 1, "hash" if file.member is None else "crc")
        elif file.member is not None:
            took = await remotezip.fetch_member(session, file, sink, session.calls)
        else:
            took = await transfer.fetch(session, file, sink, session.calls)
        # A CRC that the directory told was compared with that of the bytes.
        crc = file.member_crc if file.member is None or file.member_crc is not None else sink.crc32()
        return took, Body(
            path=file.path,
            file_id=file.file_id or "",
            version=file.version,
            hash=file.hash if file.member is None else f"crc32-{crc:08x}",
            member=file.member,
            pieces=sink.pieces,
            mtime_ns=mtime_ns_of(file),
        )

    async def _land(self, fetched: Sequence[_Fetched]) -> list[Outcome | Failure]:
        answers: list[Outcome | Failure] = []
        landed = await self._landing.land([one.body for one in fetched])
        for one, entry in zip(fetched, landed, strict=True):
            item, took, seconds = one.item, one.took, time.monotonic() - one.began
            if isinstance(entry, Exception):
                answers.append(Failure(item, entry, seconds))
                continue
            self.unproved += took.proof not in ("hash", "crc")
            ref = item.payload.file_id
            answers.append(item.outcome("done", ref=ref, attempts=took.attempts, seconds=seconds, moved=took.moved))
        return answers
