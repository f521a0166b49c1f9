"""`fwsync push DIR`: local changes of a mirrored tree, back to where they came from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from fwsync.client.upload import hash_of
from fwsync.config import PushSettings
from fwsync.errors import InputFileError, UsageError
from fwsync.model import FileEntry
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.turns import tree_of, turn
from fwsync.plan import pushing
from fwsync.plan.mirroring import Indexed
from fwsync.plan.paths import OWN_FOLDER, OWN_PARTIAL
from fwsync.run import mirrored
from fwsync.run.hashes import HashCache, Stamp
from fwsync.run.homes import Homes
from fwsync.run.pushspool import Found, PushSpool
from fwsync.run.scanning import Left, Scan, Seen
from fwsync.run.sending import Sender
from fwsync.run.tree import MARKER, disk_errors
from fwsync.selection import matches
from fwsync.work import Plan, SendFile, State, Summary, WorkItem

NARROWED = ("subject", "session", "acquisition")
"""Levels whose folders a push can be narrowed to."""

BATCH = 500
"""Files that are compared at a time; so many of the index are read, and asked for, together."""


async def push(context: Context, folder: str, *, dry: bool = False) -> Summary:
    """Send what was changed in the tree at `folder` since it was mirrored, and what is new there.

    A changed file becomes a new version of the file that it came from, a new one goes to the container of its folder;
    either may be an analysis. `settings.push.only` leaves the changed ones or the new ones out.
    Nothing is deleted on the site. The index then knows what was sent, so that the next mirror has nothing to do.
    """
    root = _root(folder)
    state = context.settings.state_folder
    async with turn(context, tree_of(root)):
        with PushSpool(state) as spool, HashCache(state) as hashes:
            return await _push(context, root, spool, hashes, dry=dry)


async def _push(context: Context, root: Path, spool: PushSpool, hashes: HashCache, *, dry: bool) -> Summary:
    pusher = await _Pusher.open(context, root, spool, hashes, dry=dry)
    notes = await pusher.plan()
    plan = Plan(entries=spool.entries, items=spool.count, bytes=spool.bytes, warnings=tuple(notes))
    if dry:
        return await dry_run(context, "push", plan)
    run = await Run.begin(
        context, "push", {"folder": str(root), "options": msgspec.structs.asdict(context.settings.push)}
    )
    sender = Sender(context.fw, context.journal, run.id, hashes, stored=pusher.stored)
    return await guarded(run, lambda: run.carry_out(plan, sender.handlers()))


def _root(folder: str) -> Path:
    try:
        root = Path(folder).expanduser().resolve(strict=True)
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=folder) from error
    if not root.is_dir():
        raise InputFileError("is not a folder", path=folder)
    if not (root / OWN_FOLDER / MARKER).exists():
        raise InputFileError(
            "is no mirrored tree; fwsync mirror makes one, fwsync upload puts any folder onto a project", path=folder
        )
    return root


class _Pusher:
    """One tree, compared with its index and the site."""

    def __init__(
        self, context: Context, root: Path, spool: PushSpool, hashes: HashCache, layout: pushing.TreeLayout | None,
        homes: Homes, *, dry: bool,
    ) -> None:  # fmt: skip
        self._context, self._root, self._spool, self._hashes = context, root, spool, hashes
        self._settings: PushSettings = context.settings.push
        self._layout, self._homes, self._dry = layout, homes, dry
        self._known_here = 0
        self._left: Counter[str] = Counter()

    @classmethod
    async def open(cls, context: Context, root: Path, spool: PushSpool, hashes: HashCache, *, dry: bool) -> _Pusher:
        """UsageError where the journal knows nothing of the tree, or another site filled it."""
        journal = context.journal
        if not await mirrored.count(journal, str(root)):
            raise UsageError(f"{root}: this machine's journal knows no files here; run fwsync mirror --to {root} first")
        record = await mirrored.filled_by(journal, str(root))
        layout, one_project = None, False
        if record is not None:
            if record.site != context.fw.site:
                raise UsageError(f"{root}: was mirrored from {record.site}, the API key is for {context.fw.site}")
            if record.command == "mirror":
                given = record.arguments
                alone = bool(given.get("gear")) and not given.get("analyses")
                layout = pushing.TreeLayout.parse(given.get("layout", ""), gear=alone)
                projects = given.get("project", ())
                one_project = isinstance(projects, str) or len(projects) == 1
        homes = Homes(context.fw, journal, str(root), layout, one_project=one_project)
        return cls(context, root, spool, hashes, layout, homes, dry=dry)

    # --- planning -------------------------------------------------------------------------------------------------

    async def plan(self) -> list[str]:
        """Fill the spool; lines for a person."""
        self._context.reporter.phase("comparing with what was mirrored")
        takes = self._taking()
        scan = Scan(self._root, takes=takes, prunes=self._prunes, hidden=True, sidecars=True)
        walk = iter(scan)
        while some := await anyio.to_thread.run_sync(lambda: list(islice(walk, BATCH))):
            await self._compare(some)
        narrowed = any(getattr(self._settings, name) for name in ("include", "exclude", *NARROWED))
        gone = 0 if narrowed else await mirrored.count(self._context.journal, str(self._root)) - self._known_here
        notes = [f"mirrored files that are gone here: {gone:,}; nothing is deleted on the site"] if gone > 0 else []
        if not self._spool.count:
            notes.append(f"{self._root}: there are no files to compare")
        told = {"excluded": "files and folders left out by exclude", "not included": "files that are not selected",
                "sidecar": "sidecars, read and not pushed"}  # fmt: skip
        notes += [f"{told[why]}: {count:,}" for why, count in sorted(scan.counts.items()) if why in told]
        return notes + [f"{why}: {count:,}" for why, count in sorted(self._left.items())]

    def _prunes(self, path: str) -> bool:
        return any(matches(pattern, path) for pattern in self._settings.exclude)

    def _taking(self) -> Callable[[str], bool]:
        include = self._settings.include
        wanted = [(level, patterns) for level in NARROWED
                  if (patterns := getattr(self._settings, level))]  # fmt: skip
        layout = self._layout
        if wanted and layout is None:
            raise UsageError("--subject, --session, --acquisition need a tree that fwsync mirror made; use --include")

        def takes(path: str) -> bool:
            if path.rpartition("/")[2].startswith(OWN_PARTIAL):
                return False
            if include and not any(matches(pattern, path) for pattern in include):
                return False
            return layout is None or all(layout.takes(path, level, patterns) for level, patterns in wanted)

        try:
            takes("a")
            for level, patterns in wanted:
                if layout is not None:
                    layout.takes("a", level, patterns)
        except ValueError as error:
            raise UsageError(str(error)) from error
        return takes

    async def _compare(self, some: list[Seen | Left]) -> None:
        """Settle a batch: what the site has now of the changed ones is asked for together."""
        found = [Found(one.path, None, one.state, one.reason) for one in some if isinstance(one, Left)]
        seen = [one for one in some if isinstance(one, Seen)]
        index = await self._context.journal.index(str(self._root), paths=[one.path for one in seen])
        self._known_here += sum(not one.file_id.endswith(":sidecar") for one in index.values())
        changed: list[tuple[Seen, Indexed]] = []
        for one in seen:
            known = index.get(one.path)
            if self._is_left_out(one, known):
                continue
            if one.stamp.path != str(self._root / one.path):
                found.append(Found(one.path, None, "rejected", pushing.LINK))
            elif known is None:
                if (new := await self._new(one)) is not None:
                    found.append(new)
            elif (one.stamp.size, one.stamp.mtime_ns) == (known.size, known.mtime_ns):
                found.append(Found(one.path, None, "unchanged", ref=known.file_id))
            elif known.member is not None:
                found.append(Found(one.path, None, "rejected", pushing.OF_ARCHIVE))
            else:
                changed.append((one, known))

        async def settle(one: Seen, known: Indexed) -> None:
            found.append(await self._changed(one, known))

        async with anyio.create_task_group() as group:
            for one, known in changed:
                group.start_soon(settle, one, known)
        self._spool.add(found)

    def _is_left_out(self, one: Seen, known: Indexed | None) -> bool:
        """Whether `only` asks for the other kind of changes. What is as it was mirrored stays in the count."""
        only = self._settings.only
        if known is None and only == "changed":
            self._left["new files, left out"] += 1
            return True
        if known is not None and only == "new" and (one.stamp.size, one.stamp.mtime_ns) != (known.size, known.mtime_ns):
            self._left["mirrored files with another size or time, left out"] += 1
            return True
        return False

    async def _hash(self, one: Seen) -> str:
        digest = self._hashes.get(one.stamp)
        if digest is None:
            with disk_errors(one.path):
                digest = await hash_of(Path(one.stamp.path), one.stamp.size)
                if one.stamp == Stamp.of(one.stamp.path):
                    self._hashes.put(one.stamp, digest)
        return digest

    async def _changed(self, one: Seen, known: Indexed) -> Found:
        """A mirrored file whose size or time is another than when it was put here."""
        size = one.stamp.size
        digest = await self._hash(one) if size == known.size and known.hash else None
        if digest is not None and digest == known.hash:
            await self._remember(one.path, known, one.stamp.mtime_ns)  # only touched
            return Found(one.path, None, "unchanged", ref=known.file_id)
        entry = await self._homes.entry(known.file_id) if known.file_id else None
        if digest is None and entry is not None and entry.hash and entry.size == size:
            digest = await self._hash(one)
        decision = pushing.decide(known, entry, size, digest)
        match decision:
            case "no id":
                return Found(one.path, None, "rejected", pushing.NO_ID)
            case "no parent":
                return Found(one.path, None, "rejected", pushing.NO_PARENT, known.file_id)
            case "gone":
                return Found(one.path, None, self._state(), pushing.GONE, known.file_id)
            case "conflict" if self._settings.on_conflict != "update":
                return Found(one.path, None, self._state(), pushing.CONFLICT, known.file_id)
        assert entry is not None  # noqa: S101 - what the decisions above leave
        if decision == "unchanged":
            await self._holds(one.path, entry, size, one.stamp.mtime_ns)
            return Found(one.path, None, "unchanged", ref=entry.file_id)
        return Found(one.path, self._send(one, entry.name, entry, digest))

    async def _new(self, one: Seen) -> Found | None:
        """A file that is not of the mirror; None for one that is left out."""
        if any(part.startswith(".") for part in one.path.split("/")) and not self._settings.hidden:
            self._left["new hidden files, left out"] += 1
            return None
        folder, _, name = one.path.rpartition("/")
        home = await self._homes.of(folder)
        if isinstance(home, str):
            return Found(one.path, None, "rejected", home)
        entry = home.files.get(name)
        if entry is None:
            payload = pushing.sending(
                name, home.container, None, source=one.stamp.path, size=one.stamp.size, mtime_ns=one.stamp.mtime_ns,
                digest=self._hashes.get(one.stamp), metadata=one.metadata,
            )  # fmt: skip
            return Found(one.path, payload)
        digest = await self._hash(one) if entry.hash and entry.size in (None, one.stamp.size) else None
        if digest is not None and digest == entry.hash:
            await self._holds(one.path, entry, one.stamp.size, one.stamp.mtime_ns)
            return Found(one.path, None, "unchanged", ref=entry.file_id)
        if self._settings.on_conflict != "update":
            return Found(one.path, None, self._state(), pushing.EXISTS, entry.file_id)
        # What a container embeds of its files may lack their info, which a new version is to keep.
        whole = await self._homes.entry(entry.file_id) if entry.file_id else None
        entry = msgspec.structs.replace(whole or entry, parent_ref=home.container)
        return Found(one.path, self._send(one, name, entry, digest))

    def _state(self) -> State:
        return "skipped" if self._settings.on_conflict == "skip" else "failed"

    @staticmethod
    def _send(one: Seen, name: str, entry: FileEntry, digest: str | None) -> SendFile:
        assert entry.parent_ref is not None  # noqa: S101 - the callers saw to it
        return pushing.sending(
            name, entry.parent_ref, entry, source=one.stamp.path, size=one.stamp.size, mtime_ns=one.stamp.mtime_ns,
            digest=digest,
        )  # fmt: skip

    # --- the index ------------------------------------------------------------------------------------------------

    async def stored(self, item: WorkItem, entry: FileEntry) -> None:
        """The site holds a file of the tree as it is here: the index is to say so."""
        file: Any = item.payload
        await self._holds(item.target, entry, file.size, file.mtime_ns)

    async def _holds(self, path: str, entry: FileEntry, size: int, mtime_ns: int) -> None:
        known = Indexed(
            path=path, file_id=entry.file_id or "", version=entry.version, hash=entry.hash, member=None, size=size,
            mtime_ns=mtime_ns,
        )  # fmt: skip
        await self._remember(path, known, mtime_ns)

    async def _remember(self, path: str, known: Indexed, mtime_ns: int) -> None:
        if not self._dry:
            entry = msgspec.structs.replace(known, mtime_ns=mtime_ns)
            await self._context.journal.put_file(str(self._root), entry, "present")
