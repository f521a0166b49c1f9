"""How much room the target's disk has: a file that does not fit fails before the site is asked for it.

What the file system tells (free space, a largest file size) is advice, looked at once in a moment. What it says while
a file is written (full, over quota, file too large) is the truth; from that is learnt what need not be tried, since
quotas and the largest size of a disk's format are told nowhere else. Learnt room is forgotten after a while: somebody
may have made some.
"""

from __future__ import annotations

import errno
import math
import os
import resource
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import anyio
import msgspec

from fwsync.errors import DiskFullError, FwsyncError
from fwsync.run.pool import Failure
from fwsync.run.worker import Brought, NotBrought
from fwsync.work import NO_ROOM, TOO_LARGE, FetchFile, WorkItem

LOOK = 0.25
"""Seconds for which the free space is believed to be what it was."""

BELIEVED = 3
"""So many files without room, where the file system says that there is some, and it is not believed any more."""

FORGET = 10.0
"""Seconds after which one more file is tried where learnt room had refused it."""

AGAIN = 3
"""How often files that found no room are tried again when a larger one under way has ended."""

PATIENCE = 5.0
"""Most seconds that files wait for room which a larger one may give back."""


Outcome = Brought | NotBrought


class Stored(Protocol):
    """What is being written: `stored` bytes of it have their place."""

    stored: int


class Claim(msgspec.Struct, eq=False):
    """A large file under way, of `size` bytes in the end, of which `held` were here before. Its holder tells the `part`
    that takes the rest."""

    size: int
    held: int
    part: Stored | None = None
    counted: int = 0
    """`left` when the free space was looked at: what was stored since is still free in that figure."""

    @property
    def left(self) -> int:
        """Bytes that have no place yet."""
        return max(0, self.size - max(self.held, self.part.stored if self.part else 0))


class Room:
    """The room of one tree, for one run."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._root, self._clock = root, clock
        self._free = math.inf
        self._looked = self._learnt = float("-inf")
        self._contradictions = 0
        self._bound: int | None = None
        """A file of this many bytes found room when a larger one did not; None while nothing was learnt."""
        self._largest = _limit_of_process()
        self._claims: list[Claim] = []
        self._ended = anyio.Event()
        self.endings = 0
        """So many large files are under way no more. What was refused at one count may find room at the next."""

    @contextmanager
    def claim(self, path: str, size: int | None, held: int = 0) -> Iterator[Claim]:
        """Room for a large file of `size` bytes, of which `held` are here: while it is under way, others count the rest
        of it as taken. `path` is relative to the tree. DiskFullError at once if there is no room."""
        claim = Claim(size or 0, held)
        claim.counted = claim.left
        reason = self._why_not(path, claim.size, claim.left, self._free_bytes() - self._claimed())
        if reason:
            raise DiskFullError(reason)
        self._claims.append(claim)
        try:
            yield claim
        finally:
            self._claims.remove(claim)
            self._looked = float("-inf")
            self.endings += 1
            self._ended.set()
            self._ended = anyio.Event()

    async def sift(self, items: Sequence[WorkItem]) -> tuple[list[WorkItem], list[Failure]]:
        """Of small files that are fetched together: those that fit, one after the other, and those that do not."""
        judged_at = self.endings
        fit, refused = self._sifted(items)
        for _ in range(AGAIN):
            if not refused or not await self.given_back(judged_at):
                break
            judged_at = self.endings
            fit, refused = self._sifted(items)
        return fit, refused

    def _sifted(self, items: Sequence[WorkItem]) -> tuple[list[WorkItem], list[Failure]]:
        fit: list[WorkItem] = []
        refused: list[Failure] = []
        free, claimed = self._free_bytes(), self._claimed()
        # Where more is claimed than there is, some large ones will fail and give back what they took.
        left = free - claimed if claimed <= free else free
        for item in items:
            size = size_of(item.payload) or 0
            reason = self._why_not(item.payload.path, size, size, left)
            if reason:
                refused.append(Failure(item, DiskFullError(reason)))
            else:
                fit.append(item)
                left -= size
        return fit, refused

    def _why_not(self, path: str, size: int, to_come: int, free: float) -> str:
        if self._largest is not None and size > self._largest:
            return f"{TOO_LARGE}: {size:,} bytes, and this disk or process takes no more than {self._largest:,}"
        if to_come <= 0:
            return ""
        if self._bound is not None and self._clock() - self._learnt > FORGET:
            self._bound = None
        if self._bound is not None and to_come > self._bound:
            return f"{NO_ROOM}: {to_come:,} bytes are to come, a smaller file found none; free some, then run again"
        if to_come > free and self._is_on_this_disk(path):
            there = f"{to_come:,} bytes are to come, {max(0, free):,} are free"
            return f"{NO_ROOM}: {there}; free some, then run again"
        return ""

    def _free_bytes(self) -> float:
        """What the file system has free; infinite where it does not say."""
        now = self._clock()
        if now - self._looked > LOOK:
            self._looked, self._free = now, math.inf
            with suppress(OSError):
                for claim in self._claims:
                    claim.counted = claim.left
                held = os.statvfs(self._root)
                if held.f_files and not held.f_favail:
                    self._free = 0  # no new file has room, however small
                elif held.f_blocks:
                    self._free = held.f_bavail * held.f_frsize
        return self._free

    def _claimed(self) -> int:
        return sum(claim.counted for claim in self._claims)

    def _is_on_this_disk(self, path: str) -> bool:
        """Whether a file would lie on the disk of the root: folders of a tree may be links or mounts."""
        place = self._root.joinpath(*path.split("/")).parent
        while not place.exists() and place != self._root:
            place = place.parent
        try:
            return place.stat().st_dev == self._root.stat().st_dev
        except OSError:
            return False

    # --- what is learnt while files are written -----------------------------------------------------------------------

    def learn(self, error: FwsyncError, size: int, held: int = 0) -> FwsyncError:
        """A file of `size` bytes could not be written, though `held` bytes of it found room, which they hold no more.
        The error, as its outcome is to tell it."""
        if not isinstance(error, DiskFullError) or not error.number:
            return error  # something else, or our own advice
        why, fitted = os.strerror(error.number), held or max(0, size - 1)
        if error.number == errno.EFBIG:
            self._largest = fitted if self._largest is None else min(fitted, self._largest)
            return DiskFullError(f"{TOO_LARGE} ({why}): this disk or process takes no larger ones")
        self._looked = float("-inf")
        self._contradictions += self._free_bytes() >= size
        if error.number == errno.EDQUOT or self._contradictions >= BELIEVED:
            known = fitted if held or self._bound is None else min(fitted, self._bound)
            self._bound, self._learnt = known, self._clock()
        return DiskFullError(f"{NO_ROOM} ({why}); free some, then run again")

    async def given_back(self, since: int) -> bool:
        """Wait until a large file that may have taken all the room is under way no more; at once if one has ended
        `since` that count of `endings`. False if there is none, or it takes too long."""
        if self.endings > since:
            return True
        if not self._claims:
            return False
        ended = self._ended
        with anyio.move_on_after(PATIENCE):
            await ended.wait()
        return ended.is_set()


async def bring_in_room(
    bring: Callable[[Sequence[FetchFile]], Awaitable[Sequence[Outcome]]], files: Sequence[FetchFile], room: Room
) -> list[Outcome]:
    """`bring` small files; those for which there was no room once more when a larger file has given its room back."""
    judged_at = room.endings
    came = list(await bring(files))
    for _ in range(AGAIN):
        full = [number for number, one in enumerate(came) if _found_no_room(one)]
        if not full or not await room.given_back(judged_at):
            break
        judged_at = room.endings
        for number, one in zip(full, await bring([files[number] for number in full]), strict=True):
            came[number] = one
    return [
        one._replace(error=room.learn(one.error, size_of(file) or 0))
        if isinstance(one, NotBrought) and isinstance(one.error, DiskFullError)
        else one
        for file, one in zip(files, came, strict=True)
    ]


def _found_no_room(one: Outcome) -> bool:
    return isinstance(one, NotBrought) and isinstance(one.error, DiskFullError)


def size_of(file: FetchFile) -> int | None:
    """How many bytes a file will have here, as far as that is told."""
    if file.content is not None:
        return len(file.content)
    return file.size if file.member is None else file.member_size


def _limit_of_process() -> int | None:
    soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return None if soft == resource.RLIM_INFINITY else soft
