"""Collections: list, get, create, modify, delete; membership; reads by collection.

Their info, tags, notes, files, analyses and permissions are served by the rooms of those nouns.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.query import chosen
from fwsync.sandbox.query.chosen import Chosen
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes import containers, detail
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.routes.paging import enveloped, page_of
from fwsync.sandbox.site import USER, site_of
from fwsync.sandbox.store import documents, fields, members
from fwsync.sandbox.store.node import Node


def _counted(conn: sqlite3.Connection, nodes: list[Node], found: list[dict[str, Any]]) -> None:
    for node, document in zip(nodes, found, strict=True):
        document.update(members.counts(conn, node.id))
        document["attachment_count"] = len(document.get("files") or ())


async def list_all(request: web.Request) -> web.Response:
    """GET /collections."""
    return await page(request, "collection", extend=_counted)


async def curators(request: web.Request) -> web.Response:
    """GET /collections/curators: who has made one."""
    rows = site_of(request).db.reader.execute("select doc from nodes where kind = 'collection' limit 1").fetchall()
    return answer([{"_id": USER, "firstname": "Sandbox", "lastname": "Admin"}] if rows else [])


async def get_one(request: web.Request) -> web.Response:
    """GET /collections/{id}."""
    conn = site_of(request).db.reader
    node = documents.get(conn, "collection", request.match_info["id"])
    found = detail.whole(conn, node)
    _counted(conn, [node], [found])
    return answer(found)


async def create(request: web.Request) -> web.Response:
    """POST /collections {label, description?, info?, contents?}: `{_id}`."""
    given = await body(request, dict)
    doc = fields.taken("collection", given)
    if not doc.get("label"):
        raise invalid("collection: a label is needed")
    permissions = [{"_id": USER, "access": "admin", "role_ids": []}]
    doc.update(curator=USER, permissions=permissions)

    def work(conn: sqlite3.Connection) -> Node:
        node = documents.insert(conn, "collection", doc, info=fields.info_of(given))
        if given.get("contents") is not None:
            members.change(conn, node.id, given["contents"])
        return node

    return answer({"_id": (await site_of(request).db.write(work)).id})


async def modify(request: web.Request) -> web.Response:
    """PUT /collections/{id}: its fields, and `contents` to add or remove any number of nodes."""
    given, ident = await body(request, dict), request.match_info["id"]
    if not given:
        raise malformed("the body is empty; nothing to change")

    def work(conn: sqlite3.Connection) -> None:
        node = documents.get(conn, "collection", ident)
        node.doc.update(fields.taken("collection", given))
        if "info" in given:
            node.info = fields.info_of(given)
        if given.get("contents") is not None:
            members.change(conn, node.id, given["contents"])
        documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


def _remove(conn: sqlite3.Connection, node: Node) -> None:
    members.clear(conn, node.id)
    # analyses on it, and their jobs, are children by parent id alone
    for child in detail.analyses_of(conn, node.id):
        conn.execute("delete from nodes where kind = 'job' and parent_id = ?", (child.id,))
        documents.delete(conn, child)
    documents.delete(conn, node)


async def delete_one(request: web.Request) -> web.Response:
    """DELETE /collections/{id}: the collection, its files and analyses; never its members."""
    ident = request.match_info["id"]
    await site_of(request).db.write(lambda conn: _remove(conn, documents.get(conn, "collection", ident)))
    return answer({"deleted": 1})


async def delete_many(request: web.Request) -> web.Response:
    """DELETE /collections with a list of ids."""
    idents = await body(request, list)
    if not all(isinstance(ident, str) for ident in idents):
        raise malformed("the body must be a list of ids")

    def work(conn: sqlite3.Connection) -> list[str]:
        found = [node for ident in idents if (node := documents.find(conn, ident, ("collection",)))]
        for node in found:
            _remove(conn, node)
        return [node.id for node in found]

    gone = await site_of(request).db.write(work)
    return answer({"deleted": len(gone), "not_found": len(set(idents) - set(gone))})


async def _members(request: web.Request, kind: str, ident: str) -> web.Response:
    documents.get(site_of(request).db.reader, "collection", ident)
    ids, values = members.IDS, [ident]
    if kind == "session":
        ids = members.SESSION_IDS
    elif session := request.query.get("session"):
        ids, values = members.IDS_IN_SESSION, [ident, session]
    counted, which = enveloped(request), Chosen(kind, ids, values)
    return await page_of(request, lambda conn, listing: chosen.select(conn, which, listing, counted=counted))


async def acquisitions(request: web.Request) -> web.Response:
    """GET /collections/{id}/acquisitions, `?session=` for those of one session."""
    return await _members(request, "acquisition", request.match_info["id"])


async def sessions(request: web.Request) -> web.Response:
    """GET /collections/{id}/sessions: those with at least one acquisition in the collection."""
    return await _members(request, "session", request.match_info["id"])


async def by_collection(request: web.Request) -> web.Response:
    """GET /acquisitions or /sessions, with `?collection_id=` those of a collection."""
    ident = request.query.get("collection_id")
    if not ident:
        return await containers.list_all(request)
    return await _members(request, containers.kind_of(request), ident)


async def all_analyses(request: web.Request) -> web.Response:
    """GET /collections/{id}/all/analyses: of its sessions' and acquisitions' analyses, those on its members."""
    conn, ident = site_of(request).db.reader, request.match_info["id"]
    documents.get(conn, "collection", ident)
    inflate, counted = truth(request.query.get("inflate_job")), enveloped(request)
    ids = f"select id from nodes where kind = 'analysis' and (parent_id in ({members.IDS}) or parent_id = ?)"  # noqa: S608

    def read(conn: sqlite3.Connection, listing: Any) -> Any:
        found, total = chosen.select(conn, Chosen("analysis", ids, [ident, ident]), listing, counted=counted)
        for document in found:
            detail.add_parent(conn, documents.get(conn, "analysis", document["_id"]), document)
            if inflate:
                document["job"] = detail.inflated_job(conn, document.get("job"))
        return found, total

    return await page_of(request, read)


def setup(app: web.Application) -> None:
    """Add this room's routes. It comes before `containers`, whose two listings it widens."""
    router = app.router
    router.add_get("/api/{kind:acquisitions|sessions}", by_collection)
    router.add_get("/api/collections", list_all)
    router.add_post("/api/collections", create)
    router.add_delete("/api/collections", delete_many)
    router.add_get("/api/collections/curators", curators)
    router.add_get("/api/collections/{id}", get_one)
    router.add_put("/api/collections/{id}", modify)
    router.add_delete("/api/collections/{id}", delete_one)
    router.add_get("/api/collections/{id}/acquisitions", acquisitions)
    router.add_get("/api/collections/{id}/sessions", sessions)
    router.add_get("/api/collections/{id}/all/analyses", all_analyses)
