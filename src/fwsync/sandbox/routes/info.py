"""Custom info of containers: set, replace, delete keys."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import SINGULAR
from fwsync.sandbox.store.fields import clean_keys

KINDS = "groups|projects|subjects|sessions|acquisitions|analyses|collections|containers"


def changed(info: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """`info` after `{set}`, `{delete}` (both may come together) or `{replace}`; 400 on anything else.

    `set` replaces per top-level key and does not merge deeper; dots in keys become `_`.
    """
    verbs = set(given)
    if not verbs or verbs - {"set", "replace", "delete"} or ("replace" in verbs and len(verbs) > 1):
        raise malformed("info: the body must hold `set` and/or `delete`, or `replace` alone")
    if "replace" in given:
        return _object(given, "replace")
    info = dict(info)
    if "set" in given:
        new = _object(given, "set")
        if not new:
            raise malformed("info: `set` is empty")
        info.update(new)
    if "delete" in given:
        keys = given["delete"]
        if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
            raise malformed("info: `delete` must be a list of keys and not empty")
        for key in keys:
            _remove(info, key)
    return info


def _object(given: dict[str, Any], verb: str) -> dict[str, Any]:
    value = given[verb]
    if not isinstance(value, dict):
        raise malformed(f"info: `{verb}` must be an object")
    return {**clean_keys(value)}


def _remove(info: dict[str, Any], key: str) -> None:
    if key in info:
        del info[key]
        return
    inner: Any = info
    *path, last = key.split(".")
    for part in path:
        inner = inner.get(part) if isinstance(inner, dict) else None
    if isinstance(inner, dict):
        inner.pop(last, None)


async def patch(request: web.Request) -> web.Response:
    """PATCH (older: POST) /{kind}/{id}/info."""
    kind, ident = SINGULAR[request.match_info["kind"]], request.match_info["id"]
    given = await body(request, dict)

    def change(conn: sqlite3.Connection) -> None:
        node = documents.get(conn, kind, ident)
        node.info = changed(node.info, given)
        documents.save(conn, node)

    await site_of(request).db.write(change)
    return answer({"modified": 1})


async def get(request: web.Request) -> web.Response:
    """GET /{kind}/{id}/info."""
    kind = SINGULAR[request.match_info["kind"]]
    return answer(documents.get(site_of(request).db.reader, kind, request.match_info["id"]).info)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    path = f"/api/{{kind:{KINDS}}}/{{id}}/info"
    app.router.add_get(path, get)
    app.router.add_patch(path, patch)
    app.router.add_post(path, patch)
