"""Tags of containers: add, rename, remove, one or many."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from aiohttp import web

from fwsync.sandbox.errors import ApiError, malformed
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.documents import SINGULAR

KINDS = "groups|projects|subjects|sessions|acquisitions|analyses|collections|containers"


async def _change(request: web.Request, change: Callable[[list[str]], list[str]]) -> list[str]:
    kind, ident = SINGULAR[request.match_info["kind"]], request.match_info["id"]

    def work(conn: sqlite3.Connection) -> list[str]:
        node = documents.get(conn, kind, ident)
        node.doc["tags"] = change(list(node.doc.get("tags") or []))
        documents.save(conn, node)
        return list(node.doc["tags"])

    return await site_of(request).db.write(work)


async def _value(request: web.Request) -> str:
    value = (await body(request, dict)).get("value")
    if not isinstance(value, str) or not value.strip():
        raise malformed("a tag is needed as `value`")
    return value


def texts(given: list[object]) -> list[str]:
    """A body that must be a list of tags."""
    if not all(isinstance(tag, str) and tag for tag in given):
        raise malformed("the body must be a list of tags")
    return [str(tag) for tag in given]


async def add(request: web.Request) -> web.Response:
    """POST .../tags {value}: 409 if it is there."""
    value = await _value(request)

    def change(tags: list[str]) -> list[str]:
        if value in tags:
            raise ApiError(409, f"tag {value!r} is already there")
        return [*tags, value]

    await _change(request, change)
    return answer({"modified": 1})


async def add_many(request: web.Request) -> web.Response:
    """PATCH .../tags [list]."""
    new = texts(await body(request, list))
    await _change(request, lambda tags: list(dict.fromkeys([*tags, *new])))
    return answer({"modified": 1})


async def rename(request: web.Request) -> web.Response:
    """PUT .../tags/{tag} {value}."""
    old, value = request.match_info["tag"], await _value(request)

    def change(tags: list[str]) -> list[str]:
        if old not in tags:
            raise ApiError(404, f"tag {old!r} not found")
        if value != old and value in tags:
            raise ApiError(409, f"tag {value!r} is already there")
        return [value if tag == old else tag for tag in tags]

    await _change(request, change)
    return answer(value)


async def remove(request: web.Request) -> web.Response:
    """DELETE .../tags/{tag}."""
    old = request.match_info["tag"]

    def change(tags: list[str]) -> list[str]:
        if old not in tags:
            raise ApiError(404, f"tag {old!r} not found")
        return [tag for tag in tags if tag != old]

    await _change(request, change)
    return answer({"deleted": 1})


async def remove_many(request: web.Request) -> web.Response:
    """DELETE .../tags [list]."""
    gone = texts(await body(request, list))
    await _change(request, lambda tags: [tag for tag in tags if tag not in gone])
    return answer({"deleted": 1})


async def get_all(request: web.Request) -> web.Response:
    """GET .../tags."""
    kind = SINGULAR[request.match_info["kind"]]
    node = documents.get(site_of(request).db.reader, kind, request.match_info["id"])
    return answer(node.doc.get("tags") or [])


async def get_one(request: web.Request) -> web.Response:
    """GET .../tags/{tag}."""
    kind, tag = SINGULAR[request.match_info["kind"]], request.match_info["tag"]
    node = documents.get(site_of(request).db.reader, kind, request.match_info["id"])
    if tag not in (node.doc.get("tags") or []):
        raise ApiError(404, f"tag {tag!r} not found")
    return answer(tag)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    path = f"/api/{{kind:{KINDS}}}/{{id}}/tags"
    app.router.add_get(path, get_all)
    app.router.add_post(path, add)
    app.router.add_patch(path, add_many)
    app.router.add_delete(path, remove_many)
    app.router.add_get(path + "/{tag}", get_one)
    app.router.add_put(path + "/{tag}", rename)
    app.router.add_delete(path + "/{tag}", remove)
