"""Which container, and which file on it, a file route names."""

from __future__ import annotations

import sqlite3

from aiohttp import web

from fwsync.sandbox.errors import ApiError, not_found
from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.documents import CONTAINERS, SINGULAR
from fwsync.sandbox.store.node import Node

KINDS = "groups|projects|subjects|sessions|acquisitions|analyses|collections|containers"
PATH = f"/api/{{kind:{KINDS}}}/{{id}}/files"
NAMED = PATH + "/{name}"
OLD_PATH = (
    "/api/{parents:projects|subjects|sessions|acquisitions|collections|containers}/{parent}/{kind:analyses}/{id}/files"
)
"""The older spelling of an analysis's files, below its parent."""
OLD_NAMED = OLD_PATH + "/{name}"


def container(conn: sqlite3.Connection, request: web.Request) -> Node:
    """The container that the route names; 404 if there is none."""
    kind, ident = request.match_info["kind"], request.match_info["id"]
    node = documents.find(conn, ident, CONTAINERS if kind == "containers" else (SINGULAR[kind],))
    if node is None:
        raise not_found(SINGULAR.get(kind, "container"), ident)
    return node


def version_of(request: web.Request) -> int | None:
    """The query's `version`; 422 unless a whole number."""
    text = request.query.get("version")
    if text is None or text == "":
        return None
    if not text.isdigit() or len(text) > 9:
        raise ApiError(422, f"version: {text!r} is not a whole number")
    return int(text)


def file_row(conn: sqlite3.Connection, request: web.Request) -> files.FileRow:
    """The file that the route names, by name on its container or by its id, in the version asked for."""
    version = version_of(request)
    if "file_id" in request.match_info:
        return files.by_id(conn, request.match_info["file_id"], version)
    return files.find(conn, container(conn, request).id, request.match_info["name"], version)
