"""The workers of one run: batches in turn to this process and, where there are some, to the processes beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio

from fwsync.client.archives import goes_in_an_archive
from fwsync.run.crew import Lane, LaneLostError
from fwsync.run.ways import Trip, Ways
from fwsync.run.worker import Brought, Came, NotBrought, Worker
from fwsync.work import FetchFile

EACH = 3
"""Batches that each process has in hand: one that lands, one that comes, one that is asked for."""


class Workers:
    """Gives each batch to a worker that is free. The first ones go to this process: a small run wakes no other."""

    def __init__(self, own: Worker) -> None:
        self._own = own
        self._idle: deque[Worker] = deque([own] * EACH)
        self._free = anyio.Semaphore(EACH)
        self._ways, self._offered = Ways(), True
        self.batches = EACH
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
            trip = self._ways.begin(sum(map(goes_in_an_archive, files)), offered=self._offered)
            worker, count, seconds = self._idle.popleft(), 0, 0.0
            try:
                try:
                    came = await worker.bring(files, trip.way)
                except LaneLostError:
                    worker = self._own
                    came = await worker.bring(files, trip.way)
                self._offered = self._offered and came.offered
                count, seconds = self._count(trip, came), came.seconds
            finally:
                self._ways.end(trip, count, seconds)
                self._idle.append(worker)
        return came.files

    def _count(self, trip: Trip, came: Came) -> int:
        """How many files a batch tells about its way: none where some of them failed."""
        if trip.way == "archive":
            return came.archived
        return len(came.files) if all(isinstance(one, Brought) for one in came.files) else 0
