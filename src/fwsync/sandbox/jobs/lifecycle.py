"""How a job moves: pending > scheduled > running > complete or failed; cancelled from any state before the end."""

from __future__ import annotations

import sqlite3
from typing import Any

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.jobs import create
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import Node

STATES = ("pending", "scheduled", "running", "failed", "complete", "cancelled")
FINAL = ("failed", "complete", "cancelled")


def move(conn: sqlite3.Connection, job: Node, state: str, **more: Any) -> None:
    """Put a job into a state; 422 on an unknown one, 409 when it has ended already (the same state again is fine)."""
    if state not in STATES:
        raise invalid(f"state: {state!r} is not one of {', '.join(STATES)}")
    if not isinstance(more.get("failure_reason"), (str, type(None))):
        raise invalid("failure_reason: must be a text")
    held = job.doc.get("state")
    if held in FINAL and held != state:
        raise ApiError(409, f"job {job.id} is {held} and can't become {state}")
    if held != state:
        job.doc["state"] = state
        job.doc["transitions"] = {**(job.doc.get("transitions") or {}), state: now()}
    job.doc.update(more)
    documents.save(conn, job)


def retry(conn: sqlite3.Connection, job: Node, *, ignore_state: bool = False) -> Node:
    """A new pending job in place of one that failed or was cancelled; its analysis moves on to it."""
    if job.doc.get("state") not in ("failed", "cancelled") and not ignore_state:
        raise ApiError(409, f"job {job.id} is {job.doc.get('state')}; only failed and cancelled jobs are tried again")
    if job.doc.get("retried"):
        raise ApiError(409, f"job {job.id} was tried again already")
    parent = documents.find(conn, str(job.parent_id))
    if parent is None:
        raise ApiError(404, f"the destination of job {job.id} was deleted")
    copied = {name: job.doc.get(name) for name in ("gear_id", "inputs", "priority")}
    given = {**copied, "config": (job.doc.get("config") or {}).get("config"), "tags": job.doc.get("job_tags")}
    more: dict[str, Any] = {
        "attempt": int(job.doc.get("attempt") or 1) + 1,
        "previous_job_id": job.id,
        "original_job_id": job.doc.get("original_job_id") or job.id,
        "batch": job.doc.get("batch"),
    }
    if parent.kind == "analysis":
        made = create.add(conn, given, analysis=parent, **more)
    else:
        made = create.add(conn, {**given, "destination": {"id": parent.id}}, **more)
    job.doc["retried"] = now()
    documents.save(conn, job)
    return made


def by_state(conn: sqlite3.Connection, where: str = "1", values: tuple[str, ...] = ()) -> dict[str, int]:
    """How many jobs are in each state."""
    rows = conn.execute(
        "select json_extract(doc, '$.state') as state, count(*) as n from nodes"  # noqa: S608
        f" where kind = 'job' and {where} group by 1",
        values,
    )
    return {**dict.fromkeys(STATES, 0), **{row["state"]: row["n"] for row in rows if row["state"] in STATES}}
