"""Where every wanted file goes, settled outside memory: a temporary tree of names.

    nodes      id, parent, ident, name, safe, folded, path, was, depth, file, state, size
               one row a folder or file; `ident` tells it from its siblings, `name` is what it is called remotely,
               `safe` and `path` what it is called in the tree, `was` a path that was too long; `file` is what to
               fetch, and None for a folder
    documents  ident, document        metadata of containers, for sidecars

Siblings whose names are one file on some file system are told apart as `plan.paths` says: the lowest ident keeps the
plain name. A hundred thousand files take a few tens of MB of disk and no memory in proportion.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec

from fwsync.config import Order, Platform
from fwsync.model import instant
from fwsync.plan.mirroring import Judged, WantedFile
from fwsync.plan.paths import LONG, MOST_PATH, Renamed, Step, component, fold, short_name, suffixed, too_long
from fwsync.run.scratch import Scratch
from fwsync.work import FetchFile

Place = tuple[Sequence[Step], FetchFile]
"""A file to fetch, whose path is not settled yet, with its steps from the root down."""

MOST_FOLDERS = 20_000
_ORDERS: dict[Order, str] = {
    "path": "path",
    "smallest": "size, path",
    "largest": "size desc, path",
    "newest": "changed_at(file) desc, path",
    "oldest": "changed_at(file), path",
}
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FetchFile).decode


class Shelf(Scratch):
    """The files of one mirror or download. Fill it by `add`, then `settle` it, then read."""

    schema = """
        create table nodes (id integer primary key, parent integer, ident text, name text, safe text, folded text,
            path text, was text, depth integer, file blob, state text, size integer);
        create unique index by_ident on nodes (parent, ident);
        create table documents (ident text primary key, document blob) without rowid;
    """

    def __init__(self, state_folder: Path, platform: Platform) -> None:
        super().__init__(state_folder)
        self._platform = platform
        self._folders: dict[tuple[int, str], int] = {}
        self.files = 0

    def add(self, places: Iterable[Place]) -> None:
        """Take files in; one that is there already (a listing that overlaps) is left alone."""
        with self._together() as cursor:
            for steps, file in places:
                parent = 0
                for depth, step in enumerate(steps[:-1]):
                    parent = self._folder(cursor, parent, step, depth)
                row = (*self._row(parent, steps[-1], len(steps) - 1), _encode(file), _size(file))
                cursor.execute(
                    "insert or ignore into nodes (parent, ident, name, safe, folded, depth, file, size)"
                    " values (?,?,?,?,?,?,?,?)",
                    row,
                )
                self.files += cursor.rowcount

    def _folder(self, cursor: sqlite3.Cursor, parent: int, step: Step, depth: int) -> int:
        key = (parent, step.id)
        if (found := self._folders.get(key)) is not None:
            return found
        row = self._row(parent, step, depth)
        cursor.execute(
            "insert or ignore into nodes (parent, ident, name, safe, folded, depth) values (?,?,?,?,?,?)", row
        )
        ident = cursor.execute("select id from nodes where parent = ? and ident = ?", row[:2]).fetchone()[0]
        if len(self._folders) >= MOST_FOLDERS:
            self._folders.clear()
        self._folders[key] = ident
        return int(ident)

    def _row(self, parent: int, step: Step, depth: int) -> tuple[int, str, str, str, str, int]:
        return parent, _text(step.id), *_named(step.name, self._platform), depth

    def keep_document(self, ident: str, document: bytes) -> None:
        """Metadata of a container, for sidecars."""
        self._connection.execute("insert or ignore into documents values (?,?)", (ident, document))

    def document(self, ident: str) -> bytes | None:
        """What `keep_document` kept."""
        found = self._connection.execute("select document from documents where ident = ?", (ident,)).fetchone()
        return bytes(found[0]) if found else None

    def settle(self) -> list[str]:
        """Tell colliding siblings apart and work out every path; the paths (with their plain names) that collided."""
        with self._together() as cursor:
            cursor.execute("create index if not exists by_name on nodes (parent, folded)")
            pairs = cursor.execute(
                "select parent, folded from nodes group by parent, folded having count(*) > 1"
            ).fetchall()
            for parent, folded in pairs:
                self._tell_apart(cursor, parent, folded)
            depths = cursor.execute("select max(depth) from nodes").fetchone()[0]
            cursor.execute("update nodes set path = safe where depth = 0")
            for depth in range(1, (depths or 0) + 1):
                cursor.execute(
                    "update nodes set path = (select p.path from nodes p where p.id = nodes.parent) || '/' || safe"
                    " where depth = ?",
                    (depth,),
                )
            self._shorten(cursor)
            cursor.execute("create index if not exists by_path on nodes (path) where file is not null")
            return [self._plain(cursor, *pair) for pair in pairs]

    def _tell_apart(self, cursor: sqlite3.Cursor, parent: int, folded: str) -> None:
        rows = cursor.execute(
            "select id, ident, safe from nodes where parent = ? and folded = ? order by ident", (parent, folded)
        ).fetchall()
        taken = _Taken(cursor, parent)
        for ident, key, safe in rows[1:]:
            made = suffixed(safe, key, taken)
            cursor.execute("update nodes set safe = ?, folded = ? where id = ?", (made, fold(made), ident))

    def _shorten(self, cursor: sqlite3.Cursor) -> None:
        """Files whose path is too long for the platform go, under a short name, into a folder right below the top."""
        least = min(MOST_PATH.values())
        rows = cursor.execute(
            "select id, ident, name, path from nodes where file is not null and length(path) > ?", (least // 4,)
        ).fetchall()
        free = lru_cache(maxsize=128)(partial(self._free, cursor))  # few tops, perhaps very many long paths
        for number, ident, name, path in rows:
            if too_long(path, self._platform):
                top, slash, _ = path.partition("/")
                made = f"{top}/{free(top)}/{short_name(name, ident)}"
                if not slash or too_long(made, self._platform):
                    made = f"{free('')}/{short_name(name, ident)}"
                cursor.execute("update nodes set was = path, path = ? where id = ?", (made, number))

    @staticmethod
    def _free(cursor: sqlite3.Cursor, top: str) -> str:
        """A name for the folder of long paths that nothing below `top` has."""
        query = "select id from nodes where depth = 0 and safe = ?"
        found = cursor.execute(query, (top,)).fetchone() if top else (0,)
        return LONG if LONG not in (taken := _Taken(cursor, found[0])) else suffixed(LONG, "fwsync", taken)

    @staticmethod
    def _plain(cursor: sqlite3.Cursor, parent: int, folded: str) -> str:
        row = cursor.execute(
            "select coalesce(p.path || '/', '') || n.safe from nodes n left join nodes p on p.id = n.parent"
            " where n.parent = ? and n.folded = ?",
            (parent, folded),
        ).fetchone()
        return str(row[0]) if row else folded

    def wanted(self) -> Iterator[list[tuple[int, WantedFile]]]:
        """The files by path, some at a time, each with its row number for `judge`."""
        after = ""
        while True:
            query = "select id, path, file from nodes where file is not null and path > ? order by path limit 1000"
            rows = self._connection.execute(query, (after,)).fetchall()
            if not rows:
                return
            yield [(row[0], _wanted(row[1], row[2])) for row in rows]
            after = rows[-1][1]

    def script(self, statements: str) -> None:
        """Run SQL on the temporary database: what works with the shelf keeps its own tables there."""
        self._connection.executescript(statements)

    def fill(self, statement: str, rows: Iterable[Sequence[Any]]) -> int:
        """Insert or update many rows at once; how many."""
        return self._fill(statement, rows)

    def read(self, query: str, *values: Any) -> Iterator[Any]:
        """The rows of a query, some at a time."""
        return self._all(query, *values)

    def judge(self, states: Iterable[tuple[int, Judged]]) -> None:
        """Keep what the comparison with the local tree said; what nothing is said of is unchanged."""
        with self._together() as cursor:
            cursor.executemany("update nodes set state = ? where id = ?", ((state, number) for number, state in states))

    def judged(self, order: Order = "path") -> Iterator[tuple[WantedFile, Judged]]:
        """The files in this order, each with what the comparison said."""
        self._connection.create_function("changed_at", 1, _changed_at, deterministic=True)
        query = "select path, file, coalesce(state, 'unchanged') from nodes where file is not null"
        found = self._all(f"{query} order by {_ORDERS[order]}")
        return ((_wanted(path, file), state) for path, file, state in found)

    def bytes_to_come(self) -> int:
        """The sizes of what the comparison found missing or old."""
        query = "select coalesce(sum(size), 0) from nodes where state in ('download', 'overwrite')"
        return int(self._connection.execute(query).fetchone()[0])

    def renamed(self) -> Iterator[Renamed]:
        """The components that could not be written as they are called."""
        found = self._all(
            "select ident, coalesce(was, name), path from nodes where name <> safe or was is not null order by path"
        )
        return (Renamed(*row) for row in found)


class _Taken:
    """The folded names that siblings have, asked one at a time."""

    def __init__(self, cursor: sqlite3.Cursor, parent: int) -> None:
        self._cursor, self._parent = cursor, parent

    def __contains__(self, folded: Any) -> bool:
        query = "select 1 from nodes where parent = ? and folded = ?"
        return self._cursor.execute(query, (self._parent, folded)).fetchone() is not None


@lru_cache(maxsize=8192)
def _named(name: str, platform: Platform) -> tuple[str, str, str]:
    """A name, what it is called in the tree, and that in its folded form. Labels repeat: `ses-1`, `T1w.nii.gz`."""
    safe = component(name, platform)
    return _text(name), safe, fold(safe)


def _wanted(path: str, file: bytes) -> WantedFile:
    return WantedFile(msgspec.structs.replace(_decode(file), path=path), path)


def _size(file: FetchFile) -> int:
    return (file.size if file.member is None else file.member_size) or 0


def _changed_at(file: bytes) -> float:
    """When a file was changed on the site, in Unix seconds; 0 where it does not tell."""
    moment = instant(_decode(file).modified)
    return moment.timestamp() if moment else 0.0


def _text(text: str) -> str:
    # A lone surrogate is no UTF-8: SQLite would refuse it.
    return text.encode("utf-8", "backslashreplace").decode()
