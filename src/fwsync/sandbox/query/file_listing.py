"""`GET /files`: the current files of the whole site, filtered, paged by file id."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from fwsync.sandbox.query import filters
from fwsync.sandbox.query.listing import Listing, sort_documents
from fwsync.sandbox.store import files

_CHUNK = 500


def select(conn: sqlite3.Connection, listing: Listing) -> tuple[list[dict[str, Any]], int]:
    """One page of file documents, and how many match in all."""
    project = next(
        (c.value for c in listing.clauses if c.field == "parents.project" and c.operator == "=" and c.value), None
    )
    if not listing.sort and len(listing.clauses) == (project is not None):
        return _page(conn, listing, project)
    found: list[dict[str, Any]] = []
    total = 0
    for document in _documents(conn, project):
        if not all(filters.holds(clause, document) for clause in listing.clauses):
            continue
        total += 1
        if listing.after_id and document["file_id"] <= listing.after_id:
            continue
        if listing.sort or not listing.limit or len(found) < listing.skip + listing.limit:
            found.append(document)
    if listing.sort:
        found = sort_documents(found, listing.sort)
    page = found[listing.skip :][: listing.limit or None]
    if not listing.info:
        for document in page:
            document["info"] = {}
    return page, total


def _page(conn: sqlite3.Connection, listing: Listing, project: str | None) -> tuple[list[dict[str, Any]], int]:
    """A page of all files of a project or of the site: by the index alone, whatever their number."""
    where, values = ("project_id = ? and ", [project]) if project is not None else ("", [])
    total = conn.execute(f"select count(*) from files where {where}current = 1", values).fetchone()[0]  # noqa: S608
    rows = conn.execute(
        f"select * from files where {where}current = 1 and file_id > ? order by file_id limit ? offset ?",  # noqa: S608
        [*values, listing.after_id or "", listing.limit or -1, listing.skip],
    ).fetchall()
    return [files.render(files.from_row(row), info=listing.info) for row in rows], total


def _documents(conn: sqlite3.Connection, project: str | None) -> Iterator[dict[str, Any]]:
    after = ""
    while True:
        where, values = "current = 1 and file_id > ?", [after]
        if project is not None:
            where, values = "current = 1 and project_id = ? and file_id > ?", [project, after]
        rows = conn.execute(f"select * from files where {where} order by file_id limit {_CHUNK}", values).fetchall()  # noqa: S608
        for row in rows:
            yield files.render(files.from_row(row))
        if len(rows) < _CHUNK:
            return
        after = rows[-1]["file_id"]
