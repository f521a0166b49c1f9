"""Listings of documents that a query of ids chooses, such as the members of a collection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fwsync.sandbox.query import filters
from fwsync.sandbox.query.listing import Listing, sort_documents, without_info
from fwsync.sandbox.store.documents import COLUMNS, from_row, render_many

_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Chosen:
    """Documents of a kind whose id is among what `ids` selects, with the values of its question marks."""

    kind: str
    ids: str
    values: Sequence[str]


def select(
    conn: sqlite3.Connection, chosen: Chosen, listing: Listing, *, counted: bool
) -> tuple[list[dict[str, Any]], int]:
    """One page, and how many match in all (only if `counted`; else the length of the page)."""
    idents = _idents(conn, chosen)
    whole = bool(listing.sort) or (counted and bool(listing.clauses))
    enough = 0 if listing.sort or not listing.limit else listing.skip + listing.limit
    found: list[dict[str, Any]] = []
    total = 0
    for document in _documents(conn, idents if whole else _after(idents, listing)):
        if not all(filters.holds(clause, document) for clause in listing.clauses):
            continue
        total += 1
        wanted = not listing.after_id or document["_id"] > listing.after_id
        if wanted and (not enough or len(found) < enough):
            found.append(document)
        if not whole and enough and len(found) >= enough:
            break
    page = paged(found, listing)
    return page, total if whole else len(idents) if counted else len(page)


def _after(idents: list[str], listing: Listing) -> list[str]:
    return [ident for ident in idents if ident > listing.after_id] if listing.after_id else idents


def paged(found: list[dict[str, Any]], listing: Listing) -> list[dict[str, Any]]:
    """Sort, skip, limit, and info left out unless asked for."""
    found = sort_documents(found, listing.sort) if listing.sort else found
    page = found[listing.skip :][: listing.limit or None]
    return page if listing.info else [without_info(document) for document in page]


def of_list(documents: list[dict[str, Any]], listing: Listing) -> tuple[list[dict[str, Any]], int]:
    """One page of documents that are at hand, in id order; the same rules."""
    matching = [doc for doc in documents if all(filters.holds(clause, doc) for clause in listing.clauses)]
    after = [doc for doc in matching if not listing.after_id or str(doc["_id"]) > listing.after_id]
    return paged(after, listing), len(matching)


def _idents(conn: sqlite3.Connection, chosen: Chosen) -> list[str]:
    # The plus keeps SQLite from walking all documents of the kind: the chosen ones are looked up by id.
    query = f"select id from nodes where +kind = ? and id in ({chosen.ids}) order by id"  # noqa: S608
    return [row[0] for row in conn.execute(query, (chosen.kind, *chosen.values))]


def _documents(conn: sqlite3.Connection, idents: list[str]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(idents), _CHUNK):
        some = idents[start : start + _CHUNK]
        marks = ",".join("?" * len(some))
        query = f"select {COLUMNS} from nodes where id in ({marks}) order by id"  # noqa: S608
        yield from render_many(conn, [from_row(row) for row in conn.execute(query, some)], info=True)
