"""Deep copies of containers: everything below comes along, files by reference to the same contents."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from fwsync.sandbox.errors import malformed
from fwsync.sandbox.query import filters
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.blobs import Blob
from fwsync.sandbox.store.documents import COLUMNS
from fwsync.sandbox.store.ids import new_id
from fwsync.sandbox.store.node import HIERARCHY, Node

_OWN = ("created", "modified", "revision", "collections", "permissions")
"""What a copy does not take over."""


@dataclass(frozen=True, slots=True)
class CopyFilter:
    """What is left out. Rules are list filters on `file.` and container fields, such as `file.type=dicom`."""

    analyses: bool
    notes: bool
    tags: bool
    empty: bool
    include: tuple[tuple[filters.Clause, ...], ...]
    exclude: tuple[tuple[filters.Clause, ...], ...]

    @classmethod
    def from_body(cls, given: Any) -> CopyFilter:
        """From a request's `filter`; 400 or 422 on a wrong one."""
        given = given or {}
        if not isinstance(given, dict):
            raise malformed("filter: must be an object")
        rules = {}
        for name in ("include_rules", "exclude_rules"):
            held = given.get(name) or []
            if not isinstance(held, list) or not all(isinstance(rule, str) for rule in held):
                raise malformed(f"filter.{name}: must be a list of texts")
            rules[name] = tuple(tuple(filters.parse(rule)) for rule in held)
        return cls(
            analyses=bool(given.get("exclude_analysis")),
            notes=bool(given.get("exclude_notes")),
            tags=bool(given.get("exclude_tags")),
            empty=bool(given.get("exclude_empty_containers")),
            include=rules["include_rules"],
            exclude=rules["exclude_rules"],
        )

    def takes(self, record: dict[str, Any]) -> bool:
        """Whether a file goes along: it satisfies an include rule (if there are any) and no exclude rule."""
        included = not self.include or any(_all(rule, record) for rule in self.include)
        return included and not any(_all(rule, record) for rule in self.exclude)


def _all(rule: tuple[filters.Clause, ...], record: dict[str, Any]) -> bool:
    return all(filters.holds(clause, record) for clause in rule)


def copy(conn: sqlite3.Connection, node: Node, parent: Node, wanted: CopyFilter, *, label: str | None = None) -> Node:
    """A copy of a container below `parent`, under another label if given."""
    doc = {name: value for name, value in node.doc.items() if name not in _OWN}
    doc |= {"copy_of": node.id, "original_copy_of": node.doc.get("original_copy_of") or node.id}
    doc |= {"copy_status": "completed"}
    doc |= {"notes": []} if wanted.notes else {}
    doc |= {"tags": []} if wanted.tags else {}
    doc |= {"label": label} if label else {}
    if node.kind == "project":
        doc["permissions"] = node.doc.get("permissions") or []
    made = documents.insert(conn, node.kind, doc, parent=parent, info=node.info)
    _copy_files(conn, node, made, wanted)
    for child in _below(conn, node, wanted):
        if child.kind == "analysis":
            _copy_analysis(conn, child, made, wanted)
        else:
            below = copy(conn, child, made, wanted)
            if wanted.empty and _is_empty(conn, below):
                documents.delete(conn, below)
    return made


def _below(conn: sqlite3.Connection, node: Node, wanted: CopyFilter) -> list[Node]:
    at = HIERARCHY.index(node.kind)
    kinds = [*HIERARCHY[at + 1 : at + 2], *([] if wanted.analyses else ["analysis"])]
    marks = ",".join("?" * len(kinds))
    rows = conn.execute(
        f"select {COLUMNS} from nodes where parent_id = ? and +kind in ({marks}) order by kind, id",  # noqa: S608
        (node.id, *kinds),
    ).fetchall()
    return [documents.from_row(row) for row in rows]


def _copy_analysis(conn: sqlite3.Connection, node: Node, parent: Node, wanted: CopyFilter) -> None:
    doc = {name: value for name, value in node.doc.items() if name not in _OWN}
    doc |= {"copy_of": node.id}
    made = documents.insert(conn, "analysis", doc, parent=parent, info=node.info)
    _copy_files(conn, node, made, wanted)


def _copy_files(conn: sqlite3.Connection, node: Node, made: Node, wanted: CopyFilter) -> None:
    rows = conn.execute("select * from files where parent_id = ? and current = 1 order by row", (node.id,)).fetchall()
    own = documents.render(node)
    for row in map(files.from_row, rows):
        if not wanted.takes({"file": files.render(row), node.kind: own}):
            continue
        kept = (
            "type",
            "mimetype",
            "modality",
            "classification",
            "tags",
            "client_hash",
            "zip_member_count",
            "gear_info",
        )
        metadata: dict[str, Any] = {name: row.doc.get(name) for name in kept}
        metadata |= {"info": row.info, **({"tags": []} if wanted.tags else {})}
        files.add(conn, made, row.name, Blob(row.blob, row.size), metadata, ident=new_id())


def _is_empty(conn: sqlite3.Connection, node: Node) -> bool:
    for query in (
        "select 1 from files where parent_id = ? and current = 1 limit 1",
        "select 1 from nodes where parent_id = ? limit 1",
    ):
        if conn.execute(query, (node.id,)).fetchone():
            return False
    return True
