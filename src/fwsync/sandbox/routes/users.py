"""Users as documents: the site's administrator, the holder of the read-only key, and any that a script adds."""

from __future__ import annotations

import sqlite3

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body, is_reader
from fwsync.sandbox.routes import info as info_room
from fwsync.sandbox.routes.crud import EPOCH, Document
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.routes.paging import page_of_list
from fwsync.sandbox.site import READER, USER, site_of
from fwsync.sandbox.store import documents, records
from fwsync.sandbox.store.documents import SINGULAR
from fwsync.sandbox.store.fields import clean_keys
from fwsync.sandbox.store.node import Node

KIND = "user"
_TEXTS = ("firstname", "lastname", "email", "avatar")
_KINDS = {"roles": list, "disabled": bool, "root": bool, "preferences": dict}


def _standard(ident: str) -> Document | None:
    about = {"email": ident, "disabled": False, "avatar": None, "info": {}, "preferences": {}}
    about |= {"created": EPOCH, "modified": EPOCH}
    if ident == USER:
        return {
            "_id": USER,
            "firstname": "Sandbox",
            "lastname": "Admin",
            **about,
            "roles": ["site_admin"],
            "root": True,
        }
    if ident == READER:
        return {"_id": READER, "firstname": "Sandbox", "lastname": "Reader", **about, "roles": ["user"], "root": False}
    return None


def find(conn: sqlite3.Connection, ident: str) -> Document:
    """A user; 404 for one that is unknown."""
    found = records.find(conn, KIND, ident) or _standard(ident)
    if found is None:
        raise ApiError(404, f"user {ident} not found")
    return found


def who(request: web.Request) -> str:
    """The id of the user whose key a request brings."""
    return READER if is_reader(request) else USER


async def auth_status(request: web.Request) -> web.Response:
    """GET /auth/status."""
    user = find(site_of(request).db.reader, who(request))
    origin = {"type": "user", "id": user["_id"]}
    return answer({"origin": origin, "user_is_admin": user["root"], "is_device": False, "roles": user["roles"]})


async def self_(request: web.Request) -> web.Response:
    """GET /users/self."""
    return answer(find(site_of(request).db.reader, who(request)))


async def list_all(request: web.Request) -> web.Response:
    """GET /users."""
    site = site_of(request)
    standard = [USER, *([READER] if site.options.read_only_key else [])]
    held = {one["_id"]: one for one in records.every(site.db.reader, KIND)}
    first = [held.pop(ident, None) or _standard(ident) for ident in standard]
    return await page_of_list(request, [one for one in [*first, *held.values()] if one])


async def get_one(request: web.Request) -> web.Response:
    """GET /users/{id}."""
    return answer(find(site_of(request).db.reader, request.match_info["id"]))


def _taken(given: Document) -> Document:
    for name in _TEXTS:
        if given.get(name) is not None and not isinstance(given[name], str):
            raise invalid(f"{name}: must be a text")
    for name, kind in _KINDS.items():
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise invalid(f"{name}: must be {kind.__name__}")
    return {name: given[name] for name in (*_TEXTS, *_KINDS) if given.get(name) is not None}


async def add(request: web.Request) -> web.Response:
    """POST /users {_id | email, firstname, lastname, ...}: `{_id}`; 409 if there is one of that id."""
    given = await body(request, dict)
    ident = given.get("_id") or given.get("email")
    if not isinstance(ident, str) or not ident or len(ident) > 200:
        raise invalid("_id or email: must be a text")
    empty = {"firstname": "", "lastname": "", "email": ident, "roles": ["user"], "root": False, "disabled": False}
    document = {**empty, "avatar": None, "info": {}, "preferences": {}, **_taken(given)}

    def work(conn: sqlite3.Connection) -> Document:
        if _standard(ident):
            raise ApiError(409, f"user {ident} already exists")
        return records.insert(conn, KIND, document, ident=ident)

    return answer({"_id": (await site_of(request).db.write(work))["_id"]})


def _keep(conn: sqlite3.Connection, user: Document) -> None:
    if records.find(conn, KIND, user["_id"]) is None:
        records.insert(conn, KIND, user, ident=user["_id"])
    else:
        records.save(conn, KIND, user)


async def modify(request: web.Request) -> web.Response:
    """PUT /users/{id}."""
    given, ident = await body(request, dict), request.match_info["id"]
    if not given:
        raise malformed("the body is empty; nothing to change")

    def work(conn: sqlite3.Connection) -> None:
        _keep(conn, {**find(conn, ident), **_taken(given)})

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def delete(request: web.Request) -> web.Response:
    """DELETE /users/{id}: also from all permissions."""
    ident = request.match_info["id"]
    if _standard(ident):
        raise ApiError(409, "the users that every sandbox has can't be deleted")

    def work(conn: sqlite3.Connection) -> None:
        records.delete(conn, KIND, ident)
        rows = conn.execute("select * from nodes where kind in ('group', 'project', 'collection')").fetchall()
        for node in map(documents.from_row, rows):
            held = node.doc.get("permissions") or []
            if any(one["_id"] == ident for one in held):
                node.doc["permissions"] = [one for one in held if one["_id"] != ident]
                documents.save(conn, node)

    await site_of(request).db.write(work)
    return answer({"deleted": 1})


async def get_info(request: web.Request) -> web.Response:
    """GET /users/self/info, `?fields=` for some of it."""
    held = find(site_of(request).db.reader, who(request)).get("info") or {}
    wanted = [name for given in request.query.getall("fields", []) for name in given.split(",") if name]
    return answer({name: held[name] for name in wanted if name in held} if wanted else held)


async def change_info(request: web.Request) -> web.Response:
    """PATCH /users/self/info {set, delete, replace}."""
    given, ident = await body(request, dict), who(request)

    def work(conn: sqlite3.Connection) -> None:
        user = find(conn, ident)
        _keep(conn, {**user, "info": info_room.changed(clean_keys(user.get("info") or {}), given)})

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def avatar(request: web.Request) -> web.Response:
    """GET /users/{id}/avatar: a redirect to it, where there is one."""
    ident = request.match_info.get("id") or who(request)
    address = find(site_of(request).db.reader, ident).get("avatar")
    if not address:
        raise ApiError(404, f"user {ident} has no avatar")
    raise web.HTTPTemporaryRedirect(address)


async def containers_of(request: web.Request) -> web.Response:
    """GET /users/{id}/{groups|projects|sessions|acquisitions|collections}: those that the user has a permission for."""
    conn, ident = site_of(request).db.reader, request.match_info["id"]
    user, kind = find(conn, ident), SINGULAR[request.match_info["kind"]]
    if user.get("root"):
        return await page(request, kind)
    rows = conn.execute("select * from nodes where kind in ('group', 'project', 'collection')")
    allowed = {node.id for node in map(documents.from_row, rows) if _has(node, ident)}
    return await page(request, kind, keep=lambda node: node.id in allowed or node.lineage.get("project") in allowed)


def _has(node: Node, user: str) -> bool:
    return any(one["_id"] == user for one in node.doc.get("permissions") or [])


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_get("/api/auth/status", auth_status)
    router.add_get("/api/users/self", self_)
    router.add_get("/api/users/self/info", get_info)
    router.add_patch("/api/users/self/info", change_info)
    router.add_get("/api/users/self/avatar", avatar)
    router.add_get("/api/users", list_all)
    router.add_post("/api/users", add)
    router.add_get("/api/users/{id}", get_one)
    router.add_put("/api/users/{id}", modify)
    router.add_delete("/api/users/{id}", delete)
    router.add_get("/api/users/{id}/avatar", avatar)
    router.add_get("/api/users/{id}/{kind:groups|projects|sessions|acquisitions|collections}", containers_of)
