"""Gears as documents: list, get, add."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.node import Node


def _all(conn: sqlite3.Connection) -> list[Node]:
    rows = conn.execute("select * from nodes where kind = 'gear' order by id").fetchall()
    return [documents.from_row(row) for row in rows]


def _name(gear: Node) -> str:
    return str(gear.doc["gear"]["name"])


def _rank(gear: Node) -> tuple[list[int], str]:
    return [int(part) for part in re.findall(r"\d+", str(gear.doc["gear"].get("version", "")))], gear.id


def newest_of_each(conn: sqlite3.Connection, *, disabled: bool = False) -> list[Node]:
    """The newest version of each gear, by name."""
    best: dict[str, Node] = {}
    for gear in _all(conn):
        if disabled or not gear.doc.get("disabled"):
            name = _name(gear)
            best[name] = max(best.get(name, gear), gear, key=_rank)
    return sorted(best.values(), key=_name)


def newest(conn: sqlite3.Connection, name: str) -> Node:
    """The newest version of a gear; 404 for an unknown name."""
    for gear in newest_of_each(conn):
        if _name(gear) == name:
            return gear
    raise ApiError(404, f"gear {name!r} not found")


async def list_all(request: web.Request) -> web.Response:
    """GET /gears: the newest of each name; `all_versions`, `include_invalid` widen it."""
    disabled = truth(request.query.get("include_invalid"))
    if truth(request.query.get("all_versions")):
        return await page(request, "gear", keep=None if disabled else lambda gear: not gear.doc.get("disabled"))
    chosen = {gear.id for gear in newest_of_each(site_of(request).db.reader, disabled=disabled)}
    return await page(request, "gear", keep=lambda gear: gear.id in chosen)


async def get_one(request: web.Request) -> web.Response:
    """GET /gears/{id}."""
    return answer(documents.render(documents.get(site_of(request).db.reader, "gear", request.match_info["id"])))


def checked(given: dict[str, Any]) -> dict[str, Any]:
    """A gear document of a body `{category, gear, exchange?}`; 422 on a wrong one."""
    manifest = given.get("gear")
    if not isinstance(manifest, dict) or not all(isinstance(manifest.get(key), str) for key in ("name", "version")):
        raise invalid("gear: must be an object with name and version")
    for key in ("inputs", "config"):
        held = manifest.get(key) or {}
        if not isinstance(held, dict) or not all(isinstance(spec, dict) for spec in held.values()):
            raise invalid(f"gear.{key}: must be an object of objects")
    if not isinstance(given.get("exchange") or {}, dict):
        raise invalid("exchange: must be an object")
    return {"category": given.get("category") or "utility", "gear": manifest, "exchange": given.get("exchange")}


async def add(request: web.Request) -> web.Response:
    """POST /gears/{name}: a gear document `{category, gear}`; `{_id}`."""
    doc = checked(await body(request, dict))
    node = await site_of(request).db.write(lambda conn: documents.insert(conn, "gear", doc))
    return answer({"_id": node.id})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_get("/api/gears", list_all)
    app.router.add_get("/api/gears/{id}", get_one)
    app.router.add_post("/api/gears/{name}", add)
