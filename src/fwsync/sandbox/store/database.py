"""SQLite in WAL mode: one writer thread with group commit, readers on connections of their own.

A write is a function of a connection. The writer takes all that wait, runs each in a savepoint, commits once, and
answers them after the commit: an acknowledged write survives the death of the process. (`synchronous=NORMAL`: it
also survives a power cut up to the last WAL checkpoint; a sandbox needs no more.)
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from fwsync.sandbox.store import schema

T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]

MOST_IN_ONE_COMMIT = 256


class Database:
    """The sandbox's database file. Open it in the thread of the event loop; `close` waits for queued writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        with self._connect() as connection:
            connection.execute("pragma journal_mode=wal")
            for statement in schema.STATEMENTS:
                connection.execute(statement)
        connection.close()
        self._thread = threading.Thread(target=self._write_loop, name="sandbox-writer", daemon=True)
        self._thread.start()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)
        connection.execute("pragma synchronous=normal")
        connection.execute("pragma cache_size=-65536")
        connection.row_factory = sqlite3.Row
        return connection

    @property
    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading; sees every write that was acknowledged."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect()
            connection.execute("pragma query_only=1")
            self._readers.append(connection)
        return connection

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer thread; its result arrives after the commit. Its errors roll back it alone."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put((work, future, loop))
        return await asyncio.shield(future)

    async def scan(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read that may be long in a worker thread."""
        return await asyncio.to_thread(lambda: work(self.reader))

    def close(self) -> None:
        """Finish queued writes and close every connection."""
        self._queue.put(None)
        self._thread.join()
        for connection in self._readers:
            connection.close()

    def _write_loop(self) -> None:
        connection = self._connect()
        while True:
            batch = [self._queue.get()]
            while len(batch) < MOST_IN_ONE_COMMIT and batch[-1] is not None:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            jobs = [job for job in batch if job is not None]
            if jobs:
                self._commit(connection, jobs)
            if len(jobs) < len(batch):
                connection.execute("pragma wal_checkpoint(truncate)")
                connection.close()
                return

    def _commit(self, connection: sqlite3.Connection, jobs: list[_Job]) -> None:
        answers: list[tuple[_Job, Any, BaseException | None]] = []
        connection.execute("begin immediate")
        for job in jobs:
            connection.execute("savepoint one")
            try:
                answers.append((job, job[0](connection), None))
            except BaseException as error:  # handed to the waiting request as it is
                connection.execute("rollback to one")
                answers.append((job, None, error))
            connection.execute("release one")
        try:
            connection.execute("commit")
        except sqlite3.Error as error:
            connection.execute("rollback")
            answers = [(job, None, error) for job in jobs]
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, Any, BaseException | None]]] = {}
        for answer in answers:
            by_loop.setdefault(answer[0][2], []).append(answer)
        for loop, group in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, group)


def _resolve(answers: list[tuple[_Job, Any, BaseException | None]]) -> None:
    for (_, future, _), result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
