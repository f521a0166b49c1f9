"""How a list route answers with documents that do not come from one index: the same parameters, the same envelope."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from aiohttp import web

from fwsync.sandbox.http import accepts, answer
from fwsync.sandbox.query import chosen
from fwsync.sandbox.query.listing import Listing
from fwsync.sandbox.routes.listing import listing_of
from fwsync.sandbox.site import site_of

Page = tuple[list[dict[str, Any]], int]


def enveloped(request: web.Request) -> bool:
    """Whether the answer is an envelope with counts."""
    return accepts(request, "pagination") and site_of(request).options.offers("pagination")


def _answer(request: web.Request, page: list[dict[str, Any]], total: int) -> web.Response:
    return answer({"count": len(page), "total": total, "results": page} if enveloped(request) else page)


async def page_of(request: web.Request, read: Callable[[sqlite3.Connection, Listing], Page]) -> web.Response:
    """One page as `read` finds it, in a worker thread."""
    listing = listing_of(request)
    page, total = await site_of(request).db.scan(lambda conn: read(conn, listing))
    return _answer(request, page, total)


async def page_of_list(request: web.Request, documents: list[dict[str, Any]]) -> web.Response:
    """One page of documents that are at hand."""
    page, total = chosen.of_list(documents, listing_of(request))
    return _answer(request, page, total)
