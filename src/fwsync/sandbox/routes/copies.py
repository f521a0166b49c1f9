"""Copies of projects, subjects, sessions and acquisitions: done when they are answered."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes import detail
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.copying import CopyFilter, copy
from fwsync.sandbox.store.documents import SINGULAR
from fwsync.sandbox.store.ids import new_id
from fwsync.sandbox.store.node import Node

_LABELS = {"subject": "dst_subject_label", "session": "dst_session_label", "acquisition": "label"}


def _target(conn: sqlite3.Connection, node: Node, given: dict[str, Any]) -> Node:
    """The parent of the copy: what the body names, else the original's own."""
    ids = {name: given.get(f"dst_{name}_id") for name in ("project", "subject", "session")}
    if any(value is not None and not isinstance(value, str) for value in ids.values()):
        raise invalid("dst_..._id: must be texts")
    if node.kind == "acquisition":
        return documents.get(conn, "session", ids["session"] or node.ancestors["session"])
    if node.kind == "subject":
        return documents.get(conn, "project", ids["project"] or node.ancestors["project"])
    if ids["subject"]:
        return documents.get(conn, "subject", ids["subject"])
    subject = documents.get(conn, "subject", node.ancestors["subject"])
    if ids["project"] in (None, subject.parent_id):
        return subject
    project = documents.get(conn, "project", str(ids["project"]))
    found = documents.find_child(conn, "subject", project.id, subject.label)
    return found or documents.insert(conn, "subject", {"label": subject.label}, parent=project, info=subject.info)


async def container(request: web.Request) -> web.Response:
    """POST /{subjects|sessions|acquisitions}/{id}/copy: the new container; 409 where a subject has its label."""
    given, kind = await body(request, dict), SINGULAR[request.match_info["kind"]]
    ident, wanted = request.match_info["id"], CopyFilter.from_body(given.get("filter"))
    label = given.get(_LABELS[kind])
    if label is not None and (not isinstance(label, str) or not label):
        raise invalid(f"{_LABELS[kind]}: must be a text")

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        node = documents.get(conn, kind, ident)
        parent = _target(conn, node, given)
        if kind == "subject" and documents.find_child(conn, kind, parent.id, label or node.label):
            raise ApiError(409, f"subject with label {label or node.label!r} already exists in project {parent.id}")
        return detail.whole(conn, copy(conn, node, parent, wanted, label=label))

    return answer(await site_of(request).db.write(work))


async def project(request: web.Request) -> web.Response:
    """POST /projects/{id}/copy {group_id, project_label, filter?}: `{project_id, task_id, snapshot_id}`."""
    given, ident = await body(request, dict), request.match_info["id"]
    label, group_id = given.get("project_label"), given.get("group_id")
    if not isinstance(label, str) or not label or not isinstance(group_id, str):
        raise invalid("group_id and project_label are needed")
    wanted = CopyFilter.from_body(given.get("filter"))

    def work(conn: sqlite3.Connection) -> Node:
        node, group = documents.get(conn, "project", ident), documents.get(conn, "group", group_id)
        if node.doc.get("copyable") is False:
            raise ApiError(403, f"project {ident} can't be copied")
        if documents.find_child(conn, "project", group.id, label):
            raise ApiError(409, f"project with label {label!r} already exists in group {group.id}")
        return copy(conn, node, group, wanted, label=label)

    made = await site_of(request).db.write(work)
    return answer({"project_id": made.id, "task_id": new_id(), "snapshot_id": given.get("snapshot_id")})


async def delete_status(request: web.Request) -> web.Response:
    """GET /projects/{id}/delete-status: a delete is never scheduled here."""
    documents.get(site_of(request).db.reader, "project", request.match_info["id"])
    return answer({"delete_status": None, "delete_failure_reason": None})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/{kind:subjects|sessions|acquisitions}/{id}/copy", container)
    app.router.add_post("/api/projects/{id}/copy", project)
    app.router.add_get("/api/projects/{id}/delete-status", delete_status)
