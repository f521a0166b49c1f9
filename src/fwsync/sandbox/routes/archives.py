"""Bulk downloads: a ticket and its stream, a summary by type, and the list of targets that a sync works off."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from fwsync.sandbox.archive import entries, streams, wanted
from fwsync.sandbox.archive.entries import Entry, Layout
from fwsync.sandbox.archive.streams import Content
from fwsync.sandbox.archive.wanted import Wanted
from fwsync.sandbox.errors import ApiError, invalid, malformed, not_found
from fwsync.sandbox.http import answer, body, reads, takes_ticket
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.site import Site, site_of
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import CONTAINERS
from fwsync.sandbox.transfer import tickets
from fwsync.sandbox.transfer.bodies import disposition

KIND = "archive"
_TYPES = ("classic", "full", "bulk")


def _how(request: web.Request) -> dict[str, Any]:
    """What the query says about the form of the archive."""
    kind = request.query.get("type") or ("bulk" if truth(request.query.get("bulk")) else "classic")
    if kind not in _TYPES:
        raise invalid(f"type: {kind!r} is not one of {', '.join(_TYPES)}")
    return {
        "type": kind,
        "prefix": (request.query.get("prefix") or "").strip("/"),
        "analyses": truth(request.query.get("analyses")),
        "metadata": truth(request.query.get("metadata")),
    }


def _layout(how: dict[str, Any], prefix: str) -> Layout:
    prefix = "/".join(entries.safe(part) for part in (how["prefix"] or prefix).split("/") if part)
    return Layout(how["type"] == "full", prefix, analyses=how["analyses"], sidecars=how["metadata"])


def _contents(site: Site, conn: sqlite3.Connection, given: dict[str, Any], how: dict[str, Any]) -> Iterator[Content]:
    if how["type"] == "bulk":
        return _chosen(site, conn, given)
    return (_content(site, entry) for entry in entries.walk(conn, wanted.parse(given), _layout(how, "scitran")))


def _chosen(site: Site, conn: sqlite3.Connection, given: dict[str, Any]) -> Iterator[Content]:
    """`{files: [{container_name, container_id, filename}]}`: single files, wherever they are."""
    chosen = given.get("files")
    if not isinstance(chosen, list) or not chosen or not all(isinstance(one, dict) for one in chosen):
        raise malformed("files: must be a list of objects with container_name, container_id and filename")
    pairs = [(str(one.get("container_id") or one.get("_id")), str(one.get("filename"))) for one in chosen]
    nodes = {ident: documents.find(conn, ident, CONTAINERS) for ident in dict.fromkeys(ident for ident, _ in pairs)}
    rows = files.find_many(conn, pairs)
    for one, (ident, name) in zip(chosen, pairs, strict=True):
        node, row = nodes[ident], rows.get((ident, name))
        if node is None:
            raise not_found(str(one.get("container_name") or "container"), ident)
        if row is None:
            raise not_found("file", name)
        path = f"{node.kind}/{node.id}/{entries.safe(name)}"
        yield Content(path, row.size, row.modified, site.blobs.place(row.blob))


@reads
async def create(request: web.Request) -> web.Response:
    """POST /download: `{ticket, file_cnt, size, filename}`; 404 where nothing is found."""
    given, how, site = await body(request, dict), _how(request), site_of(request)
    if not site.options.offers("archives"):
        raise ApiError(404, "this site has no bulk downloads")
    if how["type"] == "bulk" and not site.options.offers("archives-of-files"):
        raise malformed("nodes: is needed")
    count, size = await site.db.scan(lambda conn: _measured(_contents(site, conn, given, how)))
    if not count:
        raise ApiError(404, "no files were found for this request")
    doc = {"kind": KIND, "request": given, "how": how}
    ticket = await site.db.write(lambda conn: tickets.issue(conn, doc))
    name = f"flywheel_{datetime.now(UTC):%Y%m%d_%H%M%S}.tar"
    return answer({"ticket": ticket, "file_cnt": count, "size": size, "filename": name})


def _measured(found: Iterator[Content]) -> tuple[int, int]:
    """Files and their bytes; sidecars are none."""
    sizes = [content.size for content in found if isinstance(content.source, str)]
    return len(sizes), sum(sizes)


@takes_ticket
async def fetch(request: web.Request) -> web.StreamResponse:
    """GET /download?ticket=&format=tar|zip: the stream, of unknown length."""
    site, ticket = site_of(request), request.query.get("ticket")
    if not ticket:
        raise malformed("ticket: is needed")
    kind = request.query.get("format") or "tar"
    if kind not in streams.FORMATS:
        raise invalid(f"format: {kind!r} is not one of {', '.join(streams.FORMATS)}")
    doc = tickets.read(site.db.reader, ticket, KIND)
    # All entries are known before the first byte: what is deleted meanwhile still has its content.
    found = await site.db.scan(lambda conn: list(_contents(site, conn, doc["request"], doc["how"])))
    writer, mime = streams.FORMATS[kind]
    headers = {"Content-Type": mime, "Content-Disposition": disposition(f"flywheel_{ticket}.{kind}")}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    pieces = _gathered(writer(found))
    while piece := await site.disk.do(lambda: next(pieces, b"")):
        await response.write(piece)
        await asyncio.sleep(0)  # a quick reader must not keep the loop for itself
    await response.write_eof()
    return response


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces of at least 256 KiB: sending each small one by itself would cost more than its bytes."""
    held, size = [], 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= streams.PIECE:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _content(site: Site, entry: Entry) -> Content:
    if entry.row is not None:
        return Content(entry.path, entry.row.size, entry.row.doc.get("modified"), site.blobs.place(entry.row.blob))
    told = msgspec.json.encode(entry.metadata)
    return Content(entry.path, len(told), (entry.metadata or {}).get("modified"), told)


@reads
async def summary(request: web.Request) -> web.Response:
    """POST /download/summary [{level, _id}]: count and size in MB by file type."""
    nodes = await body(request, list)
    asked = Wanted(wanted.parse({"nodes": nodes}).nodes, optional=True, filters=(), containers=())
    how = {"type": "classic", "prefix": "", "analyses": True, "metadata": False}

    def read(conn: sqlite3.Connection) -> dict[str, dict[str, Any]]:
        out: dict[str, dict[str, Any]] = {}
        for entry in entries.walk(conn, asked, _layout(how, "")):
            if entry.row is not None:
                kind = str(entry.row.doc.get("type") or "null")
                held = out.setdefault(kind, {"_id": kind, "count": 0, "mb_total": 0.0})
                held["count"] += 1
                held["mb_total"] += entry.row.size / 1_000_000
        return out

    return answer(await site_of(request).db.scan(read))


@reads
async def targets(request: web.Request) -> web.Response:
    """POST /download/targets?type=full&prefix=&analyses=&metadata=: one line of JSON per file or sidecar."""
    given, how = await body(request, dict), _how(request)

    def read(conn: sqlite3.Connection) -> bytes:
        found = entries.walk(conn, wanted.parse(given), _layout(how, ""))
        return b"".join(msgspec.json.encode(_line(entry)) + b"\n" for entry in found)

    lines = await site_of(request).db.scan(read)
    return web.Response(body=lines, content_type="application/x-ndjson")


def _line(entry: Entry) -> dict[str, Any]:
    about = {"container_id": entry.node.id, "container_type": entry.node.kind, "dst_path": "/" + entry.path}
    if entry.row is None:
        told = entry.metadata or {}
        name = entry.path.rsplit("/", 1)[-1]
        more = {"filename": name, "filetype": None, "size": len(msgspec.json.encode(told))}
        return {
            "download_type": "metadata_sidecar",
            **about,
            **more,
            "modified": told.get("modified"),
            "metadata": told,
        }
    row = entry.row
    more = {"filename": row.name, "filetype": row.doc.get("type"), "size": row.size, "file_id": row.file_id}
    if row.parent_id != entry.node.id:  # an input of an analysis is fetched from where it lies
        more |= {"container_id": row.parent_id, "container_type": row.parent_kind}
    return {"download_type": "file", **about, **more, "version": row.version, "modified": row.doc.get("modified")}


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/download", create)
    app.router.add_get("/api/download", fetch)
    app.router.add_post("/api/download/summary", summary)
    app.router.add_post("/api/download/targets", targets)
