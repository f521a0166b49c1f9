"""`POST /lookup` and `POST /resolve`: a path of labels to containers, files, analyses and gears."""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.http import answer, body, reads
from fwsync.sandbox.routes import detail, gears
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.node import HIERARCHY, Node

_BY_ID = re.compile(r"<id:([^<>]+)>\Z")
Step = Node | files.FileRow


def _walk(conn: sqlite3.Connection, path: list[str]) -> tuple[list[Step], str]:
    """The nodes along a path, and a literal `files` or `analyses` at its end; 404 where a segment leads nowhere."""
    steps: list[Step] = []
    literal = ""
    for segment in path:
        at = steps[-1] if steps else None
        if isinstance(at, files.FileRow):
            raise ApiError(404, f"{segment!r}: a file has nothing below it")
        if not literal and at is not None and segment in ("files", "analyses") and _child(conn, at, segment) is None:
            literal = segment
            continue
        found = _named(conn, at, segment, literal)
        if found is None:
            raise ApiError(404, f"no {segment!r} in {at.label if at else 'this site'}")
        steps.append(found)
        literal = ""
    return steps, literal


def _named(conn: sqlite3.Connection, at: Node | None, segment: str, literal: str) -> Step | None:
    by_id = _BY_ID.match(segment)
    if at is None:
        node = documents.find(conn, by_id.group(1) if by_id else segment, HIERARCHY if by_id else ("group",))
        return node if node is None or by_id or node.kind == "group" else None
    if literal == "files":
        return _file(conn, at, segment, by_id)
    if literal == "analyses":
        if by_id:
            found = documents.find(conn, by_id.group(1), ("analysis",))
            return found if found and found.parent_id == at.id else None
        return documents.find_child(conn, "analysis", at.id, segment)
    if by_id:
        found = documents.find(conn, by_id.group(1), HIERARCHY)
        return found if found and at.lineage.items() <= found.lineage.items() and found.id != at.id else None
    return _child(conn, at, segment) or _file(conn, at, segment, None)


def _child(conn: sqlite3.Connection, at: Node, label: str) -> Node | None:
    position = HIERARCHY.index(at.kind) if at.kind in HIERARCHY else len(HIERARCHY)
    if position + 1 >= len(HIERARCHY):
        return None
    return documents.find_child(conn, HIERARCHY[position + 1], at.id, label)


def _file(conn: sqlite3.Connection, at: Node, name: str, by_id: re.Match[str] | None) -> files.FileRow | None:
    try:
        found = files.by_id(conn, by_id.group(1)) if by_id else files.find(conn, at.id, name)
    except ApiError:
        return None
    return found if found.parent_id == at.id else None


def _shown(conn: sqlite3.Connection, step: Step) -> dict[str, Any]:
    if isinstance(step, files.FileRow):
        return {**files.render(step), "container_type": "file", "node_type": "file"}
    return {**detail.whole(conn, step), "container_type": step.kind, "node_type": step.kind}


def _short(conn: sqlite3.Connection, node: Node) -> dict[str, Any]:
    document = documents.render_many(conn, [node], info=False)[0]
    return {**document, "container_type": node.kind, "node_type": node.kind}


async def _path(request: web.Request) -> list[str]:
    path = (await body(request, dict)).get("path")
    if not isinstance(path, list) or not all(isinstance(part, str) for part in path):
        raise malformed("path: must be a list of texts")
    return [] if path == [""] else path


@reads
async def lookup(request: web.Request) -> web.Response:
    """POST /lookup {path}: the one node that the path leads to."""
    path, conn = await _path(request), site_of(request).db.reader
    if path[:1] == ["gears"]:
        gear = gears.newest(conn, path[1] if len(path) > 1 else "")
        return answer({**documents.render(gear), "container_type": "gear", "node_type": "gear"})
    if not path:
        raise ApiError(404, "the path is empty")
    return answer(_shown(conn, _walk(conn, path)[0][-1]))


@reads
async def resolve(request: web.Request) -> web.Response:
    """POST /resolve {path}: every node on the way, and the children of the last."""
    path, conn = await _path(request), site_of(request).db.reader
    if path[:1] == ["gears"]:
        return answer(_resolve_gears(conn, path))
    steps, literal = _walk(conn, path)
    shown = [_short(conn, step) if isinstance(step, Node) else _shown(conn, step) for step in steps]
    last = steps[-1] if steps else None
    children = [] if isinstance(last, files.FileRow) else _children(conn, last)
    if literal:
        kind = "file" if literal == "files" else "analysis"
        children = [child for child in children if child["container_type"] == kind]
    return answer({"path": shown, "children": children})


def _resolve_gears(conn: sqlite3.Connection, path: list[str]) -> dict[str, Any]:
    chosen = [gears.newest(conn, path[1])] if len(path) > 1 else gears.newest_of_each(conn)
    nodes = [{**documents.render(gear), "container_type": "gear", "node_type": "gear"} for gear in chosen]
    return {"path": nodes, "children": []} if len(path) > 1 else {"path": [], "children": nodes}


def _children(conn: sqlite3.Connection, node: Node | None) -> list[dict[str, Any]]:
    if node is None:
        rows = conn.execute("select * from nodes where kind = 'group' order by id").fetchall()
    else:
        rows = conn.execute(
            "select * from nodes where parent_id = ? and kind != 'job' order by kind, id", (node.id,)
        ).fetchall()
    found = [_short(conn, documents.from_row(row)) for row in rows]
    held = files.of_parents(conn, [node.id], info=False).get(node.id, []) if node else []
    return found + [{**entry, "container_type": "file", "node_type": "file"} for entry in held]


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/lookup", lookup)
    app.router.add_post("/api/resolve", resolve)
