"""Many small files to their final names at once: staged, pressed to disk, told to the journal, renamed.

What a batch shares is paid once: one commit of the journal before the renames, one after, one look-up of each folder.
Bodies wait in memory until they are verified; staged files lie in `.fwsync/partial`, which is emptied when a run
begins, so that a killed run leaves nothing that anybody would have to remember.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio.to_thread
import msgspec

from fwsync.errors import FwsyncError
from fwsync.model import instant
from fwsync.plan.mirroring import Indexed
from fwsync.plan.paths import OWN_FOLDER
from fwsync.run.folders import Folders, folders
from fwsync.run.journal import Journal
from fwsync.run.tree import Tree, disk_errors
from fwsync.work import FetchFile

T = TypeVar("T")
STAGING = f"{OWN_FOLDER}/partial"
INLINE_SECONDS = 150e-6
"""A disk that takes a file in less time than this is not worth a thread: the hops would cost more (tmpfs, a page
cache without fsync). Measured as the run goes, and again every PROBE batches."""

PROBE = 64


class Body(msgspec.Struct, frozen=True):
    """A verified file in memory. `hash` is what the index is to remember, `mtime_ns` None to leave it at now."""

    path: str
    file_id: str
    version: int | None
    hash: str | None
    member: str | None
    pieces: Sequence[bytes]
    mtime_ns: int | None


Landed = Indexed | FwsyncError
"""What became of a body: its row in the index, or why it has no final name."""


class Landing:
    """Gives small files of one tree their final names."""

    def __init__(self, tree: Tree, journal: Journal, run: str, *, fsync: str, mode: int | None) -> None:
        self._tree, self._journal, self._run = tree, journal, run
        self._fsync, self._mode = fsync, mode
        self.root = str(tree.real)
        self._numbers = itertools.count()
        self._batches = 0
        self._seconds = 0.0

    def sweep(self) -> int:
        """Remove what dead runs staged; how many files. The caller holds the tree's lock."""
        with disk_errors(self._tree.real), folders(self._tree.real) as held:
            at = held.at(STAGING)
            names = os.listdir(at)  # noqa: PTH208 - of a descriptor
            for name in names:
                os.unlink(name, dir_fd=at)
        return len(names)

    async def land(self, bodies: Sequence[Body]) -> list[Landed]:
        """Bring each body to its place; in their order, the index row or the error of each."""
        staged = await self._on_disk(lambda: self._stage(bodies), len(bodies))
        entries = [entry for entry in staged if isinstance(entry, _Staged)]
        if entries:
            await self._journal.put_files(self.root, [entry.row for entry in entries], "renaming")
            errors = await self._on_disk(lambda: self._rename(entries), 0)
            self._journal.all_present(self.root, [row.row.path for row in entries if row.name not in errors])
        else:
            errors = {}
        return [
            one if isinstance(one, FwsyncError) else errors.get(one.name, one.row) for one in staged
        ]  # a renaming row that stays behind is settled by the next run

    async def _on_disk(self, work: Callable[[], T], files: int) -> T:
        """Run `work` here where the disk is quick enough, else in a thread."""
        self._batches += bool(files)
        if self._seconds > INLINE_SECONDS and self._batches % PROBE:
            return await anyio.to_thread.run_sync(work)
        began = time.perf_counter()
        try:
            return work()
        finally:
            if files:
                self._seconds = (time.perf_counter() - began) / files

    def _stage(self, bodies: Sequence[Body]) -> list[_Staged | FwsyncError]:
        out: list[_Staged | FwsyncError] = []
        with folders(self._tree.real) as held:
            for body in bodies:
                try:
                    with disk_errors(body.path):
                        out.append(self._write(held, body))
                except FwsyncError as error:
                    out.append(error)
        return out

    def _write(self, held: Folders, body: Body) -> _Staged:
        at, name = held.at(STAGING), f"{self._run}-{next(self._numbers)}"
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=at)
        try:
            for piece in body.pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(descriptor, view) :]
            if self._mode is not None:
                os.fchmod(descriptor, self._mode)
            if body.mtime_ns is not None:
                os.utime(descriptor, ns=(body.mtime_ns, body.mtime_ns))
            if self._fsync != "never":
                os.fsync(descriptor)
            there = os.fstat(descriptor)
        except BaseException:
            os.unlink(name, dir_fd=at)
            raise
        finally:
            os.close(descriptor)
        row = Indexed(
            path=body.path,
            file_id=body.file_id,
            version=body.version,
            hash=body.hash,
            member=body.member,
            size=there.st_size,
            mtime_ns=there.st_mtime_ns,
        )
        return _Staged(name, row)

    def _rename(self, staged: Sequence[_Staged]) -> dict[str, FwsyncError]:
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


def mtime_ns_of(file: FetchFile) -> int | None:
    """The modification time that a file is to have, in nanoseconds; the platform's own is in microseconds."""
    if file.mtime_ns is not None:
        return file.mtime_ns
    moment = instant(file.modified)
    return int(moment.timestamp() * 1_000_000) * 1000 if moment else None


class _Staged(msgspec.Struct, frozen=True):
    """A staged file by its name in the staging folder, and what the index will say of it."""

    name: str
    row: Indexed
