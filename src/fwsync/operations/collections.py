"""Collections: which there are, the one of a name, and its acquisitions."""

from __future__ import annotations

from collections.abc import Sequence

from fwsync.client.api import Flywheel
from fwsync.client.nouns import NO_SUCH_ROUTE
from fwsync.errors import NotFoundError, RemoteError, UsageError
from fwsync.model import Collection
from fwsync.operations.projects import near
from fwsync.selection import segment_id


async def known_collections(fw: Flywheel, label: str = "") -> list[Collection]:
    """The collections that the key sees, or those with just this label, the oldest first. UsageError where the site has
    no such thing."""
    try:
        if label:
            return await fw.collections_called(label)
        return [one async for one in fw.collections.iter(files=False)]
    except RemoteError as error:
        if error.status in NO_SUCH_ROUTE:
            raise UsageError(f"{fw.site} has no collections") from error
        raise


async def find_collection(fw: Flywheel, name: str, flag: str = "") -> Collection:
    """The collection with this label, or `<id:HEX>`. UsageError where there is none, with near names, or several, with
    their ids; `flag` is what a person wrote in front of the name."""
    named = f"{flag} {name}".strip()
    if segment_id(name) is not None:
        return await collection_by_id(fw, name, named)
    known = await known_collections(fw)
    found = only_one(known, name, named)
    if found is None:
        raise UsageError(f"{named}: not found{near(name, (one.label or '' for one in known))}")
    return found


async def collection_by_id(fw: Flywheel, name: str, named: str) -> Collection:
    """The collection `<id:HEX>`. UsageError where the site has none with this id."""
    try:
        return await fw.collections.get(segment_id(name) or "")
    except NotFoundError:
        raise UsageError(f"{named}: {fw.site} has no collection with this id") from None


def only_one(known: Sequence[Collection], label: str, named: str) -> Collection | None:
    """The one of these with a label, None where there is none. UsageError where there are several."""
    found = [one for one in known if one.label == label]
    if len(found) > 1:
        ids = ", ".join(f"<id:{one.id}>" for one in found)
        raise UsageError(f"{named}: there are {len(found)} collections of this label; name one by its id: {ids}")
    return found[0] if found else None
