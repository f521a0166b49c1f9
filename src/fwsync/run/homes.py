"""Which container a new file of a mirrored tree goes to: that of the files in its folder, told by their ids.

That holds for any layout, as long as all mirrored files right in the folder are of one container; nothing is guessed
where they are not. Where none lies there, the layout tells which level the folder stands for, and any file below it
tells which container that is. One document for a folder, and one for its container, are read from the site.
"""

from __future__ import annotations

import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import NotFoundError
from fwsync.model import FileEntry, Reference
from fwsync.plan.mirroring import Indexed
from fwsync.plan.pushing import INTO_ARCHIVE, NO_HOME, OTHER_NAMES, TWO_HOMES, TreeLayout, ancestor
from fwsync.run import mirrored
from fwsync.run.journal import Journal

MOST_STRAYS = 50
"""So many files of a folder that its container does not hold (any more) are looked up before the folder is given up."""
MOST_NEIGHBOURS = 100_000
TRIES = 5


class Home(msgspec.Struct, frozen=True):
    """A container and the files that it holds, by name."""

    container: Reference
    files: dict[str, FileEntry]


class Homes:
    """Looks containers up, each folder once."""

    def __init__(
        self, fw: Flywheel, journal: Journal, root: str, layout: TreeLayout | None, *, one_project: bool
    ) -> None:
        """`layout` is the one the tree was mirrored with, None where that is not known. `one_project` tells that all of
        the tree is of one project, so that a folder above all subjects can be its."""
        self._fw, self._journal, self._root = fw, journal, root
        self._layout, self._one_project = layout, one_project
        self._found: dict[str, Home | str] = {}

    async def of(self, folder: str) -> Home | str:
        """The container for new files in this folder (relative, empty: the root), or why there is none."""
        found = self._found.get(folder)
        if found is None:
            if len(self._found) > 1000:  # folders come in order: an old one is not asked for again
                self._found.clear()
            found = self._found[folder] = await self._look(folder)
        return found

    async def entry(self, file_id: str) -> FileEntry | None:
        """A file as the site has it now; None if it has none of this id."""
        try:
            return await self._fw.files.get(file_id)
        except NotFoundError:
            return None

    async def _look(self, folder: str) -> Home | str:
        container = await self._of_neighbours(folder) or await self._by_layout(folder)
        if container is None:
            known = self._layout is None or self._layout.by_containers
            return NO_HOME if known else OTHER_NAMES
        if isinstance(container, str):
            return container
        held = await self._fw.noun(container.type).files_of(container.id)
        return Home(container, {entry.name: entry for entry in held})

    async def _of_neighbours(self, folder: str) -> Reference | str | None:
        """The one container of all files right in the folder; a reason if there are several, None if there is none."""
        near = await mirrored.below(
            self._journal, self._root, folder, right_there=True, members=True, limit=MOST_NEIGHBOURS
        )
        if near and all(one.member is not None for one in near):
            return INTO_ARCHIVE
        first = await self._first([one for one in near if one.member is None])
        if first is None or first.parent_ref is None:
            return None
        own = first.parent_ref
        held = {entry.file_id for entry in await self._fw.noun(own.type).files_of(own.id)}
        strays = list(dict.fromkeys(one.file_id for one in near if one.file_id not in held))
        if len(strays) > MOST_STRAYS:
            return TWO_HOMES
        for stray in strays:
            entry = await self.entry(stray)
            if entry is not None and entry.parent_ref != own:
                return TWO_HOMES
        return own

    async def _by_layout(self, folder: str) -> Reference | None:
        level = self._layout.level_at(folder.count("/") + 1 if folder else 0) if self._layout is not None else None
        if level is None or (not folder and not self._one_project):
            return None
        below = await mirrored.below(self._journal, self._root, folder, right_there=False, limit=TRIES)
        entry = await self._first(below)
        return ancestor(entry, level) if entry is not None else None

    async def _first(self, known: list[Indexed]) -> FileEntry | None:
        for one in known[:TRIES]:
            if (entry := await self.entry(one.file_id)) is not None:
                return entry
        return None
