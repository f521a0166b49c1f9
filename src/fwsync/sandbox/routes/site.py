"""Who am I, and what can this site do."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from fwsync.sandbox.errors import not_found
from fwsync.sandbox.http import answer
from fwsync.sandbox.site import USER, site_of

EPOCH = "2020-01-01T00:00:00+00:00"


def user() -> dict[str, Any]:
    """The one user of a sandbox: an administrator with nothing personal."""
    return {
        "_id": USER,
        "firstname": "Sandbox",
        "lastname": "Admin",
        "email": USER,
        "roles": ["site_admin"],
        "root": True,
        "disabled": False,
        "avatar": None,
        "created": EPOCH,
        "modified": EPOCH,
        "info": {},
        "preferences": {},
    }


async def auth_status(_request: web.Request) -> web.Response:
    """GET /auth/status."""
    origin = {"type": "user", "id": USER}
    return answer({"origin": origin, "user_is_admin": True, "is_device": False, "roles": ["site_admin"]})


async def self_(_request: web.Request) -> web.Response:
    """GET /users/self."""
    return answer(user())


async def users(_request: web.Request) -> web.Response:
    """GET /users."""
    return answer([user()])


async def one_user(request: web.Request) -> web.Response:
    """GET /users/{id}."""
    if request.match_info["id"] != USER:
        raise not_found("user", request.match_info["id"])
    return answer(user())


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


async def version(_request: web.Request) -> web.Response:
    """GET /version."""
    return answer({"_id": "version", "database": 1, "release": "sandbox", "flywheel_release": "sandbox"})


def setup(app: web.Application) -> None:
    """Add this room's routes."""
    app.router.add_get("/api/auth/status", auth_status)
    app.router.add_get("/api/users/self", self_)
    app.router.add_get("/api/users", users)
    app.router.add_get("/api/users/{id}", one_user)
    app.router.add_get("/api/config", config)
    app.router.add_get("/api/version", version)
