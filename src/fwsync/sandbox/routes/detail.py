"""One whole container, as a single GET answers it: with info, files and analyses."""

from __future__ import annotations

import sqlite3
from typing import Any

from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.node import Node


def whole(conn: sqlite3.Connection, node: Node, *, slim: bool = False) -> dict[str, Any]:
    """A container with everything that a single GET shows; `slim` leaves the analyses out."""
    held = files.of_parents(conn, [node.id], info=True).get(node.id, [])
    out = documents.render(node, held)
    if node.kind == "session":
        subject = documents.find(conn, node.ancestors["subject"], ("subject",))
        out["subject"] = documents.render(subject) if subject else None
    if node.kind == "analysis":
        return analysis(conn, node, inflate=True)
    if not slim and node.kind not in ("group", "analysis"):
        out["analyses"] = [analysis(conn, found, inflate=True) for found in analyses_of(conn, node.id)]
    return out


def analyses_of(conn: sqlite3.Connection, parent_id: str) -> list[Node]:
    """The analyses right on a container, oldest first."""
    rows = conn.execute(
        "select * from nodes where kind = 'analysis' and parent_id = ? order by +id", (parent_id,)
    ).fetchall()
    return [documents.from_row(row) for row in rows]


def analysis(conn: sqlite3.Connection, node: Node, *, inflate: bool) -> dict[str, Any]:
    """An analysis with its files; `inflate` puts the job's document in place of its id."""
    held = files.of_parents(conn, [node.id], info=True).get(node.id, [])
    out = documents.render(node, held)
    add_parent(conn, node, out)
    if inflate:
        out["job"] = inflated_job(conn, out.get("job"))
    return out


def add_parent(conn: sqlite3.Connection, node: Node, out: dict[str, Any]) -> None:
    """The `parent` reference of an analysis."""
    kind = conn.execute("select kind from nodes where id = ?", (node.parent_id,)).fetchone()
    out["parent"] = {"type": kind["kind"] if kind else None, "id": node.parent_id}


def inflated_job(conn: sqlite3.Connection, ident: Any) -> dict[str, Any] | None:
    """The job that an analysis names, in its detail form; None for an ad-hoc analysis."""
    found = documents.find(conn, ident, ("job",)) if isinstance(ident, str) else None
    return job_detail(found) if found else None


def job_detail(node: Node) -> dict[str, Any]:
    """A job as `GET /jobs/{id}` shows it: `id` instead of `_id`, inputs by name."""
    drop = ("tags", "notes", "permissions", "revision", "label", "job_tags", "job_label", "output_refs", "heartbeat")
    doc = {name: value for name, value in node.doc.items() if name not in drop}
    return {"id": node.id, **doc, "tags": node.doc.get("job_tags", []), "label": node.doc.get("job_label")}


def job_listed(node: Node) -> dict[str, Any]:
    """A job as lists show it: `_id`, inputs as a list."""
    out = job_detail(node)
    out["_id"] = out.pop("id")
    inputs = out.get("inputs") or {}
    out["inputs"] = [{"input": name, **reference} for name, reference in inputs.items()]
    return out
