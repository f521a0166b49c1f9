"""Downloads of one file: plain, viewed with Range, by ticket, by redirect; zip directory and members."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError
from fwsync.sandbox.http import accepts, answer, takes_ticket
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes import targets
from fwsync.sandbox.site import Site, site_of
from fwsync.sandbox.store import files
from fwsync.sandbox.store.blobs import HASH_PREFIX
from fwsync.sandbox.store.files import FileRow
from fwsync.sandbox.transfer import tickets, zips
from fwsync.sandbox.transfer.bodies import send_file, send_pieces


@takes_ticket
async def download(request: web.Request) -> web.StreamResponse:
    """GET /{kind}/{id}/files/{name} with `ticket info member view version hash`; also GET /files/{id}/download."""
    site = site_of(request)
    ticket, query = request.query.get("ticket"), dict(request.query)
    if ticket:
        row, query = _ticketed(site, request, ticket, query)
    else:
        row = targets.file_row(site.db.reader, request)
        if ticket == "":
            return await _issue(site, row, query)
    if (wanted := query.get("hash")) and wanted != HASH_PREFIX + row.blob:
        raise ApiError(409, f"{row.name}: has another hash now")
    path = site.blobs.path(row.blob)
    if truth(query.get("info")) or query.get("member"):
        if not site.options.offers("zip-members"):
            raise ApiError(404, "this site has no zip members")
        if truth(query.get("info")):
            return answer(await asyncio.to_thread(zips.directory, path))
        return await _member(request, row, site, query["member"])
    mime = row.doc.get("mimetype") or "application/octet-stream"
    if site.options.offers("signed-urls") and accepts(request, "safe-redirect"):
        raise web.HTTPFound(tickets.download_link(site, request, row.blob, row.name, mime, row.size))
    view = truth(query.get("view")) and site.options.offers("range")
    return await send_file(request, path, size=row.size, mime=mime, name=row.name, etag=row.blob, view=view)


async def _issue(site: Site, row: FileRow, query: dict[str, str]) -> web.Response:
    """`?ticket=`: a ticket that remembers version and member, since the link will hold nothing else."""
    kept = {key: query[key] for key in ("member", "view", "info") if query.get(key)}
    doc = {"kind": "download", "file_id": row.file_id, "version": row.version, "query": kept}
    ident = await site.db.write(lambda conn: tickets.issue(conn, doc))
    return answer({"ticket": ident, "filename": row.name, "file_cnt": 1, "size": row.size})


def _ticketed(site: Site, request: web.Request, ticket: str, query: dict[str, str]) -> tuple[FileRow, dict[str, Any]]:
    doc = tickets.read(site.db.reader, ticket, "download")
    row = files.by_id(site.db.reader, doc["file_id"], doc["version"])
    named = request.match_info.get("name"), request.match_info.get("file_id")
    if (
        named not in ((row.name, None), (None, row.file_id))
        or request.match_info.get("id", row.parent_id) != row.parent_id
    ):
        raise ApiError(400, "the ticket is for another file")
    return row, {**doc["query"], **({"view": query["view"]} if "view" in query else {})}


async def _member(request: web.Request, row: FileRow, site: Site, name: str) -> web.StreamResponse:
    size, pieces = await asyncio.to_thread(zips.member, site.blobs.path(row.blob), name)
    return await send_pieces(
        request, pieces, size=size, mime="application/octet-stream", name=name.rstrip("/").rsplit("/", 1)[-1]
    )


async def zip_info(request: web.Request) -> web.Response:
    """GET /files/{id}/zip_info."""
    site = site_of(request)
    if not site.options.offers("zip-members"):
        raise ApiError(404, "this site has no zip members")
    row = targets.file_row(site.db.reader, request)
    return answer(await asyncio.to_thread(zips.directory, site.blobs.path(row.blob)))


async def zip_member(request: web.Request) -> web.StreamResponse:
    """GET /files/{id}/zip_member/{member}."""
    site = site_of(request)
    if not site.options.offers("zip-members"):
        raise ApiError(404, "this site has no zip members")
    row = targets.file_row(site.db.reader, request)
    return await _member(request, row, site, request.match_info["member"])


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_get(targets.NAMED, download)
    app.router.add_get(targets.OLD_NAMED, download)
    app.router.add_get("/api/files/{file_id}/download", download)
    app.router.add_get("/api/files/{file_id}/zip_info", zip_info)
    app.router.add_get("/api/files/{file_id}/zip_member/{member:.+}", zip_member)
