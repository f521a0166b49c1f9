"""Batches: propose jobs for many containers, run them, cancel them.

Targets of any level are expanded to acquisitions, and each whose files fit the gear's inputs becomes one job. An
analysis gear runs on the acquisition's session.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid, not_found
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.jobs import create, lifecycle, matching
from fwsync.sandbox.jobs.scheduler import scheduler_of
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes import detail
from fwsync.sandbox.routes.paging import page_of_list
from fwsync.sandbox.site import USER, site_of
from fwsync.sandbox.store import documents, members, records
from fwsync.sandbox.store.documents import LEVEL_COLUMNS
from fwsync.sandbox.store.node import HIERARCHY, Node

KIND = "batch"
_ORIGIN = {"type": "user", "id": USER}


def _acquisitions(conn: sqlite3.Connection, target: Any) -> list[Node]:
    ident = target.get("id") if isinstance(target, dict) else None
    found = documents.find(conn, ident, (*HIERARCHY, "collection")) if isinstance(ident, str) else None
    if found is None:
        raise not_found("target", str(ident))
    if found.kind == "acquisition":
        return [found]
    where, values = f"kind = 'acquisition' and {LEVEL_COLUMNS.get(found.kind)} = ?", [found.id]
    if found.kind == "collection":
        where = f"id in ({members.IDS})"
    rows = conn.execute(f"select * from nodes where {where} order by id", values)  # noqa: S608
    return [documents.from_row(row) for row in rows]


async def propose(request: web.Request) -> web.Response:
    """POST /batch {gear_id, targets, config, tags, analysis?, optional_input_policy, priority}: a proposal."""
    given = await body(request, dict)
    targets, policy = given.get("targets"), given.get("optional_input_policy") or "ignored"
    if not isinstance(targets, list) or not targets:
        raise invalid("targets: must be a list of references, and not empty")
    if policy not in matching.POLICIES:
        raise invalid(f"optional_input_policy: {policy!r} is not one of {', '.join(matching.POLICIES)}")

    _check(given)

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        gear = documents.get(conn, "gear", str(given.get("gear_id")))
        scans = {node.id: node for target in targets for node in _acquisitions(conn, target)}
        found: dict[str, list[dict[str, Any]]] = {"matched": [], "ambiguous": [], "not_matched": []}
        for document in documents.render_many(conn, list(scans.values()), info=False):
            verdict, inputs = matching.match(gear, document.pop("files"), policy)
            found[verdict].append({**document, "inputs": inputs} if verdict == "matched" else document)
        about = {name: given.get(name) for name in ("config", "tags", "analysis", "priority")}
        document = {
            "gear_id": gear.id,
            "state": "pending",
            "origin": _ORIGIN,
            "config": given.get("config") or {},
            "optional_input_policy": policy,
            "jobs": [],
            "proposal": {**about, "chosen": [[one["_id"], one["inputs"]] for one in found["matched"]]},
        }
        made = records.insert(conn, KIND, document)
        return {**_shown(made), **found, "improper_permissions": []}

    return answer(await site_of(request).db.write(work))


def _check(given: dict[str, Any]) -> None:
    create.priority(given.get("priority"))
    create.texts(given.get("tags"))
    for name in ("config", "analysis"):
        if given.get(name) is not None and not isinstance(given[name], dict):
            raise invalid(f"{name}: must be an object")


def _shown(document: dict[str, Any]) -> dict[str, Any]:
    premade = "preconstructed_jobs" in (document.get("proposal") or {})
    return {name: value for name, value in document.items() if name != "proposal" or premade}


async def from_jobs(request: web.Request) -> web.Response:
    """POST /batch/jobs {jobs: [...]}: a proposal of ready-made jobs."""
    given = (await body(request, dict)).get("jobs")
    if not isinstance(given, list) or not given or not all(isinstance(one, dict) for one in given):
        raise invalid("jobs: must be a list of jobs, and not empty")

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        for one in given:
            gear = documents.get(conn, "gear", str(one.get("gear_id")))
            create.checked_inputs(conn, gear, one.get("inputs"))
        document = {"state": "pending", "origin": _ORIGIN, "jobs": [], "proposal": {"preconstructed_jobs": given}}
        return records.insert(conn, KIND, document)

    return answer(await site_of(request).db.write(work))


async def run(request: web.Request) -> web.Response:
    """POST /batch/{id}/run: the jobs; 409 unless the batch is pending."""
    ident, scheduler = request.match_info["id"], scheduler_of(request)

    def work(conn: sqlite3.Connection) -> list[dict[str, Any]]:
        batch = records.get(conn, KIND, ident)
        if batch["state"] != "pending":
            raise ApiError(409, f"batch {ident} is {batch['state']}; only a pending one can run")
        made = _premade(conn, batch) if "preconstructed_jobs" in batch["proposal"] else _matched(conn, batch)
        batch.update(state="running", jobs=[job.id for job in made])
        records.save(conn, KIND, batch)
        for job in made:
            scheduler.added(conn, job)
        return [detail.job_detail(job) for job in made]

    made = await site_of(request).db.write(work)
    scheduler.wake()
    return answer(made)


def _premade(conn: sqlite3.Connection, batch: dict[str, Any]) -> list[Node]:
    return [create.add(conn, one, batch=batch["_id"]) for one in batch["proposal"]["preconstructed_jobs"]]


def _matched(conn: sqlite3.Connection, batch: dict[str, Any]) -> list[Node]:
    about, made = batch["proposal"], []
    tags = list(dict.fromkeys([*(about["tags"] or []), "batch"]))
    for ident, inputs in about["chosen"]:
        scan = documents.find(conn, ident, ("acquisition",))
        if scan is None:
            continue  # deleted since the proposal
        given = {"gear_id": batch["gear_id"], "inputs": inputs, "config": batch["config"], "tags": tags}
        given["priority"] = about["priority"]
        if about["analysis"] is None:
            destination = {"type": "acquisition", "id": scan.id}
            made.append(create.add(conn, {**given, "destination": destination}, batch=batch["_id"]))
        else:
            session = documents.get(conn, "session", scan.ancestors["session"])
            label = str(about["analysis"].get("label") or "batch") if isinstance(about["analysis"], dict) else "batch"
            analysis = documents.insert(conn, "analysis", {"label": label}, parent=session)
            made.append(create.add(conn, given, analysis=analysis, batch=batch["_id"]))
    return made


def _with_state(conn: sqlite3.Connection, batch: dict[str, Any], *, jobs: bool = False) -> dict[str, Any]:
    """A batch ends with its jobs: complete if all are (counting retries), failed if any failed for good."""
    held = [job for ident in batch.get("jobs") or [] if (job := documents.find(conn, ident, ("job",)))]
    states = {str(job.doc["state"]) for job in held if not job.doc.get("retried")}
    if batch["state"] == "running" and states and states <= set(lifecycle.FINAL):
        batch = {**batch, "state": "failed" if "failed" in states else "complete"}
    shown = _shown(batch)
    return {**shown, "jobs": [detail.job_detail(job) for job in held]} if jobs else shown


async def list_all(request: web.Request) -> web.Response:
    """GET /batch."""
    conn = site_of(request).db.reader
    return await page_of_list(request, [_with_state(conn, one) for one in records.every(conn, KIND)])


async def get_one(request: web.Request) -> web.Response:
    """GET /batch/{id}, `?jobs=true` for the jobs themselves."""
    conn = site_of(request).db.reader
    batch = records.get(conn, KIND, request.match_info["id"])
    return answer(_with_state(conn, batch, jobs=truth(request.query.get("jobs"))))


async def cancel(request: web.Request) -> web.Response:
    """POST /batch/{id}/cancel: the jobs that have not started; `{number_cancelled}`."""
    ident = request.match_info["id"]

    def work(conn: sqlite3.Connection) -> int:
        batch = records.get(conn, KIND, ident)
        if batch["state"] != "running":
            raise ApiError(409, f"batch {ident} is {batch['state']}; only a running one can be cancelled")
        jobs = [job for one in batch["jobs"] if (job := documents.find(conn, one, ("job",)))]
        waiting = [job for job in jobs if job.doc["state"] == "pending"]
        for job in waiting:
            lifecycle.move(conn, job, "cancelled")
        batch["state"] = "cancelled"
        records.save(conn, KIND, batch)
        return len(waiting)

    return answer({"number_cancelled": await site_of(request).db.write(work)})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_get("/api/batch", list_all)
    router.add_post("/api/batch", propose)
    router.add_post("/api/batch/jobs", from_jobs)
    router.add_get("/api/batch/{id}", get_one)
    router.add_post("/api/batch/{id}/run", run)
    router.add_post("/api/batch/{id}/cancel", cancel)
