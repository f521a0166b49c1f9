"""Searching the site: which containers or files a query finds.

A query is tried on *records*: one per file if it looks at files, else one per container of the deepest level that it
looks at, always together with everything above. A container that has none of those below it is one record by itself,
in which the deeper fields are missing. What is found is the container of the asked kind in each record that satisfies
the query: so all conditions on files must hold for one and the same file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from fwsync.sandbox.query.conditions import Query, Record
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import COLUMNS
from fwsync.sandbox.store.node import HIERARCHY

RETURN_TYPES = ("file", "acquisition", "session", "analysis", "project", "subject", "group")
_CHUNK = 500
_KEPT = 4_000


@dataclass(slots=True)
class Hit:
    """One result: its kind, its id, and the ids of what is around it by kind."""

    kind: str
    ident: str
    around: dict[str, str]


class Site:
    """Reads documents for records, and keeps those lately read."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self._kept: dict[str, dict[str, Any] | None] = {}

    def document(self, ident: str) -> dict[str, Any] | None:
        """A container's document with its info, by id."""
        if ident not in self._kept:
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            node = documents.find(self.conn, ident)
            self._kept[ident] = documents.render(node) if node else None
        return self._kept[ident]


class SiteRecord(dict[str, Any]):
    """A record that reads a document when a condition first looks at it."""

    def __init__(self, site: Site, around: dict[str, str], kind: str, own: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self._site, self.around, self._kind, self._own = site, around, kind, own

    def __contains__(self, name: object) -> bool:
        return name == "collection" or name in self.around or name == self._kind

    def __missing__(self, name: str) -> Any:
        if name == self._kind:
            found: Any = self._own()
        elif name == "collection":
            found = self._collections()
        else:
            found = self._site.document(self.around[name]) if name in self.around else None
        self[name] = found
        return found

    def _collections(self) -> list[dict[str, Any]]:
        scan = self["acquisition"] if "acquisition" in self.around else {}
        own = [self.around["collection"]] if "collection" in self.around else []
        held = [*own, *(scan.get("collections") or [])]
        return [document for ident in held if (document := self._site.document(ident))]


def search(
    conn: sqlite3.Connection, query: Query, kind: str, *, keep: Callable[[Record], bool], most: int
) -> list[Hit]:
    """The first `most` hits (0: all), each once; `keep` is a second condition on records."""
    site, found = Site(conn), dict[str, Hit]()
    for ident, record in _records(site, kind, query.names()):
        if ident in found or not (query.holds(record) and keep(record)):
            continue
        found[ident] = Hit(kind, ident, record.around)
        if most and len(found) >= most:
            break
    return list(found.values())


def _records(site: Site, kind: str, names: set[str]) -> Iterator[tuple[str, SiteRecord]]:
    """(id of the container of the asked kind, record) for everything that could be a hit."""
    names = {"acquisition" if name == "collection" else name for name in names} | {kind}
    covered: set[str] = set()
    if "file" in names:
        yield from _file_records(site, kind, names, covered)
    if "analysis" in names and kind != "file":
        yield from _container_records(site, kind, "analysis", covered)
    if kind not in HIERARCHY:
        return
    deepest = max((HIERARCHY.index(name) for name in names if name in HIERARCHY), default=0)
    for level in reversed(HIERARCHY[HIERARCHY.index(kind) : deepest + 1]):
        yield from _container_records(site, kind, level, covered)


def _file_records(site: Site, kind: str, names: set[str], covered: set[str]) -> Iterator[tuple[str, SiteRecord]]:
    after = ""
    while True:
        rows = site.conn.execute(
            f"select * from files where current = 1 and file_id > ? order by file_id limit {_CHUNK}",  # noqa: S608
            (after,),
        ).fetchall()
        for row in rows:
            around = {level: row[f"{level}_id"] for level in (*HIERARCHY, "analysis") if row[f"{level}_id"] is not None}
            if "analysis" in around and "analysis" not in names and kind != "file":
                continue  # outputs of analyses stand for their session only where a query speaks of analyses
            ident = row["file_id"] if kind == "file" else around.get(kind)
            if ident is None:
                continue
            covered.update(around.values())
            if row["parent_kind"] == "collection":
                around["collection"] = row["parent_id"]
            yield ident, SiteRecord(site, around, "file", partial(_file, row))
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["file_id"]


def _container_records(site: Site, kind: str, level: str, covered: set[str]) -> Iterator[tuple[str, SiteRecord]]:
    for row in _rows(site.conn, level):
        around = {above: row[f"{above}_id"] for above in HIERARCHY if row[f"{above}_id"] is not None}
        around[level] = row["id"]
        ident = around.get(kind)
        if ident is None or row["id"] in covered:
            continue
        covered.update(around.values())
        yield ident, SiteRecord(site, around, level, partial(_container, row))


def _file(row: sqlite3.Row) -> dict[str, Any]:
    return files.render(files.from_row(row))


def _container(row: sqlite3.Row) -> dict[str, Any]:
    return documents.render(documents.from_row(row))


def _rows(conn: sqlite3.Connection, kind: str) -> Iterator[sqlite3.Row]:
    after = ""
    while True:
        rows = conn.execute(
            f"select {COLUMNS} from nodes where kind = ? and id > ? order by id limit {_CHUNK}",  # noqa: S608
            (kind, after),
        ).fetchall()
        yield from rows
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["id"]


def words(text: str) -> Callable[[Record], bool]:
    """Free text: every word must be somewhere in the labels, names, tags or info of a record; case is ignored."""
    wanted = [word.lower() for word in text.split()]

    def holds(record: Record) -> bool:
        held = "\n".join(_texts([record[name] for name in (*HIERARCHY, "analysis", "file") if name in record])).lower()
        return all(word in held for word in wanted)

    return holds


_SEARCHED = ("label", "name", "code", "description", "tags", "notes", "text", "info", "type", "classification", "_id")


def _texts(value: Any, *, within: bool = False) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, within=within)
    elif isinstance(value, dict):
        for name, item in value.items():
            if within or name in _SEARCHED:
                yield from _texts(item, within=within or name in ("info", "classification"))
