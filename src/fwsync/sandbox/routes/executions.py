"""Executions of data views: what a queue call left, and its data in any format.

The table is kept as a content of the blob store, the execution as a record that names it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from fwsync.sandbox.errors import malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes.paging import page_of_list
from fwsync.sandbox.site import USER, Site, site_of
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import Node
from fwsync.sandbox.transfer.bodies import disposition
from fwsync.sandbox.views import output
from fwsync.sandbox.views.execute import Table

KIND = "execution"


async def add(site: Site, view: dict[str, Any], target: Node, table: Table) -> dict[str, Any]:
    """Keep a finished table; the execution's document."""
    content = await asyncio.to_thread(msgspec.json.encode, {"columns": table.columns, "rows": table.rows})
    blob = await asyncio.to_thread(site.blobs.put_bytes, content)
    document = {
        "state": "completed",
        "timestamp_ran": now(),
        "user_id": USER,
        "project_id": target.lineage.get("project"),
        "data_view_label": view.get("label"),
        "data_view_id": view.get("_id"),
        "storage_file_id": blob.digest,
        "revision": 1,
    }
    return _shown(await site.db.write(lambda conn: records.insert(conn, KIND, document)))


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "storage_file_id": None}


async def list_all(request: web.Request) -> web.Response:
    """GET /data_view_executions."""
    return await page_of_list(request, [_shown(one) for one in records.every(site_of(request).db.reader, KIND)])


async def get_one(request: web.Request) -> web.Response:
    """GET /data_view_executions/{id}."""
    return answer(_shown(records.get(site_of(request).db.reader, KIND, request.match_info["id"])))


def _table(site: Site, ident: str) -> tuple[dict[str, Any], Table]:
    document = records.get(site.db.reader, KIND, ident)
    held = msgspec.json.decode(site.blobs.path(document["storage_file_id"]).read_bytes())
    return document, Table(held["columns"], held["rows"])


def sent(columns: list[str], rows: list[list[Any]], kind: str, name: str) -> web.Response:
    """A table as the body of an answer."""
    headers = {"Content-Disposition": disposition(name)}
    charset = None if kind.startswith("json") else "utf-8"
    content = output.write(columns, rows, kind)
    return web.Response(body=content, headers=headers, content_type=output.TYPES[kind], charset=charset)


async def data(request: web.Request) -> web.Response:
    """GET /data_view_executions/{id}/data?file_format=."""
    kind = output.checked(request.query.get("file_format"))
    document, table = await asyncio.to_thread(_table, site_of(request), request.match_info["id"])
    if request.query.get("ticket") == "":
        return answer({"ticket": document["_id"]})
    name = request.query.get("file_name") or f"{document.get('data_view_label') or 'view'}.{kind.partition('-')[0]}"
    return await asyncio.to_thread(sent, table.columns, table.rows, kind, name)


async def save(request: web.Request) -> web.Response:
    """POST /data_view_executions/{id}/save?file_format=: a file on the execution's project, or as the body says."""
    site, given = site_of(request), await body(request, dict, optional=True)
    kind = output.checked(request.query.get("file_format") or given.get("file_format"))
    document, table = await asyncio.to_thread(_table, site, request.match_info["id"])
    ident = given.get("container_id") or document.get("project_id")
    name = given.get("file_name") or f"{document.get('data_view_label') or 'view'}.{kind.partition('-')[0]}"
    if not isinstance(ident, str) or not isinstance(name, str):
        raise malformed("container_id and file_name must be texts")
    blob = await asyncio.to_thread(site.blobs.put_bytes, output.write(table.columns, table.rows, kind))

    def work(conn: Any) -> dict[str, Any]:
        parent = documents.get(conn, "container", ident)
        return files.render(files.add(conn, parent, name, blob, {}))

    return answer(await site.db.write(work))


async def delete(request: web.Request) -> web.Response:
    """POST /data_view_executions/{id}/delete."""
    ident = request.match_info["id"]
    await site_of(request).db.write(lambda conn: records.delete(conn, KIND, ident))
    return answer({"deleted": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    one = "/api/data_view_executions/{id}"
    app.router.add_get("/api/data_view_executions", list_all)
    app.router.add_get(one, get_one)
    app.router.add_get(one + "/data", data)
    app.router.add_post(one + "/save", save)
    app.router.add_post(one + "/delete", delete)
