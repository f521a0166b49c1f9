"""Handlers that download: a partial file in the target folder, verified, then renamed; the journal on both sides."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from fwsync import logs
from fwsync.client import remotezip, transfer
from fwsync.client.api import Flywheel
from fwsync.client.splitting import fetch_split
from fwsync.config import LogSettings
from fwsync.errors import DiskFullError, FwsyncError, TargetError
from fwsync.plan.mirroring import Indexed
from fwsync.run import small_files
from fwsync.run.crew import Crew, Job
from fwsync.run.journal import Journal
from fwsync.run.landing import Landing
from fwsync.run.partfile import PartFile
from fwsync.run.pool import Batching, Handler
from fwsync.run.room import Claim, Room, size_of
from fwsync.run.staging import Stager, mtime_ns_of, sweep
from fwsync.run.tree import Tree, crc32_of, disk_errors, sha384_of
from fwsync.run.worker import OwnWorker
from fwsync.run.workers import Workers
from fwsync.work import FetchFile, Outcome, WorkItem

log = logs.get("run")


class Fetcher:
    """Downloads into one tree, for one run."""

    def __init__(
        self,
        fw: Flywheel,
        journal: Journal,
        tree: Tree,
        run: str,
        *,
        fsync: str = "batch",
        link: bool = False,
        mode: int | None = None,
        crew: Crew | None = None,
        log_settings: LogSettings | None = None,
    ) -> None:
        """`link` makes equal whole files one hard-linked file, `mode` are the permission bits of what is written.
        `crew` are processes that help with small files; they log as `log_settings` say."""
        self._fw, self._journal, self._tree, self._run, self._fsync = fw, journal, tree, run, fsync
        self._links = Links() if link else None
        self._mode = mode
        self._root = str(tree.real)
        self._left: dict[tuple[str, str, int | None, str | None], str] = {}
        self._crew, self._log_settings = crew, log_settings or LogSettings()
        own = OwnWorker(fw.session, Stager(tree, run, fsync=fsync, mode=mode))
        self._workers = Workers(own)
        self._room = Room(tree.real)
        landing = Landing(tree, journal, fsync=fsync)
        self._small = small_files.SmallFiles(self._workers, journal, landing, self._room, self.fetch)
        self._unproved = self.linked = 0

    async def prepare(self) -> None:
        """Settle what a killed run left: renames of which nobody knows whether they happened, and partial files.

        The caller holds the tree's lock, so every partial that the journal knows belongs to a dead run.
        """
        for path, entry in (await self._journal.renaming(self._root)).items():
            if await self._is(self._tree.locate(path), entry):
                self._journal.present(self._root, path)
            else:
                await self._journal.not_renamed(self._root, path)
        sweep(self._tree)
        if self._crew is not None:
            session = self._fw.session
            job = Job(
                key=session.key, network=session.settings, log=self._log_settings,
                root=self._root, run=self._run, fsync=self._fsync, mode=self._mode,
            )  # fmt: skip
            self._workers.join(await self._crew.lanes(job, session))
        if self._links is not None:
            for entry in (await self._journal.index(self._root)).values():
                self._links.learn(entry)
        for row in await self._journal.parts(self._root):
            final = row["path"].rpartition("/")[0]
            self._left[(final, row["file_id"], row["version"], row["member"])] = row["path"]

    async def sweep(self) -> int:
        """Remove the partial files of dead runs that this run did not take up; how many."""
        for path in self._left.values():
            with disk_errors(path):
                self._tree.locate(path).unlink(missing_ok=True)
            self._journal.drop_part(self._root, path)
        swept, self._left = len(self._left), {}
        return swept

    @property
    def unproved(self) -> int:
        """How many files only their size proves."""
        return self._unproved + self._small.unproved

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {"download.file": self.fetch, "download.member": self.fetch, "write.sidecar": self.fetch}

    def batching(self) -> Batching:
        """How small files go together; hard links are made one by one."""
        return Batching(takes=self._goes_in_a_batch, handler=self._small.fetch, at_once=self._workers.batches)

    def _goes_in_a_batch(self, item: WorkItem) -> bool:
        return small_files.is_small(item) and (self._links is None or item.kind == "download.member")

    async def fetch(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Bring one file, or one member of a zip, to its place."""
        began = time.monotonic()
        file = item.payload
        if not isinstance(file, FetchFile):
            raise TypeError(f"{item.kind} needs a FetchFile")
        place = self._tree.locate(file.path)
        if place.is_dir() and not place.is_symlink():
            try:
                place.rmdir()
            except OSError as error:
                raise TargetError(
                    f"{file.path}: a folder is in the way, and is not empty; move it away, then run again"
                ) from error
        if os.path.lexists(place) and not await self._journal.index(self._root, paths=[file.path]):
            return [await self._adopt(item, file, place)]
        if self._links is not None and file.hash and file.member is None and file.content is None:
            async with self._links.turn(file.hash):
                if await self._link(file, place):
                    return [item.outcome("done", ref=file.file_id, seconds=time.monotonic() - began)]
                took, entry = await self._transfer(file, place)
                self._links.learn(entry)
        else:
            took, entry = await self._transfer(file, place)
        self._unproved += took.proof not in ("hash", "crc")
        seconds = time.monotonic() - began
        return [item.outcome("done", ref=entry.file_id, attempts=took.attempts, seconds=seconds, moved=took.moved)]

    async def _transfer(self, file: FetchFile, place: Path) -> tuple[transfer.Fetched, Indexed]:
        """A file by way of a partial one. Without room for the rest, what an earlier run left of it stays for the next
        one; a partial that finds the disk full is removed, so that others have its room."""
        key = (file.file_id or "", file.version, file.member)
        old = self._left.pop((file.path.rpartition("/")[0], *key), None) if file.file_id else None
        held = _bytes_at(self._tree.locate(old)) if old else 0
        for last in (False, True):
            with self._room.claim(file.path, size_of(file), held) as claim:
                try:
                    return await self._by_part(file, place, key, old, claim)
                except DiskFullError:
                    if last:
                        raise
            old, held = None, 0  # others that found it full have given their room back, maybe enough
        raise AssertionError("the second time raises or returns")

    async def _by_part(
        self, file: FetchFile, place: Path, key: tuple[str, int | None, str | None], old: str | None, claim: Claim
    ) -> tuple[transfer.Fetched, Indexed]:
        part_path = old or self._tree.part_name(file.path, self._run, key)
        await self._journal.own_part(self._root, part_path, key, self._run)
        try:
            part = claim.part = PartFile(self._tree, part_path, crc=file.member is not None)
            try:
                return await self._filled(file, part, part_path, place, go_on=old is not None)
            finally:
                part.close()  # most failures leave the partial: the journal knows it, the next run goes on from it
        except DiskFullError as error:
            raise self._no_room(error, file, part_path) from error.__cause__

    async def _filled(
        self, file: FetchFile, part: PartFile, part_path: str, place: Path, *, go_on: bool
    ) -> tuple[transfer.Fetched, Indexed]:
        if go_on:
            await part.take_over()
        if file.content is not None:
            await part.restart()
            await part.write(file.content)
            took = transfer.Fetched(0, 1, "hash")
        elif file.member is None:
            session = self._fw.session
            took = await fetch_split(session, file, part, session.settings.split)
        else:
            took = await remotezip.fetch_member(self._fw.session, file, part)
        return took, await self._finish(file, part, part_path, place)

    def _no_room(self, error: DiskFullError, file: FetchFile, part_path: str) -> FwsyncError:
        """Remove the partial of a file that found the disk full; the error, as the file's outcome is to tell it."""
        place = self._tree.locate(part_path)
        held = _bytes_at(place)
        with disk_errors(file.path):
            place.unlink(missing_ok=True)
        self._journal.drop_part(self._root, part_path)
        return self._room.learn(error, size_of(file) or held + 1, held)

    async def _finish(self, file: FetchFile, part: PartFile, part_path: str, place: Path) -> Indexed:
        """From a verified partial to the final name. The journal knows of the rename before it happens."""
        if self._fsync != "never":
            await part.sync()
        if self._mode is not None:
            part.chmod(self._mode)
        size, mtime_ns = await part.stamp(mtime_ns_of(file))
        entry = Indexed(
            path=file.path,
            file_id=file.file_id or "",
            version=file.version,
            hash=file.hash if file.member is None else f"crc32-{part.crc32():08x}",
            member=file.member,
            size=size,
            mtime_ns=mtime_ns,
        )
        await self._journal.put_file(self._root, entry, "renaming")
        with disk_errors(file.path):
            self._tree.locate(file.path)  # once more: a link may have been put there meanwhile
            part.path.replace(place)
            if self._fsync == "always":
                _sync_folder(place.parent)
        self._journal.present(self._root, file.path)
        self._journal.drop_part(self._root, part_path)
        return entry

    async def _link(self, file: FetchFile, place: Path) -> bool:
        """Make the file a hard link to an equal one that is here; False where there is none, or no link can be made."""
        held = self._links.find(file) if self._links is not None else None
        if held is None or held.path == file.path:
            return False
        source = self._tree.locate(held.path)
        part_path = self._tree.part_name(file.path, self._run, "link")
        part = self._tree.locate(part_path)
        await self._journal.own_part(self._root, part_path, (file.file_id or "", file.version, None), self._run)
        try:
            there = source.lstat()
            if (there.st_size, there.st_mtime_ns) != (held.size, held.mtime_ns):
                return False  # changed since it was put there
            part.parent.mkdir(parents=True, exist_ok=True)
            part.unlink(missing_ok=True)
            os.link(source, part, follow_symlinks=False)
        except OSError:
            return False  # another file system, too many links, or gone: then it is fetched
        finally:
            if not part.exists():
                self._journal.drop_part(self._root, part_path)
        entry = Indexed(
            path=file.path, file_id=file.file_id or "", version=file.version, hash=file.hash, member=None,
            size=held.size, mtime_ns=held.mtime_ns,
        )  # fmt: skip
        await self._journal.put_file(self._root, entry, "renaming")
        with disk_errors(file.path):
            self._tree.locate(file.path)
            part.replace(place)
            part.unlink(missing_ok=True)  # two names of one file: the rename does nothing
        self._journal.present(self._root, file.path)
        self._journal.drop_part(self._root, part_path)
        self.linked += 1
        return True

    async def _adopt(self, item: WorkItem, file: FetchFile, place: Path) -> Outcome:
        """A local file that the index does not know: ours from now on if its bytes are the wanted ones, else kept."""
        wanted = Indexed(
            path=file.path,
            file_id=file.file_id or "",
            version=file.version,
            hash=file.hash if file.member is None else f"crc32-{file.member_crc or 0:08x}",
            member=file.member,
            size=(file.size if file.member is None else file.member_size) or 0,
            mtime_ns=0,
        )
        provable = file.hash if file.member is None else file.member_crc is not None
        if provable and await self._is(place, wanted):
            held = place.stat()
            entry = msgspec.structs.replace(wanted, mtime_ns=held.st_mtime_ns)
            await self._journal.put_file(self._root, entry, "present")
            return item.outcome("unchanged", ref=file.file_id, reason="adopted: the same bytes were there")
        return item.outcome("failed", reason="a local file is in the way; move it away, then run again")

    async def _is(self, place: Path, entry: Indexed) -> bool:
        """Whether a local file is what an index row says."""
        if place.is_symlink() or not place.is_file() or place.stat().st_size != entry.size:
            return False
        digest = entry.hash or ""
        with disk_errors(place):
            if digest.startswith(transfer.HASH_PREFIX):
                return await anyio.to_thread.run_sync(sha384_of, place) == digest.removeprefix(transfer.HASH_PREFIX)
            if digest.startswith("crc32-"):
                return f"crc32-{await anyio.to_thread.run_sync(crc32_of, place):08x}" == digest
        # The site told no hash: the time that was set on the partial just before its rename is what is left to go by.
        return place.stat().st_mtime_ns == entry.mtime_ns


class Links:
    """Which whole files are in the tree, by their hash: to link to instead of fetching the same bytes again."""

    def __init__(self) -> None:
        self._held: dict[str, Indexed] = {}
        self._turns: dict[str, anyio.Lock] = {}

    def learn(self, entry: Indexed) -> None:
        """A whole file is there."""
        if entry.hash and entry.member is None:
            self._held.setdefault(entry.hash, entry)

    def find(self, file: FetchFile) -> Indexed | None:
        """A file of the same hash and size."""
        held = self._held.get(file.hash or "")
        return held if held is not None and file.size in (None, held.size) else None

    @asynccontextmanager
    async def turn(self, digest: str) -> AsyncIterator[None]:
        """One at a time of equal files: the second one finds what the first has fetched."""
        lock = self._turns.setdefault(digest, anyio.Lock())
        async with lock:
            yield
        if not lock.statistics().tasks_waiting:
            self._turns.pop(digest, None)


def _bytes_at(place: Path) -> int:
    try:
        return place.lstat().st_size
    except OSError:
        return 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
