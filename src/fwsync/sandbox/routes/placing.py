"""Uploads that say where their files belong: `POST /upload/label`, `/upload/uid`, `/upload/reaper`.

The part `metadata` names the levels by label (or by uid) and, per level, the files that go there:

    {group: {_id}, project: {label, files?}, session: {label | uid, subject: {label | code}, files?},
     acquisition: {label | uid, files: [{name, ...}]}}

Levels that are missing are made. `reaper` puts what names an unknown group or project into unknown/Unsorted.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from aiohttp import BodyPartReader, web

from fwsync.sandbox.errors import ApiError, invalid, malformed
from fwsync.sandbox.http import answer
from fwsync.sandbox.query.listing import truth
from fwsync.sandbox.site import USER, Site, site_of
from fwsync.sandbox.store import documents, fields, files
from fwsync.sandbox.store.blobs import Blob
from fwsync.sandbox.store.node import Node
from fwsync.sandbox.transfer import zips

_PIECE = 256 * 1024
_LEVELS = ("project", "subject", "session", "acquisition")


async def upload(request: web.Request) -> web.Response:
    """The file documents of what was stored."""
    how, site = request.match_info["how"], site_of(request)
    if "ticket" in request.query:
        raise ApiError(501, f"the sandbox does not sign uploads to /upload/{how}", route=request.path)
    metadata, received = await _received(request, site)
    preserve = truth(request.query.get("preserve_metadata"))
    placed = _placed(metadata, set(received))
    counts = {name: await asyncio.to_thread(_members, site, name, blob) for name, blob in received.items()}

    def work(conn: sqlite3.Connection) -> list[dict[str, Any]]:
        nodes = _nodes(conn, metadata, how)
        out = []
        for level, given in placed:
            if level not in nodes:
                raise invalid(f"{level}: has files but is not named")
            name = given["name"]
            about = {**given, "zip_member_count": given.get("zip_member_count") or counts[name]}
            row = files.add(conn, nodes[level], name, received[name], about, preserve_metadata=preserve)
            out.append(files.render(row))
        return out

    return answer(await site.db.write(work))


def _members(site: Site, name: str, blob: Blob) -> int | None:
    return zips.count(site.blobs.path(blob.digest)) if name.lower().endswith(".zip") else None


async def _received(request: web.Request, site: Site) -> tuple[dict[str, Any], dict[str, Blob]]:
    if not request.content_type.startswith("multipart/"):
        raise malformed("the body must be multipart/form-data with a part `metadata` and a part per file")
    metadata: Any = None
    received: dict[str, Blob] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise malformed("a part holds parts of its own")
            if part.filename is not None:
                received[part.filename] = await site.blobs.put(_pieces(part))
            elif part.name == "metadata":
                metadata = msgspec.json.decode(bytes(await part.read()))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(f"metadata: is not JSON: {error}") from error
    except ValueError as error:
        raise malformed(f"the multipart body is broken: {error}") from error
    if not isinstance(metadata, dict):
        raise malformed("metadata: must be an object")
    return metadata, received


async def _pieces(part: BodyPartReader) -> AsyncIterator[bytes]:
    while piece := await part.read_chunk(_PIECE):
        yield bytes(piece)


def _placed(metadata: dict[str, Any], names: set[str]) -> list[tuple[str, dict[str, Any]]]:
    """(level, file metadata) for every file; 400 where a file was sent but not named, or named but not sent."""
    out = []
    for level in _LEVELS:
        holder = _level(metadata, level)
        for given in holder.get("files") or []:
            if not isinstance(given, dict) or given.get("name") not in names:
                raise malformed(f"{level}.files: each must be an object that names a file of this request")
            out.append((level, given))
    unplaced = sorted(names - {given["name"] for _, given in out})
    if unplaced:
        raise malformed(f"metadata: says nothing about the file {unplaced[0]!r}")
    return out


def _level(metadata: dict[str, Any], level: str) -> dict[str, Any]:
    holder = metadata.get("session") if level == "subject" else metadata
    found = (holder or {}).get(level) if isinstance(holder, dict) else None
    if level == "subject" and found is None:
        found = metadata.get("subject")
    if found is not None and not isinstance(found, dict):
        raise malformed(f"metadata.{level}: must be an object")
    if found is not None and not isinstance(found.get("files") or [], list):
        raise malformed(f"metadata.{level}.files: must be a list")
    return found or {}


def _nodes(conn: sqlite3.Connection, metadata: dict[str, Any], how: str) -> dict[str, Node]:
    """The container of each level that is named, made where it is missing."""
    nodes: dict[str, Node] = {"project": _project(conn, metadata, how)}
    session = _level(metadata, "session")
    if not session and not _level(metadata, "acquisition"):
        return nodes
    person = _level(metadata, "subject")
    label = person.get("label") or person.get("code") or session.get("label") or session.get("uid")
    nodes["subject"] = _one(conn, "subject", {**person, "label": label}, nodes["project"], how="label")
    nodes["session"] = _one(conn, "session", session, nodes["subject"], how=how)
    acquisition = _level(metadata, "acquisition")
    if acquisition:
        nodes["acquisition"] = _one(conn, "acquisition", acquisition, nodes["session"], how=how)
    return nodes


def _project(conn: sqlite3.Connection, metadata: dict[str, Any], how: str) -> Node:
    about = metadata.get("group") or {}
    if not isinstance(about, dict):
        raise malformed("metadata.group: must be an object")
    group = documents.find(conn, str(about.get("_id") or ""), ("group",))
    given = _level(metadata, "project")
    label = given.get("label")
    found = documents.find_child(conn, "project", group.id, label) if group and isinstance(label, str) else None
    if how == "reaper" and found is None:
        unknown = documents.find(conn, "unknown", ("group",))
        unknown = unknown or documents.insert(conn, "group", {"label": "Unknown"}, ident="unknown")
        unsorted = documents.find_child(conn, "project", unknown.id, "Unsorted")
        return unsorted or documents.insert(conn, "project", {"label": "Unsorted"}, parent=unknown)
    if group is None:
        raise ApiError(404, f"group {about.get('_id')} not found")
    if not label:
        raise invalid("project: a label is needed")
    if found is not None:
        return found
    doc = {**fields.taken("project", given), "permissions": [{"_id": USER, "access": "admin", "role_ids": []}]}
    return documents.insert(conn, "project", doc, parent=group, info=fields.info_of(given))


def _one(conn: sqlite3.Connection, level: str, given: dict[str, Any], parent: Node, *, how: str) -> Node:
    doc = fields.taken(level, given)
    found = None
    if how != "label" and doc.get("uid"):
        rows = conn.execute("select * from nodes where kind = ? and parent_id = ? order by +id", (level, parent.id))
        found = next((node for node in map(documents.from_row, rows) if node.doc.get("uid") == doc["uid"]), None)
    elif doc.get("label"):
        found = documents.find_child(conn, level, parent.id, doc["label"])
    if found is None:
        doc["label"] = doc.get("label") or doc.get("uid")
        if not doc["label"]:
            raise invalid(f"{level}: a label or uid is needed")
        return documents.insert(conn, level, doc, parent=parent, info=fields.info_of(given))
    found.doc.update(doc)
    found.info.update(fields.info_of(given))
    documents.save(conn, found)
    return found


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_post("/api/upload/{how:label|uid|reaper}", upload)
