"""Documents that are no containers: saved views, executions, searches, batches, users, roles, modalities ...

One row each: id, kind, the id of what it belongs to (or none), and the document as JSON, `_id` included.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from fwsync.sandbox.errors import ApiError, not_found
from fwsync.sandbox.store.ids import new_id, now

Document = dict[str, Any]


def _text(document: Document) -> str:
    return msgspec.json.encode(document).decode()


def insert(
    conn: sqlite3.Connection, kind: str, document: Document, *, parent: str | None = None, ident: str | None = None
) -> Document:
    """Add a document; 409 if its id is taken. Returns it with `_id`, `created` and `modified`."""
    moment = now()
    whole = {"created": moment, "modified": moment, **document, "_id": ident or new_id()}
    try:
        conn.execute("insert into records values (?, ?, ?, ?)", (_key(kind, whole["_id"]), kind, parent, _text(whole)))
    except sqlite3.IntegrityError as error:
        raise ApiError(409, f"{kind} {whole['_id']} already exists") from error
    return whole


def find(conn: sqlite3.Connection, kind: str, ident: str) -> Document | None:
    """The document, or None."""
    row = conn.execute("select doc from records where id = ?", (_key(kind, ident),)).fetchone()
    return msgspec.json.decode(row["doc"]) if row is not None else None


def get(conn: sqlite3.Connection, kind: str, ident: str) -> Document:
    """The document; 404 if there is none."""
    found = find(conn, kind, ident)
    if found is None:
        raise not_found(kind, ident)
    return found


def every(conn: sqlite3.Connection, kind: str, parent: str | None = None) -> list[Document]:
    """All documents of a kind, or those of one parent, in id order."""
    if parent is None:
        rows = conn.execute("select doc from records where kind = ? order by id", (kind,))
    else:
        rows = conn.execute("select doc from records where kind = ? and parent = ? order by id", (kind, parent))
    return [msgspec.json.decode(row["doc"]) for row in rows]


def save(conn: sqlite3.Connection, kind: str, document: Document) -> None:
    """Write a changed document back."""
    document["modified"] = now()
    conn.execute("update records set doc = ? where id = ?", (_text(document), _key(kind, document["_id"])))


def delete(conn: sqlite3.Connection, kind: str, ident: str) -> None:
    """Remove it; 404 if there is none."""
    if conn.execute("delete from records where id = ?", (_key(kind, ident),)).rowcount < 1:
        raise not_found(kind, ident)


def _key(kind: str, ident: str) -> str:
    # Users, roles and modalities choose their own ids: two kinds may choose the same.
    return f"{kind}/{ident}"
