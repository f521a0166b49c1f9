"""Jobs as documents: list, get, change state or priority. Nothing runs them here."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes import detail
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import Node

STATES = ("pending", "scheduled", "running", "failed", "complete", "cancelled")


def _listed(_conn: sqlite3.Connection, nodes: list[Node], found: list[dict[str, Any]]) -> None:
    for node, document in zip(nodes, found, strict=True):
        document.clear()
        document.update(detail.job_listed(node))


async def list_all(request: web.Request) -> web.Response:
    """GET /jobs."""
    return await page(request, "job", extend=_listed)


async def list_of_session(request: web.Request) -> web.Response:
    """GET /sessions/{id}/jobs: `{jobs: [...]}`."""
    conn = site_of(request).db.reader
    session = documents.get(conn, "session", request.match_info["id"])
    rows = conn.execute("select * from nodes where kind = 'job' and session_id = ? order by id", (session.id,))
    return answer({"jobs": [detail.job_listed(documents.from_row(row)) for row in rows]})


async def get_one(request: web.Request) -> web.Response:
    """GET /jobs/{id}."""
    return answer(detail.job_detail(documents.get(site_of(request).db.reader, "job", request.match_info["id"])))


async def modify(request: web.Request) -> web.Response:
    """PUT /jobs/{id} {state | priority}."""
    ident, given = request.match_info["id"], await body(request, dict)
    state = given.get("state")
    if state is not None and state not in STATES:
        raise invalid(f"state: {state!r} is not one of {', '.join(STATES)}")

    def work(conn: sqlite3.Connection) -> None:
        job = documents.get(conn, "job", ident)
        job.doc.update({key: given[key] for key in ("state", "priority") if given.get(key) is not None})
        if state:
            job.doc["transitions"] = {**job.doc.get("transitions", {}), state: now()}
        documents.save(conn, job)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_get("/api/jobs", list_all)
    app.router.add_get("/api/jobs/{id}", get_one)
    app.router.add_put("/api/jobs/{id}", modify)
    app.router.add_get("/api/sessions/{id}/jobs", list_of_session)
