"""Gear rules of projects and of the site: kept as documents. A sandbox never starts a job by a rule."""

from __future__ import annotations

import sqlite3

from aiohttp import web

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.routes.crud import Document, Noun
from fwsync.sandbox.site import USER
from fwsync.sandbox.store import documents

_TEXTS = ("gear_id", "role_id", "name", "compute_provider_id", "triggering_input", "priority")
_LISTS = ("fixed_inputs", "any", "all", "not", "tags")


def _checked(given: Document, held: Document | None) -> Document:
    if held is None and not isinstance(given.get("name"), str):
        raise invalid("name: must be a text")
    if held is None and not isinstance(given.get("gear_id"), str):
        raise invalid("gear_id: must be a gear's id")
    for names, kind in ((_TEXTS, str), (_LISTS, list), (("config",), dict), (("disabled", "auto_update"), bool)):
        for name in names:
            if given.get(name) is not None and not isinstance(given[name], kind):
                raise invalid(f"{name}: must be {kind.__name__}")
    empty = {"config": {}, "disabled": False, "auto_update": False, **{name: [] for name in _LISTS}}
    known = (*_TEXTS, *_LISTS, "config", "disabled", "auto_update")
    taken = {name: given[name] for name in known if given.get(name) is not None}
    revision = int((held or {}).get("revision") or 0) + 1
    first = empty if held is None else {}
    return {**first, **taken, "revision": revision, "last_modified_by": {"type": "user", "id": USER}}


def _project(conn: sqlite3.Connection, ident: str) -> None:
    documents.get(conn, "project", ident)


PROJECT = Noun(
    kind="project-rule", path="/api/projects/{project}/rules", checked=_checked, whole_answers=True, owner="project",
    exists=_project,
)  # fmt: skip
SITE = Noun(kind="site-rule", path="/api/site/rules", checked=_checked, whole_answers=True)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    PROJECT.setup(app)
    SITE.setup(app)
