"""Providers, settings and bookmarks of the site, and settings of projects: documents that nothing here obeys."""

from __future__ import annotations

import sqlite3
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes.crud import EPOCH, Document, Noun
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import documents, records

COMPUTE, STORAGE = "5dc091c169d4f30000000011", "5dc091c169d4f30000000012"
CLASSES = ("compute", "storage", "access_log", "change_log", "job_logs")


def _standard(ident: str, label: str, kind: str, type_: str) -> Document:
    about: Document = {"provider_class": kind, "provider_type": type_, "access_type": None, "config": {}}
    return {"_id": ident, "label": label, **about, "created": EPOCH, "modified": EPOCH, "deleted": None}


def _checked(given: Document, held: Document | None) -> Document:
    if held is None and given.get("provider_class") not in CLASSES:
        raise invalid(f"provider_class: must be one of {', '.join(CLASSES)}")
    for name, kind in (("label", str), ("provider_type", str), ("config", dict)):
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise invalid(f"{name}: must be {kind.__name__}")
    known = ("label", "provider_type", "config", *(("provider_class",) if held is None else ()))
    return {"config": {}, **{name: given[name] for name in known if name in given}} if held is None else {
        name: given[name] for name in known if name in given
    }  # fmt: skip


def _listed(request: web.Request, provider: Document) -> bool:
    """`?class=` narrows the list to one class."""
    return request.query.get("class") in (None, "", provider["provider_class"])


PROVIDERS = Noun(
    kind="provider", path="/api/site/providers", checked=_checked, listed=_listed,
    standard={
        COMPUTE: _standard(COMPUTE, "Sandbox compute", "compute", "static"),
        STORAGE: _standard(STORAGE, "Sandbox storage", "storage", "local"),
    },
)  # fmt: skip


async def provider_config(request: web.Request) -> web.Response:
    """GET /site/providers/{id}/config."""
    return answer(PROVIDERS.get(site_of(request).db.reader, request.match_info["id"])["config"])


def _single(kind: str, ident: str, default: Any) -> tuple[Any, Any]:
    """(read, write) of one document that a site or project has, `default` until it is written."""

    def read(conn: sqlite3.Connection) -> Any:
        held = records.find(conn, kind, ident)
        return held["value"] if held else default

    def write(conn: sqlite3.Connection, value: Any) -> Any:
        held = records.find(conn, kind, ident)
        if held is None:
            records.insert(conn, kind, {"value": value}, ident=ident)
        else:
            records.save(conn, kind, {**held, "value": value})
        return value

    return read, write


_SETTINGS: Document = {
    "_id": "site", "created": EPOCH, "modified": EPOCH, "center_gears": [], "viewer_apps": [], "ldap_sync": None,
    "providers": {"compute": COMPUTE, "storage": STORAGE}, "deid_profile": None,
}  # fmt: skip


async def settings(request: web.Request) -> web.Response:
    """GET or PUT /site/settings."""
    read, write = _single("site-settings", "site", _SETTINGS)
    if request.method == "GET":
        return answer(read(site_of(request).db.reader))
    given = await body(request, dict)
    known = {name: given[name] for name in _SETTINGS.keys() - {"_id", "created"} if name in given}
    return answer(await site_of(request).db.write(lambda conn: write(conn, {**read(conn), **known})))


async def bookmarks(request: web.Request) -> web.Response:
    """GET or PUT /site/bookmark-list: a list of {label, url}."""
    read, write = _single("bookmarks", "site", [])
    if request.method == "GET":
        return answer(read(site_of(request).db.reader))
    given = await body(request, list)
    if not all(isinstance(one, dict) and isinstance(one.get("url"), str) for one in given):
        raise invalid("the body must be a list of objects with label and url")
    return answer(await site_of(request).db.write(lambda conn: write(conn, given)))


async def project_settings(request: web.Request) -> web.Response:
    """GET or PUT /projects/{id}/settings."""
    ident = request.match_info["id"]
    documents.get(site_of(request).db.reader, "project", ident)
    empty: Document = {"viewer_apps": [], "deid_profile": None, "forms": {}, "external_routing_id": None}
    read, write = _single("project-settings", ident, empty)
    if request.method == "GET":
        return answer(read(site_of(request).db.reader))
    given = await body(request, dict)
    known = {name: given[name] for name in (*empty, "sharing", "workspaces") if name in given}
    return answer(await site_of(request).db.write(lambda conn: write(conn, {**read(conn), **known})))


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    router = app.router
    PROVIDERS.setup(app)
    router.add_get("/api/site/providers/{id}/config", provider_config)
    for method in ("GET", "PUT"):
        router.add_route(method, "/api/site/settings", settings)
        router.add_route(method, "/api/site/bookmark-list", bookmarks)
        router.add_route(method, "/api/projects/{id}/settings", project_settings)
