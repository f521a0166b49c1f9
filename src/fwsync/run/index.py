"""The journal's memory of local trees: which tree lies where, what fwsync put there, and which selections want it.

A selection is named by a digest of what it selects. `--delete` looks only at what the selection at work has claimed and
no other has; a file that two selections want stays until neither does.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import msgspec

from fwsync.plan.mirroring import Indexed
from fwsync.plan.syncing import Claimed
from fwsync.run.journal import Journal

TABLES = ("files", "parts", "claims", "moves")
BATCH = 1000
_COLUMNS = Indexed.__struct_fields__
_NAMES = ", ".join(_COLUMNS[1:])
_INSERT = f"insert or replace into files (root, path, {_NAMES}, state)"
_PUT = f"{_INSERT} values (?,?,?,?,?,?,?,?,?)"
_ROWS = """select f.path, f.file_id, f.version, f.hash, f.member, f.size, f.mtime_ns,
    exists (select 1 from claims c where c.root = f.root and c.path = f.path and c.selection = ?),
    exists (select 1 from claims c where c.root = f.root and c.path = f.path and c.selection <> ?)
    from files f where f.root = ? and f.state = 'present' order by f.path"""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A move that may have begun. `temp` is where the file waits if its place is needed first, else empty."""

    source: str
    temp: str
    target: str
    inode: int
    selection: str = ""
    entry: Indexed
    """The row of the file, with the path of the target."""


class LocalIndex:
    """The index of the tree at `root` (an absolute path), for one selection."""

    def __init__(self, journal: Journal, root: str, selection: str) -> None:
        self.journal, self.root, self.selection = journal, root, selection

    # --- reading --------------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Everything queued is committed: a reader sees it."""
        await self.journal.write(lambda _: None)

    def rows(self) -> Iterator[Claimed]:
        """All rows by path. Blocking, on a connection of its own: call it in a thread."""
        with closing(sqlite3.connect(self.journal.path, timeout=60)) as connection:
            found = connection.execute(_ROWS, (self.selection, self.selection, self.root))
            while some := found.fetchmany(BATCH):
                for path, file_id, version, digest, member, size, mtime_ns, mine, others in some:
                    entry = Indexed(
                        path=path, file_id=file_id, version=version, hash=digest, member=member, size=size,
                        mtime_ns=mtime_ns,
                    )  # fmt: skip
                    yield Claimed(entry, bool(mine), bool(others))

    async def count(self) -> int:
        """How many files fwsync has put into the tree."""
        query = "select count(*) from files where root = ? and state = 'present'"
        return await self.journal.write(lambda c: int(c.execute(query, (self.root,)).fetchone()[0]))

    # --- claims ---------------------------------------------------------------------------------------------------

    async def claim(self, paths: Iterable[str]) -> None:
        """Commit that the selection wants these paths."""
        rows = ((self.root, path, self.selection) for path in paths)
        while some := list(islice(rows, BATCH)):
            await self.journal.write(lambda c, some=some: c.executemany(_CLAIM, some))  # type: ignore[misc]

    async def disclaim(self, paths: Iterable[str]) -> None:
        """Commit that the selection wants these paths no more; others do."""
        rows = ((self.root, path, self.selection) for path in paths)
        query = "delete from claims where root = ? and path = ? and selection = ?"
        while some := list(islice(rows, BATCH)):
            await self.journal.write(lambda c, some=some: c.executemany(query, some))  # type: ignore[misc]

    # --- what changed in the tree ---------------------------------------------------------------------------------

    def forget(self, path: str) -> None:
        """Queue that a file of ours is gone."""
        self.journal.post(lambda c: _forget(c, self.root, path))

    async def forget_all(self, paths: Iterable[str]) -> None:
        """Commit that files of ours are gone."""
        stream = iter(paths)
        while some := list(islice(stream, BATCH)):
            await self.journal.write(
                lambda c, some=some: _forget(c, self.root, *some)  # type: ignore[misc]
            )

    async def plan_moves(self, moves: Sequence[Move]) -> None:
        """Commit that these moves are about to begin."""
        rows = [(self.root, m.source, m.temp, m.target, m.inode, self.selection, *_values(m.entry)[1:]) for m in moves]
        marks = ",".join("?" * len(rows[0])) if rows else ""
        if rows:
            await self.journal.write(lambda c: c.executemany(f"insert or replace into moves values ({marks})", rows))  # noqa: S608

    async def open_moves(self, source: str | None = None) -> list[Move]:
        """Moves that were planned and have no end yet: all, or that of one file."""
        names = f"source, temp, target, inode, selection, {_NAMES}"
        query, values = f"select {names} from moves where root = ?", [self.root]  # noqa: S608
        if source is not None:
            query, values = f"{query} and source = ?", [self.root, source]
        found = await self.journal.write(
            lambda c: [tuple(row) for row in c.execute(f"{query} order by source", values)]
        )
        return [_move(row) for row in found]

    def moved(self, move: Move) -> None:
        """Queue that a move has happened: row and claim go with the file, unless another has taken its old place."""
        e, source = move.entry, (self.root, move.source)

        def work(c: sqlite3.Connection) -> None:
            c.execute(
                "delete from files where root=? and path=? and state='present' and file_id=? and member is ?"
                " and version is ?",
                (*source, e.file_id, e.member, e.version),
            )
            if c.execute("select 1 from files where root=? and path=?", source).fetchone() is None:
                c.execute("delete from claims where root=? and path=?", source)
            c.execute(_PUT, (self.root, *_values(e), "present"))
            c.execute(_CLAIM, (self.root, e.path, move.selection))
            _end_move(c, self.root, move.source)

        self.journal.post(work)

    def not_moved(self, move: Move) -> None:
        """Queue that a move has not happened, or that its file is no longer there."""
        self.journal.post(lambda c: _end_move(c, self.root, move.source))


def _values(entry: Indexed) -> tuple[Any, ...]:
    return msgspec.structs.astuple(entry)


def _move(row: tuple[Any, ...]) -> Move:
    source, temp, target, inode, selection, *rest = row
    entry = Indexed(**dict(zip(_COLUMNS, (target, *rest), strict=True)))
    return Move(source=source, temp=temp, target=target, inode=inode, selection=selection, entry=entry)


_CLAIM = "insert or ignore into claims values (?,?,?)"


def _forget(c: sqlite3.Connection, root: str, *paths: str) -> None:
    rows = [(root, path) for path in paths]
    c.executemany("delete from files where root=? and path=? and state='present'", rows)
    c.executemany("delete from claims where root=? and path=?", rows)


def _end_move(c: sqlite3.Connection, root: str, source: str) -> None:
    c.execute("delete from moves where root=? and source=?", (root, source))


# --- trees ------------------------------------------------------------------------------------------------------------


async def id_of(journal: Journal, root: str) -> str | None:
    """The id of the tree that was last at a path; empty where only files are known (a journal from before ids)."""

    def work(c: sqlite3.Connection) -> str | None:
        row = c.execute("select id from roots where path = ?", (root,)).fetchone()
        if row is None and c.execute("select 1 from files where root = ? limit 1", (root,)).fetchone():
            return ""
        return row[0] if row else None

    return await journal.write(work)


async def places_of(journal: Journal, ident: str) -> list[str]:
    """Where a tree has been seen."""
    query = "select path from roots where id = ? order by path"
    return await journal.write(lambda c: [row[0] for row in c.execute(query, (ident,))])


async def register(journal: Journal, root: str, ident: str) -> None:
    """Commit that a tree lies at a path."""
    await journal.write(lambda c: c.execute("insert or replace into roots values (?,?)", (root, ident)))


async def forget_root(journal: Journal, root: str) -> None:
    """Commit that nothing is known of a path."""

    def work(c: sqlite3.Connection) -> None:
        for table in TABLES:
            c.execute(f"delete from {table} where root = ?", (root,))  # noqa: S608
        c.execute("delete from roots where path = ?", (root,))

    await journal.write(work)


async def follow(journal: Journal, old: str, new: str) -> None:
    """Commit that the tree at `old` now lies at `new`: all that is known of it goes along."""

    def work(c: sqlite3.Connection) -> None:
        for table in TABLES:
            c.execute(f"delete from {table} where root = ?", (new,))  # noqa: S608
            c.execute(f"update {table} set root = ? where root = ?", (new, old))  # noqa: S608
        c.execute("delete from roots where path = ?", (new,))
        c.execute("update roots set path = ? where path = ?", (new, old))

    await journal.write(work)


async def copy(journal: Journal, old: str, new: str) -> None:
    """Commit that the tree at `old` was copied to `new`: its files are known there too, what was under way is not."""

    def work(c: sqlite3.Connection) -> None:
        for table in TABLES:
            c.execute(f"delete from {table} where root = ?", (new,))  # noqa: S608
        c.execute(
            f"{_INSERT} select ?, path, {_NAMES}, state from files where root = ? and state = 'present'",  # noqa: S608
            (new, old),
        )
        c.execute("insert into claims select ?, path, selection from claims where root = ?", (new, old))

    await journal.write(work)


async def fill(journal: Journal, root: str, rows: Iterable[tuple[Indexed, Sequence[str]]]) -> int:
    """Commit index rows and their claims, as a manifest has them; how many."""
    count, stream = 0, iter(rows)
    while some := list(islice(stream, BATCH)):
        files = [(root, *_values(e), "present") for e, _ in some]
        claims = [(root, e.path, selection) for e, selections in some for selection in selections]

        def work(
            c: sqlite3.Connection, files: list[tuple[object, ...]] = files, claims: list[tuple[str, str, str]] = claims
        ) -> None:
            c.executemany(_PUT, files)
            c.executemany(_CLAIM, claims)

        await journal.write(work)
        count += len(some)
    return count
