"""What can this site do."""

from __future__ import annotations

from aiohttp import web

from fwsync.sandbox.http import answer, public
from fwsync.sandbox.site import site_of

EPOCH = "2020-01-01T00:00:00+00:00"


@public
async def config(request: web.Request) -> web.Response:
    """GET /config: the features that clients look at before they choose how to transfer."""
    options = site_of(request).options
    signed = options.offers("signed-urls")
    return answer(
        {
            "site": {
                "name": "fwsync sandbox",
                "api_url": f"{request.scheme}://{request.host}/api",
                "pagination_limit": options.page_limit or None,
            },
            "signed_url": signed,
            "features": {
                "signed_url": signed,
                "multipart_signed_url": signed,
                "deid_log": False,
                "multiproject": True,
            },
            "modified": EPOCH,
        }
    )


@public
async def version(_request: web.Request) -> web.Response:
    """GET /version."""
    return answer({"_id": "version", "database": 1, "release": "sandbox", "flywheel_release": "sandbox"})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_get("/api/config", config)
    app.router.add_get("/api/version", version)
