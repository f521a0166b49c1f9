"""Tickets (rows) and signed links (an HMAC over what they grant)."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
import time
from typing import Any
from urllib.parse import quote

import msgspec
from aiohttp import web

from fwsync.sandbox.errors import ApiError
from fwsync.sandbox.site import Site
from fwsync.sandbox.store.ids import new_id

LIFETIME = 24 * 3600.0
LINK_LIFETIME = 600


def issue(conn: sqlite3.Connection, doc: dict[str, Any]) -> str:
    """A new ticket that grants what `doc` says."""
    ident = new_id()
    conn.execute("insert into tickets values (?, ?, ?)", (ident, time.time(), msgspec.json.encode(doc).decode()))
    return ident


def read(conn: sqlite3.Connection, ident: str, kind: str) -> dict[str, Any]:
    """What a ticket grants; 404 when it is unknown, expired or of another kind."""
    row = conn.execute("select made, doc from tickets where id = ?", (ident,)).fetchone()
    doc = msgspec.json.decode(row["doc"]) if row is not None else {}
    if row is None or doc.get("kind") != kind or row["made"] < time.time() - LIFETIME:
        raise ApiError(404, f"ticket {ident} not found")
    return dict(doc)


def update(conn: sqlite3.Connection, ident: str, doc: dict[str, Any]) -> None:
    """Change what a ticket holds."""
    conn.execute("update tickets set doc = ? where id = ?", (msgspec.json.encode(doc).decode(), ident))


def sign(site: Site, *what: str) -> str:
    """The signature over the parts of a link."""
    return hmac.new(site.signing_key.encode(), "\n".join(what).encode(), hashlib.sha256).hexdigest()


def download_link(site: Site, request: web.Request, digest: str, name: str, mime: str, size: int) -> str:
    """A link under /signed that serves one content to anyone who has it, for ten minutes."""
    expires = str(int(time.time()) + LINK_LIFETIME)
    signature = sign(site, "download", digest, name, mime, str(size), expires)
    query = f"name={quote(name, safe='')}&mime={quote(mime, safe='')}&size={size}&expires={expires}"
    return f"{base(request)}/signed/download/{digest}?{query}&signature={signature}"


def check(site: Site, signature: str, expires: str, *what: str) -> None:
    """403 unless the signature is right and not expired."""
    right = hmac.compare_digest(signature.encode(), sign(site, *what, expires).encode())
    if not right or not expires.isdigit() or int(expires) < time.time():
        raise ApiError(403, "the link is wrong or has expired")


def base(request: web.Request) -> str:
    """The server's own address as the client reached it."""
    return f"{request.scheme}://{request.host}"
