"""The handler that reads a local file again and compares it with what the journal says fwsync put there.

    as left, bytes proved      unchanged
    as left, other bytes       failed: damaged (the disk, or something that hides what it does)
    gone                       failed: missing
    other size or time         skipped: changed locally
    as left, no hash known     skipped: there is nothing to prove it by

With a `repair`, damaged and missing files are brought again, and changed ones where that is wished.
"""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread
import msgspec

from fwsync.client.transfer import HASH_PREFIX
from fwsync.errors import FwsyncError
from fwsync.plan.mirroring import Indexed
from fwsync.plan.paths import is_contained
from fwsync.run.journal import Journal
from fwsync.run.pool import Batching, Failure, Handler
from fwsync.run.tree import Tree, crc32_of, disk_errors, sha384_of
from fwsync.work import Outcome, WorkItem

KIND = "verify.file"
REPAIR = "repair.file"

Verdict = Literal["ok", "changed", "damaged", "missing", "unproved"]

REASONS: dict[Verdict, str] = {
    "changed": "changed locally since fwsync put it there",
    "damaged": "damaged: its size and time are as they were left, its bytes are not",
    "missing": "missing",
    "unproved": "not proved: the site told no hash of it",
}

WRONG: frozenset[Verdict] = frozenset({"damaged", "missing", "changed"})
"""What a repair may put right."""

PAGE = 1000
SMALL = 1024 * 1024
"""Bytes: so small a file is read at once, and with others."""
LOST_ON_DISK = frozenset({errno.EIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO)})  # the last: Linux alone
"""The system's errors that mean that the disk has lost the bytes."""

Repair = Callable[[WorkItem, "VerifyFile", Verdict], Awaitable[Outcome]]


class VerifyFile(msgspec.Struct, frozen=True):
    """Payload of `verify.file`: a row of the index, and the tree that it belongs to."""

    root: str
    entry: Indexed


class Verifier:
    """Verifies files of these trees, so many at once as there are cores."""

    def __init__(
        self, trees: Mapping[str, Tree], renaming: Mapping[str, Mapping[str, Indexed]], repair: Repair | None = None
    ) -> None:
        """`renaming` are rows, by tree and path, of which a killed run left open whether they hold."""
        self._trees, self._renaming, self._repair = trees, renaming, repair
        self._threads = anyio.CapacityLimiter(max(os.cpu_count() or 1, 1))

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {KIND: self.verify}

    async def verify(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Read one file and compare."""
        began = time.monotonic()
        held = item.payload
        if not isinstance(held, VerifyFile):
            raise TypeError(f"{item.kind} needs a VerifyFile")
        verdict = await anyio.to_thread.run_sync(self._verdict, held, _Folders(), limiter=self._threads)
        return [await self._answer(item, held, verdict, time.monotonic() - began)]

    def batching(self) -> Batching:
        """Small files are read many at a time in one thread: to go there and back costs more than such a file."""
        return Batching(takes=lambda item: item.kind == KIND and item.bytes <= SMALL, handler=self.verify_all)

    async def verify_all(self, items: Sequence[WorkItem]) -> Sequence[Outcome | Failure]:
        """Read several files and compare."""
        found = await anyio.to_thread.run_sync(self._verdicts, items, limiter=self._threads)
        answers: list[Outcome | Failure] = []

        async def answer(item: WorkItem, verdict: Verdict, seconds: float) -> None:
            try:
                answers.append(await self._answer(item, item.payload, verdict, seconds))
            except Exception as error:
                answers.append(Failure(item, error, seconds))

        async with anyio.create_task_group() as repairs:
            for item, (verdict, seconds) in zip(items, found, strict=True):
                if isinstance(verdict, FwsyncError):
                    answers.append(Failure(item, verdict, seconds))
                elif verdict in WRONG and self._repair is not None:
                    repairs.start_soon(answer, item, verdict, seconds)
                else:
                    answers.append(settled(item, verdict, seconds))
        return answers

    def _verdicts(self, items: Sequence[WorkItem]) -> list[tuple[Verdict | FwsyncError, float]]:
        out: list[tuple[Verdict | FwsyncError, float]] = []
        folders = _Folders()
        for item in items:
            began = time.monotonic()
            verdict: Verdict | FwsyncError
            try:
                verdict = self._verdict(item.payload, folders)
            except FwsyncError as error:
                verdict = error
            out.append((verdict, time.monotonic() - began))
        return out

    async def _answer(self, item: WorkItem, held: VerifyFile, verdict: Verdict, seconds: float) -> Outcome:
        if self._repair is not None and verdict in WRONG:
            return await self._repair(item, held, verdict)
        return settled(item, verdict, seconds)

    def _verdict(self, held: VerifyFile, folders: _Folders) -> Verdict:
        """Blocking."""
        place = folders.locate(self._trees[held.root], held.entry.path)
        verdict = examine(place, held.entry)
        other = self._renaming.get(held.root, {}).get(held.entry.path)
        return verdict if verdict in ("ok", "unproved") or other is None else examine(place, other)


class _Folders:
    """Where the files of one batch are: a folder is looked up once, for they come folder by folder."""

    def __init__(self) -> None:
        self._last: tuple[Tree, str] | None = None
        self._place = ""

    def locate(self, tree: Tree, path: str) -> str:
        """As `Tree.locate`."""
        folder, _, name = path.rpartition("/")
        if self._last != (tree, folder) or not is_contained(path):
            self._place = str(tree.locate(path).parent)
            self._last = (tree, folder)
        return f"{self._place}/{name}"


def settled(item: WorkItem, verdict: Verdict, seconds: float, tail: str = "") -> Outcome:
    """The outcome of a file that is not repaired; `tail` says why."""
    if verdict == "ok":
        return item.outcome("unchanged", seconds=seconds)
    state: Literal["failed", "skipped"] = "failed" if verdict in ("damaged", "missing") else "skipped"
    return item.outcome(state, reason=REASONS[verdict] + tail, ref=item.payload.entry.file_id or None, seconds=seconds)


def examine(place: str, entry: Indexed) -> Verdict:
    """Compare a local file with a row of the index. Blocking. TargetError for a file that can't be read."""
    with disk_errors(entry.path):
        before = _stamp(place)
        if before is None:
            return "missing"
        if before != (entry.size, entry.mtime_ns):
            return "changed"
        digest = entry.hash or ""
        try:
            if digest.startswith(HASH_PREFIX):
                same = _sha384(place, entry.size) == digest.removeprefix(HASH_PREFIX)
            elif digest.startswith("crc32-"):
                same = f"crc32-{crc32_of(Path(place)):08x}" == digest
            else:
                return "unproved"
        except OSError as error:
            if error.errno in LOST_ON_DISK:
                return "damaged"
            raise
        if same:
            return "ok"
        after = _stamp(place)
        if after is None:
            return "missing"
        return "damaged" if after == before else "changed"


def _sha384(place: str, size: int) -> str:
    if size > SMALL:
        return sha384_of(Path(place))
    with open(place, "rb", buffering=0) as source:  # noqa: PTH123 - a Path for each of a million files costs seconds
        return hashlib.sha384(source.readall()).hexdigest()


def _stamp(place: str) -> tuple[int, int] | None:
    """Size and time of a regular file; something that no row has for anything else, None for nothing."""
    try:
        held = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (held.st_size, held.st_mtime_ns) if stat.S_ISREG(held.st_mode) else (-1, 0)


# --- what the index knows -------------------------------------------------------------------------------------------


def rows(journal: Path, root: str, below: str = "") -> Iterator[Indexed]:
    """The files that fwsync put into the tree at `root`, by path, of those in the folder `below` alone if it is given.

    Blocking, a page at a time: no read lasts while the caller works. What is queued for the journal is not seen.
    """
    first, end = (f"{below}/", f"{below}0") if below else ("", None)  # `0` is what comes after a slash
    names = ", ".join(Indexed.__struct_fields__)
    query = f"select {names} from files where root = ? and state = 'present' and path > ?"  # noqa: S608
    values: list[object] = [root, first]
    if end is not None:
        query += " and path < ?"
        values.append(end)
    while True:
        with closing(sqlite3.connect(journal, timeout=60)) as connection:
            page = connection.execute(f"{query} order by path limit {PAGE}", values).fetchall()
        for row in page:
            yield Indexed(**dict(zip(Indexed.__struct_fields__, row, strict=True)))
        if len(page) < PAGE:
            return
        values[1] = page[-1][0]


async def roots(journal: Journal, folder: str) -> list[tuple[str, str]]:
    """The trees at, above or below a folder, each with what of it lies in the folder (empty: all of it)."""
    query = "select distinct root from files where state = 'present' order by root"
    known = await journal.write(lambda c: [str(row[0]) for row in c.execute(query)])
    out = []
    for root in known:
        if root == folder or root.startswith(f"{folder.rstrip('/')}/"):
            out.append((root, ""))
        elif folder.startswith(f"{root.rstrip('/')}/"):
            out.append((root, folder.removeprefix(root).strip("/")))
    return out
