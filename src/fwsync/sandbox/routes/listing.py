"""How a list route answers: parameters, the page, the envelope where a client asked for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from aiohttp import web

from fwsync.sandbox.http import accepts, answer
from fwsync.sandbox.query.listing import Listing, count, select, spliced
from fwsync.sandbox.site import site_of
from fwsync.sandbox.store.node import Node

SMALL = 100
"""Pages of up to so many documents, and what is below one subject, are read on the loop: the way to a thread and back
costs more. Larger pages, and filters that scan, are read in a thread."""


def listing_of(request: web.Request) -> Listing:
    """The list parameters of a request."""
    many = len(request.query.getall("filter", [])) > 1
    return Listing.from_query(request.query, many_filters=many, cap=site_of(request).options.page_limit)


async def page(
    request: web.Request,
    kind: str,
    *,
    where: Mapping[str, str] | None = None,
    keep: Callable[[Node], bool] | None = None,
    extend: Callable[[sqlite3.Connection, list[Node], list[dict[str, Any]]], None] | None = None,
    shape: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    enveloped: bool = False,
) -> web.Response:
    """One page of documents of a kind, as the request asks for it."""
    listing = listing_of(request)
    site = site_of(request)
    envelope = enveloped or (accepts(request, "pagination") and site.options.offers("pagination"))
    with_files = not accepts(request, "exclude-files")

    def read(conn: sqlite3.Connection) -> Any:
        more = partial(extend, conn) if extend is not None else None
        plain = keep is None and extend is None and shape is None
        how: dict[str, Any] = {"where": where, "with_files": with_files}
        found: list[Any] | None = spliced(conn, kind, listing, **how) if plain else None
        how |= {"keep": keep, "extend": more}
        if found is None:
            found = select(conn, kind, listing, **how)
            found = [shape(document) for document in found] if shape else found
        if not envelope:
            return found
        if plain:
            # Counting 100,000 containers for each page would cost as much as the page.
            asked = (kind, request.query.get("filter", ""), *(where or {}).items())
            total = site.db.remembered(asked, lambda: count(conn, kind, listing, **how))
        else:
            total = count(conn, kind, listing, **how)
        return {"count": len(found), "total": total, "results": found}

    few = 0 < listing.limit <= SMALL or bool(where and where.keys() & {"subject_id", "session_id"})
    quick = few and not listing.clauses and not listing.sort and keep is None
    return answer(read(site.db.reader) if quick else await site.db.scan(read))
