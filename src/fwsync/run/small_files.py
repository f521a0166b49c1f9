"""Small files, a batch at a time: a worker brings and stages them, then they land together."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fwsync.run.journal import Journal
from fwsync.run.landing import Landing
from fwsync.run.pool import Failure, Handler
from fwsync.run.room import Room, bring_in_room
from fwsync.run.worker import SMALL, Brought, NotBrought
from fwsync.run.workers import Workers
from fwsync.work import FetchFile, Outcome, WorkItem


def is_small(item: WorkItem) -> bool:
    """Whether an item brings a file or member that is known to be small."""
    file = item.payload
    if not isinstance(file, FetchFile):
        return False
    size = file.size if file.member is None else file.member_size
    return size is not None and size <= SMALL


class SmallFiles:
    """Fetches batches of small files for one run. `unproved` counts those that only their size proves."""

    def __init__(self, workers: Workers, journal: Journal, landing: Landing, room: Room, alone: Handler) -> None:
        """`alone` takes the files at whose place something lies that fwsync did not put there."""
        self._room = room
        self._workers, self._journal, self._landing, self._alone = workers, journal, landing, alone
        self.unproved = 0

    async def fetch(self, items: Sequence[WorkItem]) -> list[Outcome | Failure]:
        """Bring the files to their places. What fails, fails by itself."""
        free = await self._free([item.payload.path for item in items])
        answers: list[Outcome | Failure] = []
        for item in items:
            if item.payload.path not in free:
                answers += await self._by_itself(item)
        to_come, full = await self._room.sift([item for item in items if item.payload.path in free])
        if to_come:
            files = [item.payload for item in to_come]
            answers += await self._land(to_come, await bring_in_room(self._workers.bring, files, self._room))
        return answers + full

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

    async def _land(self, items: Sequence[WorkItem], came: Sequence[Brought | NotBrought]) -> list[Outcome | Failure]:
        landed = iter(await self._landing.land([one.staged for one in came if isinstance(one, Brought)]))
        answers: list[Outcome | Failure] = []
        for item, one in zip(items, came, strict=True):
            if isinstance(one, NotBrought):
                answers.append(Failure(item, one.error, one.seconds))
                continue
            entry = next(landed)
            if isinstance(entry, Exception):
                answers.append(Failure(item, self._room.learn(entry, item.bytes), one.seconds))
                continue
            self.unproved += one.proof not in ("hash", "crc")
            ref = item.payload.file_id
            answers.append(item.outcome("done", ref=ref, attempts=one.attempts, seconds=one.seconds, moved=one.moved))
        return answers
