"""Roles, and the roles and permission templates of groups."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes.crud import EPOCH, Document, Noun
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import CONTAINERS
from fwsync.sandbox.store.node import Node

_READ = ["containers_view_metadata", "analyses_view_metadata", "files_view_metadata", "files_view_contents",
         "files_download"]  # fmt: skip
_WRITE = [*_READ, "containers_create_hierarchy", "containers_modify_metadata", "analyses_create_sdk",
          "analyses_create_job", "analyses_modify_metadata", "files_create_single", "files_create_bulk",
          "files_modify_metadata", "files_move"]  # fmt: skip
_ADMIN = [*_WRITE, "containers_delete_hierarchy", "containers_delete_project", "analyses_delete",
          "files_delete_non_device_data", "files_delete_device_data", "project_permissions_manage",
          "project_permissions_view"]  # fmt: skip
STANDARD = {
    f"5dc091c169d4f3000000000{number}": {
        "_id": f"5dc091c169d4f3000000000{number}",
        "label": label,
        "default_flywheel_role": short,
        "actions": actions,
        "created": EPOCH,
        "modified": EPOCH,
    }
    for number, (label, short, actions) in enumerate(
        [("admin", "admin", _ADMIN), ("read-write", "rw", _WRITE), ("read-only", "ro", _READ)], start=1
    )
}
"""The three roles that every site has."""


def _checked(given: Document, held: Document | None) -> Document:
    label, actions = given.get("label"), given.get("actions")
    if held is not None and held["_id"] in STANDARD:
        raise ApiError(409, "the roles that every site has can't change")
    if (held is None or label is not None) and (not isinstance(label, str) or not label):
        raise invalid("label: must be a text")
    if actions is not None and (not isinstance(actions, list) or not all(isinstance(one, str) for one in actions)):
        raise invalid("actions: must be a list of texts")
    known = {"label": label, "actions": actions if held else actions or []}
    return {name: value for name, value in known.items() if value is not None}


def _shown(conn: sqlite3.Connection, role: Document) -> Document:
    used = conn.execute(
        "select 1 from nodes where kind in ('group', 'project', 'collection') and instr(doc, ?) limit 1",
        (f'"{role["_id"]}"',),
    ).fetchone()
    return {"default_flywheel_role": None, **role, "in_use": used is not None}


ROLES = Noun(kind="role", path="/api/roles", checked=_checked, standard=STANDARD, shown=_shown, whole_answers=True)


def _group(conn: sqlite3.Connection, request: web.Request) -> Node:
    return documents.get(conn, "group", request.match_info["group"])


def _role_ids(group: Node) -> list[str]:
    return [one["_id"] if isinstance(one, dict) else one for one in group.doc.get("roles") or []]


async def group_roles(request: web.Request) -> web.Response:
    """GET /groups/{id}/roles."""
    conn = site_of(request).db.reader
    return answer([_shown(conn, ROLES.get(conn, ident)) for ident in _role_ids(_group(conn, request))])


async def group_role(request: web.Request) -> web.Response:
    """GET /groups/{id}/roles/{role}: 404 unless the group has it."""
    conn, ident = site_of(request).db.reader, request.match_info["role"]
    if ident not in _role_ids(_group(conn, request)):
        raise ApiError(404, f"role {ident} not found in the group")
    return answer(_shown(conn, ROLES.get(conn, ident)))


async def add_group_role(request: web.Request) -> web.Response:
    """POST /groups/{id}/roles {_id}."""
    ident = (await body(request, dict)).get("_id")
    if not isinstance(ident, str):
        raise malformed("the role's _id is needed")

    def work(conn: sqlite3.Connection) -> Document:
        group, role = _group(conn, request), ROLES.get(conn, ident)
        group.doc["roles"] = [{"_id": one} for one in dict.fromkeys([*_role_ids(group), ident])]
        documents.save(conn, group)
        return role

    return answer(await site_of(request).db.write(work))


async def delete_group_role(request: web.Request) -> web.Response:
    """DELETE /groups/{id}/roles/{role}."""
    ident = request.match_info["role"]

    def work(conn: sqlite3.Connection) -> None:
        group = _group(conn, request)
        if ident not in _role_ids(group):
            raise ApiError(404, f"role {ident} not found in the group")
        group.doc["roles"] = [{"_id": one} for one in _role_ids(group) if one != ident]
        documents.save(conn, group)

    await site_of(request).db.write(work)
    return answer({"deleted": 1})


def _template(given: Document) -> Document:
    user, roles = given.get("_id"), given.get("role_ids") or []
    if not isinstance(user, str) or not user:
        raise malformed("a permission needs the user's `_id`")
    if not isinstance(roles, list) or not all(isinstance(one, str) for one in roles):
        raise invalid("role_ids: must be a list of ids")
    return {"_id": user, "access": given.get("access"), "role_ids": roles}


def _one(group: Node, user: str) -> dict[str, Any]:
    for held in group.doc.get("permissions_template") or []:
        if held["_id"] == user:
            return dict(held)
    raise ApiError(404, f"permission template of {user!r} not found")


async def add_template(request: web.Request) -> web.Response:
    """POST /groups/{id}/permissions/templates: what new projects of the group give a user; 409 if there is one."""
    new = _template(await body(request, dict))

    def work(conn: sqlite3.Connection) -> None:
        group = _group(conn, request)
        held = group.doc.get("permissions_template") or []
        if any(one["_id"] == new["_id"] for one in held):
            raise ApiError(409, f"{new['_id']!r} already has a permission template")
        group.doc["permissions_template"] = [*held, new]
        documents.save(conn, group)

    await site_of(request).db.write(work)
    return answer(new)


async def get_template(request: web.Request) -> web.Response:
    """GET /groups/{id}/permissions/templates/{user}."""
    return answer(_one(_group(site_of(request).db.reader, request), request.match_info["user"]))


async def change_template(request: web.Request) -> web.Response:
    """PUT or DELETE /groups/{id}/permissions/templates/{user}."""
    user = request.match_info["user"]
    new = _template({**await body(request, dict), "_id": user}) if request.method == "PUT" else None

    def work(conn: sqlite3.Connection) -> None:
        group = _group(conn, request)
        _one(group, user)
        held = group.doc["permissions_template"]
        changed = [new if one["_id"] == user else one for one in held]
        group.doc["permissions_template"] = [one for one in changed if one is not None]
        documents.save(conn, group)

    await site_of(request).db.write(work)
    return answer(new or {"modified": 1, "deleted": 1})


async def permissions(request: web.Request) -> web.Response:
    """GET /{groups|projects|collections}/{id}/permissions."""
    kind = documents.SINGULAR[request.match_info["kind"]]
    node = documents.get(site_of(request).db.reader, kind, request.match_info["id"])
    return answer(node.doc.get("permissions") or [] if node.kind in CONTAINERS else [])


def setup(app: web.Application) -> None:
    """Add this room's routes. It comes before `permissions`: a template is no user of that name."""
    router = app.router
    ROLES.setup(app)
    router.add_get("/api/groups/{group}/roles", group_roles)
    router.add_post("/api/groups/{group}/roles", add_group_role)
    router.add_get("/api/groups/{group}/roles/{role}", group_role)
    router.add_delete("/api/groups/{group}/roles/{role}", delete_group_role)
    templates = "/api/groups/{group}/permissions/templates"
    router.add_post(templates, add_template)
    router.add_get(templates + "/{user}", get_template)
    router.add_put(templates + "/{user}", change_template)
    router.add_delete(templates + "/{user}", change_template)
    router.add_get("/api/{kind:groups|projects|collections}/{id}/permissions", permissions)
