"""Brings files again of which only a row of the journal's index is left: by their file ids."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping

import anyio
import msgspec

from fwsync.client import remotezip
from fwsync.client.api import Flywheel
from fwsync.errors import NotAsAskedError, NotFoundError
from fwsync.model import PLURALS, ZipMember
from fwsync.plan.mirroring import Indexed, fetch_of, key_of, kind_of
from fwsync.run.pool import Handler
from fwsync.run.verifying import REPAIR, Verdict, VerifyFile, settled
from fwsync.work import FetchFile, Outcome, WorkItem

MOST_ARCHIVES = 16
"""So many directories of zips are kept: members of one archive lie together in a tree."""

SIDECAR = ":sidecar"


class Repairer:
    """Brings damaged and missing files again, and changed ones if `overwrite`."""

    def __init__(self, fw: Flywheel, handlers: Mapping[str, Mapping[str, Handler]], *, overwrite: bool) -> None:
        """`handlers` are those that fetch into each tree, by root and item kind."""
        self._fw, self._handlers, self._overwrite = fw, handlers, overwrite
        self._archives: OrderedDict[tuple[str, int | None], list[ZipMember]] = OrderedDict()
        self._looking = anyio.Lock()

    async def repair(self, item: WorkItem, held: VerifyFile, verdict: Verdict) -> Outcome:
        """One file. Whatever goes wrong on the way is raised as by any transfer."""
        began = time.monotonic()
        if verdict == "changed" and not self._overwrite:
            return settled(item, verdict, 0.0)
        try:
            # What somebody changed goes to the trash, as a mirror would have it.
            fetch = msgspec.structs.replace(await self._wanted(held.entry), aside=verdict == "changed")
            kind = kind_of(fetch)
            order = WorkItem(kind=kind, key=key_of(fetch), target=item.target, payload=fetch, bytes=item.bytes)
            [took] = await self._handlers[held.root][kind](order, None)
        except NotFoundError:  # a site may tell of a deleted file, and have its bytes no more
            return settled(item, verdict, time.monotonic() - began, "; the site has it no more")
        except _LostError as error:
            return settled(item, verdict, time.monotonic() - began, f"; {error.line}")
        if took.state not in ("done", "unchanged"):
            return msgspec.structs.replace(took, key=item.key, kind=item.kind)
        return msgspec.structs.replace(took, key=item.key, kind=REPAIR, state="done", reason=f"was {verdict}")

    async def _wanted(self, entry: Indexed) -> FetchFile:
        """What to fetch for a row. _LostError where the site can't be asked for it."""
        if entry.file_id.endswith(SIDECAR):
            raise _LostError("fwsync mirror writes sidecars anew: remove it, then run that")
        if not entry.file_id:
            raise _LostError("the site gave the file no id to ask by: remove it, then run fwsync mirror")
        found = await self._fw.files.at(entry.file_id, entry.version)
        parent = found.parent_ref
        if parent is None or parent.type not in PLURALS:
            raise _LostError("the site does not tell where the file is: remove it, then run fwsync mirror")
        fetch = fetch_of(parent.type, parent.id, found)
        if entry.member is None:
            return msgspec.structs.replace(fetch, path=entry.path)
        members = await self._members(fetch)
        member = next((one for one in members if one.path == entry.member), None)
        if member is None:
            raise _LostError("its archive on the site has no such member")
        return msgspec.structs.replace(fetch_of(parent.type, parent.id, found, member), path=entry.path)

    async def _members(self, fetch: FetchFile) -> list[ZipMember]:
        key = (fetch.file_id or "", fetch.version)
        async with self._looking:  # members of one archive come together: its directory is read once
            if key not in self._archives:
                self._archives[key] = await remotezip.members(self._fw.session, fetch)
                if len(self._archives) > MOST_ARCHIVES:
                    self._archives.popitem(last=False)
            return self._archives[key]


class _LostError(NotAsAskedError):
    """The site can't be asked for a file."""
