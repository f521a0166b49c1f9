"""Notes on containers."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.site import USER, site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import SINGULAR
from fwsync.sandbox.store.ids import new_id, now
from fwsync.sandbox.store.node import Node

KINDS = "groups|projects|subjects|sessions|acquisitions|analyses|collections|containers"


def _node(conn: sqlite3.Connection, request: web.Request) -> Node:
    if "analysis" in request.match_info:
        return documents.get(conn, "analysis", request.match_info["analysis"])
    return documents.get(conn, SINGULAR[request.match_info["kind"]], request.match_info["id"])


def _note(node: Node, ident: str) -> dict[str, Any]:
    for note in node.doc["notes"]:
        if note["_id"] == ident:
            return dict(note)
    raise ApiError(404, f"note {ident} not found")


async def _text(request: web.Request) -> str:
    text = (await body(request, dict)).get("text")
    if not isinstance(text, str) or not text:
        raise malformed("a note needs a `text`")
    return text


async def add(request: web.Request) -> web.Response:
    """POST .../notes {text}: the note."""
    text, moment = await _text(request), now()
    note = {"_id": new_id(), "text": text, "user": USER, "created": moment, "modified": moment, "timestamp": moment}

    def work(conn: sqlite3.Connection) -> None:
        node = _node(conn, request)
        node.doc["notes"] = [*node.doc.get("notes", []), note]
        documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer(note)


async def get_one(request: web.Request) -> web.Response:
    """GET .../notes/{note}."""
    return answer(_note(_node(site_of(request).db.reader, request), request.match_info["note"]))


async def modify(request: web.Request) -> web.Response:
    """PUT .../notes/{note} {text}."""
    text, ident = await _text(request), request.match_info["note"]

    def work(conn: sqlite3.Connection) -> None:
        node = _node(conn, request)
        new = {**_note(node, ident), "text": text, "modified": now()}
        node.doc["notes"] = [new if note["_id"] == ident else note for note in node.doc["notes"]]
        documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer(1)


async def delete(request: web.Request) -> web.Response:
    """DELETE .../notes/{note}."""
    ident = request.match_info["note"]

    def work(conn: sqlite3.Connection) -> None:
        node = _node(conn, request)
        _note(node, ident)
        node.doc["notes"] = [note for note in node.doc["notes"] if note["_id"] != ident]
        documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer({"deleted": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    own = f"/api/{{kind:{KINDS}}}/{{id}}"
    for path in (own + "/notes", own + "/analyses/{analysis}/notes"):
        app.router.add_post(path, add)
        app.router.add_get(path + "/{note}", get_one)
        app.router.add_put(path + "/{note}", modify)
        app.router.add_delete(path + "/{note}", delete)
