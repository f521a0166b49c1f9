"""`POST /projects/{id}/upsert-hierarchy`: a subject, its session and its acquisition in one request."""

from __future__ import annotations

import itertools
import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, fields
from fwsync.sandbox.store.node import Node, Place

_LEVELS = ("subject", "session", "acquisition")


async def upsert(request: web.Request) -> web.Response:
    """Find each level by id, uid or label below the one before it, create what is missing, update what differs.

    The whole is one transaction, so that equal requests at the same time make one container.
    """
    if not site_of(request).options.offers("upsert-hierarchy"):
        raise ApiError(404, "this site has no upsert-hierarchy")
    ident, given = request.match_info["id"], await body(request, dict)
    for above, below in itertools.pairwise(_LEVELS):
        if below in given and above not in given:
            raise invalid(f"{below}: needs its {above} in the same request")
    if "subject" not in given:
        raise invalid("subject: is needed")
    return answer(await site_of(request).db.write(lambda conn: _apply(conn, ident, given)))


def _apply(conn: sqlite3.Connection, project_id: str, given: dict[str, Any]) -> dict[str, Any]:
    parent = documents.place(conn, "project", project_id)
    out: dict[str, Any] = {}
    result = ""
    for level in _LEVELS:
        if level in given:
            node, result = _one(conn, level, given[level], parent, new=result == "created")
            out[level] = {"_id": node.id, "label": node.label, "upsert_result": result}
            parent = node
    return out


def _one(conn: sqlite3.Connection, level: str, wanted: Any, parent: Place, *, new: bool) -> tuple[Node, str]:
    """The container, and what became of it. A `new` parent has no children yet: nothing to look up by name."""
    if not isinstance(wanted, dict):
        raise invalid(f"{level}: must be an object")
    doc, info = fields.taken(level, wanted), fields.info_of(wanted)
    found = None if new and not wanted.get("_id") else _find(conn, level, wanted, parent)
    if found is None:
        label = doc.get("label") or doc.get("code") or doc.get("uid")
        if not label:
            raise invalid(f"{level}: a label is needed")
        return documents.insert(conn, level, {**doc, "label": label}, parent=parent, info=info), "created"
    differs = any(found.doc.get(name) != value for name, value in doc.items())
    differs = differs or any(found.info.get(key) != value for key, value in info.items())
    if not differs:
        return found, "ignored"
    found.doc.update(doc)
    found.info.update(info)
    documents.save(conn, found)
    return found, "updated"


def _find(conn: sqlite3.Connection, level: str, wanted: dict[str, Any], parent: Place) -> Node | None:
    if ident := wanted.get("_id"):
        node = documents.get(conn, level, str(ident))
        if node.parent_id != parent.id:
            raise ApiError(404, f"{level} {ident} not found in {parent.kind} {parent.id}")
        return node
    if uid := wanted.get("uid"):
        rows = conn.execute(
            "select * from nodes where kind = ? and parent_id = ? order by +id", (level, parent.id)
        ).fetchall()
        for node in map(documents.from_row, rows):
            if node.doc.get("uid") == uid:
                return node
    label = wanted.get("label") or wanted.get("code")
    return documents.find_child(conn, level, parent.id, label) if isinstance(label, str) else None


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/projects/{id}/upsert-hierarchy", upsert)
