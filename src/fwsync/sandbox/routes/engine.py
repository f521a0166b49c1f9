"""The engine's side of jobs: take the next one, report on it, complete it; tests play the engine with these."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.http import answer, body, changes
from fwsync.sandbox.jobs import lifecycle, script
from fwsync.sandbox.jobs.scheduler import pending, scheduler_of
from fwsync.sandbox.routes import detail
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.ids import new_id
from fwsync.sandbox.store.node import Node


@changes
async def take_next(request: web.Request) -> web.Response:
    """GET /jobs/next (`?tags=`): the most urgent pending job, now running; 400 when there is none."""
    tags = set(request.query.getall("tags", []))

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        for job in pending(conn):
            if not tags or tags & set(job.doc.get("job_tags") or []):
                script.start(conn, job)
                return detail.job_detail(job)
        raise ApiError(400, "no jobs to process")

    return answer(await site_of(request).db.write(work))


def _matches(job: Node, wanted: Any, *, otherwise: bool) -> bool:
    """Whether a job is in a list of an ask: by gear name, group, project or tag."""
    if not isinstance(wanted, dict) or not any(wanted.values()):
        return otherwise
    parents = job.doc.get("parents") or {}
    held = {
        "gear-name": [job.doc["gear_info"]["name"]],
        "group": [parents.get("group")],
        "project": [parents.get("project")],
        "tag": job.doc.get("job_tags") or [],
    }
    lists = {name: values for name, values in wanted.items() if isinstance(values, list)}
    return all(any(value in held.get(name, ()) for value in values) for name, values in lists.items())


async def ask(request: web.Request) -> web.Response:
    """POST /jobs/ask {whitelist, blacklist, return: {jobs, states}}: jobs to run, and counts by state."""
    given = await body(request, dict)
    wanted = given.get("return") or {}
    count = wanted.get("jobs") or 0 if isinstance(wanted, dict) else None
    if not isinstance(count, int):
        raise invalid("return.jobs: must be a whole number")

    def work(conn: sqlite3.Connection) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for job in pending(conn):
            taken = _matches(job, given.get("whitelist"), otherwise=True)
            if len(found) < count and taken and not _matches(job, given.get("blacklist"), otherwise=False):
                script.start(conn, job)
                found.append(detail.job_detail(job))
        return found

    jobs = await site_of(request).db.write(work)
    return answer({"jobs": jobs, "states": lifecycle.by_state(site_of(request).db.reader)})


async def ask_state(request: web.Request) -> web.Response:
    """POST /jobs/ask/{state}: how many jobs are in that state."""
    await body(request, dict, optional=True)
    state = request.match_info["state"]
    if state not in lifecycle.STATES:
        raise invalid(f"state: {state!r} is not one of {', '.join(lifecycle.STATES)}")
    return answer({"count": lifecycle.by_state(site_of(request).db.reader)[state]})


async def prepare(request: web.Request) -> web.Response:
    """POST or PUT /jobs/{id}/prepare-complete: a ticket for the completion."""
    documents.get(site_of(request).db.reader, "job", request.match_info["id"])
    return answer({"ticket": new_id()})


async def complete(request: web.Request) -> web.Response:
    """POST or PUT /jobs/{id}/complete {success, failure_reason?}: its end; what is on its analysis are its outputs."""
    given = await body(request, dict, optional=True)
    success = given.get("success", True)
    if not isinstance(success, bool):
        raise invalid("success: must be true or false")

    def work(conn: sqlite3.Connection) -> None:
        job = documents.get(conn, "job", request.match_info["id"])
        if not success:
            lifecycle.move(conn, job, "failed", failure_reason=given.get("failure_reason") or "gear_failure")
            return
        held = files.of_parents(conn, [str(job.parent_id)], info=False).get(str(job.parent_id), [])
        mine = held if job.doc["destination"]["type"] == "analysis" else []
        references = [{**file["parent_ref"], "name": file["name"]} for file in mine]
        lifecycle.move(conn, job, "complete", saved_files=[file["name"] for file in mine], output_refs=references)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def profile(request: web.Request) -> web.Response:
    """PUT /jobs/{id}/profile: figures about the run."""
    given = await body(request, dict)
    for name, value in given.items():
        right = isinstance(value, dict) if name in ("versions", "executor") else isinstance(value, int)
        if value is not None and (not right or (isinstance(value, int) and abs(value) >= 2**53)):
            raise invalid(f"{name}: must be {'an object' if name in ('versions', 'executor') else 'a whole number'}")

    def work(conn: sqlite3.Connection) -> None:
        job = documents.get(conn, "job", request.match_info["id"])
        job.doc["profile"] = {**(job.doc.get("profile") or {}), **given}
        documents.save(conn, job)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def reap(request: web.Request) -> web.Response:
    """POST /jobs/reap: nothing is ever orphaned here."""
    scheduler_of(request).wake()
    return answer({"orphaned": 0})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_get("/api/jobs/next", take_next)
    router.add_post("/api/jobs/ask", ask)
    router.add_post("/api/jobs/ask/{state}", ask_state)
    router.add_post("/api/jobs/reap", reap)
    router.add_put("/api/jobs/{id}/profile", profile)
    for method in ("POST", "PUT"):
        router.add_route(method, "/api/jobs/{id}/prepare-complete", prepare)
        router.add_route(method, "/api/jobs/{id}/complete", complete)
