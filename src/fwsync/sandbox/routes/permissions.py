"""Permissions of groups, projects and collections, as documents."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import SINGULAR
from fwsync.sandbox.store.node import Node

KINDS = "groups|projects|collections"


def _node(conn: sqlite3.Connection, request: web.Request) -> Node:
    return documents.get(conn, SINGULAR[request.match_info["kind"]], request.match_info["id"])


def _one(node: Node, user: str) -> dict[str, Any]:
    for permission in node.doc.get("permissions") or []:
        if permission["_id"] == user:
            return dict(permission)
    raise ApiError(404, f"permission of {user!r} not found")


async def add(request: web.Request) -> web.Response:
    """POST .../permissions {_id, access | role_ids}: 409 if the user has one."""
    given = await body(request, dict)
    user = given.get("_id")
    if not isinstance(user, str) or not user:
        raise malformed("a permission needs the user's `_id`")
    entry = {"_id": user, "access": given.get("access"), "role_ids": given.get("role_ids") or []}

    def work(conn: sqlite3.Connection) -> None:
        node = _node(conn, request)
        held = node.doc.get("permissions") or []
        if any(permission["_id"] == user for permission in held):
            raise ApiError(409, f"{user!r} already has a permission")
        node.doc["permissions"] = [*held, entry]
        documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer(entry)


async def get_one(request: web.Request) -> web.Response:
    """GET .../permissions/{user}."""
    return answer(_one(_node(site_of(request).db.reader, request), request.match_info["user"]))


async def modify(request: web.Request) -> web.Response:
    """PUT .../permissions/{user}."""
    given, user = await body(request, dict), request.match_info["user"]

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        node = _node(conn, request)
        new = _one(node, user)
        new.update({key: given[key] for key in ("access", "role_ids") if key in given})
        node.doc["permissions"] = [new if p["_id"] == user else p for p in node.doc["permissions"]]
        documents.save(conn, node)
        return new

    return answer(await site_of(request).db.write(work))


async def delete(request: web.Request) -> web.Response:
    """DELETE .../permissions/{user}."""
    user = request.match_info["user"]

    def work(conn: sqlite3.Connection) -> None:
        node = _node(conn, request)
        _one(node, user)
        node.doc["permissions"] = [p for p in node.doc["permissions"] if p["_id"] != user]
        documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer({"modified": 1, "deleted": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    path = f"/api/{{kind:{KINDS}}}/{{id}}/permissions"
    app.router.add_post(path, add)
    app.router.add_get(path + "/{user}", get_one)
    app.router.add_put(path + "/{user}", modify)
    app.router.add_delete(path + "/{user}", delete)
