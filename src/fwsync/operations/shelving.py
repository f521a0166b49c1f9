"""What a mirror makes of the files of a selection: each in its place on a shelf.

Only looking into a zip, or up the older versions of a file, is a request for each; some are looked at at a time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio
import msgspec

from fwsync.client import remotezip
from fwsync.client.api import Flywheel
from fwsync.errors import FwsyncError
from fwsync.model import Container, FileEntry
from fwsync.operations.gathering import Gatherer, Receiver, at_once
from fwsync.operations.scope import Scope
from fwsync.operations.sidecars import Sidecars
from fwsync.plan import filetimes, unpacking
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.layout import Layout
from fwsync.plan.mirroring import fetch_of
from fwsync.plan.paths import Step
from fwsync.plan.selecting import Rules, is_zip
from fwsync.run.shelf import Place, Shelf
from fwsync.selection import Selection
from fwsync.work import Outcome

LOOKS_AT_ONCE = 64


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """How what is selected is laid out."""

    layout: Layout
    limits: unpacking.Limits = unpacking.Limits()
    sidecars: bool = False
    kept_times: bool = False


async def shelve(fw: Flywheel, selection: Selection, scope: Scope, shelf: Shelf, wishes: Wishes) -> Shelving:
    """Look through the scope; every file of the selection is then on the shelf."""
    shelving = Shelving(fw, selection, scope, shelf, wishes)
    gatherer = Gatherer(fw, selection, scope, shelving)
    await gatherer.run()
    shelving.notes = gatherer.notes
    return shelving


class Shelving(Receiver):
    """Fills a shelf. `troubles` are items that could not be looked at."""

    def __init__(self, fw: Flywheel, selection: Selection, scope: Scope, shelf: Shelf, wishes: Wishes) -> None:
        self._fw, self._selection, self._shelf, self._wishes = fw, selection, shelf, wishes
        self.scope, self.tally = scope, scope.tally
        self.troubles: list[Outcome] = []
        self.notes: list[str] = []
        self._rules = Rules(selection, scope.tally, scope.hits)
        self._sidecars = Sidecars(shelf) if wishes.sidecars else None
        self._unplaced = 0
        self.info = wishes.sidecars or wishes.layout.bids or wishes.kept_times

    def container(self, container: Container, level: str) -> None:
        """Its metadata is kept for sidecars."""
        if self._sidecars is not None:
            self._sidecars.keep(container, level)

    def folders(self, above: dict[str, Above], held_by: tuple[str, str]) -> tuple[Step, ...] | None:
        """The folders that the layout gives all files of a container."""
        return self._wishes.layout.shared_folders(above, held_by)

    async def take(self, candidates: list[Candidate]) -> None:
        """To the shelf: older versions are asked for, and zips are looked into."""
        waiting = candidates
        if self._selection.versions == "all":
            found = await self._each(waiting, self._all_versions)
            waiting = [version for versions in found for version in versions]
        if self._selection.looks_inside:
            apart = [one for one in waiting if is_zip(one.entry)]
            members = await self._each(apart, self._members)
            waiting = [one for one in waiting if not is_zip(one.entry)]
            waiting += [member for some in members for member in some]
        places: list[Place] = []
        for one in waiting:
            places += self._place(one)
        self._shelf.add(places)

    @property
    def may_hold_more(self) -> bool:
        """Whether a zip that was to be looked into could not be read: what is not found may be in it."""
        return bool(self.troubles) and self._selection.looks_inside

    def told(self) -> list[str]:
        """How many files the layout has no place for."""
        if not self._unplaced:
            return []
        return [f"{self._unplaced:,} files have no BIDS info, or are ignored by it: left out"]

    def _place(self, one: Candidate) -> list[Place]:
        steps = self._wishes.layout.places(one, whole=self._selection.unzip)
        if steps is None:
            self._unplaced += 1
            return []
        kind, ident = one.held_by
        fetch = fetch_of(kind, ident, one.entry, one.member)
        if self._wishes.kept_times and one.member is None:
            fetch = msgspec.structs.replace(fetch, mtime_ns=filetimes.to_ns((one.entry.info or {}).get(filetimes.KEY)))
        out: list[Place] = [(steps, fetch)]
        if self._sidecars is not None and one.member is None:
            out.append(self._sidecars.beside(steps, fetch, one))
        return out

    async def _all_versions(self, one: Candidate) -> list[Candidate]:
        """A file's newest version, if it is in, and all older ones that are."""
        newest = [one] if self._takes_again(one) else []
        if (one.entry.version or 1) <= 1 or one.entry.file_id is None:
            return newest
        older = [entry for entry in await self._fw.files.versions(one.entry) if entry.version != one.entry.version]
        held = [msgspec.structs.replace(one, entry=_like(entry, one.entry), superseded=True) for entry in older]
        return [*newest, *(version for version in held if self._takes_again(version))]

    def _takes_again(self, one: Candidate) -> bool:
        before = self.tally.out.copy()
        taken = self._rules.takes(one)
        self.tally.out = before
        self.tally.seen -= 1
        self.tally.taken += taken and one.superseded
        return taken

    async def _members(self, one: Candidate) -> list[Candidate]:
        """The wanted members of a zip; what may not be unpacked is a refused item with its name."""
        kind, ident = one.held_by
        held = await remotezip.members(self._fw.session, fetch_of(kind, ident, one.entry))
        wanted = [member for member in held if self._rules.takes_member(member)]
        good, refused = unpacking.judge(wanted, self._wishes.limits)
        for no in refused:
            target = f"{one.where}/{no.path}" if no.path else one.where
            self._trouble(f"member:{one.ident}{no.path}", "member", target, f"refused: {no.reason}")
        return [msgspec.structs.replace(one, member=member) for member in good]

    async def _each(
        self, candidates: Sequence[Candidate], look: Callable[[Candidate], Awaitable[list[Candidate]]]
    ) -> list[list[Candidate]]:
        """Look at many files, some at a time, in their order. One that can't be read is a failed item, not an end."""
        out: list[list[Candidate]] = [[] for _ in candidates]
        slots = anyio.Semaphore(LOOKS_AT_ONCE)

        async def one_of(at: int, one: Candidate) -> None:
            async with slots:
                try:
                    out[at] = await look(one)
                except FwsyncError as error:
                    if error.exit_code == 4:
                        raise
                    self._trouble(f"zip:{one.ident}", "zip", one.where, error.line)

        await at_once(*(partial(one_of, at, one) for at, one in enumerate(candidates)))
        return out

    def _trouble(self, key: str, kind: str, target: str, reason: str) -> None:
        self.troubles.append(Outcome(key=key, kind=kind, state="failed", target=target, reason=reason))


def _like(version: FileEntry, newest: FileEntry) -> FileEntry:
    """An older version with what its listing may leave out."""
    return msgspec.structs.replace(
        version, file_id=newest.file_id, parents=newest.parents, parent_ref=newest.parent_ref, name=version.name
    )
