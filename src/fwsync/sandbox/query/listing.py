"""Listings of documents: filter, sort, limit, skip, page, after_id, and the envelope."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.query import filters
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
    pushed, rest = _push_down(listing.clauses)
    columns = {**pushed, **(where or {})}
    if any(pushed[name] != value for name, value in (where or {}).items() if name in pushed):
        return []
    found: list[dict[str, Any]] = []
    wanted = 0 if listing.sort or not listing.limit else listing.skip + listing.limit
    for nodes in _chunks(conn, kind, columns, listing.after_id, wanted if not rest and keep is None else 0):
        kept = [node for node in nodes if keep is None or keep(node)]
        documents = render_many(conn, kept, info=True, with_files=with_files)
        if extend is not None:
            extend(kept, documents)
        found += [document for document in documents if all(filters.holds(clause, document) for clause in rest)]
        if wanted and len(found) >= wanted:
            break
    if listing.sort:
        found = sort_documents(found, listing.sort)
    page = found[listing.skip :]
    page = page[: listing.limit] if listing.limit else page
    return page if listing.info else [without_info(document) for document in page]


def count(
    conn: sqlite3.Connection, kind: str, listing: Listing, *, where: Mapping[str, str] | None = None, **how: Any
) -> int:
    """How many documents match in all, for the envelope."""
    pushed, rest = _push_down(listing.clauses)
    if not rest and not how.get("keep"):
        columns = {**pushed, **(where or {})}
        if any(pushed[name] != value for name, value in (where or {}).items() if name in pushed):
            return 0
        text, values = _conditions(kind, columns)
        return int(conn.execute(f"select count(*) from nodes where {text}", values).fetchone()[0])  # noqa: S608
    return len(select(conn, kind, Listing(clauses=listing.clauses), where=where, **how))


def sort_documents(documents: list[dict[str, Any]], orders: list[tuple[str, int]]) -> list[dict[str, Any]]:
    """Sorted by several fields; missing values come first when ascending, as in the platform's database."""
    for name, order in reversed(orders):
        documents = sorted(documents, key=lambda d, n=name: sort_key(d, n), reverse=order < 0)  # type: ignore[misc]
    return documents


def sort_key(document: dict[str, Any], name: str) -> tuple[int, Any]:
    """A key under which values of unlike kinds can be compared: nothing, numbers, texts, the rest."""
    value: Any = document
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if value is None:
        return (0, 0)
    if isinstance(value, (bool, int, float)):
        return (1, value)
    return (2, value) if isinstance(value, str) else (3, str(value))


def without_info(document: dict[str, Any]) -> dict[str, Any]:
    """The document as lists hold it: no info on it, empty info on its files."""
    document.pop("info", None)
    for entry in document.get("files") or ():
        entry["info"] = {}
    return document


def _push_down(clauses: list[filters.Clause]) -> tuple[dict[str, str], list[filters.Clause]]:
    pushed: dict[str, str] = {}
    rest = []
    for clause in clauses:
        column = _INDEXED.get(clause.field)
        simple = clause.operator == "=" and isinstance(clause.value, str) and not isinstance(clause.value, datetime)
        if column and simple and column not in pushed:
            pushed[column] = clause.value
        else:
            rest.append(clause)
    return pushed, rest


def _conditions(kind: str, columns: Mapping[str, str], after: str | None = None) -> tuple[str, list[str]]:
    parts, values = ["kind = ?"], [kind]
    for column, value in columns.items():
        parts.append(f"{column} = ?")
        values.append(value)
    if after:
        parts.append("id > ?")
        values.append(after)
    return " and ".join(parts), values


def _chunks(
    conn: sqlite3.Connection, kind: str, columns: Mapping[str, str], after: str | None, most: int
) -> Iterator[list[Node]]:
    """Nodes in id order, some at a time: each chunk is a walk of an index from the last id on."""
    while True:
        size = min(_CHUNK, most) if most else _CHUNK
        text, values = _conditions(kind, columns, after)
        rows = conn.execute(
            f"select {COLUMNS} from nodes where {text} order by id limit {size}",  # noqa: S608
            values,
        ).fetchall()
        if rows:
            yield [from_row(row) for row in rows]
        if len(rows) < size:
            return
        after = rows[-1]["id"]
        most = max(most - size, 0) if most else 0
        if not most and size < _CHUNK:
            return
