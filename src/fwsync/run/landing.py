"""Many staged files to their final names at once.

What a batch shares is paid once: one commit of the journal before the renames, one after, one look-up of each folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from fwsync.errors import FwsyncError
from fwsync.plan.mirroring import Indexed
from fwsync.run.folders import folders
from fwsync.run.journal import Journal
from fwsync.run.staging import STAGING, Disk, Staged
from fwsync.run.tree import Tree, disk_errors

Landed = Indexed | FwsyncError
"""What became of a file: its row in the index, or why it has no final name."""


class Landing:
    """Gives staged files of one tree their final names."""

    def __init__(self, tree: Tree, journal: Journal, *, fsync: str) -> None:
        self._tree, self._journal, self._fsync = tree, journal, fsync
        self._disk = Disk()
        self.root = str(tree.real)

    async def land(self, staged: Sequence[Staged]) -> list[Landed]:
        """Bring each file to its place; in their order, the index row or the error of each."""
        if not staged:
            return []
        batch = await self._journal.land(self.root, [entry.row for entry in staged])
        errors = await self._disk.do(lambda: self._rename(staged), len(staged))
        self._journal.landed(self.root, batch, [entry.row for entry in staged if entry.name not in errors])
        return [errors.get(entry.name, entry.row) for entry in staged]

    def _rename(self, staged: Sequence[Staged]) -> dict[str, FwsyncError]:
        """The errors by staged name."""
        errors: dict[str, FwsyncError] = {}
        touched: set[str] = set()
        with folders(self._tree.real) as held:
            source = held.at(STAGING)
            for one in staged:
                folder, _, name = one.row.path.rpartition("/")
                try:
                    with disk_errors(one.row.path):
                        at = held.at(folder)
                        os.replace(one.name, name, src_dir_fd=source, dst_dir_fd=at)
                        touched.add(folder)
                except FwsyncError as error:
                    errors[one.name] = error
                    with suppress(OSError):  # the room that it takes may be what another one needs
                        os.unlink(one.name, dir_fd=source)
            if self._fsync == "always":
                for folder in touched:
                    os.fsync(held.at(folder))
        return errors

    def in_the_way(self, paths: Sequence[str]) -> set[str]:
        """Those of the paths at which something lies already, or which can't be looked at."""
        found = set()
        with folders(self._tree.real) as held:
            for path in paths:
                folder, _, name = path.rpartition("/")
                try:
                    os.stat(name, dir_fd=held.at(folder), follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except (OSError, FwsyncError):
                    pass  # whoever takes the file by itself will tell why
                found.add(path)
        return found
