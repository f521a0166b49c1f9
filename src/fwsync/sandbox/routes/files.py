"""File entries: listing, metadata, classification, tags, versions, move, delete; by name and by id."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.query import file_listing
from fwsync.sandbox.routes import info as info_room
from fwsync.sandbox.routes import targets
from fwsync.sandbox.routes.listing import listing_of
from fwsync.sandbox.routes.tags import texts
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.fields import clean_keys
from fwsync.sandbox.store.files import FileRow

_SETTABLE = ("type", "mimetype", "modality", "classification", "tags")


async def list_all(request: web.Request) -> web.Response:
    """GET /files: always in an envelope."""
    site = site_of(request)
    if not site.options.offers("files-listing"):
        raise ApiError(404, "this site has no listing of files")
    listing = listing_of(request)
    page, total = await site.db.scan(lambda conn: file_listing.select(conn, listing))
    return answer({"count": len(page), "total": total, "results": page})


async def _change(request: web.Request, change: Callable[[FileRow], None]) -> FileRow:
    def work(conn: sqlite3.Connection) -> FileRow:
        row = targets.file_row(conn, request)
        change(row)
        files.save(conn, row)
        return row

    return await site_of(request).db.write(work)


async def get_info(request: web.Request) -> web.Response:
    """GET .../files/{name}/info and GET /files/{id}: the file document."""
    return answer(files.render(targets.file_row(site_of(request).db.reader, request)))


async def get_info_by_id(request: web.Request) -> web.Response:
    """GET /files/{id}/info: the custom info alone."""
    return answer(targets.file_row(site_of(request).db.reader, request).info)


async def modify(request: web.Request) -> web.Response:
    """PUT .../files/{name}: type, modality, classification, tags."""
    given = await body(request, dict)
    if not given:
        raise malformed("the body is empty; nothing to change")
    files.check_fields(given)

    def change(row: FileRow) -> None:
        row.doc.update({name: given[name] for name in _SETTABLE if name in given})
        row.doc["classification"] = row.doc["classification"] or {}
        row.doc["tags"] = row.doc["tags"] or []
        if isinstance(given.get("info"), dict):
            row.info = {**clean_keys(given["info"])}

    await _change(request, change)
    return answer({"modified": 1, "jobs_spawned": 0})


async def patch_info(request: web.Request) -> web.Response:
    """PATCH .../info: set, delete, replace."""
    given = await body(request, dict)

    def change(row: FileRow) -> None:
        row.info = info_room.changed(row.info, given)

    await _change(request, change)
    return answer({"modified": 1})


async def put_info(request: web.Request) -> web.Response:
    """PUT /files/{id}/info: replaces it."""
    given = await body(request, dict)

    def change(row: FileRow) -> None:
        row.info = {**clean_keys(given)}

    await _change(request, change)
    return answer({"modified": 1})


def classified(held: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A classification after `{add}`, `{delete}` or `{replace}`; 400 on anything else."""
    verbs = set(given) - {"modality"}
    if not verbs or verbs - {"add", "delete", "replace"} or ("replace" in verbs and len(verbs) > 1):
        raise malformed("classification: the body must hold `add` and/or `delete`, or `replace` alone")
    if any(not isinstance(given[verb], dict) for verb in verbs):
        raise malformed("classification: must be an object of lists")
    if any(not isinstance(one, str) for verb in verbs for values in given[verb].values() for one in _list(values)):
        raise malformed("classification: must be an object of lists of texts")
    if "replace" in given:
        return {key: _list(value) for key, value in given["replace"].items()}
    held = {key: list(value) for key, value in held.items()}
    for key, value in (given.get("add") or {}).items():
        held[key] = list(dict.fromkeys([*held.get(key, []), *_list(value)]))
    for key, value in (given.get("delete") or {}).items():
        held[key] = [item for item in held.get(key, []) if item not in _list(value)]
    return {key: value for key, value in held.items() if value}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


async def patch_classification(request: web.Request) -> web.Response:
    """PATCH .../classification; PUT by id replaces unless it names a verb."""
    given = await body(request, dict)
    files.check_fields({"modality": given.get("modality")})
    verbs = {"add", "delete", "replace"} & set(given)
    change_of = given if verbs or request.method == "PATCH" else {"replace": given}

    def change(row: FileRow) -> None:
        row.doc["classification"] = classified(row.doc.get("classification") or {}, change_of)
        if "modality" in given:
            row.doc["modality"] = given["modality"]

    await _change(request, change)
    return answer({"modified": 1})


async def delete(request: web.Request) -> web.Response:
    """DELETE .../files/{name} and /files/{id}."""
    await site_of(request).db.write(lambda conn: files.delete(conn, targets.file_row(conn, request)))
    return answer({"deleted": 1, "modified": 1})


async def delete_many(request: web.Request) -> web.Response:
    """DELETE /files with a list of file ids."""
    idents = texts(await body(request, list))

    def work(conn: sqlite3.Connection) -> list[str]:
        gone = []
        for ident in idents:
            try:
                files.delete(conn, files.by_id(conn, ident))
            except ApiError:
                continue
            gone.append(ident)
        return gone

    gone = await site_of(request).db.write(work)
    return answer({"deleted": len(gone), "not_found": len(set(idents) - set(gone))})


async def get_tags(request: web.Request) -> web.Response:
    """GET /files/{id}/tags."""
    return answer(targets.file_row(site_of(request).db.reader, request).doc["tags"])


async def change_tags(request: web.Request) -> web.Response:
    """PUT (replace), PATCH (add) or DELETE (remove) of /files/{id}/tags with a list; the new list, but for PUT."""
    given = texts(await body(request, list, optional=request.method == "DELETE"))

    def change(row: FileRow) -> None:
        held = row.doc["tags"]
        if request.method == "PUT":
            row.doc["tags"] = list(dict.fromkeys(given))
        elif request.method == "PATCH":
            row.doc["tags"] = list(dict.fromkeys([*held, *given]))
        else:
            row.doc["tags"] = [tag for tag in held if tag not in given] if given else []

    tags = (await _change(request, change)).doc["tags"]
    return answer({"modified": 1} if request.method == "PUT" else tags)


async def list_versions(request: web.Request) -> web.Response:
    """GET /files/{id}/versions, newest first."""
    held = files.versions(site_of(request).db.reader, request.match_info["file_id"])
    return answer([files.render(row) for row in held])


async def move(request: web.Request) -> web.Response:
    """POST /files/{id}/move {container_reference, name}."""
    given, ident = await body(request, dict), request.match_info["file_id"]
    reference = given.get("container_reference") or {}
    if not isinstance(reference, dict) or not isinstance(given.get("name"), (str, type(None))):
        raise malformed("container_reference must be an object with type and id, name a text")

    def work(conn: sqlite3.Connection) -> None:
        row = files.by_id(conn, ident)
        parent = documents.find(conn, str(reference.get("id") or row.parent_id), documents.CONTAINERS)
        if parent is None:
            raise ApiError(404, "the container to move to was not found")
        name = given.get("name") or row.name
        if (parent.id, name) != (row.parent_id, row.name):
            taken = conn.execute(
                "select 1 from files where parent_id = ? and name = ? and current = 1", (parent.id, name)
            ).fetchone()
            if taken:
                raise ApiError(409, f"{name!r} is already there")
        files.move(conn, row, parent, name)

    await site_of(request).db.write(work)
    return answer({"modified": 1})


async def restore(request: web.Request) -> web.Response:
    """POST /files/{id}/restore (`?version=`)."""
    ident, version = request.match_info["file_id"], targets.version_of(request)
    row = await site_of(request).db.write(lambda conn: files.restore(conn, ident, version))
    return answer(files.render(row))


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    by_id = "/api/files/{file_id}"
    router.add_get("/api/files", list_all)
    router.add_delete("/api/files", delete_many)
    router.add_get(by_id, get_info)
    router.add_delete(by_id, delete)
    router.add_put(by_id, modify)
    router.add_get(by_id + "/versions", list_versions)
    router.add_get(by_id + "/info", get_info_by_id)
    router.add_put(by_id + "/info", put_info)
    router.add_patch(by_id + "/info", patch_info)
    router.add_put(by_id + "/classification", patch_classification)
    router.add_patch(by_id + "/classification", patch_classification)
    router.add_get(by_id + "/tags", get_tags)
    for method in ("PUT", "PATCH", "DELETE"):
        router.add_route(method, by_id + "/tags", change_tags)
    router.add_post(by_id + "/move", move)
    router.add_post(by_id + "/restore", restore)
    for named in (targets.NAMED, targets.OLD_NAMED):
        router.add_put(named, modify)
        router.add_delete(named, delete)
        router.add_get(named + "/info", get_info)
        router.add_patch(named + "/info", patch_info)
        router.add_post(named + "/info", patch_info)
        router.add_patch(named + "/classification", patch_classification)
        router.add_post(named + "/classification", patch_classification)
