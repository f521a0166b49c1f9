"""The one place where URLs are built.

yarl would turn `/files/%2E%2E` into the parent route (a file delete would become a container delete) and rewrite
signed queries, so every URL here is final text, passed with `encoded=True`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote

from yarl import URL

from fwsync.errors import UsageError


def build(base: str, segments: Iterable[str], query: Mapping[str, str | int | None] | None = None) -> URL:
    """`base` with path segments and a query, all percent-encoded wholly (`/` too).

    Raises UsageError for a segment that is empty, `.` or `..`: a file so named is reached by its file id.
    """
    path = []
    for segment in segments:
        if segment in ("", ".", ".."):
            raise UsageError(f"{segment!r} can't be named in a request path; use <id:...> instead")
        path.append(_quoted(segment))
    text = "/".join((base, *path))
    pairs = [f"{_quoted(k)}={_quoted(str(v))}" for k, v in (query or {}).items() if v is not None]
    return URL(text + ("?" + "&".join(pairs) if pairs else ""), encoded=True)


@lru_cache(maxsize=4096)
def _quoted(text: str) -> str:
    """Most segments are kinds, ids and names that come again and again."""
    return quote(text, safe="")


def joined(url: URL, location: str) -> URL:
    """The target of a redirect, left exactly as the server wrote it when absolute."""
    if location.startswith(("http://", "https://")):
        return URL(location, encoded=True)
    return url.join(URL(location, encoded=True))


def origin(url: URL) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what decides whether a redirect may carry our credentials."""
    return url.scheme, url.host, url.port
