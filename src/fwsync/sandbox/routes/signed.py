"""Links under /signed: the sandbox's stand-in for a cloud bucket. No API key is looked at here."""

from __future__ import annotations

from aiohttp import web

from fwsync.sandbox.errors import ApiError
from fwsync.sandbox.routes.uploads import receive_part
from fwsync.sandbox.site import site_of
from fwsync.sandbox.transfer import tickets
from fwsync.sandbox.transfer.bodies import send_file


async def serve(request: web.Request) -> web.StreamResponse:
    """GET /signed/download/{digest}: the content, with Range."""
    site, digest = site_of(request), request.match_info["digest"]
    name, mime, size, expires = (request.query.get(key, "") for key in ("name", "mime", "size", "expires"))
    tickets.check(site, request.query.get("signature", ""), expires, "download", digest, name, mime, size)
    path = site.blobs.path(digest)
    if not path.is_file():
        raise ApiError(404, "no such content")
    return await send_file(request, path, size=int(size), mime=mime, name=name, etag=digest, view=True)


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_get("/signed/download/{digest:[0-9a-f]{96}}", serve)
    app.router.add_put("/signed/upload/{ticket}/{file:[0-9]+}/{part:[0-9]+}", receive_part)
