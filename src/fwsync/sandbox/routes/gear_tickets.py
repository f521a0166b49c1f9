"""The ticketed way of adding a gear: prepare, upload elsewhere, save."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes import gears
from fwsync.sandbox.routes.providers import COMPUTE, PROVIDERS
from fwsync.sandbox.routes.users import who
from fwsync.sandbox.site import USER, site_of
from fwsync.sandbox.store import documents, records
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import Node

KIND = "gear-ticket"


async def prepare(request: web.Request) -> web.Response:
    """POST /gears/prepare-add {category, gear, exchange?}: `{ticket}`."""
    given = await body(request, dict)
    document = {"origin": {"type": "user", "id": USER}, "timestamp": now(), "geardoc": gears.checked(given)}
    made = await site_of(request).db.write(lambda conn: records.insert(conn, KIND, document))
    return answer({"ticket": made["_id"]})


async def get_one(request: web.Request) -> web.Response:
    """GET /gears/ticket/{id}."""
    return answer(records.get(site_of(request).db.reader, KIND, request.match_info["id"]))


async def mine(request: web.Request) -> web.Response:
    """GET /gears/my-tickets: their ids."""
    held = records.every(site_of(request).db.reader, KIND)
    return answer([one["_id"] for one in held if one["origin"]["id"] == who(request)])


async def save(request: web.Request) -> web.Response:
    """POST /gears/save {ticket, repo, pointer}: the gear."""
    given = await body(request, dict)
    if not isinstance(given.get("ticket"), str):
        raise invalid("ticket: is needed")

    def work(conn: sqlite3.Connection) -> Node:
        ticket = records.get(conn, KIND, given["ticket"])
        doc: dict[str, Any] = ticket["geardoc"]
        if given.get("repo") or given.get("pointer"):
            doc["exchange"] = {
                **(doc.get("exchange") or {}),
                "rootfs-url": f"{given.get('repo')}@{given.get('pointer')}",
            }
        records.delete(conn, KIND, ticket["_id"])
        return documents.insert(conn, "gear", doc)

    return answer(documents.render(await site_of(request).db.write(work)))


async def provider(request: web.Request) -> web.Response:
    """POST /jobs/determine_provider: there is one that computes."""
    await body(request, dict)
    return answer(PROVIDERS.get(site_of(request).db.reader, COMPUTE))


def setup(app: web.Application) -> None:
    """Add this room's routes. It comes before `gears`, where a name could be `save`."""
    router = app.router
    router.add_post("/api/gears/prepare-add", prepare)
    router.add_get("/api/gears/ticket/{id}", get_one)
    router.add_get("/api/gears/my-tickets", mine)
    router.add_post("/api/gears/save", save)
    router.add_post("/api/jobs/determine_provider", provider)
