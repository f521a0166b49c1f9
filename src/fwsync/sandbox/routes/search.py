"""Search: structured queries and free text over the whole site; parse, suggest; saved searches."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.http import answer, body, reads
from fwsync.sandbox.query import elastic, grammar, searching
from fwsync.sandbox.query.conditions import CONTAINERS, All, Query
from fwsync.sandbox.query.listing import sort_documents, truth
from fwsync.sandbox.query.searching import RETURN_TYPES, Hit
from fwsync.sandbox.routes.paging import page_of_list
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.node import HIERARCHY

MOST = 10_000
_PARTS = {
    "group": ("label",),
    "project": ("label",),
    "subject": ("code", "label", "created"),
    "session": ("label", "timestamp", "created"),
    "acquisition": ("label", "timestamp", "created"),
    "analysis": ("label", "user", "created"),
    "collection": ("label", "curator", "created"),
}
"""What a hit shows of each container, besides its `_id`."""
_FILE = ("name", "size", "type", "created", "classification", "modality", "mimetype", "file_id", "version")


def _query(given: Mapping[str, Any]) -> tuple[str, Query, str]:
    """(return type, condition, free text) of a body; 400 on anything wrong, with the place in the query."""
    kind = given.get("return_type")
    if kind not in RETURN_TYPES:
        raise malformed(f"return_type: must be one of {', '.join(RETURN_TYPES)}")
    structured, words = given.get("structured_query") or "", given.get("search_string") or ""
    if not isinstance(structured, str) or not isinstance(words, str):
        raise malformed("structured_query and search_string must be texts")
    try:
        query = grammar.parse(structured)
    except grammar.QueryError as error:
        raise ApiError(400, f"structured_query: {error}", errors=[_told(error)]) from error
    return kind, All((query, elastic.parse(given.get("filters")))), words


def _told(error: grammar.QueryError) -> dict[str, Any]:
    return {"line": error.line, "pos": error.column, "offset": error.offset, "message": error.message}


def _size(request: web.Request, given: Mapping[str, Any]) -> int:
    size = request.query.get("size", given.get("size"))
    if size is None:
        return MOST
    if size == "all":
        return 0
    text = str(size)
    if isinstance(size, bool) or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise malformed(f"size: {size!r} is not a whole number")
    return int(text) or -1


def find(conn: sqlite3.Connection, given: Mapping[str, Any], size: int) -> list[Hit]:
    """The hits of a search body."""
    kind, query, text = _query(given)
    if size < 0:
        return []
    return searching.search(conn, query, kind, keep=searching.words(text) if text else lambda _: True, most=size)


def shown(site: searching.Site, hit: Hit) -> dict[str, Any]:
    """A hit in its flat form: levels below the asked one are absent."""
    out: dict[str, Any] = {"return_type": hit.kind, "permissions": []}
    around = dict(hit.around)
    if hit.kind in HIERARCHY:
        allowed = HIERARCHY[: HIERARCHY.index(hit.kind) + 1]
        around = {kind: ident for kind, ident in around.items() if kind in allowed}
    for kind, ident in around.items():
        document = site.document(ident) if kind in _PARTS else None
        if document is not None:
            out[kind] = {"_id": ident, **{name: document.get(name) for name in _PARTS[kind]}}
    project = site.document(around["project"]) if "project" in around else None
    held = (project or {}).get("permissions") or []
    out["permissions"] = [{"_id": one["_id"], "role_ids": one.get("role_ids") or []} for one in held]
    out["parent"] = _parent(site, hit, out)
    return out


def _parent(site: searching.Site, hit: Hit, out: dict[str, Any]) -> dict[str, Any] | None:
    if hit.kind == "file":
        document = files.render(files.by_id(site.conn, hit.ident), info=False)
        out["file"] = {name: document.get(name) for name in _FILE}
        ident, kind = document["parent_ref"]["id"], document["parent_ref"]["type"]
        return {"_id": ident, "type": kind, "label": (site.document(ident) or {}).get("label")}
    node = documents.find(site.conn, hit.ident)
    above = documents.find(site.conn, node.parent_id) if node and node.parent_id else None
    return {"_id": above.id, "type": above.kind, "label": above.label} if above else None


def _sorted(found: list[dict[str, Any]], wanted: Any) -> list[dict[str, Any]]:
    """By `{field, order}`, a list of them, or `field:order`; fields as in queries."""
    orders = []
    for one in wanted if isinstance(wanted, list) else [wanted]:
        if isinstance(one, str):
            name, _, order = one.partition(":")
        else:
            one = one if isinstance(one, dict) else {}
            name, order = str(one.get("field") or ""), str(one.get("order") or "asc")
        if name.partition(".")[0] not in CONTAINERS or order not in ("", "asc", "desc"):
            raise malformed("sort: must be an object with a field such as session.label, and the order asc or desc")
        orders.append((name, -1 if order == "desc" else 1))
    return sort_documents(found, orders)


@reads
async def search(request: web.Request) -> web.Response:
    """POST /dataexplorer/search: a flat list with `simple=true`, else `{results: [{_id, _source}]}`."""
    given = await body(request, dict)
    size = _size(request, given)

    def read(conn: sqlite3.Connection) -> list[tuple[str, dict[str, Any]]]:
        hits = find(conn, given, 0 if given.get("sort") and size > 0 else size)
        site = searching.Site(conn)
        found = [{**shown(site, hit), "": hit.ident} for hit in hits]
        if given.get("sort"):
            found = _sorted(found, given["sort"])
            found = found[:size] if size > 0 else found
        return [(document.pop(""), document) for document in found]

    found = await site_of(request).db.scan(read)
    if truth(request.query.get("csv")):
        return _csv([document for _, document in found])
    if truth(request.query.get("simple")):
        return answer([document for _, document in found])
    results = [{"_id": ident, "_source": document} for ident, document in found]
    return answer({"results": results, "total": len(results), "facets": None})


def _csv(found: list[dict[str, Any]]) -> web.Response:
    out = io.StringIO()
    columns = [f"{kind}.{name}" for kind, names in _PARTS.items() for name in ("_id", *names)]
    columns += [f"file.{name}" for name in _FILE if name != "classification"]
    writer = csv.writer(out)
    writer.writerow(columns)
    for document in found:
        paths = (column.split(".") for column in columns)
        writer.writerow([(document.get(kind) or {}).get(name) for kind, name in paths])
    return web.Response(text=out.getvalue(), content_type="text/csv")


@reads
async def parse(request: web.Request) -> web.Response:
    """POST /dataexplorer/search/parse {structured_query}: `{valid, errors[{line, pos, offset, message}]}`."""
    text = (await body(request, dict)).get("structured_query")
    if not isinstance(text, str):
        raise malformed("structured_query: must be a text")
    try:
        grammar.parse(text)
    except grammar.QueryError as error:
        return answer({"valid": False, "errors": [_told(error)]})
    return answer({"valid": True, "errors": []})


async def status(_request: web.Request) -> web.Response:
    """GET /dataexplorer/search/status: there is no index that could lag."""
    return answer({"status": "up-to-date"})


def _fields(conn: sqlite3.Connection, kind: str) -> dict[str, Any]:
    """Names and types of the fields of a kind, as its newest document has them."""
    if kind == "file":
        row = conn.execute("select * from files where current = 1 order by row desc limit 1").fetchone()
        document = files.render(files.from_row(row)) if row else {}
    else:
        row = conn.execute("select * from nodes where kind = ? order by id desc limit 1", (kind,)).fetchone()
        document = documents.render(documents.from_row(row)) if row else {}
    return {name: _type(value) for name, value in document.items()}


def _type(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "float", dict: "object", list: "list"}
    return kinds.get(type(value), "string")


@reads
async def suggest(request: web.Request) -> web.Response:
    """POST /dataexplorer/search/suggest {structured_query}: what the last word could become."""
    text = (await body(request, dict)).get("structured_query")
    if not isinstance(text, str):
        raise malformed("structured_query: must be a text")
    last = "" if text[-1:].isspace() else (text.split() or [""])[-1].lstrip("(")
    kind, dot, name = last.partition(".")
    if not dot:
        made = [{"display": one, "value": one + ".", "type": "object"} for one in CONTAINERS if one.startswith(last)]
    elif kind in CONTAINERS:
        held = _fields(site_of(request).db.reader, kind)
        made = [
            {"display": one, "value": f"{kind}.{one}", "type": what}
            for one, what in held.items()
            if one.startswith(name)
        ]
    else:
        made = []
    return answer({"from": len(text) - len(last), "suggestions": [{**one, "facet": False} for one in made]})


async def mapped_fields(request: web.Request) -> web.Response:
    """GET /dataexplorer/mapped_fields?path=: the containers, or the fields of one."""
    path = request.query.get("path")
    if not path:
        return answer(dict.fromkeys(CONTAINERS, "object"))
    if path.partition(".")[0] not in CONTAINERS:
        raise ApiError(404, f"no field {path}")
    return answer(_fields(site_of(request).db.reader, path.partition(".")[0]))


async def delete_found(request: web.Request) -> web.Response:
    """DELETE /dataexplorer/search: everything that a query finds; an empty query is refused."""
    given = await body(request, dict)
    if not (given.get("structured_query") or given.get("search_string") or given.get("filters")):
        raise malformed("a search that finds everything is not accepted here")

    def work(conn: sqlite3.Connection) -> int:
        hits = find(conn, given, 0)
        for hit in hits:
            if hit.kind == "file":
                files.delete(conn, files.by_id(conn, hit.ident))
            elif node := documents.find(conn, hit.ident):
                documents.delete(conn, node)
        return len(hits)

    return answer({"deleted": await site_of(request).db.write(work)})


def _saved(given: dict[str, Any]) -> dict[str, Any]:
    search, parent = given.get("search"), given.get("parent") or {"type": "site", "id": "site"}
    if not isinstance(given.get("label"), str) or not given["label"] or not isinstance(search, dict):
        raise malformed("a saved search needs a label and a search")
    if not isinstance(parent, dict) or not all(isinstance(parent.get(name), str) for name in ("type", "id")):
        raise malformed("parent: must be an object with type and id")
    for name, kind in (("size", int), ("sort", dict), ("all_data", bool)):
        if search.get(name) is not None and not isinstance(search[name], kind):
            raise malformed(f"search.{name}: must be {kind.__name__}")
    if search.get("sort"):
        _sorted([], search["sort"])
    _query(search)
    return {"label": given["label"], "search": search, "parent": parent}


async def saved(request: web.Request) -> web.Response:
    """GET /dataexplorer/queries."""
    return await page_of_list(request, records.every(site_of(request).db.reader, "search"))


async def save(request: web.Request) -> web.Response:
    """POST /dataexplorer/queries {label, search, parent?}: `{_id}`."""
    document = _saved(await body(request, dict))
    made = await site_of(request).db.write(lambda conn: records.insert(conn, "search", document))
    return answer({"_id": made["_id"]})


async def one_saved(request: web.Request) -> web.Response:
    """GET /dataexplorer/queries/{id}."""
    return answer(records.get(site_of(request).db.reader, "search", request.match_info["id"]))


async def replace_saved(request: web.Request) -> web.Response:
    """PUT /dataexplorer/queries/{id}."""
    given, ident = await body(request, dict), request.match_info["id"]

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        held = records.get(conn, "search", ident)
        held.update(_saved({**held, **given}))
        records.save(conn, "search", held)
        return held

    return answer(await site_of(request).db.write(work))


async def delete_saved(request: web.Request) -> web.Response:
    """DELETE /dataexplorer/queries/{id}."""
    ident = request.match_info["id"]
    await site_of(request).db.write(lambda conn: records.delete(conn, "search", ident))
    return answer({"deleted": 1})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_post("/api/dataexplorer/search", search)
    router.add_delete("/api/dataexplorer/search", delete_found)
    router.add_post("/api/dataexplorer/search/parse", parse)
    router.add_post("/api/dataexplorer/search/suggest", suggest)
    router.add_get("/api/dataexplorer/search/status", status)
    router.add_get("/api/dataexplorer/mapped_fields", mapped_fields)
    router.add_get("/api/dataexplorer/queries", saved)
    router.add_post("/api/dataexplorer/queries", save)
    router.add_get("/api/dataexplorer/queries/{id}", one_saved)
    router.add_put("/api/dataexplorer/queries/{id}", replace_saved)
    router.add_delete("/api/dataexplorer/queries/{id}", delete_saved)
