"""Structured queries: what the site's own search finds."""

from __future__ import annotations

from typing import Any

from fwsync.client.session import ApiSession, decode
from fwsync.errors import ProtocolError

MOST = 10_000
"""A site gives no more hits at once."""


async def search(session: ApiSession, structured: str, finds: str, *, most: int = MOST) -> list[dict[str, Any]]:
    """The hits of a structured query, one for each thing of the kind `finds`, each with what is above it by kind:
    `{"acquisition": {"_id": ...}, "session": ...}`. ProtocolError where more may match than the site gives at once."""
    what = "POST /dataexplorer/search"
    body = {"structured_query": structured, "return_type": finds, "size": most}
    answer = await session.call(
        "POST", "dataexplorer", "search", query={"simple": "true", "size": most}, json=body, safe=True
    )
    found = decode(answer, list, what)
    if len(found) >= most:
        reason = f"the query finds {len(found):,} {finds}s or more, the site gives no more at once; narrow it"
        raise ProtocolError(reason, status=answer.status, request=what)
    return [hit if isinstance(hit, dict) else {} for hit in found]


def id_of(hit: dict[str, Any], kind: str) -> str:
    """The id of what a hit has of a kind; empty where it has none."""
    held = hit.get(kind)
    return str(held.get("_id") or "") if isinstance(held, dict) else ""


def label_of(hit: dict[str, Any], kind: str) -> str:
    """The label of what a hit has of a kind (a subject's may be its code), or its id."""
    held = hit.get(kind)
    told = (held.get("label") or held.get("code")) if isinstance(held, dict) else None
    return str(told or id_of(hit, kind))


def name_of(hit: dict[str, Any]) -> str:
    """The name of the file that a hit is; empty where it is none."""
    held = hit.get("file")
    return str(held.get("name") or "") if isinstance(held, dict) else ""
