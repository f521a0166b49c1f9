"""Project templates, and whether sessions satisfy them: `satisfies_template` is set by `recalc` alone.

A template asks for a session label and for acquisitions by label (regular expressions, found anywhere), each at least
`minimum` times, with at least `minimum` files whose classification holds a value. One of the templates must fit.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.query.patterns import pattern
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import COLUMNS
from fwsync.sandbox.store.node import Node


def _checked(given: dict[str, Any]) -> list[dict[str, Any]]:
    held = given.get("templates") if "templates" in given else [given]
    if not isinstance(held, list) or not held:
        raise invalid("templates: must be a list, and not empty")
    for one in held:
        session = one.get("session") or {} if isinstance(one, dict) else None
        wanted = one.get("acquisitions") or [] if isinstance(one, dict) else None
        if not isinstance(session, dict) or not isinstance(wanted, list):
            raise invalid("a template must be an object with session and acquisitions")
        _label(session, "session.label")
        for acquisition in wanted:
            if not isinstance(acquisition, dict) or not isinstance(acquisition.get("files") or [], list):
                raise invalid("acquisitions: each must be an object with label, minimum and files")
            _label(acquisition, "acquisitions.label")
            _minimum(acquisition)
            for file in acquisition.get("files") or []:
                if not isinstance(file, dict):
                    raise invalid("files: each must be an object with minimum and classification")
                _minimum(file)
    return held


def _label(given: dict[str, Any], where: str) -> None:
    label = given.get("label")
    if label is not None:
        if not isinstance(label, str):
            raise invalid(f"{where}: must be a text")
        pattern(label, where)


def _minimum(given: dict[str, Any]) -> int:
    minimum = given.get("minimum")
    if minimum is not None and (not isinstance(minimum, int) or isinstance(minimum, bool) or minimum < 0):
        raise invalid("minimum: must be a whole number")
    return 1 if minimum is None else int(minimum)


async def put(request: web.Request) -> web.Response:
    """POST /projects/{id}/template: one template, or `{templates: [...]}`."""
    held, ident = _checked(await body(request, dict)), request.match_info["id"]
    await _set(request, ident, held)
    return answer({"modified": 1})


async def delete(request: web.Request) -> web.Response:
    """DELETE /projects/{id}/template."""
    await _set(request, request.match_info["id"], [])
    return answer({"deleted": 1})


async def _set(request: web.Request, ident: str, templates: list[dict[str, Any]]) -> None:
    def work(conn: sqlite3.Connection) -> None:
        project = documents.get(conn, "project", ident)
        project.doc["templates"] = templates
        documents.save(conn, project)

    await site_of(request).db.write(work)


async def recalc(request: web.Request) -> web.Response:
    """POST /projects/{id}/recalc or /projects/recalc: `{sessions_changed}`."""
    ident = request.match_info.get("id")

    def work(conn: sqlite3.Connection) -> list[str]:
        if ident:
            return _recalculated(conn, documents.get(conn, "project", ident))
        rows = conn.execute(f"select {COLUMNS} from nodes where kind = 'project' order by id").fetchall()  # noqa: S608
        return [changed for row in rows for changed in _recalculated(conn, documents.from_row(row))]

    return answer({"sessions_changed": await site_of(request).db.write(work)})


def _recalculated(conn: sqlite3.Connection, project: Node) -> list[str]:
    templates = project.doc.get("templates") or []
    changed = []
    for session in _nodes(conn, "session", "project_id", project.id):
        fits = any(_fits(conn, session, one) for one in templates) if templates else None
        new = {"project_has_template": bool(templates), "satisfies_template": fits}
        held: dict[str, Any] = {"project_has_template": bool(session.doc.get("project_has_template"))}
        held["satisfies_template"] = session.doc.get("satisfies_template")
        if held != new:
            session.doc.update(new)
            documents.save(conn, session)
            changed.append(session.id)
    return changed


def _nodes(conn: sqlite3.Connection, kind: str, column: str, ident: str) -> list[Node]:
    query = f"select {COLUMNS} from nodes where kind = ? and {column} = ? order by id"  # noqa: S608
    return [documents.from_row(row) for row in conn.execute(query, (kind, ident)).fetchall()]


def _fits(conn: sqlite3.Connection, session: Node, template: dict[str, Any]) -> bool:
    label = (template.get("session") or {}).get("label")
    if label and not pattern(label, "session.label").search(session.label):
        return False
    scans = documents.render_many(conn, _nodes(conn, "acquisition", "session_id", session.id), info=False)
    return all(_enough(wanted, scans) for wanted in template.get("acquisitions") or [])


def _enough(wanted: dict[str, Any], scans: list[dict[str, Any]]) -> bool:
    label = pattern(wanted.get("label") or "", "acquisitions.label")
    found = [scan for scan in scans if label.search(str(scan.get("label") or ""))]
    found = [scan for scan in found if all(_has_files(file, scan) for file in wanted.get("files") or [])]
    return len(found) >= _minimum(wanted)


def _has_files(wanted: dict[str, Any], scan: dict[str, Any]) -> bool:
    value = wanted.get("classification")
    held = [
        file for file in scan.get("files") or []
        if value is None or any(value in values for values in (file.get("classification") or {}).values())
    ]  # fmt: skip
    return len(held) >= _minimum(wanted)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/projects/{id}/template", put)
    app.router.add_delete("/api/projects/{id}/template", delete)
    app.router.add_post("/api/projects/recalc", recalc)
    app.router.add_post("/api/projects/{id}/recalc", recalc)
