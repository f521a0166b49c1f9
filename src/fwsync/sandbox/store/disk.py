"""Reads of the disk: on the event loop while they are quick, in a thread otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
QUICK = 2e-3
"""Seconds that one read may hold up everybody else. Below that a thread costs more: a hop there and back, and then the
two threads take the interpreter from each other at every system call."""

PROBE = 16


class Disk:
    """Remembers how quick the last read on the loop was; a slow one is tried there again after PROBE others."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._in_threads = 0

    async def do(self, read: Callable[[], T]) -> T:
        """Run `read`."""
        if self._in_threads:
            self._in_threads -= 1
            return await asyncio.to_thread(read)
        began = self._clock()
        try:
            return read()
        finally:
            if self._clock() - began > QUICK:
                self._in_threads = PROBE
