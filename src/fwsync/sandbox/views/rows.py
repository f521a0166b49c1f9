"""The rows of a view: one per container of the deepest level (or per file, or per line of a file) below a container.

A container with nothing below it on the way is one row by itself, with the deeper columns missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fwsync.sandbox.query import filters
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import COLUMNS
from fwsync.sandbox.store.node import HIERARCHY, Node
from fwsync.sandbox.views import matching, tables
from fwsync.sandbox.views.spec import Column, FileSpec, Spec

Record = dict[str, Any]
"""Documents by container kind; `file`, `analysis`, the file's own columns under `line`, and an `error`."""
Row = dict[str, Any]
ERRORS = "errors"
_MISSING = object()
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class Source:
    """Where rows come from: the database and the folder of contents."""

    def __init__(self, conn: sqlite3.Connection, content: Callable[[str], Path]) -> None:
        self.conn, self.content = conn, content

    def records(self, spec: Spec, target: Node) -> Iterator[Record]:
        """Every record that becomes a row."""
        if target.kind == "collection":
            for scan in self._members(target):
                yield from self.records(spec, scan)
            return
        above = [documents.find(self.conn, ident) for ident in target.ancestors.values()]
        record: Record = {node.kind: documents.render(node) for node in above if node}
        joined: list[Record] = [{}]
        for node in above:
            if node is not None and spec.files and node.kind == spec.files.container:
                joined = self._joined(spec.files, node)
        depth = max(HIERARCHY.index(spec.deepest), HIERARCHY.index(target.kind))
        yield from self._below(spec, target, record, joined, depth)

    def _members(self, collection: Node) -> Iterator[Node]:
        rows = self.conn.execute(
            f"select {COLUMNS} from nodes where id in"  # noqa: S608
            " (select acquisition_id from members where collection_id = ?) order by id",
            (collection.id,),
        ).fetchall()
        yield from map(documents.from_row, rows)

    def _below(self, spec: Spec, node: Node, record: Record, joined: list[Record], depth: int) -> Iterator[Record]:
        record = {**record, node.kind: documents.render(node)}
        if spec.files and node.kind == spec.files.container:
            joined = self._joined(spec.files, node)
        at = HIERARCHY.index(node.kind)
        children = self._children(node, HIERARCHY[at + 1]) if at < depth else []
        if not children:
            if spec.files is None and spec.of_analyses:
                joined = [{"analysis": one} for one in matching.analyses(self.conn, node, {})] or [{}]
            for more in joined:
                yield {**record, **more}
        for child in children:
            yield from self._below(spec, child, record, joined, depth)

    def _children(self, node: Node, kind: str) -> list[Node]:
        rows = self.conn.execute(
            f"select {COLUMNS} from nodes where kind = ? and parent_id = ? order by +id",  # noqa: S608
            (kind, node.id),
        ).fetchall()
        return [documents.from_row(row) for row in rows]

    def _joined(self, spec: FileSpec, node: Node) -> list[Record]:
        found = matching.matches(self.conn, node, spec)
        if not found:
            return [{}]
        if not spec.process:
            return found
        return [record for match in found for record in self._lines(spec, match)]

    def _lines(self, spec: FileSpec, match: Record) -> list[Record]:
        row = files.by_id(self.conn, match["file"]["file_id"])
        try:
            lines = list(tables.read(self.content(row.blob), row.name, spec))
        except tables.UnreadableError as error:
            return [{**match, "error": str(error)}]
        return [{**match, "line": line} for line in lines] or [{**match, "error": f"{row.name}: holds no rows"}]


def columns_of(spec: Spec, kind: str) -> list[Column]:
    """The columns of ids and labels that come first, for a view on a container of this kind."""
    if spec.group:
        return []
    kind = "acquisition" if kind == "collection" else kind
    deepest = max(HIERARCHY.index(spec.deepest), HIERARCHY.index(kind))
    levels = list(HIERARCHY[1 : deepest + 1])
    levels += ["analysis"] if spec.of_analyses or (spec.files and spec.files.analysis is not None) else []
    names = [name for name, wanted in (("id", spec.ids), ("label", spec.labels)) if wanted]
    held = {column.dst for column in spec.columns}
    made = [f"{level}.{name}" for level in levels for name in names]
    return [Column(name, name) for name in made if name not in held]


def row_of(spec: Spec, record: Record, first: list[Column]) -> Row | None:
    """The row of a record; None if data is missing and the view drops such rows."""
    problems = [record["error"]] if "error" in record else []
    out = {column.dst: read(record, column) for column in first}
    dropped = False
    for column in (*spec.group, *spec.columns):
        value, problem = converted(read(record, column), column)
        problems += [problem] if problem else []
        dropped = dropped or value is None
        out.setdefault(column.dst, value)
    for name, value in _line(spec, record, problems).items():
        dropped = dropped or value is None
        out.setdefault(name, value)
    unread = spec.files is not None and spec.files.process and "line" not in record
    if spec.drop and (dropped or unread):
        return None
    if spec.errors:
        out[ERRORS] = "; ".join(problems) or None
    return out


def _line(spec: Spec, record: Record, problems: list[str]) -> Row:
    """The columns that come out of a file: those asked for, or all that it has."""
    if spec.files is None or not spec.files.process:
        return {}
    line = record.get("line") or {}
    if not spec.files.columns:
        return dict(line)
    out = {}
    for column in spec.files.columns:
        found = line.get(column.src, _MISSING)
        out[column.dst], problem = converted(value_at(line, column.src) if found is _MISSING else found, column)
        problems += [problem] if problem else []
    return out


def read(record: Record, column: Column) -> Any:
    """The value of a column in a record; None where it is missing."""
    return value_at(record, column.src)


def value_at(document: Any, path: str) -> Any:
    """What a dotted path leads to: through objects, through lists by position or for every element; else None."""
    value = document
    parts = path.split(".")
    for position, part in enumerate(parts):
        if isinstance(value, list):
            if part.isdigit():
                value = value[int(part)] if int(part) < len(value) else None
                continue
            rest = ".".join(parts[position:])
            found = [one for item in value if (one := value_at(item, rest)) is not None]
            return found or None
        if not isinstance(value, dict):
            return None
        value = value.get("_id") if part == "id" and "id" not in value else value.get(part)
    return value


def converted(value: Any, column: Column) -> tuple[Any, str | None]:
    """The value after its expression and type, and what went wrong (then the value is None)."""
    if value is None:
        return None, None
    try:
        if column.expression is not None:
            value = column.expression(number(value))
        return _typed(value, column.type), None
    except (ValueError, OverflowError, KeyError):
        shown = str(value)
        return None, f"{column.dst}: {shown[:80]!r} is no {column.type or 'number'}"


def number(value: Any) -> float:
    """A number, also from its text; ValueError if it is none."""
    if isinstance(value, (int, float)):
        return value
    text = value.strip() if isinstance(value, str) else ""
    whole = len(text) < 18 and text.lstrip("+-").isdigit()
    return int(text) if whole else float(text)


def _typed(value: Any, kind: str | None) -> Any:
    match kind:
        case "int":
            whole = int(number(value))
            if abs(whole) >= 2**63:
                raise OverflowError
            return whole
        case "float":
            return float(number(value))
        case "string":
            return value if isinstance(value, str) else str(value)
        case "bool":
            return _WORDS[value.strip().lower()] if isinstance(value, str) else bool(value)
    return value


def holds(clause: filters.Clause, row: Row, record: Record) -> bool:
    """Whether a clause of a filter holds: for the column of this name, else for the container's field."""
    if clause.field in row:
        value = {"v": row[clause.field]}
        return filters.holds(filters.Clause("v", clause.operator, clause.value, clause.text), value)
    return filters.holds(clause, record)
