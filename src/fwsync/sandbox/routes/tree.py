"""Trees: chosen fields, joined level by level; and the graph of joins."""

from __future__ import annotations

from aiohttp import web

from fwsync.sandbox.http import accepts, answer, body, reads
from fwsync.sandbox.routes import joins
from fwsync.sandbox.routes.listing import listing_of
from fwsync.sandbox.site import site_of


@reads
async def fetch(request: web.Request) -> web.Response:
    """POST /tree: a list of documents (in an envelope where the client asked for pagination)."""
    name, spec = joins.check(await body(request, dict))
    listing = listing_of(request)
    found = await site_of(request).db.scan(lambda conn: joins.fetch(conn, name, spec, listing))
    if accepts(request, "pagination") and site_of(request).options.offers("pagination"):
        return answer({"count": len(found), "total": len(found), "results": found})
    return answer(found)


async def graph(_request: web.Request) -> web.Response:
    """GET /tree/graph: per level its joins."""
    return answer(joins.graph())


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/tree", fetch)
    app.router.add_get("/api/tree/graph", graph)
