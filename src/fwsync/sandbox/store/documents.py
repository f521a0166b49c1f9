"""Containers and other documents as rows: insert, read, change, delete, and their form in an answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec

from fwsync.sandbox.errors import ApiError, not_found
from fwsync.sandbox.store import fields, files
from fwsync.sandbox.store.ids import new_id, now
from fwsync.sandbox.store.node import HIERARCHY, Node, Place

PLURAL = {
    "group": "groups",
    "project": "projects",
    "subject": "subjects",
    "session": "sessions",
    "acquisition": "acquisitions",
    "analysis": "analyses",
    "collection": "collections",
    "gear": "gears",
    "job": "jobs",
    "user": "users",
    "container": "containers",
}
SINGULAR = {plural: kind for kind, plural in PLURAL.items()}
PARENT = {"project": "group", "subject": "project", "session": "subject", "acquisition": "session"}
CONTAINERS = (*HIERARCHY, "analysis", "collection")
LEVEL_COLUMNS = {level: f"{level}_id" for level in HIERARCHY}
COLUMNS = "id, kind, parent_id, group_id, project_id, subject_id, session_id, acquisition_id, label, doc, info"


_INSERT = f"insert into nodes ({COLUMNS}) values (?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608
_PLACE = f"select {COLUMNS.removesuffix(', label, doc, info')} from nodes where id = ?"  # noqa: S608

_decode = msgspec.json.decode
_encode = msgspec.json.encode


def _text(value: Any) -> str:
    return _encode(value).decode() if value else "{}"


def from_row(row: sqlite3.Row) -> Node:
    """A row of `nodes` as a Node."""
    ident, kind, parent_id, *levels, _label, doc, info = row
    return Node(ident, kind, parent_id, _above(kind, levels), _decode(doc), {} if info == "{}" else _decode(info))


def _above(kind: str, levels: list[str | None]) -> dict[str, str]:
    pairs = zip(HIERARCHY, levels, strict=True)
    return {level: ident for level, ident in pairs if ident is not None and level != kind}


def find(conn: sqlite3.Connection, ident: str, kinds: Iterable[str] | None = None) -> Node | None:
    """The document with this id, if it is of one of the kinds."""
    row = conn.execute(f"select {COLUMNS} from nodes where id = ?", (ident,)).fetchone()  # noqa: S608
    return from_row(row) if row is not None and (kinds is None or row["kind"] in kinds) else None


def get(conn: sqlite3.Connection, kind: str, ident: str) -> Node:
    """The document with this id; 404 if there is none of this kind. Kind `container` means any container."""
    node = find(conn, ident, CONTAINERS if kind == "container" else (kind,))
    if node is None:
        raise not_found(kind, ident)
    return node


def place(conn: sqlite3.Connection, kind: str, ident: str) -> Place:
    """Where the document with this id is, its content left unread; 404 if there is none of this kind."""
    row = conn.execute(_PLACE, (ident,)).fetchone()
    if row is None or row["kind"] != kind:
        raise not_found(kind, ident)
    _, _, parent_id, *levels = row
    return Place(ident, kind, parent_id, _above(kind, levels))


def find_child(conn: sqlite3.Connection, kind: str, parent_id: str, label: str) -> Node | None:
    """The oldest child of this kind with this label."""
    row = conn.execute(
        # Without the hint SQLite may walk all siblings in id order, and creating n of them costs n * n.
        f"select {COLUMNS} from nodes indexed by nodes_child"  # noqa: S608
        " where parent_id = ? and kind = ? and label = ? order by id limit 1",
        (parent_id, kind, label),
    ).fetchone()
    return from_row(row) if row is not None else None


def insert(
    conn: sqlite3.Connection,
    kind: str,
    doc: dict[str, Any],
    *,
    parent: Place | None = None,
    info: dict[str, Any] | None = None,
    ident: str | None = None,
    created: str | None = None,
) -> Node:
    """Add a document below `parent`. `ident` and `created` are for groups and for building a demo site."""
    ident = ident or new_id()
    created = created or now()
    whole = {
        **fields.DEFAULTS.get(kind, {}),
        "tags": [],
        "notes": [],
        "permissions": [],
        "revision": 1,
        "created": created,
        "modified": created,
        **doc,
    }
    node = Node(ident, kind, parent.id if parent else None, parent.lineage if parent else {}, whole, info or {})
    # A container carries its own id in its own level's column: "all below this project" is then one index.
    levels = map(node.lineage.get, HIERARCHY)
    try:
        texts = (whole.get("label"), _text(whole), _text(node.info))
        conn.execute(_INSERT, (ident, kind, node.parent_id, *levels, *texts))
    except sqlite3.IntegrityError as error:
        raise ApiError(409, f"{kind} {ident} already exists") from error
    return node


def save(conn: sqlite3.Connection, node: Node, *, touch: bool = True) -> None:
    """Write a changed document back; `touch` bumps `modified` and `revision`."""
    if touch:
        node.doc["modified"] = now()
        node.doc["revision"] = int(node.doc.get("revision") or 0) + 1
    conn.execute(
        "update nodes set label = ?, doc = ?, info = ? where id = ?",
        (node.doc.get("label"), _text(node.doc), _text(node.info), node.id),
    )


def move(conn: sqlite3.Connection, node: Node, parent: Place) -> None:
    """Put a container, and all below it, under another parent."""
    old, new = node.lineage, {**parent.lineage, node.kind: node.id}
    conn.execute("update nodes set parent_id = ? where id = ?", (parent.id, node.id))
    changed = [level for level in HIERARCHY if old.get(level) != new.get(level)]
    own = LEVEL_COLUMNS[node.kind]
    for level in changed:
        column = LEVEL_COLUMNS[level]
        conn.execute(f"update nodes set {column} = ? where {own} = ?", (new.get(level), node.id))  # noqa: S608
        conn.execute(f"update files set {column} = ? where {own} = ?", (new.get(level), node.id))  # noqa: S608
    node.parent_id = parent.id
    node.ancestors = parent.lineage


def delete(conn: sqlite3.Connection, node: Node) -> int:
    """Remove a document and everything below it; returns how many containers went."""
    if node.kind in HIERARCHY:
        column = LEVEL_COLUMNS[node.kind]
        conn.execute(f"delete from files where {column} = ?", (node.id,))  # noqa: S608
        # nodes of every kind below carry the ancestor's id, analyses and jobs included
        conn.execute("delete from files where parent_id = ?", (node.id,))
        return conn.execute(f"delete from nodes where {column} = ?", (node.id,)).rowcount  # noqa: S608
    conn.execute("delete from files where parent_id = ?", (node.id,))
    return conn.execute("delete from nodes where id = ?", (node.id,)).rowcount


def parents_of(node: Node) -> dict[str, str | None]:
    """The `parents` object of an answer."""
    return {
        **{level: node.ancestors.get(level) for level in HIERARCHY},
        "analysis": None,
    }


def render(node: Node, held: list[dict[str, Any]] | None = None, *, info: bool = True) -> dict[str, Any]:
    """The document as an answer holds it. `held` are its rendered files; None leaves the list out."""
    out: dict[str, Any] = {"_id": node.id, **node.doc, "info_exists": bool(node.info)}
    if node.kind not in ("gear", "job", "user"):
        out["parents"] = parents_of(node)
    if info:
        out["info"] = node.info
    if held is not None:
        out["files"] = held
    if node.kind == "project":
        out["group"] = node.ancestors.get("group")
    elif node.kind == "subject":
        out["project"] = node.ancestors.get("project")
        out["code"] = out.get("code") or out.get("label")
    elif node.kind == "session":
        out["project"] = node.ancestors.get("project")
        out["group"] = node.ancestors.get("group")
    elif node.kind == "acquisition":
        out["session"] = node.ancestors.get("session")
    elif node.kind == "analysis":
        out["parents"]["analysis"] = None
    return out


def render_many(
    conn: sqlite3.Connection, nodes: list[Node], *, info: bool, with_files: bool = True
) -> list[dict[str, Any]]:
    """Documents as a listing holds them: files without their info unless asked, sessions with their subject."""
    held: dict[str, list[dict[str, Any]]] = {}
    if with_files:
        held = files.of_parents(conn, [node.id for node in nodes], info=info)
    subjects = _subjects_of(conn, nodes)
    out = []
    for node in nodes:
        kept = held.get(node.id, []) if with_files and node.kind in CONTAINERS else None
        document = render(node, kept, info=info)
        if node.kind == "session":
            document["subject"] = subjects.get(node.ancestors.get("subject", ""))
        out.append(document)
    return out


def _subjects_of(conn: sqlite3.Connection, nodes: list[Node]) -> dict[str, dict[str, Any]]:
    wanted = sorted(
        {node.ancestors["subject"] for node in nodes if node.kind == "session" and "subject" in node.ancestors}
    )
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        marks = ",".join("?" * len(some))
        for row in conn.execute(f"select {COLUMNS} from nodes where id in ({marks})", some):  # noqa: S608
            found[row["id"]] = render(from_row(row), info=False)
    return found
