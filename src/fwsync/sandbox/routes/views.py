"""Saved data views, and running a view: queue (finished before it is answered), direct, into a file."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid, malformed, not_found
from fwsync.sandbox.http import answer, body, reads
from fwsync.sandbox.query.listing import Listing
from fwsync.sandbox.routes import executions
from fwsync.sandbox.routes.paging import page_of_list
from fwsync.sandbox.site import USER, Site, site_of
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.documents import CONTAINERS
from fwsync.sandbox.store.node import HIERARCHY, Node
from fwsync.sandbox.views import execute, output, spec
from fwsync.sandbox.views.execute import Table
from fwsync.sandbox.views.rows import Source

KIND = "view"
_KEPT = (
    "label", "description", "columns", "fileSpec", "filter", "groupBy", "includeIds", "includeLabels", "errorColumn",
    "missingDataStrategy", "sort",
)  # fmt: skip


def _holder(conn: sqlite3.Connection, ident: str) -> str:
    """What a view may be saved on: a container, the site, or the user."""
    if ident not in ("site", USER) and documents.find(conn, ident, CONTAINERS) is None:
        raise not_found("container", ident)
    return ident


async def add(request: web.Request) -> web.Response:
    """POST /containers/{id}/views: `{_id}`."""
    given, site = await body(request, dict), site_of(request)
    ident = _holder(site.db.reader, request.match_info["id"])
    spec.parse(given)
    if not isinstance(given.get("label"), str) or not given["label"]:
        raise invalid("a saved view needs a label")
    document = {name: given[name] for name in _KEPT if name in given}
    document.update(parent=ident, origin={"type": "user", "id": USER})
    made = await site.db.write(lambda conn: records.insert(conn, KIND, document, parent=ident))
    return answer({"_id": made["_id"]})


async def list_on(request: web.Request) -> web.Response:
    """GET /containers/{id}/views."""
    conn = site_of(request).db.reader
    return await page_of_list(request, records.every(conn, KIND, _holder(conn, request.match_info["id"])))


async def get_one(request: web.Request) -> web.Response:
    """GET /views/{id}."""
    return answer(records.get(site_of(request).db.reader, KIND, request.match_info["id"]))


async def modify(request: web.Request) -> web.Response:
    """PUT /views/{id}: the fields in the body."""
    given, ident = await body(request, dict), request.match_info["id"]
    if not given:
        raise malformed("the body is empty; nothing to change")

    def work(conn: sqlite3.Connection) -> None:
        held = records.get(conn, KIND, ident)
        held.update({name: given[name] for name in _KEPT if name in given})
        spec.parse(held)
        records.save(conn, KIND, held)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def delete(request: web.Request) -> web.Response:
    """DELETE /views/{id}."""
    ident = request.match_info["id"]
    await site_of(request).db.write(lambda conn: records.delete(conn, KIND, ident))
    return answer({"deleted": 1})


async def columns(_request: web.Request) -> web.Response:
    """GET /views/columns: the aliases that a column's `src` may name."""
    groups = [
        {"name": name, "description": f"The columns {', '.join(held)}", "group": list(held)}
        for name, held in spec.GROUPS.items()
    ]
    single = [
        {"name": name, "src": src, "expr": told, "type": kind, "description": f"{src}, as {told}"}
        for name, (src, told, kind) in spec.ALIASES.items()
    ]
    known = [{"name": f"{kind}.{name}", "src": f"{kind}.{name}"} for kind in HIERARCHY for name in ("id", "label")]
    return answer([*groups, *single, *known])


def _target(conn: sqlite3.Connection, request: web.Request) -> Node:
    ident = request.query.get("containerId")
    if not ident:
        raise malformed("containerId: is needed")
    found = documents.find(conn, ident, (*HIERARCHY, "collection"))
    if found is None:
        raise not_found("container", ident)
    return found


async def _run(request: web.Request, given: dict[str, Any]) -> tuple[Table, Node]:
    site = site_of(request)
    listing = Listing.from_query(request.query, many_filters=len(request.query.getall("filter", [])) > 1)
    wanted, target = spec.parse(given), _target(site.db.reader, request)

    def work(conn: sqlite3.Connection) -> Table:
        return execute.run(Source(conn, site.blobs.path), wanted, target, listing)

    return await site.db.scan(work), target


async def _given(request: web.Request) -> dict[str, Any]:
    """The view of the body, or the saved one that the path names."""
    ident = request.match_info.get("id")
    return records.get(site_of(request).db.reader, KIND, ident) if ident else await body(request, dict)


@reads
async def queue(request: web.Request) -> web.Response:
    """POST /views/queue and /views/{id}/queue, `?containerId=`: an execution that is completed already."""
    given = await _given(request)
    table, target = await _run(request, given)
    return answer(await executions.add(site_of(request), given, target, table))


@reads
async def data(request: web.Request) -> web.Response:
    """POST /views/data and GET /views/{id}/data, `?containerId=&format=`: the table at once (deprecated)."""
    kind = output.checked(request.query.get("format"))
    if request.query.get("ticket") == "":
        given = await _given(request)
        table, target = await _run(request, given)
        made = await executions.add(site_of(request), given, target, table)
        return answer({"ticket": made["_id"]})
    table, _ = await _run(request, await _given(request))
    name = request.query.get("filename") or f"view.{kind.partition('-')[0]}"
    return executions.sent(table.columns, table.rows, kind, name)


async def save(request: web.Request) -> web.Response:
    """POST /views/save {view | viewId, containerType, containerId, filename}, `?containerId=&format=`: the file."""
    given, site = await body(request, dict), site_of(request)
    kind = output.checked(request.query.get("format"))
    ident, name = given.get("containerId"), given.get("filename")
    if not isinstance(ident, str) or not isinstance(name, str) or not name:
        raise malformed("containerId and filename are needed")
    view = given.get("view")
    if view is None:
        view = records.get(site.db.reader, KIND, str(given.get("viewId")))
    if not isinstance(view, dict):
        raise malformed("view: must be an object")
    table, _ = await _run(request, view)
    return answer(await store(site, ident, name, output.write(table.columns, table.rows, kind)))


async def store(site: Site, ident: str, name: str, content: bytes) -> dict[str, Any]:
    """Put a finished table on a container as a file."""
    blob = site.blobs.put_bytes(content)

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        parent = documents.find(conn, ident, CONTAINERS)
        if parent is None:
            raise not_found("container", ident)
        return files.render(files.add(conn, parent, name, blob, {}))

    return await site.db.write(work)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_post("/api/containers/{id}/views", add)
    router.add_get("/api/containers/{id}/views", list_on)
    router.add_post("/api/views/queue", queue)
    router.add_post("/api/views/data", data)
    router.add_post("/api/views/save", save)
    router.add_get("/api/views/columns", columns)
    router.add_post("/api/views/{id}/queue", queue)
    router.add_get("/api/views/{id}/data", data)
    router.add_get("/api/views/{id}", get_one)
    router.add_put("/api/views/{id}", modify)
    router.add_delete("/api/views/{id}", delete)
