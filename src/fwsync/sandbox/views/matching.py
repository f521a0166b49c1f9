"""Which files of a container a view's fileSpec joins to it."""

from __future__ import annotations

import sqlite3
from typing import Any

from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.node import Node
from fwsync.sandbox.views.spec import FileSpec
from fwsync.sandbox.views.tables import pick

Match = dict[str, Any]
"""`file`: a rendered file; `analysis`: the rendered analysis that it is on, where the spec asks for one."""


def matches(conn: sqlite3.Connection, node: Node, spec: FileSpec) -> list[Match]:
    """The files on a container (or on its matching analyses), as `match` leaves them."""
    found: list[Match] = []
    for holder in [None] if spec.analysis is None else analyses(conn, node, spec.analysis):
        ident = node.id if holder is None else holder["_id"]
        for file in files.of_parents(conn, [ident], info=True).get(ident, []):
            if spec.name.search(file["name"]):
                found.append({"file": file} if holder is None else {"file": file, "analysis": holder})  # noqa: PERF401
    return pick(found, spec.match, _by_name, _by_time)


def _by_name(match: Match) -> tuple[str, str, str]:
    holder = match.get("analysis") or {}
    return match["file"]["name"], str(holder.get("label") or ""), str(holder.get("_id") or "")


def _by_time(match: Match) -> tuple[str, str]:
    holder = match.get("analysis") or {}
    return str(holder.get("created") or ""), str(match["file"].get("created") or "")


def analyses(conn: sqlite3.Connection, node: Node, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """The analyses on a container whose label, gear name and gear version match, oldest first."""
    rows = conn.execute("select * from nodes where kind = 'analysis' and parent_id = ? order by +id", (node.id,))
    out = []
    for found in map(documents.from_row, rows):
        document = documents.render(found)
        gear = document.get("gear_info") or {}
        held = {"label": document.get("label"), "name": gear.get("name"), "version": gear.get("version")}
        if all(held[key] is not None and pattern.search(str(held[key])) for key, pattern in wanted.items()):
            document["gear"] = {"name": gear.get("name"), "version": gear.get("version")}
            out.append(document)
    return out
