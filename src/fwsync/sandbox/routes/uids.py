"""`POST /uids`: which DICOM UIDs are on the site already; and master subject codes."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.http import answer, body, reads
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import records
from fwsync.sandbox.store.ids import new_id

_KINDS = {"sessions": "session", "acquisitions": "acquisition"}
CODE = "master-code"


def _texts(given: dict[str, Any], name: str) -> list[str]:
    found = given.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise invalid(f"{name}: must be a list of texts")
    return found


@reads
async def check(request: web.Request) -> web.Response:
    """POST /uids {sessions[], acquisitions[], project_id?, project_ids?}: those of them that exist."""
    given = await body(request, dict)
    wanted = {plural: set(_texts(given, plural)) for plural in _KINDS}
    projects = _texts(given, "project_ids")
    if isinstance(given.get("project_id"), str):
        projects = [*projects, given["project_id"]]

    def read(conn: sqlite3.Connection) -> dict[str, list[str]]:
        return {plural: sorted(_held(conn, kind, projects) & wanted[plural]) for plural, kind in _KINDS.items()}

    return answer(await site_of(request).db.scan(read))


@reads
async def check_projects(request: web.Request) -> web.Response:
    """POST /uids/projects {sessions[], acquisitions[], project_ids[]}: the projects that hold any of them."""
    given = await body(request, dict)
    projects = _texts(given, "project_ids")
    wanted = {kind: set(_texts(given, plural)) for plural, kind in _KINDS.items()}

    def read(conn: sqlite3.Connection) -> list[str]:
        return [
            project for project in dict.fromkeys(projects)
            if any(_held(conn, kind, [project]) & uids for kind, uids in wanted.items())
        ]  # fmt: skip

    return answer({"project_ids": await site_of(request).db.scan(read)})


def _held(conn: sqlite3.Connection, kind: str, projects: list[str]) -> set[str]:
    where, values = "kind = ?", [kind]
    if projects:
        where += f" and project_id in ({','.join('?' * len(projects))})"
        values += projects
    query = f"select json_extract(doc, '$.uid') from nodes where {where}"  # noqa: S608
    return {row[0] for row in conn.execute(query, values) if row[0] is not None}


async def make_code(request: web.Request) -> web.Response:
    """POST /subjects/master-code {patient_id? | first_name, last_name, date_of_birth}: the same for the same person."""
    given = await body(request, dict)
    names = ("patient_id", "first_name", "last_name", "date_of_birth")
    if not any(isinstance(given.get(name), str) and given[name] for name in names):
        raise invalid(f"one of {', '.join(names)} is needed")
    person = {name: given.get(name) for name in names}

    def work(conn: sqlite3.Connection) -> str:
        for held in records.every(conn, CODE):
            if held["person"] == person:
                return str(held["_id"])
        return str(records.insert(conn, CODE, {"person": person}, ident=new_id()[-8:])["_id"])

    return answer({"code": await site_of(request).db.write(work)})


async def verify_code(request: web.Request) -> web.Response:
    """GET /subjects/master-code/{code}: 404 for one that was never given out."""
    code = request.match_info["code"]
    if records.find(site_of(request).db.reader, CODE, code) is None:
        raise ApiError(404, f"master subject code {code} not found")
    return answer({"code": code})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/uids", check)
    app.router.add_post("/api/uids/projects", check_projects)
    app.router.add_post("/api/subjects/master-code", make_code)
    app.router.add_get("/api/subjects/master-code/{code}", verify_code)
