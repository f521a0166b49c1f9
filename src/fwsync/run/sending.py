"""The handler that uploads one local file.

A site may store a body after the sender was killed. So an intent is committed before a body is sent; a later run that
finds one waits until the grace time has passed for the file to turn up, before it sends a second version of it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import anyio
import msgspec

from fwsync.client import upload
from fwsync.client.api import Flywheel
from fwsync.client.bodies import IN_THREAD
from fwsync.errors import FwsyncError, IntegrityError, UnreachableError
from fwsync.model import PLURALS, FileEntry
from fwsync.run.hashes import HashCache, Stamp
from fwsync.run.journal import Journal
from fwsync.run.pool import Handler
from fwsync.run.tree import disk_errors
from fwsync.run.unfinished import Unfinished
from fwsync.work import Outcome, SendFile, State, WorkItem

REMEMBERED = 5.0
"""Seconds between two commits of the intent while a large body leaves."""


class Sender:
    """Uploads to one site, for one run."""

    def __init__(
        self,
        fw: Flywheel,
        journal: Journal,
        run: str,
        hashes: HashCache | None = None,
        *,
        stored: Callable[[WorkItem, FileEntry], Awaitable[None]] | None = None,
    ) -> None:
        """`stored` is told of each file that the site holds now as it is here, before its outcome is."""
        self._fw, self._journal, self._run, self._hashes = fw, journal, run, hashes
        self._stored = stored
        self._unfinished = Unfinished(journal, fw.site)
        self._loading = anyio.Lock()
        self._old: dict[tuple[str, str], float] | None = None

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {"upload.file": self.send}

    async def send(self, item: WorkItem, parent: str | None) -> Sequence[Outcome]:
        """Send a file unless the container already holds the same bytes under this name."""
        began = time.monotonic()
        file = item.payload
        if not isinstance(file, SendFile):
            raise TypeError(f"{item.kind} needs a SendFile")
        if not file.container_id:
            file = msgspec.structs.replace(file, container_id=parent or "")
        with disk_errors(file.source):
            stamp = Stamp.of(file.source)
            local = upload.Local(file)
            settled = await self._compare(item, file, local)
            if settled is None:
                settled = await self._transfer(item, file, local, began)
        if file.digest is None:
            self._remember(stamp, local)
        return [settled]

    def _remember(self, stamp: Stamp, local: upload.Local) -> None:
        """Keep the hash of a file that was in this state before it was read, and still is: then these are its bytes."""
        if self._hashes is not None and local.known is not None:
            with contextlib.suppress(OSError):
                if stamp == Stamp.of(stamp.path):
                    self._hashes.put(stamp, local.known)

    async def _compare(self, item: WorkItem, file: SendFile, local: upload.Local) -> Outcome | None:
        """The outcome of a file that needs no sending by what the container held while planning."""
        if file.held_hash is None:
            return None
        if file.held_size in (None, file.size) and file.held_hash == await local.hash():
            await self._tell(item, _held(file))
            return item.outcome("unchanged", ref=file.held_id, attempts=0)
        if file.on_conflict == "update":
            return None
        state: State = "skipped" if file.on_conflict == "skip" else "failed"
        return item.outcome(state, ref=file.held_id, reason="exists with other bytes", attempts=0)

    async def _transfer(self, item: WorkItem, file: SendFile, local: upload.Local, began: float) -> Outcome:
        before = await self._before(file)
        if before is not None and before.size == file.size and before.hash == await local.hash():
            await self._tell(item, before)
            return item.outcome("unchanged", ref=before.file_id)
        site, key = self._fw.site, (file.container_id, file.name)
        entry, attempts = None, 0
        if (sent_at := await self._sent_before(key)) is not None:
            left = await self._wait_for(file, sent_at)
            entry = await upload.turns_up(self._fw, file, await local.hash(), before, left)
        if entry is None:
            await self._intend(key)
            try:
                entry, attempts = await self._send(file, local, before)
            except UnreachableError:
                raise  # it may have arrived
            except FwsyncError:
                self._journal.end_sending(site, *key)
                raise
        await self._tell(item, entry)
        self._journal.end_sending(site, *key)
        return item.outcome(
            "done",
            ref=entry.file_id,
            attempts=attempts,
            seconds=time.monotonic() - began,
            moved=file.size - local.had if attempts else 0,
            request=f"POST /{PLURALS[file.container_type]}/{{id}}/files",
        )

    async def _before(self, file: SendFile) -> FileEntry | None:
        """What the container holds under this name: as the plan's listing told it, else asked for."""
        if not file.listed or (file.held_size is not None and file.held_version is None):
            return await upload.find_entry(self._fw, file)
        if file.held_id is None and file.held_size is None:
            return None
        return _held(file)

    async def _tell(self, item: WorkItem, entry: FileEntry) -> None:
        if self._stored is not None:
            await self._stored(item, entry)

    async def _sent_before(self, key: tuple[str, str]) -> float | None:
        """When a run that was killed sent this file, if one did."""
        async with self._loading:  # once, before any intent of our own
            if self._old is None:
                self._old = await self._journal.sending(self._fw.site)
        return self._old.pop(key, None)

    async def _send(self, file: SendFile, local: upload.Local, before: FileEntry | None) -> tuple[FileEntry, int]:
        """Send it and compare hashes. A large file is hashed while it is being sent, so that neither waits."""
        if file.size < IN_THREAD:
            await local.hash()
            entry, attempts = await self._put(file, local, before)
        else:
            entry, attempts = await self._send_and_hash(file, local, before)
        if entry.hash is not None and entry.hash != await local.hash():
            raise IntegrityError(f"{file.name}: the site stored other bytes than {file.source} has; send it again")
        return entry, attempts

    async def _wait_for(self, file: SendFile, sent_at: float) -> float:
        """For how many seconds the site may still store what a killed run sent."""
        kept = await self._unfinished.load(file) if file.size >= upload.DIRECT else None
        if kept is not None and len(kept.tags) < len(kept.ticket.links(file.name)):
            return 0.0  # not all parts were there, so that run can't have completed it
        grace = self._fw.session.settings.read_timeout
        return min(max(sent_at + REMEMBERED + grace - time.time(), 0.0), grace)

    async def _put(self, file: SendFile, local: upload.Local, before: FileEntry | None) -> tuple[FileEntry, int]:
        key = (file.container_id, file.name)
        return await upload.send(
            self._fw, file, local, before, keeper=self._unfinished, again=lambda: self._intend(key)
        )

    async def _intend(self, key: tuple[str, str]) -> None:
        """Commit that a body is about to leave, or still leaves: a killed run is waited for from its last word on."""
        await self._journal.begin_sending(self._fw.site, *key, self._run)

    async def _keep_intending(self, key: tuple[str, str]) -> None:
        while True:
            await anyio.sleep(REMEMBERED)
            await self._intend(key)

    async def _send_and_hash(
        self, file: SendFile, local: upload.Local, before: FileEntry | None
    ) -> tuple[FileEntry, int]:
        sent: list[tuple[FileEntry, int]] = []
        failed: list[BaseException] = []

        async def hashed() -> None:
            try:
                await local.hash()
            except OSError as error:  # told when the hash is asked for again
                failed.append(error)

        async with anyio.create_task_group() as around:
            around.start_soon(self._keep_intending, (file.container_id, file.name))
            async with anyio.create_task_group() as group:
                group.start_soon(hashed)
                try:
                    sent.append(await self._put(file, local, before))
                except Exception as error:
                    failed.insert(0, error)
                    group.cancel_scope.cancel()
            around.cancel_scope.cancel()
        if failed:
            raise failed[0]
        return sent[0]


def _held(file: SendFile) -> FileEntry:
    """What was there while planning, as an entry."""
    return FileEntry(
        name=file.name,
        size=file.held_size,
        hash=file.held_hash,
        file_id=file.held_id,
        version=file.held_version,
    )
