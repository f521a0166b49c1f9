"""Plain documents with list, get, add, change and delete: roles, modalities, rules, providers.

Each noun says what its documents are called, how a body is checked, which documents every site has from the start,
and what an add and a change answer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import ApiError
from fwsync.sandbox.http import answer, body
from fwsync.sandbox.routes.paging import page_of_list
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store import records

Document = dict[str, Any]
EPOCH = "2020-01-01T00:00:00+00:00"


@dataclass(frozen=True, kw_only=True)
class Noun:
    """One kind of document.

    `checked(body, held)` gives the fields to keep (422 or 400 on wrong ones); `held` is the document that a change is
    for, None on an add. `ident` takes the id from an add's body. `listed` says whether a
    list request is for a document. `owner` names the path's part that documents belong
    to, `exists` refuses an unknown one.
    """

    kind: str
    path: str
    checked: Callable[[Document, Document | None], Document]
    ident: Callable[[Document], str | None] = lambda _: None
    standard: Mapping[str, Document] = field(default_factory=dict)
    shown: Callable[[sqlite3.Connection, Document], Document] = lambda _conn, document: document
    listed: Callable[[web.Request, Document], bool] = lambda _request, _document: True
    whole_answers: bool = False
    owner: str | None = None
    exists: Callable[[sqlite3.Connection, str], object] = lambda _conn, _ident: None

    def every(self, conn: sqlite3.Connection, owner: str | None = None) -> list[Document]:
        """All documents, the standard ones first."""
        held = {one["_id"]: one for one in records.every(conn, self.kind, owner)}
        first = [held.pop(ident, document) for ident, document in self.standard.items()]
        return [self.shown(conn, one) for one in [*first, *held.values()] if not one.get("gone")]

    def get(self, conn: sqlite3.Connection, ident: str) -> Document:
        """One document; 404 if there is none."""
        found = records.find(conn, self.kind, ident) or self.standard.get(ident)
        if found is None or found.get("gone"):
            raise ApiError(404, f"{self.kind} {ident} not found")
        return dict(found)

    def _owner(self, request: web.Request, conn: sqlite3.Connection) -> str | None:
        if self.owner is None:
            return None
        ident = request.match_info[self.owner]
        self.exists(conn, ident)
        return ident

    async def list_all(self, request: web.Request) -> web.Response:
        """GET of the plural."""
        conn = site_of(request).db.reader
        held = self.every(conn, self._owner(request, conn))
        return await page_of_list(request, [one for one in held if self.listed(request, one)])

    async def get_one(self, request: web.Request) -> web.Response:
        """GET of one."""
        conn = site_of(request).db.reader
        self._owner(request, conn)
        return answer(self.shown(conn, self.get(conn, request.match_info["id"])))

    async def add(self, request: web.Request) -> web.Response:
        """POST: `{_id}`, or the whole document."""
        given = await body(request, dict)

        def work(conn: sqlite3.Connection) -> Document:
            owner = self._owner(request, conn)
            ident = self.ident(given)
            if ident in self.standard:
                raise ApiError(409, f"{self.kind} {ident} already exists")
            return records.insert(conn, self.kind, self.checked(given, None), parent=owner, ident=ident)

        made = await site_of(request).db.write(work)
        whole = self.shown(site_of(request).db.reader, made)
        return answer(whole if self.whole_answers else {"_id": made["_id"]})

    async def change(self, request: web.Request) -> web.Response:
        """PUT: the whole document after it."""
        given, ident = await body(request, dict), request.match_info["id"]

        def work(conn: sqlite3.Connection) -> Document:
            self._owner(request, conn)
            held = self.get(conn, ident)
            held.update(self.checked(given, held))
            if records.find(conn, self.kind, ident) is None:
                return records.insert(conn, self.kind, held, ident=ident)
            records.save(conn, self.kind, held)
            return held

        made = await site_of(request).db.write(work)
        return answer(self.shown(site_of(request).db.reader, made))

    async def delete(self, request: web.Request) -> web.Response:
        """DELETE: a standard document is remembered as gone."""
        ident = request.match_info["id"]

        def work(conn: sqlite3.Connection) -> None:
            self._owner(request, conn)
            held = self.get(conn, ident)
            if records.find(conn, self.kind, ident) is not None:
                records.delete(conn, self.kind, ident)
            if ident in self.standard:
                records.insert(conn, self.kind, {**held, "gone": True}, ident=ident)

        await site_of(request).db.write(work)
        return answer({"deleted": 1})

    def setup(self, app: web.Application) -> None:
        """Add the noun's routes."""
        app.router.add_get(self.path, self.list_all)
        app.router.add_post(self.path, self.add)
        app.router.add_get(self.path + "/{id}", self.get_one)
        app.router.add_put(self.path + "/{id}", self.change)
        app.router.add_delete(self.path + "/{id}", self.delete)
