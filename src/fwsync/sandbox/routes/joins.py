"""`POST /tree`: chosen fields of documents, joined level by level.

    {"projects": {"fields": ["label"], "filter": "...", "sort": "...", "limit": n,
                  "subjects": {"fields": [...], "sessions": {...}}}}

Exactly one level is on top. A plural name joins what is below (or belongs), a singular one what is above; `files`
joins the files. `_id` always comes along.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

from fwsync.sandbox.errors import malformed
from fwsync.sandbox.query import filters
from fwsync.sandbox.query.listing import Listing, select, sort_documents
from fwsync.sandbox.routes import detail
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import LEVEL_COLUMNS, PLURAL, SINGULAR
from fwsync.sandbox.store.node import HIERARCHY

_OWN = {"fields", "filter", "sort", "limit", "join-origin"}
_DEEPEST = 8
TOPS = (*(PLURAL[level] for level in HIERARCHY), "analyses", "collections", "gears", "jobs")
"""What may be on top."""


def graph() -> dict[str, Any]:
    """Which joins there are: per level, name to `{local, foreign, collection, order}`."""
    out: dict[str, Any] = {}
    for at, level in enumerate(HIERARCHY):
        joins: dict[str, dict[str, str]] = {}
        for below in HIERARCHY[at + 1 :]:
            joins[PLURAL[below]] = _join("_id", f"parents.{level}", PLURAL[below], "many")
        for above in HIERARCHY[:at]:
            joins[above] = _join(f"parents.{above}", "_id", PLURAL[above], "one")
        joins["analyses"] = _join("_id", "parent.id", "analyses", "many")
        joins["files"] = _join("_id", "parent_ref.id", "files", "many")
        joins["jobs"] = _join("_id", f"parents.{level}", "jobs", "many")
        out[PLURAL[level]] = {"connections": joins}
    about = {level: _join(f"parents.{level}", "_id", PLURAL[level], "one") for level in HIERARCHY}
    files = _join("_id", "parent_ref.id", "files", "many")
    out["analyses"] = {"connections": {**about, "files": files, "job": _join("job", "_id", "jobs", "one")}}
    scans = _join("_id", "collections", "acquisitions", "many")
    out["collections"] = {"connections": {"files": files, "acquisitions": scans}}
    out["gears"] = {"connections": {"jobs": _join("_id", "gear_id", "jobs", "many")}}
    out["jobs"] = {"connections": {**about, "gear": _join("gear_id", "_id", "gears", "one")}}
    return out


def _join(local: str, foreign: str, collection: str, order: str) -> dict[str, str]:
    return {"local": local, "foreign": foreign, "collection": collection, "order": order}


_GRAPH = graph()


def check(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """(top level, its specification) of a body; 400 on anything wrong, at any depth."""
    if len(given) != 1 or next(iter(given)) not in TOPS:
        raise malformed(f"the body must hold exactly one of {', '.join(TOPS)}")
    ((name, spec),) = given.items()
    _check(name, spec, name, 0)
    return name, spec


def _check(name: str, spec: Any, where: str, depth: int) -> None:
    if not isinstance(spec, dict):
        raise malformed(f"{where}: must be an object")
    if depth > _DEEPEST:
        raise malformed(f"{where}: nested deeper than {_DEEPEST}")
    wanted = spec.get("fields") or []
    if not isinstance(wanted, list) or not all(isinstance(field, str) for field in wanted):
        raise malformed(f"{where}.fields: must be a list of names")
    _listing(spec, where)
    known = _GRAPH.get(name, {"connections": {}})["connections"]
    for join, more in spec.items():
        if join in _OWN:
            continue
        if join not in known:
            raise malformed(f"{where}.{join}: {name} has no such join; it has {', '.join(known) or 'none'}")
        _check(known[join]["collection"], more, f"{where}.{join}", depth + 1)


def _listing(spec: dict[str, Any], where: str) -> Listing:
    query = {}
    for name in ("filter", "sort", "limit"):
        value = spec.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
            raise malformed(f"{where}.{name}: must be a text or a number")
        if value is not None:
            query[name] = str(value)
    return replace(Listing.from_query(query), info=True)


def fetch(conn: sqlite3.Connection, name: str, spec: dict[str, Any], page: Listing) -> list[dict[str, Any]]:
    """The documents of the top level, as the specification and the request's own paging ask for them."""
    own = _listing(spec, name)
    listing = replace(
        page,
        clauses=[*own.clauses, *page.clauses],
        sort=page.sort or own.sort,
        limit=page.limit or own.limit,
        info=True,
    )
    return [_shown(conn, name, one, spec) for one in _select(conn, SINGULAR[name], listing, {})]


def _select(conn: sqlite3.Connection, kind: str, listing: Listing, where: dict[str, str]) -> list[dict[str, Any]]:
    def extend(nodes: list[Any], found: list[dict[str, Any]]) -> None:
        for node, document in zip(nodes, found, strict=True):
            if kind == "job":
                document.clear()
                document.update(detail.job_listed(node))
            elif kind == "analysis":
                detail.add_parent(conn, node, document)

    return select(conn, kind, listing, where=where, extend=extend)


def _shown(conn: sqlite3.Connection, name: str, document: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"_id": document.get("_id")}
    for field in spec.get("fields") or []:
        _put(out, document, field.split("."))
    for join, more in spec.items():
        if join not in _OWN:
            out[join] = _joined(conn, name, join, document, more)
    return out


def _put(out: dict[str, Any], document: Any, path: list[str]) -> None:
    """Copy one dotted field, keeping its nesting; a field that is not there is left out."""
    if not isinstance(document, dict) or path[0] not in document:
        return
    if len(path) == 1:
        out[path[0]] = document[path[0]]
        return
    inner = out.setdefault(path[0], {})
    if isinstance(inner, dict):
        _put(inner, document[path[0]], path[1:])


def _joined(conn: sqlite3.Connection, name: str, join: str, document: dict[str, Any], spec: dict[str, Any]) -> Any:
    about = _GRAPH[name]["connections"][join]
    kind = about["collection"]
    listing = _listing(spec, join)
    if join == "files":
        held = [one for one in document.get("files") or [] if all(filters.holds(c, one) for c in listing.clauses)]
        held = sort_documents(held, listing.sort) if listing.sort else held
        return [_shown(conn, "files", one, spec) for one in held[: listing.limit or None]]
    if about["order"] == "one":
        return _above(conn, about, document, spec)
    ident = str(document["_id"])
    if about["foreign"].startswith("parents."):
        where = {LEVEL_COLUMNS[about["foreign"].removeprefix("parents.")]: ident}
        found = _select(conn, SINGULAR[kind], listing, where)
    elif about["foreign"] == "parent.id":
        found = _select(conn, SINGULAR[kind], listing, {"parent_id": ident})
    else:
        clause = filters.Clause(about["foreign"], "=", ident, ident)
        found = _select(conn, SINGULAR[kind], replace(listing, clauses=[*listing.clauses, clause]), {})
    return [_shown(conn, kind, one, spec) for one in found]


def _above(conn: sqlite3.Connection, about: dict[str, str], document: dict[str, Any], spec: dict[str, Any]) -> Any:
    value: Any = document
    for part in about["local"].split("."):
        value = value.get(part) if isinstance(value, dict) else None
    node = documents.find(conn, value) if isinstance(value, str) else None
    if node is None:
        return None
    told = {**detail.job_detail(node), "_id": node.id} if node.kind == "job" else None
    told = told or documents.render_many(conn, [node], info=True)[0]
    return _shown(conn, about["collection"], told, spec)
