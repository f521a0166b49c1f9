"""The scripted gear: what "running" a job means in a sandbox.

Every gear writes one output, `<gear>.json`, with its configuration and inputs. A gear's manifest may say more under
`custom.sandbox`:

    {"outputs": {"name": "text", ...}, "state": "complete" | "failed", "log": ["line", ...], "info": {...}}

Outputs replace the default one; `info` goes onto each of them. A job fails where a required input is missing, where
the script says `failed`, or where one of its tags is `sandbox:fail` (`sandbox:fail-once`: at the first attempt only).
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

from fwsync.sandbox.jobs import lifecycle
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.blobs import BlobStore
from fwsync.sandbox.store.node import Node

FAIL, FAIL_ONCE = "sandbox:fail", "sandbox:fail-once"
LOG = "job-log"


def start(conn: sqlite3.Connection, job: Node) -> None:
    """Pending to running."""
    lifecycle.move(conn, job, "running")
    say(conn, job.id, [(1, f"{job.doc['gear_info']['name']} {job.doc['gear_info']['version']} starts\n")])


def finish(conn: sqlite3.Connection, blobs: BlobStore, job: Node) -> None:
    """Running to complete, with outputs on the destination, or to failed."""
    gear = documents.find(conn, job.doc["gear_id"], ("gear",))
    script = _script(gear)
    say(conn, job.id, [(1, f"{line}\n") for line in _lines(script)])
    problem = _problem(gear, job, script)
    destination = documents.find(conn, str(job.parent_id))
    if problem or destination is None:
        say(conn, job.id, [(2, f"{problem or 'the destination was deleted'}\n")])
        lifecycle.move(conn, job, "failed", failure_reason="gear_failure")
        return
    saved = [_output(conn, blobs, destination, job, name, text, script) for name, text in _outputs(job, script)]
    say(conn, job.id, [(1, f"wrote {row.name}\n") for row in saved])
    references = [{"type": destination.kind, "id": destination.id, "name": row.name} for row in saved]
    profile = {"total_output_files": len(saved), "total_output_size_bytes": sum(row.size for row in saved)}
    lifecycle.move(
        conn, job, "complete", saved_files=[row.name for row in saved], output_refs=references, profile=profile
    )


def say(conn: sqlite3.Connection, job_id: str, lines: list[tuple[int, str]]) -> None:
    """Add lines to a job's log: 1 is standard output, 2 is standard error."""
    held = records.find(conn, LOG, job_id)
    new = [{"fd": fd, "msg": text} for fd, text in lines]
    if held is None:
        records.insert(conn, LOG, {"logs": new}, parent=job_id, ident=job_id)
    else:
        held["logs"] += new
        records.save(conn, LOG, held)


def _script(gear: Node | None) -> dict[str, Any]:
    custom = gear.doc["gear"].get("custom") if gear else None
    found = custom.get("sandbox") if isinstance(custom, dict) else None
    return found if isinstance(found, dict) else {}


def _lines(script: dict[str, Any]) -> list[Any]:
    given = script.get("log")
    return given if isinstance(given, list) else []


def _problem(gear: Node | None, job: Node, script: dict[str, Any]) -> str | None:
    if gear is None:
        return "the gear was deleted"
    for name, spec in (gear.doc["gear"].get("inputs") or {}).items():
        needed = isinstance(spec, dict) and spec.get("base") == "file" and not spec.get("optional")
        if needed and name not in (job.doc.get("inputs") or {}):
            return f"the required input {name} is missing"
    tags = job.doc.get("job_tags") or []
    if FAIL in tags or (FAIL_ONCE in tags and job.doc.get("attempt") == 1) or script.get("state") == "failed":
        return "the script says that it fails"
    return None


def _outputs(job: Node, script: dict[str, Any]) -> list[tuple[str, bytes]]:
    given = script.get("outputs")
    if isinstance(given, dict):
        return [(str(name), str(text).encode()) for name, text in given.items() if name]
    told = {"gear": job.doc["gear_info"], "config": job.doc["config"]["config"], "inputs": job.doc["inputs"]}
    return [(f"{job.doc['gear_info']['name']}.json", msgspec.json.encode(told))]


def _output(
    conn: sqlite3.Connection, blobs: BlobStore, destination: Node, job: Node, name: str, text: bytes,
    script: dict[str, Any],
) -> files.FileRow:  # fmt: skip
    metadata: dict[str, Any] = {"origin": {"type": "job", "id": job.id}, "gear_info": job.doc["gear_info"]}
    if isinstance(script.get("info"), dict):
        metadata["info"] = script["info"]
    return files.add(conn, destination, name, blobs.put_bytes(text), metadata)
