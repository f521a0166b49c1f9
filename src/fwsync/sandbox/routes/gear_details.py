"""More about gears: delete, invocation schema, suggestions, context, series and their permissions."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.jobs import matching
from fwsync.sandbox.routes import gears
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.documents import CONTAINERS, SINGULAR
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import HIERARCHY, Node

SERIES = "gear-series"


def _gear(conn: sqlite3.Connection, request: web.Request) -> Node:
    return documents.get(conn, "gear", request.match_info["id"])


async def delete(request: web.Request) -> web.Response:
    """DELETE /gears/{id}: it is disabled; jobs keep naming it."""

    def work(conn: sqlite3.Connection) -> None:
        gear = _gear(conn, request)
        gear.doc["disabled"] = now()
        documents.save(conn, gear)

    await site_of(request).db.write(work)
    return answer({"deleted": 1})


async def invocation(request: web.Request) -> web.Response:
    """GET /gears/{id}/invocation: a JSON schema of what a run takes."""
    manifest = _gear(site_of(request).db.reader, request).doc["gear"]
    inputs, config = manifest.get("inputs") or {}, manifest.get("config") or {}
    needed = [name for name, spec in inputs.items() if isinstance(spec, dict) and not spec.get("optional")]
    return answer(
        {
            "title": f"Invocation manifest for {manifest.get('label') or manifest['name']}",
            "type": "object",
            "properties": {
                "config": {"type": "object", "properties": config},
                "inputs": {"type": "object", "properties": inputs, "required": needed},
            },
            "required": ["config", "inputs"],
        }
    )


def _container(conn: sqlite3.Connection, request: web.Request) -> Node:
    name, ident = request.match_info["container"], request.match_info["container_id"]
    kind = SINGULAR.get(name, name)
    found = documents.find(conn, ident, CONTAINERS if kind == "container" else (kind,))
    if found is None or found.kind not in CONTAINERS:
        raise ApiError(404, f"{kind} {ident} not found")
    return found


async def suggest(request: web.Request) -> web.Response:
    """GET /gears/{id}/suggest/{container}/{id}: what is on and below it, and which input each file would fit."""
    conn = site_of(request).db.reader
    gear, node = _gear(conn, request), _container(conn, request)
    inputs = matching.file_inputs(gear)
    held = files.of_parents(conn, [node.id], info=False).get(node.id, [])
    above = [documents.find(conn, ident) for ident in node.ancestors.values()]
    rows = conn.execute("select * from nodes where parent_id = ? and kind != 'job' order by kind, id", (node.id,))
    children: dict[str, list[dict[str, Any]]] = {}
    for child in map(documents.from_row, rows):
        children.setdefault(documents.PLURAL[child.kind], []).append(_short(child))
    return answer(
        {
            **_short(node),
            "parents": [_short(one) for one in above if one],
            "children": children,
            "files": [
                {
                    **{key: file[key] for key in ("name", "file_id", "version")},
                    "suggested": {name: matching.fits(spec, file) for name, spec in inputs.items()},
                }
                for file in held
            ],
        }
    )


def _short(node: Node) -> dict[str, Any]:
    return {"_id": node.id, "cont_type": node.kind, "label": node.label}


async def context(request: web.Request) -> web.Response:
    """GET /gears/{id}/context/{container}/{id}: values that the containers above set in `info.context`."""
    conn = site_of(request).db.reader
    gear, node = _gear(conn, request), _container(conn, request)
    wanted = [
        name for name, spec in (gear.doc["gear"].get("inputs") or {}).items()
        if isinstance(spec, dict) and spec.get("base") == "context"
    ]  # fmt: skip
    chain = [
        node,
        *(documents.find(conn, node.ancestors[level]) for level in reversed(HIERARCHY) if level in node.ancestors),
    ]
    out: dict[str, Any] = {name: {"found": False} for name in wanted}
    for one in (found for found in reversed(chain) if found):
        held = one.info.get("context")
        for name in wanted:
            if isinstance(held, dict) and name in held:
                out[name] = {"found": True, "value": held[name], "container_type": one.kind, "id": one.id}
    return answer(out)


def _series(conn: sqlite3.Connection, name: str) -> dict[str, Any]:
    gears.newest(conn, name)
    held = records.find(conn, SERIES, name)
    return held or {"_id": name, "name": name, "is_restricted": False, "permissions": {"users": [], "projects": []}}


async def get_series(request: web.Request) -> web.Response:
    """GET /gears/{name}/series."""
    return answer(_series(site_of(request).db.reader, request.match_info["name"]))


async def _change(request: web.Request, change: Any) -> dict[str, Any]:
    name = request.match_info["name"]

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        held = _series(conn, name)
        change(held)
        if records.find(conn, SERIES, name) is None:
            return records.insert(conn, SERIES, held, ident=name)
        records.save(conn, SERIES, held)
        return held

    return await site_of(request).db.write(work)


async def modify_series(request: web.Request) -> web.Response:
    """PUT /gears/{name}/series {is_restricted}."""
    given = await body(request, dict)
    if not isinstance(given.get("is_restricted"), bool):
        raise invalid("is_restricted: must be true or false")
    return answer(await _change(request, lambda held: held.update(is_restricted=given["is_restricted"])))


def _texts(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise malformed(f"{name}: must be a list of ids")
    return list(dict.fromkeys(value))


async def replace_permissions(request: web.Request) -> web.Response:
    """PUT /gears/{name}/permissions {users, projects}."""
    given = await body(request, dict)
    new = {kind: _texts(given.get(kind) or [], kind) for kind in ("users", "projects")}
    return answer(await _change(request, lambda held: held.update(permissions=new, is_restricted=True)))


async def clear_permissions(request: web.Request) -> web.Response:
    """DELETE /gears/{name}/permissions."""
    new: dict[str, list[str]] = {"users": [], "projects": []}
    return answer(await _change(request, lambda held: held.update(permissions=new, is_restricted=False)))


def _kind(request: web.Request) -> str:
    kind = request.match_info["type"]
    if kind not in ("users", "projects"):
        raise ApiError(404, f"{kind!r} is not users or projects")
    return kind


async def add_permission(request: web.Request) -> web.Response:
    """PUT /gears/{name}/permissions/{users|projects} {_id or id}."""
    kind, given = _kind(request), await body(request, dict)
    ident = given.get("_id") or given.get("id")
    if not isinstance(ident, str):
        raise malformed("an id is needed")

    def change(held: dict[str, Any]) -> None:
        held["permissions"][kind] = list(dict.fromkeys([*held["permissions"][kind], ident]))
        held["is_restricted"] = True

    return answer(await _change(request, change))


async def delete_permission(request: web.Request) -> web.Response:
    """DELETE /gears/{name}/permissions/{users|projects}/{id}: 404 if it has none."""
    kind, ident = _kind(request), request.match_info["permission"]

    def change(held: dict[str, Any]) -> None:
        if ident not in held["permissions"][kind]:
            raise ApiError(404, f"permission of {ident!r} not found")
        held["permissions"][kind].remove(ident)

    return answer(await _change(request, change))


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_delete("/api/gears/{id}", delete)
    router.add_get("/api/gears/{id}/invocation", invocation)
    router.add_get("/api/gears/{id}/suggest/{container}/{container_id}", suggest)
    router.add_get("/api/gears/{id}/context/{container}/{container_id}", context)
    router.add_get("/api/gears/{name}/series", get_series)
    router.add_put("/api/gears/{name}/series", modify_series)
    router.add_put("/api/gears/{name}/permissions", replace_permissions)
    router.add_delete("/api/gears/{name}/permissions", clear_permissions)
    router.add_put("/api/gears/{name}/permissions/{type}", add_permission)
    router.add_delete("/api/gears/{name}/permissions/{type}/{permission}", delete_permission)
