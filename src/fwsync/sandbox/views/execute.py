"""Runs a view over a container: records, rows, groups, filter, sort, skip and limit; a table comes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fwsync.sandbox.query import filters
from fwsync.sandbox.query.listing import Listing
from fwsync.sandbox.store.node import HIERARCHY, Node
from fwsync.sandbox.views import grouping
from fwsync.sandbox.views.rows import ERRORS, Record, Row, Source, columns_of, holds, row_of
from fwsync.sandbox.views.spec import Spec


@dataclass(frozen=True, slots=True)
class Table:
    """The result: names of columns, and the values row by row."""

    columns: list[str]
    rows: list[list[Any]]


def run(source: Source, spec: Spec, target: Node, listing: Listing) -> Table:
    """The table of a view on a container. `listing` brings the filter, sort, skip and limit of the request."""
    first = columns_of(spec, target.kind)
    clauses = [*spec.clauses, *listing.clauses]
    accumulated = {column.dst for column in spec.columns if column.accumulator}
    before = [clause for clause in clauses if clause.field not in accumulated]
    pairs = list(_pairs(source, spec, target, first, before))
    if spec.sort:
        pairs.sort(key=lambda pair: _place(pair[1]))
    rows = [row for row, _ in pairs]
    if spec.group:
        rows = grouping.grouped(spec, rows)
        after = [clause for clause in clauses if clause.field in accumulated]
        rows = [row for row in rows if all(holds(clause, row, {}) for clause in after)]
    for name, order in reversed(listing.sort):
        rows.sort(key=lambda row: _key(row.get(name)), reverse=order < 0)
    rows = rows[listing.skip :][: listing.limit or None]
    columns = _columns(spec, rows, [column.dst for column in first])
    return Table(columns, [[row.get(name) for name in columns] for row in rows])


def _pairs(
    source: Source, spec: Spec, target: Node, first: list[Any], clauses: list[filters.Clause]
) -> Iterator[tuple[Row, Record]]:
    for record in source.records(spec, target):
        row = row_of(spec, record, first)
        if row is not None and all(holds(clause, row, record) for clause in clauses):
            yield row, record


def _place(record: Record) -> list[tuple[int, str]]:
    """Where a row stands when a view sorts: by the labels from the top, then by the file's name."""
    labels = [(record.get(level) or {}).get("label") for level in HIERARCHY[1:]]
    labels.append((record.get("file") or {}).get("name"))
    return [(label is not None, str(label or "")) for label in labels]


def _key(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float)):
        return (1, value)
    return (2, str(value))


def _columns(spec: Spec, rows: list[Row], first: list[str]) -> list[str]:
    """First ids and labels, then what was asked for, then what files brought, the errors last."""
    names = dict.fromkeys([*first, *(column.dst for column in (*spec.group, *spec.columns))])
    if spec.files and spec.files.process and not spec.group:
        names.update(dict.fromkeys(column.dst for column in spec.files.columns))
        for row in rows:
            names.update(dict.fromkeys(row))
    names.pop(ERRORS, None)
    return [*names, *([ERRORS] if spec.errors else [])]
