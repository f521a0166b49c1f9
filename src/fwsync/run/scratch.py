"""A temporary SQLite database for what would take memory in proportion to a job; what is in it is for others to say.

It lies in the state folder (0700), is deleted at the end, and holds nothing that a later run needs. Not for several
threads at once; who uses it takes turns.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from fwsync.errors import DiskFullError, TargetError
from fwsync.run.journal import private_folder

BATCH = 500
"""Rows that are read, or written, at a time."""


class Scratch:
    """A temporary database. Use as a context manager; `folder` is there for files of the same life."""

    schema: ClassVar[str] = ""

    def __init__(self, state_folder: Path) -> None:
        self._parent = state_folder / "spool"

    def __enter__(self) -> Self:
        private_folder(self._parent)
        _sweep(self._parent)
        self.folder = Path(tempfile.mkdtemp(prefix=f"fw-{os.getpid()}-", dir=self._parent))
        self._connection = sqlite3.connect(self.folder / "spool.db", isolation_level=None, check_same_thread=False)
        run = self._connection.execute
        run("pragma journal_mode=off")
        run("pragma synchronous=off")
        run("pragma temp_store=file")
        run("pragma cache_size=-16000")
        run(f"pragma temp_store_directory='{str(self.folder).replace(chr(39), chr(39) * 2)}'")
        self._connection.executescript(self.schema)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def _together(self) -> Iterator[sqlite3.Cursor]:
        """One transaction; the system's errors become ours."""
        cursor = self._connection.cursor()
        try:
            cursor.execute("begin")
            yield cursor
            cursor.execute("commit")
        except sqlite3.OperationalError as error:
            kind = DiskFullError if "full" in str(error) or "disk" in str(error) else TargetError
            raise kind(f"{self.folder}: the spool can't be written ({error}); set another [state] folder") from error
        finally:
            if self._connection.in_transaction:
                cursor.execute("rollback")

    def _fill(self, statement: str, rows: Iterable[Sequence[Any]]) -> int:
        """Insert many rows in one transaction; how many."""
        before = self._connection.total_changes
        with self._together() as cursor:
            cursor.executemany(statement, rows)
        return self._connection.total_changes - before

    def _all(self, query: str, *values: Any) -> Iterator[Any]:
        cursor = self._connection.cursor()
        cursor.execute(query, values)
        while batch := cursor.fetchmany(BATCH):
            yield from batch


def _sweep(parent: Path) -> None:
    """Remove what killed runs left behind: the folders of processes that are no more."""
    for folder in parent.glob("fw-*-*"):
        process = folder.name.split("-")[1]
        if process.isdigit() and not Path(f"/proc/{process}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)
