"""What a run has settled and its reader has not taken yet: some of it in memory, the rest in a temporary file.

A slow reader must not slow the network down, and must not make memory grow: so whoever puts never waits, and what piles
up goes to a file without a name in the state folder, readable by nobody else and gone with the process.
"""

from __future__ import annotations

import asyncio
import pickle
import tempfile
from collections import deque
from pathlib import Path
from typing import IO, Generic, TypeVar

T = TypeVar("T")

MOST = 1000
"""So many wait in memory."""


class Backlog(Generic[T]):
    """Put on one side, take on the other, in one order. Of one event loop."""

    def __init__(self, folder: Path, most: int | None = None) -> None:
        self._folder, self._most = folder, most or MOST
        self._waiting: list[T] = []
        self._file: IO[bytes] | None = None
        self._chunks: deque[int] = deque()
        self._read = self._written = 0
        self._closed = False
        self._changed = asyncio.Event()

    @property
    def in_file(self) -> bool:
        """Whether some of it waits in the file."""
        return bool(self._chunks)

    def put(self, one: T) -> None:
        """Add one; never waits."""
        self._waiting.append(one)
        if len(self._waiting) >= self._most and len(self._waiting) % self._most == 0:
            self._spill()
        self._changed.set()

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._changed.set()

    def discard(self) -> None:
        """Nobody reads any more."""
        self.close()
        self._waiting, self._chunks = [], deque()
        if self._file is not None:
            self._file.close()
            self._file = None

    async def take(self) -> list[T]:
        """What has come, oldest first, some of it; waits for at least one. Empty once all is taken and closed."""
        while not (self._chunks or self._waiting or self._closed):
            self._changed.clear()
            await self._changed.wait()
        if self._chunks:
            return self._next_chunk()
        taken, self._waiting = self._waiting, []
        return taken

    def _spill(self) -> None:
        data = pickle.dumps(self._waiting, protocol=pickle.HIGHEST_PROTOCOL)
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
            self._file.seek(self._written)
            self._file.write(data)
            self._file.flush()
        except OSError:
            return  # a full disk: rather in memory than lost
        self._written += len(data)
        self._chunks.append(len(data))
        self._waiting = []

    def _next_chunk(self) -> list[T]:
        assert self._file is not None  # noqa: S101
        self._file.seek(self._read)
        size = self._chunks.popleft()
        taken: list[T] = pickle.loads(self._file.read(size))  # noqa: S301  what this process wrote itself
        self._read += size
        if not self._chunks:
            self._read = self._written = 0
            self._file.truncate(0)
        return taken
