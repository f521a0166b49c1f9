"""The journal: what was meant, what was done, and what lies in local trees. SQLite, one writer thread.

    runs      id, command, arguments (JSON, no secrets), site, started, ended, verdict, exit_code, host, pid
    outcomes  run, key, kind, target, state, reason, ref, attempts, seconds, bytes, request, line, sent, at
              one row an item; `sent` is JSON, what a create sent; `at` when it was settled
    intents   site, parent, level, label, sent_at, run          a create that was sent and has no outcome yet
    launches  site, key, mark, known, sent_at, run      a run of a gear that was asked for (`launches`)
    begun     site, project, key, run       a container whose create may lack its tags and notes yet
    sending   site, container, name, sent_at, run       a file whose body was sent and has no outcome yet
    uploads, upload_parts                               uploads in many parts that are not completed (`unfinished`)
    written   path, digest                  files that fwsync wrote for people: known as unedited by their SHA-256
    files     root, path, file_id, version, hash, member, size, mtime_ns, state           `present`: what lies there;
              beside it `renaming`: what is about to take its place, until it is known whether it did
    landings  root, batch, rows             many rows of `files` that are about to be there: one write, not one each
    parts     root, path, file_id, version, member, run         partial files that a run left or is writing
    roots     path, id                      trees: where each lies, and the id that its marker holds
    claims    root, path, selection         which selections want a file of a tree: `--delete` looks at its own alone
    moves     root, source, temp, target, inode, selection, and the row of `files`        moves that may have begun

Times are Unix seconds. Everything a run must be able to rely on after SIGKILL (intents, files, parts) is awaited
until it is committed; outcomes are only queued, and are committed with whatever comes next, at the latest at the end.
The folder is 0700 and the files are 0600: labels are patients' data.
"""

from __future__ import annotations

import asyncio
import os
import queue
import secrets
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import anyio
import msgspec

from fwsync import logs
from fwsync.errors import NotAsAskedError, StateError, TargetError
from fwsync.plan.mirroring import Indexed
from fwsync.work import Outcome, Summary

T = TypeVar("T")
VERSION = 3
log = logs.get("run")

_STATEMENTS = (
    """create table if not exists runs (id text primary key, command text, arguments text, site text, started real,
        ended real, verdict text, exit_code integer, host text, pid integer)""",
    """create table if not exists outcomes (run text, key text, kind text, target text, state text, reason text,
        ref text, attempts integer, seconds real, bytes integer, request text, line integer, sent blob, at real,
        primary key (run, key)) without rowid""",
    """create table if not exists intents (site text, parent text, level text, label text, sent_at real, run text,
        primary key (site, parent, level, label)) without rowid""",
    """create table if not exists files (root text, path text, file_id text, version integer, hash text, member text,
        size integer, mtime_ns integer, state text, primary key (root, path, state)) without rowid""",
    """create table if not exists landings (root text, batch text, rows blob,
        primary key (root, batch)) without rowid""",
    """create table if not exists parts (root text, path text, file_id text, version integer, member text, run text,
        primary key (root, path)) without rowid""",
    """create table if not exists launches (site text, key text, mark text, known text, sent_at real, run text,
        primary key (site, key, mark)) without rowid""",
    """create table if not exists begun (site text, project text, key text, run text,
        primary key (site, project, key)) without rowid""",
    """create table if not exists sending (site text, container text, name text, sent_at real, run text,
        primary key (site, container, name)) without rowid""",
    "create table if not exists roots (path text primary key, id text) without rowid",
    """create table if not exists claims (root text, path text, selection text,
        primary key (root, path, selection)) without rowid""",
    """create table if not exists moves (root text, source text, temp text, target text, inode integer, selection text,
        file_id text, version integer, hash text, member text, size integer, mtime_ns integer,
        primary key (root, source)) without rowid""",
    """create table if not exists uploads (site text, container text, name text, state text, ticket blob, at real,
        primary key (site, container, name)) without rowid""",
    """create table if not exists upload_parts (site text, container text, name text, number integer, tag text,
        primary key (site, container, name, number)) without rowid""",
    "create table if not exists written (path text primary key, digest text) without rowid",
)
_SINCE_1 = tuple(
    f"alter table outcomes add column {column}" for column in ("request text", "line integer", "sent blob", "at real")
)
"""What brings a journal of version 1 to version 2."""

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "lustre", "gpfs", "beegfs", "ceph", "fuse.sshfs"}
)


class RunRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One run, as the journal keeps it."""

    id: str
    command: str
    arguments: dict[str, Any]
    site: str
    started: float
    ended: float | None = None
    verdict: str | None = None
    exit_code: int | None = None


class Intent(msgspec.Struct, frozen=True):
    """A create that was sent at `sent_at` (Unix seconds) by `run`."""

    parent: str
    level: str
    label: str
    sent_at: float
    run: str


class Journal:
    """The journal of one user on one machine. Use as an async context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()  # it is opened more than once, and the process may go elsewhere meanwhile
        self.path = self.folder / "journal.db"

    async def __aenter__(self) -> Self:
        private_folder(self.folder)
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            raise TargetError(
                f"{self.path}: can't be opened ({error}); set another folder by [state] folder"
            ) from error
        except sqlite3.DatabaseError as error:
            raise NotAsAskedError(
                f"{self.path}: the journal is damaged ({error}); move it away: a run without it compares anew"
            ) from error
        self._error: sqlite3.Error | None = None
        self._outcomes: list[tuple[Any, ...]] = []
        self._flushed = 0.0
        self._thread = threading.Thread(target=self._write_loop, name="fwsync-journal", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._flush(time.time())
        self._queue.put(None)
        with anyio.CancelScope(shield=True):
            await asyncio.to_thread(self._thread.join)
        self._connection.close()

    def _open(self) -> sqlite3.Connection:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        os.close(descriptor)
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=60)
        connection.row_factory = sqlite3.Row
        found = connection.execute("pragma user_version").fetchone()[0]
        if found > VERSION:
            connection.close()
            raise NotAsAskedError(f"{self.path}: belongs to a newer fwsync; install that, or set another state folder")
        if on_network(self.folder):
            # WAL needs shared memory that network file systems do not give.
            log.warning("the state folder is on a network file system; a local one is faster", folder=str(self.folder))
            connection.execute("pragma journal_mode=truncate")
        else:
            connection.execute("pragma journal_mode=wal")
        connection.execute("pragma synchronous=normal")
        for statement in (*(_SINCE_1 if found == 1 else ()), *_STATEMENTS):
            connection.execute(statement)
        connection.execute(f"pragma user_version={VERSION}")
        return connection

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the writer thread and wait until it is committed."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._flush(time.time())
        self._queue.put((work, loop, future))
        return await future

    def post(self, work: Callable[[sqlite3.Connection], Any]) -> None:
        """Queue a write that nobody waits for."""
        self._queue.put((work, None, None))

    def _write_loop(self) -> None:
        while True:
            batch = [self._queue.get()]
            while batch[-1] is not None and len(batch) < 1000:
                try:
                    batch.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            self._commit([job for job in batch if job is not None])
            if batch[-1] is None:
                return

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        results: list[tuple[_Job, Any]] = []
        error: BaseException | None = None
        try:
            self._connection.execute("begin immediate")
            results = [(job, _without_cursor(job[0](self._connection))) for job in jobs]
            self._connection.execute("commit")
        except sqlite3.Error as caught:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            full = "full" in str(caught) or "disk I/O" in str(caught)
            hint = "free some space on its disk, or set another [state] folder" if full else "make that possible"
            error = StateError(f"{self.path}: the journal can't be written ({caught}); {hint}, then run again")
            error.__cause__ = caught
            results = [(job, None) for job in jobs]
            self._error = caught
        for (_, loop, future), result in results:
            if loop is not None and future is not None and not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future, result, error)

    # --- runs ---------------------------------------------------------------------------------------------------

    async def begin(self, command: str, arguments: dict[str, Any], site: str) -> str:
        """A new run; its id, which sorts by time."""
        ident = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime()) + "-" + secrets.token_hex(2)
        row = (
            ident,
            command,
            msgspec.json.encode(arguments).decode(),
            site,
            time.time(),
            socket.gethostname(),
            os.getpid(),
        )
        await self.write(
            lambda c: c.execute(
                "insert into runs (id, command, arguments, site, started, host, pid) values (?,?,?,?,?,?,?)", row
            )
        )
        return ident

    def record(self, run: str, outcome: Outcome) -> None:
        """Queue an outcome; it is written with others, within a fraction of a second or with whatever comes next."""
        o, at = outcome, time.time()
        sent = msgspec.json.encode(o.sent) if o.sent is not None else None
        row = (run, o.key, o.kind, o.target, o.state, o.reason, o.ref, o.attempts, o.seconds, o.bytes)
        self._outcomes.append((*row, o.request, o.line, sent, at))
        if len(self._outcomes) >= 500 or at - self._flushed > 0.2:
            self._flush(at)

    def _flush(self, at: float) -> None:
        rows, self._outcomes, self._flushed = self._outcomes, [], at
        if rows:
            self._queue.put((lambda c: c.executemany(_ADD_OUTCOME, rows), None, None))

    async def end(self, run: str, summary: Summary) -> None:
        """Close a run with its verdict; every outcome of it is committed then."""
        row = (time.time(), summary.verdict, summary.exit_code, run)
        await self.write(lambda c: c.execute("update runs set ended=?, verdict=?, exit_code=? where id=?", row))
        if self._error is not None:
            raise StateError(
                f"{self.path}: what became of some items could not be written ({self._error}); run again, which finds"
                " what is done"
            )

    async def runs(self, limit: int = 20) -> list[RunRecord]:
        """The newest runs, newest first."""
        return await self.write(
            lambda c: [_run(row) for row in c.execute("select * from runs order by started desc limit ?", (limit,))]
        )

    async def run(self, ident: str) -> RunRecord | None:
        """One run by its id."""
        return await self.write(
            lambda c: next((_run(row) for row in c.execute("select * from runs where id = ?", (ident,))), None)
        )

    async def outcomes(self, run: str, states: Iterable[str] = ()) -> list[Outcome]:
        """The outcomes of a run, of some states or all."""
        wanted = tuple(states)
        marks = f"and state in ({','.join('?' * len(wanted))})" if wanted else ""
        query = f"select * from outcomes where run = ? {marks} order by key"  # noqa: S608
        return await self.write(lambda c: [_outcome(row) for row in c.execute(query, (run, *wanted))])

    # --- intents ------------------------------------------------------------------------------------------------

    async def intend(self, site: str, intent: Intent) -> None:
        """Commit that a create is about to be sent; replaces an older intent with the same key."""
        row = (site, intent.parent, intent.level, intent.label, intent.sent_at, intent.run)
        await self.write(lambda c: c.execute("insert or replace into intents values (?,?,?,?,?,?)", row))

    def settle(self, site: str, parent: str, level: str, label: str) -> None:
        """The create has an outcome now."""
        key = (site, parent, level, label)
        self.post(lambda c: c.execute("delete from intents where site=? and parent=? and level=? and label=?", key))

    async def intents(self, site: str) -> dict[tuple[str, str, str], Intent]:
        """Intents without an outcome, by (parent, level, label)."""
        query = "select parent, level, label, sent_at, run from intents where site = ?"
        found = await self.write(lambda c: [Intent(*row) for row in c.execute(query, (site,))])
        return {(intent.parent, intent.level, intent.label): intent for intent in found}

    async def begin_containers(self, site: str, keys: Iterable[tuple[str, str]], run: str) -> None:
        """Commit that containers, as (project id, key), are about to be created and are then to get tags or notes."""
        rows = [(site, project, key, run) for project, key in keys]
        await self.write(lambda c: c.executemany("insert or replace into begun values (?,?,?,?)", rows))

    def end_container(self, site: str, project: str, key: str) -> None:
        """Queue that a container has everything that it was to get."""
        where = (site, project, key)
        self.post(lambda c: c.execute("delete from begun where site=? and project=? and key=?", where))

    async def begun(self, site: str, project: str) -> frozenset[str]:
        """The keys of containers of a project that a run before began, and may not have finished."""
        query = "select key from begun where site = ? and project = ?"
        return await self.write(lambda c: frozenset(row[0] for row in c.execute(query, (site, project))))

    async def begin_sending(self, site: str, container: str, name: str, run: str) -> None:
        """Commit that a file is about to be sent to a container."""
        row = (site, container, name, time.time(), run)
        await self.write(lambda c: c.execute("insert or replace into sending values (?,?,?,?,?)", row))

    def end_sending(self, site: str, container: str, name: str) -> None:
        """Queue that what became of a file is known."""
        where = (site, container, name)
        self.post(lambda c: c.execute("delete from sending where site=? and container=? and name=?", where))

    async def sending(self, site: str) -> dict[tuple[str, str], float]:
        """When files were sent that have no outcome, by (container, name)."""
        query = "select container, name, sent_at from sending where site = ?"
        return await self.write(lambda c: {(row[0], row[1]): row[2] for row in c.execute(query, (site,))})

    # --- files for people -----------------------------------------------------------------------------------------

    async def wrote(self, path: str, digest: str) -> None:
        """Commit the digest of a file that was written for a person."""
        await self.write(lambda c: c.execute("insert or replace into written values (?,?)", (path, digest)))

    async def written(self, path: str) -> str | None:
        """The digest that a file had when fwsync wrote it, or None."""
        query = "select digest from written where path = ?"
        return await self.write(lambda c: next((row[0] for row in c.execute(query, (path,))), None))

    # --- the local index ----------------------------------------------------------------------------------------

    async def index(self, root: str, state: str = "present", paths: Sequence[str] | None = None) -> dict[str, Indexed]:
        """What fwsync put below a root, by path; of `paths` alone (at most 1,000) if they are given."""
        query, values = "select * from files where root = ? and state = ?", [root, state]
        if paths is not None:
            query += f" and path in ({','.join('?' * len(paths))})"
            values += paths
        return await self.write(lambda c: {r["path"]: _indexed(r) for r in c.execute(query, values)})

    async def put_file(self, root: str, entry: Indexed, state: str) -> None:
        """Commit an index row: `renaming` before the rename, `present` after."""
        await self.write(lambda c: _put(c, root, [entry], state))

    def present(self, root: str, path: str) -> None:
        """Queue that a file has its final name."""
        query = "update or replace files set state='present' where root=? and path=? and state='renaming'"
        self.post(lambda c: c.execute(query, (root, path)))

    async def land(self, root: str, entries: Sequence[Indexed]) -> str:
        """Commit rows of many files that are about to get their final names; the name of the batch."""
        batch, rows = secrets.token_hex(8), msgspec.msgpack.encode(entries)
        await self.write(lambda c: c.execute("insert into landings values (?,?,?)", (root, batch, rows)))
        return batch

    def landed(self, root: str, batch: str, entries: Sequence[Indexed]) -> None:
        """Queue that these files of a batch have their final names, and that the others never will."""

        def work(c: sqlite3.Connection) -> None:
            _put(c, root, entries, "present")
            c.execute("delete from landings where root=? and batch=?", (root, batch))

        self.post(work)

    async def renaming(self, root: str) -> dict[str, Indexed]:
        """What was about to get its final name when a run died, by path: whether it did is to be looked at."""

        def unpack(c: sqlite3.Connection) -> None:
            for batch, rows in c.execute("select batch, rows from landings where root=?", (root,)).fetchall():
                _put(c, root, msgspec.msgpack.decode(rows, type=list[Indexed]), "renaming")
                c.execute("delete from landings where root=? and batch=?", (root, batch))

        await self.write(unpack)
        return await self.index(root, "renaming")

    async def not_renamed(self, root: str, path: str) -> None:
        """Drop what was about to get this name and did not; what lies there is what did before."""
        query = "delete from files where root=? and path=? and state='renaming'"
        await self.write(lambda c: c.execute(query, (root, path)))

    async def parts(self, root: str) -> list[sqlite3.Row]:
        """Partial files that dead runs left below a root."""
        return await self.write(lambda c: c.execute("select * from parts where root = ?", (root,)).fetchall())

    async def own_part(self, root: str, path: str, key: tuple[str, int | None, str | None], run: str) -> None:
        """Commit that a run writes this partial file of (file id, version, member)."""
        row = (root, path, *key, run)
        await self.write(lambda c: c.execute("insert or replace into parts values (?,?,?,?,?,?)", row))

    def drop_part(self, root: str, path: str) -> None:
        """Queue that a partial file is gone."""
        self.post(lambda c: c.execute("delete from parts where root=? and path=?", (root, path)))


_ADD_OUTCOME = "insert or replace into outcomes values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"

_Job = tuple[Callable[[sqlite3.Connection], Any], "asyncio.AbstractEventLoop | None", "asyncio.Future[Any] | None"]


def _without_cursor(result: Any) -> Any:
    """A cursor must not leave this thread: to be dropped in another one resets a statement that is in use here."""
    if isinstance(result, sqlite3.Cursor):
        result.close()
        return None
    return result


def _settle(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    if not future.done():
        future.set_exception(error) if error is not None else future.set_result(result)


def _run(row: sqlite3.Row) -> RunRecord:
    fields = {name: row[name] for name in RunRecord.__struct_fields__}
    return RunRecord(**{**fields, "arguments": msgspec.json.decode(row["arguments"])})


def _outcome(row: sqlite3.Row) -> Outcome:
    fields = {name: row[name] for name in Outcome.__struct_fields__ if row[name] is not None or name == "ref"}
    if row["sent"] is not None:
        fields["sent"] = msgspec.json.decode(row["sent"])
    return Outcome(**fields)


def _put(c: sqlite3.Connection, root: str, entries: Sequence[Indexed], state: str) -> None:
    rows = [(root, e.path, e.file_id, e.version, e.hash, e.member, e.size, e.mtime_ns, state) for e in entries]
    c.executemany("insert or replace into files values (?,?,?,?,?,?,?,?,?)", rows)


def _indexed(row: sqlite3.Row) -> Indexed:
    return Indexed(**{name: row[name] for name in Indexed.__struct_fields__})


def private_folder(folder: Path) -> None:
    """Make a folder that only this user can read; TargetError with one line if that fails."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise TargetError(f"{folder}: can't be used as state folder ({error.strerror}); set [state] folder") from error


def on_network(folder: Path) -> bool:
    """Whether a folder lies on a network file system, as far as this system tells."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    path = str(folder.resolve())
    best, kind = "", ""
    for line in mounts:
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind in _NETWORK_FILE_SYSTEMS
