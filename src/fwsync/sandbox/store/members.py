"""Which acquisitions a collection holds.

A collection is a set of acquisitions. Whatever is added or removed is first expanded to the acquisitions below it, so
that adding a session today does not add what is scanned into it tomorrow, as on the platform. Doing a change again
changes nothing.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from fwsync.sandbox.errors import malformed, not_found
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import COLUMNS, LEVEL_COLUMNS

LEVELS = ("project", "subject", "session", "acquisition")
IDS = "select acquisition_id from members where collection_id = ?"
IDS_IN_SESSION = f"{IDS} and acquisition_id in (select id from nodes where session_id = ?)"  # noqa: S608
SESSION_IDS = f"select session_id from nodes where id in ({IDS})"  # noqa: S608


def change(conn: sqlite3.Connection, collection_id: str, contents: Any) -> None:
    """Apply `{operation: add|remove, nodes: [{_id, level}]}`; 400 on another form, 404 on an unknown node to add."""
    operation, nodes = _checked(contents)
    wanted: dict[str, None] = {}
    for level, ident in nodes:
        found = documents.find(conn, ident, (level,))
        if found is None:
            if operation == "add":
                raise not_found(level, ident)
            continue  # what is gone is not in the collection either
        wanted.update(dict.fromkeys(_below(conn, level, ident)))
    for ident in wanted:
        _one(conn, collection_id, ident, add=operation == "add")


def clear(conn: sqlite3.Connection, collection_id: str) -> None:
    """Take everything out, before the collection itself is deleted."""
    rows = conn.execute(IDS, (collection_id,)).fetchall()
    for row in rows:
        _one(conn, collection_id, row[0], add=False)


def counts(conn: sqlite3.Connection, collection_id: str) -> dict[str, int]:
    """How many acquisitions, sessions and subjects a collection reaches."""
    row = conn.execute(
        f"select count(*), count(distinct session_id), count(distinct subject_id) from nodes where id in ({IDS})",  # noqa: S608
        (collection_id,),
    ).fetchone()
    return {"acquisition_count": row[0], "session_count": row[1], "subject_count": row[2]}


def _checked(contents: Any) -> tuple[str, list[tuple[str, str]]]:
    operation = contents.get("operation") if isinstance(contents, dict) else None
    nodes = contents.get("nodes") if isinstance(contents, dict) else None
    if operation not in ("add", "remove") or not isinstance(nodes, list):
        raise malformed("contents: must be an object with operation `add` or `remove`, and a list of nodes")
    out = []
    for position, node in enumerate(nodes):
        level = node.get("level") if isinstance(node, dict) else None
        ident = node.get("_id") if isinstance(node, dict) else None
        if level not in LEVELS or not isinstance(ident, str):
            raise malformed(
                f"contents.nodes[{position}]: must be an object with _id and a level of {', '.join(LEVELS)}"
            )
        out.append((level, ident))
    return operation, out


def _below(conn: sqlite3.Connection, level: str, ident: str) -> list[str]:
    if level == "acquisition":
        return [ident]
    column = LEVEL_COLUMNS[level]
    query = f"select id from nodes where kind = 'acquisition' and {column} = ? order by id"  # noqa: S608
    return [row[0] for row in conn.execute(query, (ident,))]


def _one(conn: sqlite3.Connection, collection_id: str, acquisition_id: str, *, add: bool) -> None:
    verb = "insert or ignore into members values (?, ?)"
    if not add:
        verb = "delete from members where collection_id = ? and acquisition_id = ?"
    if conn.execute(verb, (collection_id, acquisition_id)).rowcount < 1:
        return
    row = conn.execute(f"select {COLUMNS} from nodes where id = ?", (acquisition_id,)).fetchone()  # noqa: S608
    node = documents.from_row(row)
    held = [one for one in node.doc.get("collections") or [] if one != collection_id]
    node.doc["collections"] = [*held, collection_id] if add else held
    documents.save(conn, node, touch=False)
