"""The files of a bulk download, one after another, each with its path in the archive.

    classic   <prefix>/<group>/<project>/<subject>/<session>/<acquisition>/<file>, files of the levels above in theirs
    full      <prefix>/<group>/<project>/SUBJECTS/<subject>/SESSIONS/<session>/ACQUISITIONS/<acquisition>/FILES/<file>
              and ANALYSES/<analysis>/OUTPUT/<file> (INPUT for its inputs) below the container of an analysis

Labels are made safe (`/` and control characters become `_`); of equal names in one folder the later get `_1`, `_2`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fwsync.sandbox.archive.wanted import Wanted
from fwsync.sandbox.errors import not_found
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import COLUMNS, PLURAL
from fwsync.sandbox.store.node import HIERARCHY, Node


@dataclass(frozen=True, slots=True)
class Entry:
    """One file (its row), or one sidecar (its metadata) of a container or file."""

    path: str
    node: Node
    row: files.FileRow | None
    metadata: dict[str, Any] | None = None


@dataclass(slots=True)
class Layout:
    """How paths are made: classic or full, below a prefix; remembers names given so far."""

    full: bool
    prefix: str
    analyses: bool = False
    sidecars: bool = False
    _folders: dict[str, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def folder(self, node: Node, parent: str) -> str:
        """The folder of a container below its parent's folder."""
        if node.id not in self._folders:
            middle = f"{PLURAL[node.kind].upper()}/" if self.full and node.kind not in ("group", "project") else ""
            name = node.id if node.kind == "group" else safe(node.label)
            self._folders[node.id] = self._free(_join(parent, middle + name))
        return self._folders[node.id]

    def file(self, folder: str, name: str, *, within: str = "FILES") -> str:
        """The path of a file in a container's folder."""
        return self._free(_join(folder, f"{within}/{safe(name)}" if self.full else safe(name)))

    def _free(self, path: str) -> str:
        found, number = path, 0
        while found.casefold() in self._taken:
            number += 1
            found = f"{path}_{number}"
        self._taken.add(found.casefold())
        return found


def safe(label: str) -> str:
    """A label as one component of a path."""
    made = "".join("_" if char in "/\\" or ord(char) < 32 else char for char in label)
    return made if made.strip(". ") else "_" * max(len(made), 1)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def walk(conn: sqlite3.Connection, wanted: Wanted, layout: Layout) -> Iterator[Entry]:
    """Every entry of a request; 404 where a node is missing and not optional. Nothing comes twice."""
    seen: set[str] = set()
    for level, ident in wanted.nodes:
        node = documents.find(conn, ident, (level,))
        if node is None:
            if wanted.optional:
                continue
            raise not_found(level, ident)
        for start in _starts(conn, node):
            yield from _Walk(conn, wanted, layout, seen).start(start)


def _starts(conn: sqlite3.Connection, node: Node) -> list[Node]:
    """A collection stands for its acquisitions."""
    if node.kind != "collection":
        return [node]
    rows = conn.execute(
        f"select {COLUMNS} from nodes where id in"  # noqa: S608
        " (select acquisition_id from members where collection_id = ?) order by id",
        (node.id,),
    ).fetchall()
    return [documents.from_row(row) for row in rows]


@dataclass(frozen=True, slots=True)
class _Walk:
    conn: sqlite3.Connection
    wanted: Wanted
    layout: Layout
    seen: set[str]

    def start(self, node: Node) -> Iterator[Entry]:
        folder = self.layout.prefix
        for level in HIERARCHY:
            above = documents.find(self.conn, node.ancestors[level]) if level in node.ancestors else None
            if above is not None:
                if not self._passes(above):
                    return
                folder = self.layout.folder(above, folder)
        yield from self._analysis(node, folder) if node.kind == "analysis" else self._below(node, folder)

    def _passes(self, node: Node) -> bool:
        tags = node.doc.get("tags") or []
        return all(one.passes(node.kind, tags) for one in self.wanted.containers)

    def _below(self, node: Node, parent: str) -> Iterator[Entry]:
        if not self._passes(node):
            return
        folder = self.layout.folder(node, parent)
        yield from self._files(node, folder)
        if self.layout.analyses:
            for analysis in self._children("analysis", node):
                yield from self._analysis(analysis, folder)
        at = HIERARCHY.index(node.kind)
        if at + 1 < len(HIERARCHY):
            for child in self._children(HIERARCHY[at + 1], node):
                yield from self._below(child, folder)

    def _children(self, kind: str, node: Node) -> list[Node]:
        rows = self.conn.execute(
            f"select {COLUMNS} from nodes where kind = ? and parent_id = ? order by +id",  # noqa: S608
            (kind, node.id),
        ).fetchall()
        return [documents.from_row(row) for row in rows]

    def _analysis(self, node: Node, parent: str) -> Iterator[Entry]:
        if not self._passes(node):
            return
        folder = self.layout.folder(node, parent)
        yield from self._files(node, folder, within="OUTPUT")
        for given in node.doc.get("inputs") or [] if self.layout.full else []:
            row = self.conn.execute(
                "select * from files where file_id = ? and version = ?",
                (given.get("file_id"), given.get("version")),
            ).fetchone()
            if row is not None:
                yield from self._one(node, folder, files.from_row(row), "INPUT")

    def _files(self, node: Node, folder: str, *, within: str = "FILES") -> Iterator[Entry]:
        rows = self.conn.execute(
            "select * from files where parent_id = ? and current = 1 order by row", (node.id,)
        ).fetchall()
        if self.layout.sidecars and node.id not in self.seen:
            self.seen.add(node.id)
            told = documents.render_many(self.conn, [node], info=True)[0]
            name = f"{safe(node.label)}.flywheel.json"
            yield Entry(_join(folder, name), node, None, {**told, "container_type": node.kind})
        for row in rows:
            yield from self._one(node, folder, files.from_row(row), within)

    def _one(self, node: Node, folder: str, row: files.FileRow, within: str) -> Iterator[Entry]:
        told = files.render(row)
        key = f"{node.id} {row.file_id} {row.version} {within}"
        if key in self.seen or not self.wanted.passes(told):
            return
        self.seen.add(key)
        path = self.layout.file(folder, row.name, within=within)
        yield Entry(path, node, row)
        if self.layout.sidecars:
            yield Entry(f"{path}.flywheel.json", node, None, {**told, "container_type": "file"})
