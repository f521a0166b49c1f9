"""The database of a site, which can be closed while something still reads from it.

A connection that is closed under a running statement takes the process with it. So scans are counted, and a close
interrupts them and waits until none is left.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fwsync.sandbox.store.database import Database

T = TypeVar("T")
_PATIENCE = 0.05
_TRIES = 200


class SiteDatabase(Database):
    """A database whose `close` ends the scans that run: they raise sqlite3.OperationalError."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._scans = 0
        self._idle = threading.Condition()

    async def scan(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read that may be long in a worker thread."""
        return await super().scan(lambda conn: self._counted(work, conn))

    def _counted(self, work: Callable[[sqlite3.Connection], T], conn: sqlite3.Connection) -> T:
        with self._idle:
            self._scans += 1
        try:
            return work(conn)
        finally:
            with self._idle:
                self._scans -= 1
                self._idle.notify_all()

    def close(self) -> None:
        """Finish queued writes, end the scans that run, and close every connection."""
        with self._idle:
            for _ in range(_TRIES):
                if not self._scans:
                    break
                for connection in self._readers:
                    connection.interrupt()  # a scan of many statements may be between two: it is told again
                self._idle.wait(_PATIENCE)
            if self._scans:
                self._readers.clear()  # better never closed than closed under a statement
        super().close()
