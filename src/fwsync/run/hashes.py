"""The hashes of local files that were read before, so that an unchanged tree is not read twice.

    hashes  path, size, mtime_ns, ctime_ns, inode, digest

A cache beside the journal: to lose it costs time alone. A hash counts while size, both times and the inode are the
same. A file that was changed just before it was hashed is not kept: it could change again within the same tick.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from fwsync import logs
from fwsync.run.journal import on_network, private_folder

TICK_NS = 2_000_000_000
"""The coarsest clock of a file system that people use (FAT)."""

_BATCH = 500
_TABLE = """create table if not exists hashes (path text primary key, size integer, mtime_ns integer, ctime_ns integer,
    inode integer, digest text) without rowid"""
log = logs.get("run")


class Stamp(msgspec.Struct, frozen=True):
    """What tells one state of a local file from another."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Stamp:
        """That of a file now."""
        found = os.stat(path)  # noqa: PTH116 - in the hot path
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


class HashCache:
    """Use as a context manager. Not for several threads at once; who uses it takes turns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "hashes.db"
        self._fresh: list[tuple[str, int, int, int, int, str]] = []

    def __enter__(self) -> Self:
        private_folder(self._folder)
        try:
            self._connection = self._open()
        except sqlite3.DatabaseError as error:
            log.warning("the cache of hashes is damaged and begins anew", reason=str(error))
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._connection = self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            connection.execute(f"pragma journal_mode={'truncate' if on_network(self._folder) else 'wal'}")
            connection.execute("pragma synchronous=off")
            connection.execute(_TABLE)
        except sqlite3.DatabaseError:
            connection.close()
            raise
        return connection

    def get(self, stamp: Stamp) -> str | None:
        """The hash of a file in this state, if it was ever read."""
        query = "select digest from hashes where path=? and size=? and mtime_ns=? and ctime_ns=? and inode=?"
        try:
            found = self._connection.execute(query, msgspec.structs.astuple(stamp)).fetchone()
        except sqlite3.DatabaseError:
            return None
        return str(found[0]) if found else None

    def put(self, stamp: Stamp, digest: str) -> None:
        """Keep the hash of a file that was in this state before and after it was read."""
        if max(stamp.mtime_ns, stamp.ctime_ns) > time.time_ns() - TICK_NS:
            return
        self._fresh.append((stamp.path, stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode, digest))
        if len(self._fresh) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        rows, self._fresh = self._fresh, []
        # A cache that can't be written (a full disk, another process) is no reason to stop.
        with contextlib.suppress(sqlite3.DatabaseError):
            self._connection.execute("begin immediate")
            self._connection.executemany("insert or replace into hashes values (?,?,?,?,?,?)", rows)
        if self._connection.in_transaction:
            with contextlib.suppress(sqlite3.DatabaseError):
                self._connection.execute("commit")
