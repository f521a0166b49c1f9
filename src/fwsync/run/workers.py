"""The workers of one run: batches in turn to this process and, where there are some, to the processes beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio

from fwsync.client.archives import goes_in_an_archive
from fwsync.run.crew import Lane, LaneLostError
from fwsync.run.ways import Trip, Ways
from fwsync.run.worker import Brought, NotBrought, Worker
from fwsync.work import FetchFile

EACH = 3
"""Batches that this process brings at a time: one that is staged, one that comes, one that is asked for."""

LANDING = 2
"""Batches more than are brought at a time: while some land, the next ones are asked for already."""


class Workers:
    """Gives each batch to a worker that is free. The first ones go to this process: a small run wakes no other."""

    def __init__(self, own: Worker) -> None:
        self._own = own
        self._idle: deque[Worker] = deque([own] * EACH)
        self._free = anyio.Semaphore(EACH)
        self._ways, self._offered = Ways(), True
        self._ended = anyio.Event()
        self._changed = anyio.Event()
        self.batches = EACH + LANDING
        """How many batches can be in hand."""

    def join(self, lanes: Sequence[Lane]) -> None:
        """Let other processes take batches too."""
        for lane in lanes:
            self._idle.append(lane)
            self._free.release()
        self.batches += len(lanes)

    async def bring(self, files: Sequence[FetchFile]) -> list[Brought | NotBrought]:
        """What became of each, in their order. What a process that died had in hand is done here."""
        async with self._free:
            worker = self._idle.popleft()
            found: dict[int, Brought | NotBrought] = {}
            left = list(range(len(files)))
            try:
                while left:
                    able = [number for number in left if goes_in_an_archive(files[number])]
                    trip = await self._chosen(len(able))
                    part = left if trip.files >= len(able) else able[: trip.files]
                    worker, came = await self._by(worker, [files[number] for number in part], trip)
                    found.update(zip(part, came, strict=True))
                    left = [number for number in left if number not in found]
            finally:
                self._idle.append(worker)
        return [found[number] for number in range(len(files))]

    async def _chosen(self, files: int) -> Trip:
        while (trip := self._ways.choose(files, offered=self._offered)) is None:
            await self._ended.wait()
        self._ways.begin(trip)
        return trip

    async def _by(
        self, worker: Worker, files: Sequence[FetchFile], trip: Trip
    ) -> tuple[Worker, list[Brought | NotBrought]]:
        """Bring them by the worker, or by our own where that died; which one it was."""
        count = 0
        try:
            try:
                came = await worker.bring(files, trip.way)
            except LaneLostError:
                worker = self._own
                came = await worker.bring(files, trip.way)
            self._offered = self._offered and came.offered
            count = came.archived if trip.way == "archive" else sum(isinstance(one, Brought) for one in came.files)
        finally:
            self._ways.end(trip, count)
            self._ended.set()
            self._ended = anyio.Event()
        return worker, came.files
