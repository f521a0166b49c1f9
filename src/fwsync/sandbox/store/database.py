"""SQLite in WAL mode: one writer thread with group commit, readers on connections of their own.

A write is a function of a connection. The writer takes all that wait, runs them in one transaction, commits once, and
answers them after the commit: an acknowledged write survives the death of the process. (`synchronous=NORMAL`: it
also survives a power cut up to the last WAL checkpoint; a sandbox needs no more.) A write that fails after it has
changed something is undone alone: the others are run again, so a write must take all it changes from the connection.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar, cast

from fwsync.sandbox.store import schema

T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]
_Answer = tuple[_Job, Any, BaseException | None]

MOST_IN_ONE_COMMIT = 256
MOST_REMEMBERED = 1000


class Database:
    """The sandbox's database file. Open it in the thread of the event loop; `close` waits for queued writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._commits = 0
        self._remembered: dict[Hashable, tuple[int, Any]] = {}
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
        # Where the handler is cancelled, its future is too, and the queued work is done all the same.
        return await future

    async def scan(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run a read that may be long in a worker thread."""
        return await asyncio.to_thread(lambda: work(self.reader))

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` reads, kept until the next commit."""
        commits = self._commits
        held, value = self._remembered.get(key, (-1, None))
        if held != commits:
            if len(self._remembered) >= MOST_REMEMBERED:
                self._remembered.clear()
            # A commit during the read leaves a value that is newer than its number: it is read again, never stale.
            value = make()
            self._remembered[key] = (commits, value)
        return cast("T", value)

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
        answers = _run(connection, jobs) or _run_each(connection, jobs)
        self._commits += 1  # before anyone hears of the writes
        by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
        for answer in answers:
            by_loop.setdefault(answer[0][2], []).append(answer)
        for loop, group in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, group)


def _run(connection: sqlite3.Connection, jobs: list[_Job]) -> list[_Answer] | None:
    """All jobs in one transaction; None, with nothing done, where that can't be kept because one failed half-way.

    Savepoints would double the cost of a write, and an error is nearly always found before the first change.
    """
    answers: list[_Answer] = []
    connection.execute("begin immediate")
    for job in jobs:
        before = connection.total_changes
        try:
            answers.append((job, job[0](connection), None))
        except BaseException as error:  # handed to the waiting request as it is
            if connection.total_changes != before or not connection.in_transaction:
                _roll_back(connection)
                return None
            answers.append((job, None, error))
    try:
        connection.execute("commit")
    except sqlite3.Error as error:
        _roll_back(connection)
        return [(job, None, error) for job in jobs]
    return answers


def _run_each(connection: sqlite3.Connection, jobs: list[_Job]) -> list[_Answer]:
    """The same, each job in a transaction of its own."""
    answers: list[_Answer] = []
    for job in jobs:
        connection.execute("begin immediate")
        try:
            result = job[0](connection)
            connection.execute("commit")
            answers.append((job, result, None))
        except BaseException as error:
            _roll_back(connection)
            answers.append((job, None, error))
    return answers


def _roll_back(connection: sqlite3.Connection) -> None:
    # SQLite itself has ended the transaction after some errors, such as a full disk.
    if connection.in_transaction:
        connection.execute("rollback")


def _resolve(answers: list[_Answer]) -> None:
    for (_, future, _), result, error in answers:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
