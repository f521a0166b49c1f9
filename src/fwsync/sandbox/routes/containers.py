"""Groups, projects, subjects, sessions, acquisitions: list, get, create, modify, delete."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from fwsync.sandbox.errors import ApiError, invalid, malformed, not_found
from fwsync.sandbox.http import accepts, answer, body
from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.routes import detail
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.site import USER, site_of
from fwsync.sandbox.store import documents, fields
from fwsync.sandbox.store.documents import CONTAINERS, LEVEL_COLUMNS, PARENT, PLURAL, SINGULAR
from fwsync.sandbox.store.node import HIERARCHY, Node, Place

_BELOW = {
    "groups": ("projects",),
    "projects": ("subjects", "sessions", "acquisitions"),
    "subjects": ("sessions", "acquisitions"),
    "sessions": ("acquisitions",),
}
KINDS = "groups|projects|subjects|sessions|acquisitions"


def kind_of(request: web.Request) -> str:
    """The kind in the singular that a route's first segment names."""
    return SINGULAR[request.match_info["kind"]]


async def list_all(request: web.Request) -> web.Response:
    """GET /{kind}."""
    return await page(request, kind_of(request))


async def list_below(request: web.Request) -> web.Response:
    """GET /{parents}/{id}/{kind}: all of that kind below, at any depth."""
    parent, kind = SINGULAR[request.match_info["parents"]], kind_of(request)
    node = documents.get(site_of(request).db.reader, parent, request.match_info["id"])
    return await page(request, kind, where={LEVEL_COLUMNS[parent]: node.id})


async def get_one(request: web.Request) -> web.Response:
    """GET /{kind}/{id}."""
    conn = site_of(request).db.reader
    node = documents.get(conn, kind_of(request), request.match_info["id"])
    return answer(detail.whole(conn, node, slim=accepts(request, "slim-containers")))


async def get_any(request: web.Request) -> web.Response:
    """GET /containers/{id}: any container, with its `container_type`."""
    conn = site_of(request).db.reader
    node = documents.find(conn, request.match_info["id"], CONTAINERS)
    if node is None:
        raise not_found("container", request.match_info["id"])
    found = detail.whole(conn, node, slim=accepts(request, "slim-containers"))
    return answer({**found, "container_type": node.kind})


async def create(request: web.Request) -> web.Response:
    """POST /{kind}: `{_id}` of the new container."""
    kind, given = kind_of(request), await body(request, dict)
    site = site_of(request)
    unique = is_unique(site.options, kind)
    node = await site.db.write(lambda conn: make(conn, kind, given, unique=unique))
    return answer({"_id": node.id})


def is_unique(options: SandboxOptions, kind: str) -> bool:
    """Whether a label may be there just once below one parent."""
    if kind in ("session", "acquisition"):
        return not options.offers("duplicate-sessions")
    return kind == "project" or (kind == "subject" and options.offers("duplicate-check"))


def make(conn: sqlite3.Connection, kind: str, given: dict[str, Any], *, unique: bool) -> Node:
    """Create a container from a request body, below the parent that the body names."""
    if kind == "group":
        return _make_group(conn, given)
    parent = _parent(conn, kind, given)
    doc = fields.taken(kind, given)
    if kind == "subject":
        doc["label"] = doc.get("label") or doc.get("code")
    if not doc.get("label"):
        raise invalid(f"{kind}: a label is needed")
    if kind == "project" and doc["label"] == "Unsorted":
        raise malformed("project: the label Unsorted is reserved")
    if unique and documents.find_child(conn, kind, parent.id, doc["label"]):
        raise ApiError(409, f"{kind} with label {doc['label']!r} already exists in {parent.kind} {parent.id}")
    if kind == "project":
        doc["permissions"] = [{"_id": USER, "access": "admin", "role_ids": []}]
    return documents.insert(conn, kind, doc, parent=parent, info=fields.info_of(given))


def _make_group(conn: sqlite3.Connection, given: dict[str, Any]) -> Node:
    ident = given.get("_id")
    if not isinstance(ident, str) or not 1 <= len(ident) <= 64 or not all(c.isalnum() or c in "-_.@" for c in ident):
        raise invalid("_id: a group's id is 1 to 64 letters, digits, and any of - _ . @")
    doc = {"label": ident, **fields.taken("group", given), "permissions": [{"_id": USER, "access": "admin"}]}
    return documents.insert(conn, "group", doc, ident=ident)


def _parent(conn: sqlite3.Connection, kind: str, given: dict[str, Any]) -> Place:
    if kind == "session":
        return _subject_of_session(conn, given)
    level = PARENT[kind]
    ident = given.get(level)
    if not isinstance(ident, str) or not ident:
        raise invalid(f"{kind}: {level} must name the parent's id")
    return documents.place(conn, level, ident)


def _subject_of_session(conn: sqlite3.Connection, given: dict[str, Any]) -> Place:
    """A session names its subject by id, or by label within its project; an unknown label makes the subject."""
    wanted = given.get("subject")
    named = {"_id": wanted} if isinstance(wanted, str) else wanted
    if not isinstance(named, dict):
        raise invalid("session: subject must be an id or an object with `_id` or `label`")
    if ident := named.get("_id"):
        if not isinstance(ident, str):
            raise invalid("session: subject._id must be text")
        subject = documents.place(conn, "subject", ident)
        if given.get("project") not in (None, subject.ancestors.get("project")):
            raise invalid(f"session: subject {ident} is not in project {given['project']}")
        return subject
    label = named.get("label") or named.get("code")
    project = given.get("project")
    if not isinstance(label, str) or not label or not isinstance(project, str):
        raise invalid("session: a project and a subject with `_id` or `label` are needed")
    parent = documents.place(conn, "project", project)
    # Only the label is taken: names and sex of an embedded subject are lost, as on a real site.
    found = documents.find_child(conn, "subject", parent.id, label)
    return found or documents.insert(conn, "subject", {"label": label}, parent=parent)


async def modify(request: web.Request) -> web.Response:
    """PUT /{kind}/{id}: the fields in the body; a parent's field moves the container."""
    kind, ident, given = kind_of(request), request.match_info["id"], await body(request, dict)
    if not given:
        raise malformed("the body is empty; nothing to change")

    def change(conn: sqlite3.Connection) -> None:
        node = documents.get(conn, kind, ident)
        node.doc.update(fields.taken(node.kind, given))
        if "info" in given:
            node.info = fields.info_of(given)
        target = _new_parent(conn, node, given)
        if target is not None and target.id != node.parent_id:
            documents.move(conn, node, target)
        documents.save(conn, node)

    await site_of(request).db.write(change)
    return answer({"modified": 1, "jobs_spawned": 0})


def _new_parent(conn: sqlite3.Connection, node: Node, given: dict[str, Any]) -> Place | None:
    level = PARENT.get(node.kind)
    if node.kind == "session" and ("subject" in given or "project" in given):
        project = given.get("project", node.ancestors["project"])
        wanted = given.get("subject") or {"label": documents.get(conn, "subject", node.ancestors["subject"]).label}
        return _subject_of_session(conn, {"project": project, "subject": wanted})
    if level is None or level not in given:
        return None
    return documents.get(conn, level, str(given[level]))


async def delete_one(request: web.Request) -> web.Response:
    """DELETE /{kind}/{id}: the container and everything below it."""
    kind, ident = kind_of(request), request.match_info["id"]
    await site_of(request).db.write(lambda conn: documents.delete(conn, documents.get(conn, kind, ident)))
    return answer({"deleted": 1})


def delete_many_of(kind: str) -> Handler:
    """DELETE /{kind} with a list of ids."""

    async def delete_many(request: web.Request) -> web.Response:
        idents = await body(request, list)
        if not all(isinstance(ident, str) for ident in idents):
            raise malformed("the body must be a list of ids")

        def remove(conn: sqlite3.Connection) -> list[str]:
            found = [node for ident in idents if (node := documents.find(conn, ident, (kind,)))]
            for node in found:
                documents.delete(conn, node)
            return [node.id for node in found]

        gone = await site_of(request).db.write(remove)
        return answer({"deleted": len(gone), "not_found": len(set(idents) - set(gone))})

    return delete_many


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    for parents, children in _BELOW.items():
        for child in children:
            path = f"/api/{{parents:{parents}}}/{{id}}/{{kind:{child}}}"
            router.add_get(path, list_below)
    for kind in (PLURAL[level] for level in HIERARCHY):
        router.add_get(f"/api/{{kind:{kind}}}", list_all)
        router.add_post(f"/api/{{kind:{kind}}}", create)
        router.add_delete(f"/api/{{kind:{kind}}}", delete_many_of(SINGULAR[kind]))
        router.add_get(f"/api/{{kind:{kind}}}/{{id}}", get_one)
        router.add_put(f"/api/{{kind:{kind}}}/{{id}}", modify)
        router.add_delete(f"/api/{{kind:{kind}}}/{{id}}", delete_one)
    router.add_get("/api/containers/{id}", get_any)
    router.add_put("/api/{kind:containers}/{id}", modify)
    router.add_delete("/api/{kind:containers}/{id}", delete_one)
