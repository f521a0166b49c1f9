"""Quick routing. aiohttp finds a resource by the literal start of its path, and tries those that share one in turn.

Our paths start with a choice, such as `/api/{kind:projects|subjects}/{id}`: all of them would be tried for every
request, some 50 regular expressions. Here each is put under the literal starts that its choice allows.

aiohttp also lets no placeholder match a brace, but tags and files may be named `{x}`.
"""

from __future__ import annotations

import re

from aiohttp import web

_CHOICE = re.compile(r"/api/\(\?P<\w+>([a-z_|]+)\)")


class _Under(web.PlainResource):
    """Stands for a resource under one more literal start of its path."""

    def __init__(self, path: str, resource: web.AbstractResource) -> None:
        super().__init__(path)
        self.resolve = resource.resolve  # type: ignore[method-assign]


def index(router: web.UrlDispatcher) -> None:
    """Move every resource whose path starts with a choice to where its requests are looked for first; allow braces."""
    for resource in router.resources():
        if isinstance(resource, web.DynamicResource):
            wider = resource._pattern.pattern.replace(web.DynamicResource.GOOD, "[^/]+")  # noqa: SLF001
            resource._pattern = re.compile(wider)  # noqa: SLF001
        pattern = resource.get_info().get("pattern")
        found = _CHOICE.match(pattern.pattern) if pattern is not None else None
        if found is None:
            continue
        router.unindex_resource(resource)
        for literal in found.group(1).split("|"):
            router.index_resource(_Under(f"/api/{literal}", resource))
