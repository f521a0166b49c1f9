"""What a mirror does to files that are in the tree already: move them, remove them, put them aside.

Every step can be cut off by a kill. A move is in the journal before it begins, with the number by which the file system
knows the file (its inode, which a rename keeps); the next run looks where the file is and settles the rest. A removal
needs no such care: a file that is gone from where the index has it, and that nothing wants, was removed.

A folder gives way to a file of its name in the same run, and a file to a folder: what is moved leaves first, and what
is to be removed anyway goes to the trash before the other one comes.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from fwsync import logs
from fwsync.errors import TargetError
from fwsync.plan.mirroring import CHANGED_LOCALLY, Local, untouched
from fwsync.run.comparing import InTheWay, Planned
from fwsync.run.index import LocalIndex, Move
from fwsync.run.pool import Batching, Failure, Handler
from fwsync.run.tree import Tree, disk_errors
from fwsync.work import DeleteFile, FetchFile, MoveFile, Outcome, WorkItem

BATCH = 1000
HERE = ("done", "unchanged")
log = logs.get("run")


class Rearranger:
    """Moves, removals and puttings aside of one run in one tree. `fetch` brings a file that could not be moved."""

    def __init__(self, tree: Tree, index: LocalIndex, run: str, fetch: Handler) -> None:
        self._tree, self._index, self._run, self._fetch = tree, index, run, fetch
        self.unfetched: set[str] = set()
        """Ids of files that could not be fetched in this run: no copy of them is removed."""
        self._in_the_way = InTheWay()
        self._gave_way: dict[str, Path] = {}
        """Where in the trash the files are that gave way, by path."""

    def may_remove(self, in_the_way: InTheWay) -> None:
        """What is to be removed in this run, and is in the way of what is wanted."""
        self._in_the_way = in_the_way

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind; those of downloads put changed files aside first."""
        return {
            "move.local": self.move,
            "delete.local": self.remove,
            "download.file": self.bring,
            "download.member": self.bring,
            "write.sidecar": self.bring,
        }

    def batching(self, batching: Batching) -> Batching:
        """The same batches, but for changed files, which are put aside one by one."""

        async def bring(items: Sequence[WorkItem]) -> Sequence[Outcome | Failure]:
            answers = await batching.handler(items)
            come = {answer.key for answer in answers if isinstance(answer, Outcome) and answer.state in HERE}
            self.unfetched.update(item.payload.file_id or "" for item in items if item.key not in come)
            return answers

        def takes(item: WorkItem) -> bool:
            return batching.takes(item) and not item.payload.aside and not self._in_the_way.of(item.payload.path)

        return msgspec.structs.replace(batching, handler=bring, takes=takes)

    # --- moves ----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Settle the moves of a killed run: each file is at one of three places, and the index is told which.

        Files that wait go on when all had left their places: then no target was begun in vain. Else they go back.
        """
        waiting = await self._index.open_moves()
        onward = not any(move.temp and self._is_at(move.source, move) for move in waiting)
        while waiting:
            left = [move for move in waiting if not self._settle(move, onward)]
            if len(left) == len(waiting):
                for move in left:
                    await self._rescue(move)
                break
            waiting = left
        await self._index.flush()

    def _settle(self, move: Move, onward: bool) -> bool:
        """Whether it could be settled; a file that waits needs its target, or its old place, to be free."""
        if move.temp and os.path.lexists(temp := self._tree.locate(move.temp)):
            for path in (move.target, move.source) if onward else (move.source, move.target):
                place = self._tree.locate(path)
                if _free(place):
                    self._rename(temp, place)
                    self._index.moved(move) if path == move.target else self._index.not_moved(move)
                    self._tree.leave(move.temp)
                    return True
            return False
        if self._is_at(move.target, move) and not self._is_at(move.source, move):
            self._index.moved(move)
            self._tree.leave(move.source)
        else:
            self._index.not_moved(move)
        return True

    def _is_at(self, path: str, move: Move) -> bool:
        return _inode(self._tree.locate(path)) == move.inode

    async def _rescue(self, move: Move) -> None:
        """Others took both places. Where one of them is ours, the file gets a free name beside its old one, from where
        the comparison that follows moves it to whichever place wants it now; else it goes to the trash."""
        temp = self._tree.locate(move.temp)
        for path in (move.target, move.source):
            if await self._may_be_replaced(path, self._tree.locate(path)):
                free = self._free_beside(move.temp)  # which lies in a folder for sure
                self._rename(temp, self._tree.locate(free))
                entry = msgspec.structs.replace(move.entry, path=free)
                self._index.moved(msgspec.structs.replace(move, target=free, entry=entry))
                return
        self._rename(temp, self._tree.trash(move.source, self._run))
        self._index.not_moved(move)

    def _free_beside(self, path: str) -> str:
        folder, slash, _ = path.rpartition("/")
        for number in itertools.count():
            mark = hashlib.blake2b(f"{path}\n{number}".encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
            free = f"{folder}{slash}moved~{mark}"
            if not os.path.lexists(self._tree.locate(free)):
                return free
        raise AssertionError("itertools.count has no end")

    async def begin(self, planned: Iterable[Planned]) -> None:
        """Commit the moves, then let those leave their places whose places others need."""
        stream = iter(planned)
        while some := list(islice(stream, BATCH)):
            moves = [move for one in some if (move := self._prepared(one)) is not None]
            await self._index.plan_moves(moves)
        for move in await self._index.open_moves():
            if move.temp:
                try:
                    self._rename(self._tree.locate(move.source), self._tree.locate(move.temp))
                    if move.temp.rpartition("/")[0] != move.source.rpartition("/")[0]:
                        self._tree.leave(move.source)
                except TargetError as error:
                    log.info("a file can't be moved and is fetched", path=move.source, error=error.line)

    def _prepared(self, one: Planned) -> Move | None:
        """The move of a file that is still as it was left; None where it can't be moved, and is fetched."""
        try:
            held = self._tree.locate(one.entry.path).lstat()
        except (OSError, TargetError):
            return None
        if not stat.S_ISREG(held.st_mode) or not untouched(one.entry, Local(held.st_size, held.st_mtime_ns)):
            return None
        if one.parked and held.st_nlink > 1:
            return None  # hard links share an inode: after a kill nobody could tell which name was moved where
        source = one.entry.path
        temp = self._tree.part_name(one.beside or source, self._run, f"move {source}") if one.parked else ""
        entry = msgspec.structs.replace(one.entry, path=one.target)
        return Move(source=source, temp=temp, target=one.target, inode=held.st_ino, entry=entry)

    async def move(self, item: WorkItem, parent: str | None) -> Sequence[Outcome]:
        """Move one file within the tree; one that can't be moved is fetched. A sidecar that says other things now is
        written anew in its new place."""
        if not isinstance(item.payload, MoveFile):
            raise TypeError(f"{item.kind} needs a MoveFile")
        fetch = item.payload.fetch
        for move in await self._index.open_moves(item.payload.source):
            stale = fetch.content is not None and move.entry.hash != fetch.hash
            if move.target == fetch.path and await self._move(move) and not stale:
                return [item.outcome("done", ref=fetch.file_id)]
        return await self.bring(msgspec.structs.replace(item, payload=fetch), parent)

    async def _move(self, move: Move) -> bool:
        place = self._tree.locate(move.target)
        self._make_way(move.target)
        if os.path.lexists(place) and not await self._may_be_replaced(move.target, place):
            self._give_up(move)
            return False
        source = self._tree.locate(move.temp or move.source)
        if _inode(source) != move.inode:
            self._give_up(move)
            return False
        try:
            self._rename(source, place)
        except TargetError as error:
            log.info("a file can't be moved and is fetched", path=move.target, error=error.line)
            self._give_up(move)
            return False
        self._index.moved(move)
        self._tree.leave(move.source)
        return True

    def _give_up(self, move: Move) -> None:
        """A file that waits goes back to where it was; what can't go back is settled by the next run."""
        temp = self._tree.locate(move.temp) if move.temp else None
        if temp is not None and os.path.lexists(temp):
            if not _free(self._tree.locate(move.source)):
                return
            self._rename(temp, self._tree.locate(move.source))
        self._index.not_moved(move)

    async def _may_be_replaced(self, path: str, place: Path) -> bool:
        """Whether what lies at a target is ours and unchanged, or an empty folder."""
        if place.is_dir() and not place.is_symlink():
            return not _occupied(place)
        known = (await self._index.journal.index(self._index.root, paths=[path])).get(path)
        return known is not None and _is(place, known.size, known.mtime_ns)

    def _rename(self, source: Path, place: Path) -> None:
        with disk_errors(place):
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
            place.parent.mkdir(parents=True, exist_ok=True)
            source.replace(place)
            if os.path.lexists(source) and os.path.samestat(source.lstat(), place.lstat()):
                source.unlink()  # two names of one file: the rename did nothing

    # --- removals -------------------------------------------------------------------------------------------------

    async def remove(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Remove one file that nothing wants any more, if it is as it was left."""
        file = item.payload
        if not isinstance(file, DeleteFile):
            raise TypeError(f"{item.kind} needs a DeleteFile")
        if file.file_id in self.unfetched:
            where = " in the trash" if file.path in self._gave_way else ""
            why = f"its new version could not be fetched; kept{where} until that is here"
            return [item.outcome("skipped", reason=why)]
        place = self._tree.locate(file.path)
        if (aside := self._gave_way.get(file.path)) is not None:
            if file.permanent:
                with disk_errors(aside):
                    aside.unlink(missing_ok=True)
        elif os.path.lexists(place):
            if not _is(place, file.size, file.mtime_ns):
                return [item.outcome("skipped", reason=CHANGED_LOCALLY)]
            with disk_errors(file.path):
                if file.permanent:
                    place.unlink()
                else:
                    place.replace(self._tree.trash(file.path, self._run))
        self._index.forget(file.path)
        self._tree.leave(file.path)
        return [item.outcome("done", ref=file.file_id)]

    # --- putting aside --------------------------------------------------------------------------------------------

    async def bring(self, item: WorkItem, parent: str | None) -> Sequence[Outcome]:
        """Fetch a file. A local one that was changed and is not to be kept is in the trash before it is replaced: as a
        second name for it, so that its own place is never empty."""
        file = item.payload
        if not isinstance(file, FetchFile):
            raise TypeError(f"{item.kind} needs a FetchFile")
        aside = self._put_aside(file.path) if file.aside else None
        self._make_way(file.path)
        outcomes: Sequence[Outcome] = ()
        try:
            outcomes = await self._fetch(item, parent)
        finally:
            if not any(outcome.state in HERE for outcome in outcomes):
                self.unfetched.add(file.file_id or "")
                if aside is not None:
                    self._put_back(aside, self._tree.locate(file.path))
        return outcomes

    def _make_way(self, path: str) -> None:
        """Put into the trash what is in the way of a wanted path, if every bit of it is to be removed in this run, and
        is as it was left. If not, nothing is done, and the file fails by what is there."""
        going = {one.path: one for one in self._in_the_way.of(path)}
        if not going:
            return
        place = self._tree.locate(path)
        found = _below(place, path) if place.is_dir() and not place.is_symlink() else ()
        if any(held is None or name not in going or not untouched(going[name], held) for name, held in found):
            return
        for name, row in going.items():
            at = self._tree.locate(name)
            if _is(at, row.size, row.mtime_ns):
                aside = self._tree.trash(name, self._run)
                self._rename(at, aside)
                self._gave_way[name] = aside
                self._index.forget(name)
                self._tree.leave(name)

    def _put_aside(self, path: str) -> Path | None:
        place = self._tree.locate(path)
        if not os.path.lexists(place) or (place.is_dir() and not place.is_symlink()):
            return None
        aside = self._tree.trash(path, self._run)
        with disk_errors(aside):
            try:
                os.link(place, aside, follow_symlinks=False)
            except OSError:
                place.replace(aside)  # a file system without links
        return aside

    def _put_back(self, aside: Path, place: Path) -> None:
        """Nothing was fetched: the changed file is where it was, and not in the trash."""
        if not os.path.lexists(place):
            self._rename(aside, place)
        elif os.path.samestat(aside.lstat(), place.lstat()):
            aside.unlink()


def _inode(place: Path) -> int | None:
    try:
        held = place.lstat()
    except OSError:
        return None
    return held.st_ino if stat.S_ISREG(held.st_mode) else None


def _free(place: Path) -> bool:
    """Whether a file may be put there: nothing lies there or just an empty folder, and there are folders above it, or
    none yet, but no file."""
    above = place.parent
    while not os.path.lexists(above):
        above = above.parent
    return above.is_dir() and not _occupied(place)


def _below(folder: Path, path: str) -> Iterator[tuple[str, Local | None]]:
    """All that lies below a folder at `path` in its tree: files by their paths, None for what is neither a regular file
    nor a folder with something in it."""
    names = sorted(os.listdir(folder))  # noqa: PTH208 - names are enough
    if not names:
        yield path, None
    for name in names:
        at = folder / name
        held = at.lstat()
        if stat.S_ISDIR(held.st_mode):
            yield from _below(at, f"{path}/{name}")
        else:
            yield f"{path}/{name}", Local(held.st_size, held.st_mtime_ns) if stat.S_ISREG(held.st_mode) else None


def _occupied(place: Path) -> bool:
    """Whether something lies there that is more than an empty folder."""
    if place.is_dir() and not place.is_symlink():
        return any(place.iterdir())
    return os.path.lexists(place)


def _is(place: Path, size: int, mtime_ns: int) -> bool:
    try:
        held = place.lstat()
    except OSError:
        return False
    return stat.S_ISREG(held.st_mode) and (held.st_size, held.st_mtime_ns) == (size, mtime_ns)
