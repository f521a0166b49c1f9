"""Uploads to a container: direct multipart, and by ticket with signed links."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import BodyPartReader, web

from fwsync.sandbox import faults
from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.routes import targets
from fwsync.sandbox.site import Site, site_of
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.blobs import Blob
from fwsync.sandbox.transfer import tickets, zips

PIECE = 256 * 1024
STEP = 256 * 1024
MOST_PARTS = 16


async def upload(request: web.Request) -> web.Response:
    """POST /{kind}/{id}/files: the file documents; with `?ticket=` the two ends of a signed upload."""
    ticket = request.query.get("ticket")
    site = site_of(request)
    if not site.options.offers("analysis-outputs") and targets.container(site.db.reader, request).kind == "analysis":
        raise ApiError(403, "this analysis takes no more files")
    if ticket is None:
        return await _direct(request)
    return await (_complete(request, ticket) if ticket else _begin(request))


async def _direct(request: web.Request) -> web.Response:
    site = site_of(request)
    parent = targets.container(site.db.reader, request)
    if not request.content_type.startswith("multipart/"):
        raise malformed("the body must be multipart/form-data with a part `file`")
    metadata: Any = {}
    received: list[tuple[str, Blob]] = []
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise malformed("a part holds parts of its own")
            if part.filename is None:
                metadata = _metadata(bytes(await part.read())) if part.name == "metadata" else metadata
            else:
                received.append((part.filename, await site.blobs.put(_pieces(part))))
    except ValueError as error:
        raise malformed(f"the multipart body is broken: {error}") from error
    if not received:
        raise malformed("the body has no file part")
    described = _per_file(metadata, [name for name, _ in received])
    return answer(await _store(site, request, parent.id, received, described))


def _metadata(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"metadata: is not JSON: {error}") from error


def _per_file(metadata: Any, names: list[str]) -> list[dict[str, Any]]:
    """One metadata object per file: an object is for all, a list is matched by name or by position."""
    if isinstance(metadata, dict):
        return [metadata for _ in names]
    if not isinstance(metadata, list) or not all(isinstance(item, dict) for item in metadata):
        raise malformed("metadata: must be an object or a list of objects")
    by_name = {item.get("name"): item for item in metadata}
    return [
        by_name.get(name) or (metadata[position] if position < len(metadata) else {})
        for position, name in enumerate(names)
    ]


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(PIECE):
        yield bytes(piece)


async def _store(
    site: Site,
    request: web.Request,
    parent_id: str,
    received: list[tuple[str, Blob]],
    described: list[dict[str, Any]],
    ticket: str | None = None,
) -> list[dict[str, Any]]:
    """Store the files; by a ticket only once, however many completions of it are under way."""
    preserve = truth(request.query.get("preserve_metadata"))
    counted = [await asyncio.to_thread(_members, site, name, blob) for name, blob in received]

    await faults.hold_back(request)

    def work(conn: sqlite3.Connection) -> list[dict[str, Any]]:
        parent = documents.find(conn, parent_id)
        if parent is None:
            raise ApiError(404, f"container {parent_id} was deleted")
        doc = tickets.read(conn, ticket, "upload") if ticket is not None else {}
        if doc.get("done"):
            return _stored(conn, doc)
        rows = []
        for (name, blob), metadata, members in zip(received, described, counted, strict=True):
            whole = {**metadata, "zip_member_count": metadata.get("zip_member_count") or members}
            rows.append(files.add(conn, parent, _valid(name), blob, whole, preserve_metadata=preserve))
        documents.save(conn, parent)
        if ticket is not None:
            tickets.update(conn, ticket, {**doc, "done": [[row.file_id, row.version] for row in rows]})
        return [files.render(row) for row in rows]

    return await site.db.write(work)


def _stored(conn: sqlite3.Connection, doc: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents of the files that a ticket's first completion stored."""
    return [files.render(files.by_id(conn, file_id, version)) for file_id, version in doc["done"]]


def _members(site: Site, name: str, blob: Blob) -> int | None:
    return zips.count(site.blobs.path(blob.digest)) if name.lower().endswith(".zip") else None


def _valid(name: str) -> str:
    if not name or "\x00" in name:
        raise invalid("a file needs a name")
    return name


async def _begin(request: web.Request) -> web.Response:
    """Step one of a signed upload: a ticket and the links to send the bytes to."""
    site = site_of(request)
    parent = targets.container(site.db.reader, request)
    if not site.options.offers("signed-urls"):
        return web.Response(status=200)  # a site that can't sign answers with nothing
    given = await body(request, dict)
    names = given.get("filenames")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise malformed("filenames: must be a list of names")
    described = _per_file(given.get("metadata") or {}, names)
    multipart = "multipart_signed_url" in request.headers.get("x-accept-feature", "").lower()
    parts = [_parts(site, metadata.get("size"), multipart) for metadata in described]
    doc = {
        "kind": "upload",
        "parent_id": parent.id,
        "names": [_valid(name) for name in names],
        "metadata": described,
        "parts": [[None] * count for count in parts],
        "done": None,
    }
    ticket = await site.db.write(lambda conn: tickets.issue(conn, doc))
    urls: dict[str, str | list[str]] = {}
    for position, (name, count) in enumerate(zip(names, parts, strict=True)):
        links = [_link(site, request, ticket, position, part) for part in range(count)]
        urls[name] = links if count > 1 else links[0]
    return answer({"ticket": ticket, "urls": urls, "headers": {}})


def _parts(site: Site, size: Any, multipart: bool) -> int:
    """How many links to hand out. The SDK rounds its part size up to the next 256 KiB, so that too many links for a
    file would leave it with parts of negative length: a list is offered only well above that."""
    threshold = site.options.part_threshold
    if not multipart or not isinstance(size, int) or size <= threshold:
        return 1
    count = min(MOST_PARTS, -(-size // max(threshold, 1)))
    while count > 1 and size <= count * (count + 1) * STEP:
        count -= 1
    return count


def _link(site: Site, request: web.Request, ticket: str, position: int, part: int) -> str:
    signature = tickets.sign(site, "upload", ticket, str(position), str(part))
    return f"{tickets.base(request)}/signed/upload/{ticket}/{position}/{part}?signature={signature}"


async def receive_part(request: web.Request) -> web.Response:
    """PUT /signed/upload/{ticket}/{file}/{part}: raw bytes, no API key; a part may be sent again."""
    site = site_of(request)
    ticket, position, part = (request.match_info[name] for name in ("ticket", "file", "part"))
    if request.query.get("signature") != tickets.sign(site, "upload", ticket, position, part):
        raise ApiError(403, "the link is wrong or has expired")
    tickets.read(site.db.reader, ticket, "upload")
    blob = await site.blobs.put(request.content.iter_chunked(PIECE))
    await faults.hold_back(request)

    def work(conn: sqlite3.Connection) -> None:
        doc = tickets.read(conn, ticket, "upload")
        doc["parts"][int(position)][int(part)] = [blob.digest, blob.size]
        tickets.update(conn, ticket, doc)

    await site.db.write(work)
    return web.Response(status=200, headers={"ETag": f'"{blob.digest}"'})


async def _complete(request: web.Request, ticket: str) -> web.Response:
    """Step two: the file documents, once all bytes are here. Completing again answers the same documents."""
    site = site_of(request)
    parent = targets.container(site.db.reader, request)
    doc = tickets.read(site.db.reader, ticket, "upload")
    if doc["parent_id"] != parent.id:
        raise ApiError(404, f"ticket {ticket} is for another container")
    if doc["done"]:
        return answer(_stored(site.db.reader, doc))
    received = []
    for name, metadata, parts in zip(doc["names"], doc["metadata"], doc["parts"], strict=True):
        if any(part is None for part in parts):
            raise ApiError(409, f"{name}: not all bytes have been received")
        blob = await _joined(site, [Blob(*part) for part in parts])
        size = metadata.get("size")
        if isinstance(size, int) and size != blob.size:
            raise ApiError(409, f"{name}: {blob.size} bytes were received, {size} were announced")
        received.append((name, blob))
    return answer(await _store(site, request, parent.id, received, doc["metadata"], ticket))


async def _joined(site: Site, parts: list[Blob]) -> Blob:
    if len(parts) == 1:
        return parts[0]

    async def pieces() -> AsyncIterator[bytes]:
        for part in parts:
            with site.blobs.path(part.digest).open("rb") as source:
                while piece := source.read(PIECE):
                    yield piece

    return await site.blobs.put(pieces())


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post(targets.PATH, upload)
    app.router.add_post(targets.OLD_PATH, upload)
