"""Uploads of the content first and of the file entry after it: signed links, `PUT /upload/fs-file`, `POST /files`."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from typing import Any
from uuid import uuid4

from aiohttp import web

from fwsync.sandbox.errors import ApiError, invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes.providers import STORAGE
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, files, records
from fwsync.sandbox.store.blobs import Blob
from fwsync.sandbox.store.documents import CONTAINERS
from fwsync.sandbox.transfer import tickets, zips

KIND = "stored-content"
_PIECE = 256 * 1024


async def signed_url(request: web.Request) -> web.Response:
    """POST /upload/signed-url {size}: a link for the bytes; 409 on a site that does not sign."""
    given, site = await body(request, dict), site_of(request)
    if not site.options.offers("signed-urls"):
        raise ApiError(409, "this site has no signed links")
    if not isinstance(given.get("size"), int):
        raise invalid("size: must be a whole number")
    uuid = str(uuid4())
    link = f"{tickets.base(request)}/signed/content/{uuid}?signature={tickets.sign(site, 'content', uuid)}"
    return answer({"provider_id": STORAGE, "uuid": uuid, "upload_urls": [link], "upload_headers": {}})


async def receive(request: web.Request) -> web.Response:
    """PUT /signed/content/{uuid}: raw bytes, no API key; may be sent again."""
    site, uuid = site_of(request), request.match_info["uuid"]
    given = request.query.get("signature") or ""
    if not hmac.compare_digest(given.encode(), tickets.sign(site, "content", uuid).encode()):
        raise ApiError(403, "the link is wrong or has expired")
    blob = await _stored(request, uuid)
    return web.Response(status=200, headers={"ETag": f'"{blob.digest}"'})


async def fs_file(request: web.Request) -> web.Response:
    """PUT /upload/fs-file: raw bytes; `{provider_id, uuid}`."""
    uuid = str(uuid4())
    await _stored(request, uuid)
    return answer({"provider_id": STORAGE, "uuid": uuid})


async def _stored(request: web.Request, uuid: str) -> Blob:
    site = site_of(request)
    blob = await site.blobs.put(request.content.iter_chunked(_PIECE))

    def work(conn: sqlite3.Connection) -> None:
        held = records.find(conn, KIND, uuid)
        if held is None:
            records.insert(conn, KIND, {"digest": blob.digest, "size": blob.size}, ident=uuid)
        else:
            records.save(conn, KIND, {**held, "digest": blob.digest, "size": blob.size})

    await site.db.write(work)
    return blob


async def done(request: web.Request) -> web.Response:
    """POST /upload/complete-s3-multipart and /upload/signed-url/cleanup: nothing is left to do here."""
    await body(request, dict, optional=True)
    return answer({})


async def upsert(request: web.Request) -> web.Response:
    """POST /files {uuid, name, parent_ref, ...}: the file and `upsert_result` created, updated or ignored.

    Ignored: the file of this name has this content already; `?force_update=true` makes a new version all the same.
    """
    given, site = await body(request, dict), site_of(request)
    name, reference = given.get("name"), given.get("parent_ref")
    if not isinstance(name, str) or not name or "\x00" in name or not isinstance(reference, dict):
        raise invalid("name and parent_ref are needed")
    held = records.find(site.db.reader, KIND, str(given.get("uuid")))
    if held is None:
        raise ApiError(404, f"content {given.get('uuid')} not found")
    blob = Blob(held["digest"], held["size"])
    if isinstance(given.get("size"), int) and given["size"] != blob.size:
        raise ApiError(409, f"{name}: {blob.size} bytes were received, {given['size']} were announced")
    if name.lower().endswith(".zip"):
        given["zip_member_count"] = await asyncio.to_thread(zips.count, site.blobs.path(blob.digest))
    force = truth(request.query.get("force_update"))

    def work(conn: sqlite3.Connection) -> dict[str, Any]:
        parent = documents.find(conn, str(reference.get("id")), CONTAINERS)
        if parent is None:
            raise ApiError(404, f"container {reference.get('id')} not found")
        row = conn.execute(
            "select * from files where parent_id = ? and name = ? and current = 1", (parent.id, name)
        ).fetchone()
        if row is not None and row["blob"] == blob.digest and not force:
            return {**files.render(files.from_row(row)), "upsert_result": "ignored"}
        made = files.add(conn, parent, name, blob, given)
        documents.save(conn, parent)
        return {**files.render(made), "upsert_result": "created" if row is None else "updated"}

    return answer(await site.db.write(work))


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    router.add_post("/api/upload/signed-url", signed_url)
    router.add_put("/signed/content/{uuid}", receive)
    router.add_put("/api/upload/fs-file", fs_file)
    router.add_post("/api/upload/complete-s3-multipart", done)
    router.add_post("/api/upload/signed-url/cleanup", done)
    router.add_post("/api/files", upsert)
