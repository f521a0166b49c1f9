"""Analyses: listings at every level, get, create (with or without a job document), modify, delete."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.jobs import create as jobs
from fwsync.sandbox.jobs.scheduler import scheduler_of
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes import containers, detail
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, fields, files
from fwsync.sandbox.store.documents import LEVEL_COLUMNS, SINGULAR
from fwsync.sandbox.store.node import Node

_PARENTS = "projects|subjects|sessions|acquisitions|collections|containers"


def _need_listing(request: web.Request) -> None:
    if not site_of(request).options.offers("analyses-listing"):
        raise ApiError(404, "this site has no listing of analyses")


def _extend(inflate: bool) -> Callable[[sqlite3.Connection, list[Node], list[dict[str, Any]]], None]:
    def extend(conn: sqlite3.Connection, nodes: list[Node], found: list[dict[str, Any]]) -> None:
        for node, document in zip(nodes, found, strict=True):
            detail.add_parent(conn, node, document)
            if inflate:
                document["job"] = detail.inflated_job(conn, document.get("job"))

    return extend


async def list_all(request: web.Request) -> web.Response:
    """GET /analyses."""
    _need_listing(request)
    return await page(request, "analysis", extend=_extend(truth(request.query.get("inflate_job"))))


async def list_on(request: web.Request) -> web.Response:
    """GET /{parents}/{id}/analyses: those right on the container."""
    parent = _parent(request)
    extend = _extend(truth(request.query.get("inflate_job")))
    return await page(request, "analysis", where={"parent_id": parent.id}, extend=extend)


async def list_below(request: web.Request) -> web.Response:
    """GET /{parents}/{id}/{all|children}/analyses: those on everything below (`all`: on itself too)."""
    _need_listing(request)
    parent = _parent(request)
    if parent.kind not in LEVEL_COLUMNS:
        raise invalid(f"{parent.kind} has nothing below it")
    own = request.match_info["which"] == "all"
    return await page(
        request,
        "analysis",
        where={LEVEL_COLUMNS[parent.kind]: parent.id},
        keep=None if own else lambda node: node.parent_id != parent.id,
        extend=_extend(truth(request.query.get("inflate_job"))),
    )


def _parent(request: web.Request) -> Node:
    conn, kind = site_of(request).db.reader, request.match_info["parents"]
    kinds = documents.CONTAINERS if kind == "containers" else (SINGULAR[kind],)
    found = documents.find(conn, request.match_info["id"], kinds)
    if found is None:
        raise ApiError(404, f"{kind} {request.match_info['id']} not found")
    return found


async def get_one(request: web.Request) -> web.Response:
    """GET /analyses/{id}; the SDK always asks for the job's document."""
    conn = site_of(request).db.reader
    node = documents.get(conn, "analysis", request.match_info.get("analysis") or request.match_info["id"])
    return answer(detail.analysis(conn, node, inflate=truth(request.query.get("inflate_job"))))


async def create(request: web.Request) -> web.Response:
    """POST /{parents}/{id}/analyses: ad hoc, or with a job; `{_id}` of the analysis."""
    parent, given = _parent(request), await body(request, dict)
    scheduler = scheduler_of(request)
    job = given.get("job")
    if job is not None and not isinstance(job, dict):
        raise malformed("job: must be an object")

    def add(conn: sqlite3.Connection) -> Node:
        doc = fields.taken("analysis", given)
        if not doc.get("label"):
            raise invalid("analysis: a label is needed")
        wanted = [] if job else given.get("inputs") or []
        if not isinstance(wanted, list):
            raise invalid("inputs: must be a list")
        doc["inputs"] = [_input(conn, ref) for ref in wanted]
        node = documents.insert(conn, "analysis", doc, parent=parent, info=fields.info_of(given))
        if job:
            made = jobs.add(conn, job, analysis=node)
            node.doc["inputs"] = [_input(conn, ref) for ref in made.doc["inputs"].values()]
            documents.save(conn, node, touch=False)
            scheduler.added(conn, made)
        return node

    node = await site_of(request).db.write(add)
    scheduler.wake()
    return answer({"_id": node.id})


def _input(conn: sqlite3.Connection, reference: Any) -> dict[str, Any]:
    if not isinstance(reference, dict) or not isinstance(reference.get("id"), str):
        raise invalid("inputs: each must be an object with type, id and name")
    if isinstance(name := reference.get("name"), str):
        return files.render(files.find(conn, reference["id"], name))
    return dict(reference)


async def list_of_level(request: web.Request) -> web.Response:
    """GET /{parents}/{id}/{subjects|sessions|acquisitions}/analyses: those on that level below the container."""
    parent, level = _parent(request), SINGULAR[request.match_info["level"]]
    if parent.kind not in LEVEL_COLUMNS:
        raise invalid(f"{parent.kind} has nothing below it")
    ids = {
        row[0] for row in site_of(request).db.reader.execute(
            f"select id from nodes where kind = ? and {LEVEL_COLUMNS[parent.kind]} = ?", (level, parent.id)  # noqa: S608
        )
    }  # fmt: skip
    return await page(
        request,
        "analysis",
        where={LEVEL_COLUMNS[parent.kind]: parent.id},
        keep=lambda node: node.parent_id in ids,
        extend=_extend(truth(request.query.get("inflate_job"))),
    )


async def input_files(request: web.Request) -> web.Response:
    """GET /analyses/{id}/input_files/{name}/info: the inputs of that name."""
    node = documents.get(site_of(request).db.reader, "analysis", request.match_info["id"])
    name = request.match_info["name"]
    found = [one for one in node.doc.get("inputs") or [] if one.get("name") == name]
    if not found:
        raise ApiError(404, f"input file {name} not found")
    return answer(found)


async def modify(request: web.Request) -> web.Response:
    """PUT /analyses/{id}."""
    given, ident = await body(request, dict), request.match_info.get("analysis") or request.match_info["id"]

    def change(conn: sqlite3.Connection) -> None:
        node = documents.get(conn, "analysis", ident)
        node.doc.update(fields.taken("analysis", given))
        if "info" in given:
            node.info = fields.info_of(given)
        documents.save(conn, node)

    await site_of(request).db.write(change)
    return answer({"modified": 1})


async def delete_one(request: web.Request) -> web.Response:
    """DELETE /analyses/{id}, also below its parent."""
    ident = request.match_info.get("analysis") or request.match_info["id"]
    await site_of(request).db.write(lambda conn: documents.delete(conn, documents.get(conn, "analysis", ident)))
    return answer({"deleted": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_get("/api/analyses", list_all)
    router.add_get("/api/analyses/{id}", get_one)
    router.add_put("/api/analyses/{id}", modify)
    router.add_delete("/api/analyses/{id}", delete_one)
    router.add_delete("/api/analyses", containers.delete_many_of("analysis"))
    router.add_get(f"/api/{{parents:{_PARENTS}}}/{{id}}/analyses", list_on)
    router.add_post(f"/api/{{parents:{_PARENTS}}}/{{id}}/analyses", create)
    below = f"/api/{{parents:{_PARENTS}}}/{{id}}/analyses/{{analysis}}"
    router.add_get(below, get_one)
    router.add_put(below, modify)
    router.add_delete(below, delete_one)
    router.add_get(f"/api/{{parents:{_PARENTS}}}/{{id}}/{{which:all|children}}/analyses", list_below)
    router.add_get(
        f"/api/{{parents:{_PARENTS}}}/{{id}}/{{level:subjects|sessions|acquisitions}}/analyses", list_of_level
    )
    router.add_get("/api/analyses/{id}/input_files/{name}/info", input_files)
