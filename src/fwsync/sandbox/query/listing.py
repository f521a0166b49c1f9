"""Listings of documents: filter, sort, limit, skip, page, after_id, and the envelope."""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.query import filters, labels, splice
from fwsync.sandbox.store.documents import COLUMNS, LEVEL_COLUMNS, from_row, render_many
from fwsync.sandbox.store.node import Node

_INDEXED = {
    "_id": "id",
    "label": "label",
    "project": "project_id",
    "session": "session_id",
    **{f"parents.{level}": column for level, column in LEVEL_COLUMNS.items()},
}
_CHUNK = 500
_IN_PROJECTS = ("subject", "session", "acquisition")
_ASK_PROJECTS = " and project_id in (select id from nodes where kind = 'project')"
_FEW = 10_000
"""A label that more documents have is found soon by going through all of them in order."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The list parameters of one request, checked."""

    clauses: list[filters.Clause] = field(default_factory=list)
    sort: list[tuple[str, int]] = field(default_factory=list)
    limit: int = 0
    skip: int = 0
    after_id: str | None = None
    info: bool = False

    @classmethod
    def from_query(cls, query: Mapping[str, str], *, many_filters: bool = False, cap: int = 0) -> Listing:
        """From a request's query; 422 on anything wrong. `cap` is the site's own page limit (0: none)."""
        if many_filters:
            raise invalid("filter: given more than once")
        limit = _whole(query, "limit", least=0)
        page = _whole(query, "page", least=1)
        skip = _whole(query, "skip", least=0)
        after, sort = query.get("after_id"), _sort(query.get("sort", ""))
        if page and not limit:
            raise invalid("page: needs a limit")
        if page and skip:
            raise invalid("page: can't be combined with skip")
        if after and (sort or page or skip):
            raise invalid("after_id: can't be combined with sort, page or skip")
        if cap:
            limit = min(limit or cap, cap)
        return cls(
            clauses=filters.parse(query.get("filter", "")),
            sort=sort,
            limit=limit,
            skip=(page - 1) * limit if page else skip,
            after_id=after,
            info=truth(query.get("include_all_info")),
        )


def truth(text: str | None) -> bool:
    """A query's boolean; clients write `true`, `True` or `1`."""
    return (text or "").lower() in ("true", "1", "yes")


def _whole(query: Mapping[str, str], name: str, *, least: int) -> int:
    text = query.get(name)
    if text is None or text == "":
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 12 or int(text) < least:
        raise invalid(f"{name}: {text!r} is not a whole number of at least {least}")
    return int(text)


def _sort(text: str) -> list[tuple[str, int]]:
    out = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, order = part.partition(":")
        if not name or order.lower() not in ("", "asc", "desc", "1", "-1"):
            raise invalid(f"sort: {part!r} is not `field:asc` or `field:desc`")
        out.append((name, -1 if order.lower() in ("desc", "-1") else 1))
    return out


def select(
    conn: sqlite3.Connection,
    kind: str,
    listing: Listing,
    *,
    where: Mapping[str, str] | None = None,
    keep: Callable[[Node], bool] | None = None,
    extend: Callable[[list[Node], list[dict[str, Any]]], None] | None = None,
    with_files: bool = True,
) -> list[dict[str, Any]]:
    """The documents of one page.

    `where` are columns that must be equal (from the route), `keep` drops documents, `extend` may add to rendered
    ones before the filter sees them. Filters on indexed fields go to SQL; all others are evaluated on the document.
    """
    sql = _Sql.of(kind, listing.clauses, where)
    found: list[dict[str, Any]] = []
    wanted = 0 if listing.sort or not listing.limit else listing.skip + listing.limit
    for rows in _chunks(conn, sql, listing.after_id, wanted if not sql.rest and keep is None else 0):
        kept = [node for node in map(from_row, rows) if keep is None or keep(node)]
        documents = render_many(conn, kept, info=True, with_files=with_files)
        if extend is not None:
            extend(kept, documents)
        found += [document for document in documents if all(filters.holds(clause, document) for clause in sql.rest)]
        if wanted and len(found) >= wanted:
            break
    if listing.sort:
        found = sort_documents(found, listing.sort)
    page = found[listing.skip :]
    page = page[: listing.limit] if listing.limit else page
    return page if listing.info else [without_info(document) for document in page]


def spliced(
    conn: sqlite3.Connection, kind: str, listing: Listing, *, where: Mapping[str, str] | None, with_files: bool
) -> list[msgspec.Raw] | None:
    """The same page as ready JSON, at a fraction of the cost; None where SQL alone can't choose or order it."""
    sql = _Sql.of(kind, listing.clauses, where)
    if sql.rest or listing.sort or kind not in splice.KINDS:
        return None
    wanted = listing.skip + listing.limit if listing.limit else 0
    rows = [row for chunk in _chunks(conn, sql, listing.after_id, wanted) for row in chunk][listing.skip :]
    return [msgspec.Raw(text) for text in splice.page(conn, rows, info=listing.info, with_files=with_files)]


def count(
    conn: sqlite3.Connection, kind: str, listing: Listing, *, where: Mapping[str, str] | None = None, **how: Any
) -> int:
    """How many documents match in all, for the envelope."""
    sql = _Sql.of(kind, listing.clauses, where)
    if sql.rest or how.get("keep"):
        return len(select(conn, kind, Listing(clauses=listing.clauses), where=where, **how))
    if sql.labels:
        return len(labels.matching(conn, sql.text, sql.values, sql.labels))
    text = sql.text + _ASK_PROJECTS if sql.everywhere else sql.text
    return int(conn.execute(f"select count(*) from nodes where {text}", sql.values).fetchone()[0])  # noqa: S608


def sort_documents(documents: list[dict[str, Any]], orders: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """Sorted by several fields; missing values come first when ascending, as in the platform's database."""
    for name, order in reversed(orders):
        documents = sorted(documents, key=lambda d, n=name: sort_key(d, n), reverse=order < 0)  # type: ignore[misc]
    return documents


def sort_key(document: dict[str, Any], name: str) -> tuple[int, Any]:
    """A key under which values of unlike kinds can be compared: nothing, numbers, texts, objects, truth values."""
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return (0, 0)
    if isinstance(value, bool):
        return (4, value)
    if isinstance(value, (int, float)):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, str(value))


def without_info(document: dict[str, Any]) -> dict[str, Any]:
    """The document as lists hold it: no info on it, empty info on its files."""
    document.pop("info", None)
    for entry in document.get("files") or ():
        entry["info"] = {}
    return document


@dataclass(frozen=True, slots=True)
class _Sql:
    """What of a listing the database decides: a condition, clauses on labels, and the clauses left for documents.

    `everywhere` is set where one label is looked for in the whole site: no index starts with the label, but the one of
    each project can be asked in turn.
    """

    text: str
    values: list[str]
    labels: list[filters.Clause]
    rest: list[filters.Clause]
    everywhere: bool

    @classmethod
    def of(cls, kind: str, clauses: list[filters.Clause], where: Mapping[str, str] | None) -> _Sql:
        terms = [(f"{column} = ?", [value]) for column, value in {"kind": kind, **(where or {})}.items()]
        on_labels, rest = [], []
        for clause in clauses:
            column = _INDEXED.get(clause.field)
            if column and clause.operator == "=" and isinstance(clause.value, str):
                terms.append((f"{column} = ?", [clause.value]))
            elif (
                column
                and clause.operator == "=|"
                and column != "label"
                and all(isinstance(v, str) for v in clause.value)
            ):
                terms.append((f"{column} in ({','.join('?' * len(clause.value))})", clause.value))
            elif labels.decides(clause):
                on_labels.append(clause)
            else:
                rest.append(clause)
        columns = [term.split(" ")[0] for term, _ in terms]
        everywhere = kind in _IN_PROJECTS and not any(column.endswith("id") for column in columns)
        text = " and ".join(term for term, _ in terms)
        if everywhere and on_labels:
            text += _ASK_PROJECTS
        values = [value for _, values in terms for value in values]
        return cls(text, values, on_labels, rest, everywhere and "label" in columns)


def _few(conn: sqlite3.Connection, sql: _Sql) -> list[str] | None:
    """The ids, in order, of the few documents in the whole site that have a label; None where they are many."""
    if not sql.everywhere:
        return None
    query = f"select id from nodes where {sql.text}{_ASK_PROJECTS} limit {_FEW + 1}"  # noqa: S608
    found = conn.execute(query, sql.values).fetchall()
    return sorted(row[0] for row in found) if len(found) <= _FEW else None


def _chunks(conn: sqlite3.Connection, sql: _Sql, after: str | None, most: int) -> Iterator[list[sqlite3.Row]]:
    """Rows in id order, `most` of them at once, or all of them some at a time from the last id on."""
    idents = labels.matching(conn, sql.text, sql.values, sql.labels) if sql.labels else _few(conn, sql)
    if idents is not None:
        idents = idents[bisect_right(idents, after) if after else 0 :][: most or None]
        for start in range(0, len(idents), _CHUNK):
            some = idents[start : start + _CHUNK]
            marks = ",".join("?" * len(some))
            yield conn.execute(f"select {COLUMNS} from nodes where id in ({marks}) order by id", some).fetchall()  # noqa: S608
        return
    text = f"select {COLUMNS} from nodes where {sql.text} and id > ? order by id limit {most or _CHUNK}"  # noqa: S608
    while rows := conn.execute(text, [*sql.values, after or ""]).fetchall():
        yield rows
        if most or len(rows) < _CHUNK:
            return
        after = rows[-1]["id"]
