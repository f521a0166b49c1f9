"""Changes to many containers at once: tags, moves."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes.tags import texts
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import CONTAINERS, SINGULAR
from fwsync.sandbox.store.node import Node

_MODES = ("skip", "move", "dry")
_TARGETS = {"sessions": ("projects", "subjects"), "subjects": ("projects",), "acquisitions": ("sessions",)}
"""What may move, and into what."""


def _references(given: dict[str, Any]) -> list[str]:
    found = given.get("containers")
    if not isinstance(found, list) or not found:
        raise malformed("containers: must be a list of ids or references, and not empty")
    idents = [(one.get("id") or one.get("_id")) if isinstance(one, dict) else one for one in found]
    if not all(isinstance(ident, str) for ident in idents):
        raise malformed("containers: each must be an id, or an object with type and id")
    return [str(ident) for ident in idents]


async def _tags(request: web.Request, *, add: bool) -> web.Response:
    given = await body(request, dict)
    idents, tags = _references(given), given.get("tags")
    if not isinstance(tags, list) or not tags:
        raise malformed("tags: must be a list, and not empty")
    tags = texts(tags)

    def changed(held: list[str]) -> list[str]:
        return list(dict.fromkeys([*held, *tags])) if add else [tag for tag in held if tag not in tags]

    def work(conn: sqlite3.Connection) -> int:
        for ident in idents:
            node = documents.find(conn, ident, CONTAINERS)
            if node is not None:
                node.doc["tags"] = changed(node.doc.get("tags") or [])
                documents.save(conn, node)
            else:
                row = files.by_id(conn, ident)
                row.doc["tags"] = changed(row.doc.get("tags") or [])
                files.save(conn, row)
        return len(idents)

    return answer({"modified": await site_of(request).db.write(work)})


async def add_tags(request: web.Request) -> web.Response:
    """POST /bulk/add/tags {containers, tags}: to containers and files; all or, on an unknown id (404), none."""
    return await _tags(request, add=True)


async def remove_tags(request: web.Request) -> web.Response:
    """POST /bulk/remove/tags {containers, tags}."""
    return await _tags(request, add=False)


def _ids(given: dict[str, Any], name: str) -> list[str]:
    found = given.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(ident, str) for ident in found):
        raise malformed(f"{name}: must be a list of ids, and not empty")
    return found


async def move(request: web.Request) -> web.Response:
    """POST /bulk/move/{sessions|subjects|acquisitions}: the conflicts, a list that is empty when all is well.

    One destination takes all; as many as there are sources take one each. A conflict is a label that is taken at the
    destination: `skip` leaves those where they are, `move` moves them all the same, `dry` moves nothing at all; without
    a mode nothing moves if there is any conflict.
    """
    given, plural = await body(request, dict), request.match_info["kind"]
    sources, destinations = _ids(given, "sources"), _ids(given, "destinations")
    into, mode = given.get("destination_container_type"), given.get("conflict_mode")
    into = into if not isinstance(into, str) or into.endswith("s") else f"{into}s"
    if into not in _TARGETS[plural]:
        raise invalid(f"destination_container_type: {plural} move into {' or '.join(_TARGETS[plural])}")
    if mode is not None and mode not in _MODES:
        raise invalid(f"conflict_mode: {mode!r} is not one of {', '.join(_MODES)}")
    if len(destinations) not in (1, len(sources)):
        raise invalid("destinations: must be one, or as many as there are sources")
    pairs = list(zip(sources, destinations * len(sources) if len(destinations) == 1 else destinations, strict=True))

    def work(conn: sqlite3.Connection) -> list[dict[str, Any]]:
        plan = [_planned(conn, plural, str(into), *pair) for pair in pairs]
        conflicts = [_conflict(node, held) for node, _, held in plan if held is not None]
        if mode == "dry" or (conflicts and mode is None):
            return conflicts
        for node, target, held in plan:
            if held is None or mode == "move":
                _move(conn, node, target)
        return conflicts

    return answer(await site_of(request).db.write(work))


def _planned(
    conn: sqlite3.Connection, plural: str, into: str, source: str, destination: str
) -> tuple[Node, Node, Node | None]:
    """(what moves, where to, what is there already under its label)."""
    node, target = documents.get(conn, SINGULAR[plural], source), documents.get(conn, SINGULAR[into], destination)
    parent: Node | None = target
    if node.kind == "session" and target.kind == "project":
        subject = documents.get(conn, "subject", node.ancestors["subject"])
        parent = documents.find_child(conn, "subject", target.id, subject.label)
    held = documents.find_child(conn, node.kind, parent.id, node.label) if parent else None
    return node, target, held if held is not None and held.id != node.id else None


def _conflict(node: Node, held: Node) -> dict[str, Any]:
    reference = {"type": held.kind, "id": held.id}
    return {"id": node.id, "move_type": [node.kind], "label": node.label, "conflict_with": reference,
            "conflict_label": held.label, "subject_code": None}  # fmt: skip


def _move(conn: sqlite3.Connection, node: Node, target: Node) -> None:
    if node.kind == "session" and target.kind == "project":
        subject = documents.get(conn, "subject", node.ancestors["subject"])
        if subject.ancestors["project"] == target.id:
            return
        found = documents.find_child(conn, "subject", target.id, subject.label)
        if found is None:  # the subject comes along as a copy; its other sessions stay with the old one
            kept = {
                name: value for name, value in subject.doc.items() if name not in ("created", "modified", "revision")
            }
            found = documents.insert(conn, "subject", kept, parent=target, info=subject.info)
        target = found
    if node.kind == "subject" and target.id == node.parent_id:
        return
    if target.kind not in ("project", "subject", "session"):
        raise ApiError(422, f"nothing moves into a {target.kind}")
    documents.move(conn, node, target)
    documents.save(conn, node)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/bulk/add/tags", add_tags)
    app.router.add_post("/api/bulk/remove/tags", remove_tags)
    app.router.add_post("/api/bulk/move/{kind:sessions|subjects|acquisitions}", move)
