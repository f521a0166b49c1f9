"""Listings of documents that a query of ids chooses, such as the members of a collection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fwsync.sandbox.query import filters
from fwsync.sandbox.query.listing import Listing, sort_documents, without_info
from fwsync.sandbox.store.documents import COLUMNS, from_row, render_many
from fwsync.sandbox.store.node import Node

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Chosen:
    """Documents of a kind whose id is among what `ids` selects, with the values of its question marks."""

    kind: str
    ids: str
    values: Sequence[str]


def select(conn: sqlite3.Connection, chosen: Chosen, listing: Listing) -> tuple[list[dict[str, Any]], int]:
    """One page, and how many match in all."""
    found: list[dict[str, Any]] = []
    total = 0
    keep_all = bool(listing.sort) or not listing.limit
    for nodes in _chunks(conn, chosen):
        for document in render_many(conn, nodes, info=True):
            if not all(filters.holds(clause, document) for clause in listing.clauses):
                continue
            total += 1
            wanted = not listing.after_id or document["_id"] > listing.after_id
            if wanted and (keep_all or len(found) < listing.skip + listing.limit):
                found.append(document)
    return paged(found, listing), total


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


def _chunks(conn: sqlite3.Connection, chosen: Chosen) -> Iterator[list[Node]]:
    after = ""
    while True:
        rows = conn.execute(
            f"select {COLUMNS} from nodes where kind = ? and id > ? and id in ({chosen.ids})"  # noqa: S608
            f" order by id limit {_CHUNK}",
            (chosen.kind, after, *chosen.values),
        ).fetchall()
        if rows:
            yield [from_row(row) for row in rows]
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["id"]
