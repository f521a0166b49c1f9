"""Jobs: list, get, add, change, retry, cancel; logs; statistics."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.jobs import create, lifecycle, script
from fwsync.sandbox.jobs.scheduler import scheduler_of
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes import detail
from fwsync.sandbox.routes.listing import page
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import HIERARCHY, Node


def _listed(_conn: sqlite3.Connection, nodes: list[Node], found: list[dict[str, Any]]) -> None:
    for node, document in zip(nodes, found, strict=True):
        document.clear()
        document.update(detail.job_listed(node))


async def list_all(request: web.Request) -> web.Response:
    """GET /jobs."""
    return await page(request, "job", extend=_listed)


async def list_of_project(request: web.Request) -> web.Response:
    """GET /projects/{id}/jobs."""
    project = documents.get(site_of(request).db.reader, "project", request.match_info["id"])
    return await page(request, "job", extend=_listed, where={"project_id": project.id})


async def list_of_session(request: web.Request) -> web.Response:
    """GET /sessions/{id}/jobs: `{jobs: [...]}`."""
    conn = site_of(request).db.reader
    session = documents.get(conn, "session", request.match_info["id"])
    rows = conn.execute("select * from nodes where kind = 'job' and session_id = ? order by id", (session.id,))
    return answer({"jobs": [detail.job_listed(documents.from_row(row)) for row in rows]})


async def list_of_self(request: web.Request) -> web.Response:
    """GET /users/self/jobs: `{jobs, total, stats}`, `?gear=` for one gear by name."""
    conn, gear = site_of(request).db.reader, request.query.get("gear")
    rows = conn.execute("select * from nodes where kind = 'job' order by id").fetchall()
    jobs = [detail.job_detail(documents.from_row(row)) for row in rows]  # this list has the detail form
    jobs = [job for job in jobs if gear in (None, "", (job.get("gear_info") or {}).get("name"))]
    return answer({"jobs": jobs, "total": len(jobs), "stats": lifecycle.by_state(conn)})


async def add(request: web.Request) -> web.Response:
    """POST /jobs/add {gear_id, inputs, destination, config, tags, priority}: `{_id}`."""
    given, scheduler = await body(request, dict), scheduler_of(request)

    def work(conn: sqlite3.Connection) -> Node:
        made = create.add(conn, given)
        scheduler.added(conn, made)
        return made

    made = await site_of(request).db.write(work)
    scheduler.wake()
    return answer({"_id": made.id})


def _job(conn: sqlite3.Connection, request: web.Request) -> Node:
    return documents.get(conn, "job", request.match_info["id"])


async def get_one(request: web.Request) -> web.Response:
    """GET /jobs/{id}."""
    conn = site_of(request).db.reader
    job = _job(conn, request)
    return answer({**detail.job_detail(job), "outputs": [found for _, found in _outputs(conn, job) if found]})


def _outputs(conn: sqlite3.Connection, job: Node) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    return [(reference, _file(conn, reference)) for reference in job.doc.get("output_refs") or []]


def _file(conn: sqlite3.Connection, reference: dict[str, Any]) -> dict[str, Any] | None:
    if "name" not in reference:
        return None
    try:
        return files.render(files.find(conn, reference["id"], reference["name"]))
    except ApiError:
        return None  # it was deleted since


async def get_detail(request: web.Request) -> web.Response:
    """GET /jobs/{id}/detail: with its files and the labels of what is above."""
    conn = site_of(request).db.reader
    job = _job(conn, request)
    shown = detail.job_listed(job)
    shown["config"] = (job.doc.get("config") or {}).get("config") or {}
    shown["inputs"] = {
        name: {"ref": reference, "object": _file(conn, reference)}
        for name, reference in (job.doc.get("inputs") or {}).items()
    }
    shown["outputs"] = [{"ref": reference, "object": found} for reference, found in _outputs(conn, job)]
    above = {kind: (job.doc.get("parents") or {}).get(kind) for kind in (*HIERARCHY, "analysis")}
    found = {kind: documents.find(conn, ident) for kind, ident in above.items() if ident}
    shown["parent_info"] = {kind: {"_id": node.id, "label": node.label} for kind, node in found.items() if node}
    return answer(shown)


async def get_config(request: web.Request) -> web.Response:
    """GET /jobs/{id}/config.json: what the gear would read."""
    conn = site_of(request).db.reader
    job = _job(conn, request)
    inputs = {}
    for name, reference in (job.doc.get("inputs") or {}).items():
        base = "file" if "name" in reference else "context"
        inputs[name] = {"base": base, "hierarchy": reference, "object": _file(conn, reference)}
    about = {"config": (job.doc.get("config") or {}).get("config") or {}, "inputs": inputs}
    return answer({**about, "destination": job.doc.get("destination"), "job": {"id": job.id}})


async def modify(request: web.Request) -> web.Response:
    """PUT /jobs/{id} {state | priority | failure_reason}."""
    given = await body(request, dict)

    def work(conn: sqlite3.Connection) -> None:
        job = _job(conn, request)
        if given.get("priority") is not None:
            job.doc["priority"] = create.priority(given["priority"])
        more = {"failure_reason": given["failure_reason"]} if given.get("failure_reason") is not None else {}
        lifecycle.move(conn, job, given.get("state") or job.doc["state"], **more)

    await site_of(request).db.write(work)
    scheduler_of(request).wake()
    return answer({"modified": 1})


async def retry(request: web.Request) -> web.Response:
    """POST /jobs/{id}/retry: `{_id}` of the new job; `?ignoreState=true` for any job."""
    ignore = truth(request.query.get("ignoreState"))
    made = await _changed(request, lambda conn: lifecycle.retry(conn, _job(conn, request), ignore_state=ignore))
    return answer({"_id": made.id})


async def _changed(request: web.Request, change: Callable[[sqlite3.Connection], Node]) -> Node:
    scheduler = scheduler_of(request)

    def work(conn: sqlite3.Connection) -> Node:
        made = change(conn)
        scheduler.added(conn, made)
        return made

    made = await site_of(request).db.write(work)
    scheduler.wake()
    return made


def _idents(given: dict[str, Any]) -> list[str]:
    idents = given.get("job_ids")
    if not isinstance(idents, list) or not idents or not all(isinstance(ident, str) for ident in idents):
        raise malformed("job_ids: must be a list of ids")
    return idents


async def set_priority(request: web.Request) -> web.Response:
    """PUT /jobs/priority {job_ids, priority}."""
    given = await body(request, dict)
    idents, wanted = _idents(given), create.priority(given.get("priority"))

    def work(conn: sqlite3.Connection) -> None:
        for ident in idents:
            job = documents.get(conn, "job", ident)
            if job.doc["state"] not in ("pending", "scheduled"):
                raise ApiError(409, f"job {ident} is {job.doc['state']}; its priority can't change any more")
            job.doc["priority"] = wanted
            documents.save(conn, job)

    await site_of(request).db.write(work)
    return answer({"modified": len(idents)})


async def cancel_many(request: web.Request) -> web.Response:
    """PUT /jobs/cancel/bulk {job_ids}: those that have not ended; `{modified}`."""
    idents = _idents(await body(request, dict))

    def work(conn: sqlite3.Connection) -> int:
        jobs = [documents.get(conn, "job", ident) for ident in idents]
        open_ = [job for job in jobs if job.doc["state"] not in lifecycle.FINAL]
        for job in open_:
            lifecycle.move(conn, job, "cancelled")
        return len(open_)

    return answer({"modified": await site_of(request).db.write(work)})


async def retry_many(request: web.Request) -> web.Response:
    """PUT /jobs/retry/bulk {job_ids}: those that failed or were cancelled; `{modified, job_ids}`."""
    idents, scheduler = _idents(await body(request, dict)), scheduler_of(request)

    def work(conn: sqlite3.Connection) -> list[str]:
        jobs = [documents.get(conn, "job", ident) for ident in idents]
        ended = [job for job in jobs if job.doc["state"] in ("failed", "cancelled") and not job.doc.get("retried")]
        made = [lifecycle.retry(conn, job) for job in ended]
        for job in made:
            scheduler.added(conn, job)
        return [job.id for job in made]

    made = await site_of(request).db.write(work)
    scheduler.wake()
    return answer({"modified": len(made), "job_ids": made})


async def get_logs(request: web.Request) -> web.Response:
    """GET /jobs/{id}/logs: `{_id, logs: [{fd, msg}]}`."""
    conn = site_of(request).db.reader
    job = _job(conn, request)
    held = records.find(conn, script.LOG, job.id) or {"logs": []}
    return answer({"_id": job.id, "logs": held["logs"]})


async def add_logs(request: web.Request) -> web.Response:
    """POST /jobs/{id}/logs [{fd, msg}]."""
    lines = await body(request, list)
    if not all(isinstance(one, dict) and isinstance(one.get("msg"), str) for one in lines):
        raise invalid("the body must be a list of objects with fd and msg")

    def work(conn: sqlite3.Connection) -> None:
        fds = [one["fd"] if isinstance(one.get("fd"), int) else 1 for one in lines]
        script.say(conn, _job(conn, request).id, list(zip(fds, (one["msg"] for one in lines), strict=True)))

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def stats(request: web.Request) -> web.Response:
    """GET /jobs/stats: counts by state and by gear, and how many failed with nothing after them."""
    conn = site_of(request).db.reader
    rows = conn.execute(
        "select json_extract(doc, '$.gear_info.name') as name, json_extract(doc, '$.state') as state, count(*) as n"
        " from nodes where kind = 'job' group by 1, 2"
    ).fetchall()
    gears: dict[str, dict[str, int]] = {}
    for row in rows:
        gears.setdefault(str(row["name"]), {})[str(row["state"])] = row["n"]
    states = lifecycle.by_state(conn)
    failed = lifecycle.by_state(conn, "json_extract(doc, '$.retried') is null")["failed"]
    return answer({"total": sum(states.values()), "by_state": states, "by_gear": gears, "permafailed": failed})


async def run_pending(request: web.Request) -> web.Response:
    """POST /sandbox/jobs/run, for tests: everything that is pending runs now; `{run}`."""
    return answer({"run": await scheduler_of(request).run_pending()})


async def heartbeat(request: web.Request) -> web.Response:
    """PUT /jobs/{id}/heartbeat."""

    def work(conn: sqlite3.Connection) -> None:
        job = _job(conn, request)
        job.doc["heartbeat"] = now()
        documents.save(conn, job)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_get("/api/jobs", list_all)
    router.add_post("/api/jobs/add", add)
    router.add_get("/api/jobs/stats", stats)
    router.add_put("/api/jobs/priority", set_priority)
    router.add_put("/api/jobs/cancel/bulk", cancel_many)
    router.add_put("/api/jobs/retry/bulk", retry_many)
    router.add_get("/api/jobs/{id}", get_one)
    router.add_put("/api/jobs/{id}", modify)
    router.add_get("/api/jobs/{id}/detail", get_detail)
    router.add_get("/api/jobs/{id}/config.json", get_config)
    router.add_post("/api/jobs/{id}/retry", retry)
    router.add_get("/api/jobs/{id}/logs", get_logs)
    router.add_post("/api/jobs/{id}/logs", add_logs)
    router.add_put("/api/jobs/{id}/heartbeat", heartbeat)
    router.add_get("/api/sessions/{id}/jobs", list_of_session)
    router.add_get("/api/projects/{id}/jobs", list_of_project)
    router.add_get("/api/users/self/jobs", list_of_self)
    router.add_post("/sandbox/jobs/run", run_pending)
