"""Makes jobs: checks what a request asks a gear to do, and adds the job's document."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any

from fwsync.sandbox.errors import ApiError, invalid, not_found
from fwsync.sandbox.site import USER
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import CONTAINERS
from fwsync.sandbox.store.ids import now
from fwsync.sandbox.store.node import Node

PRIORITIES = ("low", "medium", "high", "critical")
_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list,),
}  # fmt: skip
"""What a configuration value must be, by the type that the manifest gives."""


def gear_info(gear: Node) -> dict[str, Any]:
    """What a job and an analysis say about their gear."""
    manifest = gear.doc["gear"]
    names = {"name": manifest["name"], "version": manifest["version"]}
    return {"id": gear.id, "category": gear.doc.get("category"), **names}


def add(conn: sqlite3.Connection, given: Mapping[str, Any], *, analysis: Node | None = None, **more: Any) -> Node:
    """A pending job as the body asks, on an analysis or on the body's destination; 404 or 422 on a wrong body.

    A required input that is missing is found out when the gear runs, not here: the tutorial's loop over subjects
    starts gears without inputs. `more` are further fields, such as those of a retry or a batch.
    """
    gear = documents.get(conn, "gear", str(given.get("gear_id")))
    inputs = checked_inputs(conn, gear, given.get("inputs"))
    config = _config(gear, given.get("config"))
    parent = analysis or _destination(conn, given.get("destination"), inputs)
    tags = texts(given.get("tags"))
    if not isinstance(given.get("label"), (str, type(None))):
        raise invalid("label: must be a text")
    about = gear_info(gear)
    extra = ["analysis"] if analysis else [about["name"]]
    doc = {
        "gear_id": gear.id,
        "gear_info": about,
        "inputs": inputs,
        "destination": {"type": parent.kind, "id": parent.id},
        "state": "pending",
        "priority": priority(given.get("priority")),
        "job_tags": list(dict.fromkeys([*tags, *extra])),
        "attempt": 1,
        "previous_job_id": None,
        "original_job_id": None,
        "config": {"config": config, "inputs": {}, "destination": {"type": parent.kind, "id": parent.id}},
        "transitions": {"pending": now()},
        "parents": {**documents.parents_of(parent), **parent.lineage, "analysis": analysis.id if analysis else None},
        "related_container_ids": [parent.id, *parent.lineage.values()],
        "origin": {"type": "user", "id": USER},
        "saved_files": [],
        "outputs": [],
        "failure_reason": None,
        "job_label": given.get("label"),
        **more,
    }
    made = documents.insert(conn, "job", doc, parent=parent)
    if analysis is not None:
        analysis.doc.update(gear_info=about, job=made.id)
        documents.save(conn, analysis, touch=False)
    return made


def texts(tags: Any) -> list[str]:
    """A job's tags; 422 unless a list of texts."""
    if tags is not None and (not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags)):
        raise invalid("tags: must be a list of texts")
    return tags or []


def priority(value: Any) -> str:
    """A job's priority; 422 on an unknown one."""
    if value is None:
        return "medium"
    if value not in PRIORITIES:
        raise invalid(f"priority: {value!r} is not one of {', '.join(PRIORITIES)}")
    return str(value)


def checked_inputs(conn: sqlite3.Connection, gear: Node, given: Any) -> dict[str, dict[str, Any]]:
    """Inputs by name as references; 404 where one leads nowhere, 422 where the gear has no such input."""
    if given is not None and not isinstance(given, dict):
        raise invalid("inputs: must be an object")
    known = gear.doc["gear"].get("inputs") or {}
    out = {}
    for name, reference in (given or {}).items():
        if known and name not in known:
            raise invalid(f"inputs: {gear.doc['gear']['name']} has no input {name!r}; it has {', '.join(known)}")
        out[name] = _reference(conn, name, reference)
    return out


def _reference(conn: sqlite3.Connection, name: str, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise invalid(f"inputs.{name}: must be an object with type, id and name")
    version = given.get("version")
    if version is not None and (not isinstance(version, int) or abs(version) >= 2**31):
        raise invalid(f"inputs.{name}.version: must be a whole number")
    if isinstance(given.get("file_id"), str):
        return _file(files.by_id(conn, given["file_id"], version))
    ident = given.get("id")
    parent = documents.find(conn, ident, CONTAINERS) if isinstance(ident, str) else None
    if parent is None:
        raise not_found(f"input {name}:", str(ident))
    if isinstance(given.get("name"), str):
        return _file(files.find(conn, parent.id, given["name"], version))
    return {"type": parent.kind, "id": parent.id}


def _file(row: files.FileRow) -> dict[str, Any]:
    where = {"type": row.parent_kind, "id": row.parent_id, "name": row.name}
    return {**where, "file_id": row.file_id, "version": row.version}


def _config(gear: Node, given: Any) -> dict[str, Any]:
    if given is not None and not isinstance(given, dict):
        raise invalid("config: must be an object")
    known = gear.doc["gear"].get("config") or {}
    config = {name: spec["default"] for name, spec in known.items() if isinstance(spec, dict) and "default" in spec}
    config |= given or {}
    for name, value in config.items():
        kind = str((known.get(name) or {}).get("type"))
        if value is not None and kind in _KINDS and not _fits(value, kind):
            raise invalid(f"config.{name}: {value!r} is no {kind}")
    return config


def _fits(value: Any, kind: str) -> bool:
    return isinstance(value, _KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))


def _destination(conn: sqlite3.Connection, given: Any, inputs: dict[str, dict[str, Any]]) -> Node:
    if given is None and inputs:
        given = next(iter(inputs.values()))
    ident = given.get("id") if isinstance(given, dict) else None
    found = documents.find(conn, ident, CONTAINERS) if isinstance(ident, str) else None
    if found is None:
        raise ApiError(404, f"destination {ident} not found") if ident else invalid("destination: is needed")
    if found.kind == "analysis":
        raise invalid("destination: an analysis makes its own job")
    return found
