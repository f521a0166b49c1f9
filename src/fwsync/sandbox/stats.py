"""`GET /sandbox/stats`: how often each route was asked, with which status, and which faults were given."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler


class Stats:
    """Counters of one server run. Routes are patterns, never paths: no label or id ends up here."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, web.AbstractResource | None]] = Counter()
        self.statuses: Counter[int | str] = Counter()
        self.faults: Counter[str] = Counter()

    def as_dict(self) -> dict[str, Any]:
        """As the page shows it."""
        requests: Counter[str] = Counter()
        for (method, resource), count in self.requests.items():
            requests[f"{method} {resource.canonical if resource else 'unknown'}"] += count
        return {
            "total": self.requests.total(),
            "requests": dict(sorted(requests.items())),
            "statuses": dict(sorted((str(status), count) for status, count in self.statuses.items())),
            "faults": dict(sorted(self.faults.items())),
        }

    def clear(self) -> None:
        """Start counting anew."""
        for counter in (self.requests, self.statuses, self.faults):
            counter.clear()


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count a request by its route and its answer by status."""
    counters = request.app[STATS]
    counters.requests[request.method, request.match_info.route.resource] += 1
    try:
        response = await handler(request)
    except ConnectionError:
        # The client has gone, or a fault cut it off: there is no one to answer and nothing to log.
        counters.statuses["cut"] += 1
        return web.Response(status=499)
    counters.statuses[response.status] += 1
    return response


STATS: web.AppKey[Stats] = web.AppKey("stats", Stats)


async def _show(request: web.Request) -> web.Response:
    return web.json_response(request.app[STATS].as_dict())


async def _reset(request: web.Request) -> web.Response:
    request.app[STATS].clear()
    return web.json_response({})


def setup(app: web.Application) -> None:
    """The counter page, outside /api and without a key: it holds nothing but numbers."""
    app.router.add_get("/sandbox/stats", _show)
    app.router.add_post("/sandbox/stats/reset", _reset)
