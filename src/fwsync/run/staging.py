"""Verified bodies into `.fwsync/partial`, pressed to disk, from where `run.landing` renames them.

Staged files belong to nobody but their run: the folder is emptied when a run begins, so that a killed run leaves
nothing that anybody would have to remember.
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


class Staged(msgspec.Struct, frozen=True):
    """A staged file by its name in the staging folder, and what the index will say of it."""

    name: str
    row: Indexed


class Disk:
    """Works on a disk from the event loop while that is quick, from a thread otherwise."""

    def __init__(self) -> None:
        self._batches, self._seconds = 0, 0.0

    async def do(self, work: Callable[[], T], files: int) -> T:
        """Run `work`, which handles so many files."""
        self._batches += 1
        if self._seconds > INLINE_SECONDS and self._batches % PROBE:
            return await anyio.to_thread.run_sync(work)
        began = time.perf_counter()
        try:
            return work()
        finally:
            self._seconds = (time.perf_counter() - began) / max(files, 1)


class Stager:
    """Stages bodies of one run in one tree. `owner` begins the names of its files: no two stagers share it."""

    def __init__(self, tree: Tree, owner: str, *, fsync: str, mode: int | None) -> None:
        self._tree, self._owner, self._fsync, self._mode = tree, owner, fsync, mode
        self._numbers = itertools.count()
        self._disk = Disk()

    async def stage(self, bodies: Sequence[Body]) -> list[Staged | FwsyncError]:
        """Write each body; in their order, where it lies or why it does not."""
        return await self._disk.do(lambda: self._stage(bodies), len(bodies))

    def _stage(self, bodies: Sequence[Body]) -> list[Staged | FwsyncError]:
        out: list[Staged | FwsyncError] = []
        with folders(self._tree.real) as held:
            for body in bodies:
                try:
                    with disk_errors(body.path):
                        out.append(self._write(held, body))
                except FwsyncError as error:
                    out.append(error)
        return out

    def _write(self, held: Folders, body: Body) -> Staged:
        at, name = held.at(STAGING), f"{self._owner}-{next(self._numbers)}"
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
        return Staged(name, row)


def sweep(tree: Tree) -> int:
    """Remove what dead runs staged; how many files. The caller holds the tree's lock."""
    with disk_errors(tree.real), folders(tree.real) as held:
        at = held.at(STAGING)
        names = os.listdir(at)  # noqa: PTH208 - of a descriptor
        for name in names:
            os.unlink(name, dir_fd=at)
    return len(names)


def mtime_ns_of(file: FetchFile) -> int | None:
    """The modification time that a file is to have, in nanoseconds; the platform's own is in microseconds."""
    if file.mtime_ns is not None:
        return file.mtime_ns
    moment = instant(file.modified)
    return int(moment.timestamp() * 1_000_000) * 1000 if moment else None
