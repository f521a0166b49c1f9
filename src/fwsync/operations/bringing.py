"""The half that mirror and download share: wanted files to a local tree, under its lock, by a plan."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, NamedTuple

import anyio
import anyio.to_thread
import msgspec

from fwsync.config import parse_mode
from fwsync.errors import NotAsAskedError, TargetError
from fwsync.operations.context import Context, Run, dry_run, guarded, within
from fwsync.operations.turns import turn
from fwsync.plan import paths
from fwsync.plan.syncing import Brake, LocalChanges, halted, kept, removal
from fwsync.run import manifest, trash
from fwsync.run.comparing import Compared
from fwsync.run.fetching import Fetcher
from fwsync.run.index import LocalIndex
from fwsync.run.rearranging import Rearranger
from fwsync.run.roots import keep_manifest, open_tree
from fwsync.run.shelf import Shelf
from fwsync.run.tree import Tree, disk_errors
from fwsync.selection import parse_size
from fwsync.work import Entry, Outcome, Plan, Summary


class Sync(msgspec.Struct, frozen=True, kw_only=True):
    """How a tree is kept in step. `selection` names what is wanted: only what it alone has claimed is ever removed.
    Without `moves`, a file stays where an earlier run put it. The trash is kept for `trash_days`, 0 for ever."""

    selection: str = "download"
    local_changes: LocalChanges = "keep"
    delete: Literal["no", "trash", "permanent"] = "no"
    brake: Brake = Brake()
    moves: bool = False
    new_tree: bool = False
    trash_days: int = 0


async def bring(
    context: Context,
    job: str,
    to: str,
    shelf: Shelf,
    arguments: dict[str, Any],
    *,
    sync: Sync,
    settled: Sequence[Outcome] = (),
    notes: Sequence[str] = (),
    complete: bool = True,
    dry: bool = False,
) -> Summary:
    """Fetch what the tree at `to` does not hold yet. `settled` are outcomes of gathering, such as unreadable zips."""
    options = context.settings.mirror
    parse_mode(options.chmod)
    if options.max_transfer:
        parse_size(options.max_transfer, "--max-transfer")
    collided = shelf.settle()
    if collided and options.on_collision == "error":
        raise NotAsAskedError(_collisions(collided))
    tree = Tree(Path(to).expanduser())
    tree.resolve()
    async with turn(context, f"tree {tree.real}"):
        opened = await open_tree(tree, context.journal, write=not dry, new_tree=sync.new_tree)
        known = LocalIndex(context.journal, opened.root, sync.selection)
        told = [opened.note, *notes] if opened.note else notes
        job_of_tree = _Bringing(context, tree, known, shelf, sync, settled, told, complete)
        if dry:
            return await dry_run(context, job, (await job_of_tree.plans()).whole())
        run = await Run.begin(context, job, {**arguments, "to": str(tree.real)})
        return await guarded(run, lambda: job_of_tree.work(run))


class _Plans(NamedTuple):
    """What is done in turn: files are moved, then fetched, then removed."""

    moves: Plan
    fetches: Plan
    removals: Plan

    def whole(self) -> Plan:
        """All of it as one plan, to be shown."""
        items = sum(plan.items or 0 for plan in self)
        return msgspec.structs.replace(
            self.fetches, entries=lambda: chain.from_iterable(plan.entries() for plan in self), items=items
        )


class _Bringing:
    """One tree being brought into step."""

    def __init__(
        self,
        context: Context,
        tree: Tree,
        known: LocalIndex,
        shelf: Shelf,
        sync: Sync,
        settled: Sequence[Outcome],
        notes: Sequence[str],
        complete: bool,
    ) -> None:
        self._context, self._tree, self._known, self._shelf, self._sync = context, tree, known, shelf, sync
        self._settled, self._notes, self._complete = settled, list(notes), complete
        self._compared = Compared(shelf, sync.local_changes, moves=sync.moves)
        self._removes = False

    async def work(self, run: Run) -> None:
        """Bring the tree into step, as one run."""
        options, compared = self._context.settings.mirror, self._compared
        fetcher = Fetcher(
            self._context.fw,
            self._context.journal,
            self._tree,
            run.id,
            fsync=self._context.settings.state.fsync,
            link=options.link,
            mode=parse_mode(options.chmod),
            crew=self._context.crew,
            log_settings=self._context.settings.log,
        )
        rearranger = Rearranger(self._tree, self._known, run.id, fetcher.fetch)
        await fetcher.prepare()
        await rearranger.settle()
        plans = await self.plans()
        _room(self._tree, plans.fetches)
        await self._known.claim(compared.unclaimed())
        if self._removes:
            rearranger.may_remove(compared.in_the_way())
        await rearranger.begin(compared.moves())
        handlers = {**fetcher.handlers(), **rearranger.handlers()}
        try:
            await run.carry_out_in_turn(plans, handlers, rearranger.batching(fetcher.batching()))
        finally:
            # A run that was stopped, or that retries a part, must not leave files waiting beside their places.
            with anyio.CancelScope(shield=True):
                await rearranger.settle()
        await fetcher.sweep()
        await self._known.claim(compared.displaced())
        if self._removes:
            await self._forget()
        await _write_names(self._tree, self._shelf)
        if compared.differs or self._removes or not manifest.exists(self._tree):
            await keep_manifest(self._tree, self._context.journal, self._known.root)
        _tell(run.summary, fetcher)
        if self._sync.trash_days and run.summary.ok:
            await self._empty_trash(run)

    async def _empty_trash(self, run: Run) -> None:
        """Last of all, and nothing that a run could fail by."""
        days = self._sync.trash_days
        try:
            removed = await anyio.to_thread.run_sync(lambda: trash.empty(self._tree.real, days, but=run.id))
        except TargetError as error:
            run.summary.warnings.append(f"the trash could not be emptied: {error.line}")
            return
        if removed:
            run.summary.warnings.append(f"{removed:,} files that had been in the trash for {days:,} days are removed")

    async def plans(self) -> _Plans:
        """Compare the tree with what is wanted. NotAsAskedError where local changes are an error and there are some."""
        compared, shelf, options = self._compared, self._shelf, self._context.settings.mirror
        self._context.reporter.phase("comparing with the local tree")
        await self._known.flush()
        await anyio.to_thread.run_sync(compared.run, self._known.rows(), self._tree.walk())
        if compared.changes and self._sync.local_changes == "error":
            raise NotAsAskedError(_changes(compared))
        moves, removals = compared.move_count(), self._removals()

        def fetches() -> Iterator[Entry]:
            yield from self._settled
            yield from compared.staying(options.order)

        fetching = Plan(
            entries=fetches,
            complete=self._complete,
            items=len(self._settled) + shelf.files - moves,
            bytes=shelf.bytes_to_come(),
            warnings=tuple(self._notes),
        )
        return _Plans(
            Plan(entries=compared.moving, complete=self._complete, items=moves),
            within(fetching, options.max_transfer),
            removals,
        )

    # --- what is removed --------------------------------------------------------------------------------------------

    def _removals(self) -> Plan:
        """What `--delete` comes to: removals, or the one line that says why there are none."""
        compared = self._compared
        if self._sync.delete == "no":
            return Plan.of(())
        count, changed = compared.count("surplus"), compared.count("changed")
        why, loud = self._why_not(count) if count else ("", False)
        self._removes = not why and self._complete and not self._settled and self._shelf.files > 0
        if why and not loud:
            self._notes.append(why)

        def entries() -> Iterator[Entry]:
            yield from (kept(entry) for entry in compared.removable("changed"))
            if loud:
                yield halted(why)
            elif not why:
                permanent = self._sync.delete == "permanent"
                yield from (removal(entry, permanent=permanent) for entry in compared.removable("surplus"))

        return Plan(entries=entries, complete=self._complete, items=changed + (loud if why else count), bytes=0)

    def _why_not(self, count: int) -> tuple[str, bool]:
        """Why nothing may be removed, and whether that alone makes the run incomplete."""
        files = f"{count:,} files are no longer selected"
        if not self._complete:
            return f"{files}; none is removed, since the listing was cut short", False
        if self._settled:
            return f"{files}; none is removed, since {len(self._settled):,} items could not be looked at", False
        if not self._shelf.files:
            return f"nothing is selected, and {count:,} files are here; none is removed", True
        if self._sync.brake.trips(count, self._compared.indexed):
            of = f"{count:,} of {self._compared.indexed:,} files would be removed; none is"
            return f"{of}: look at --dry-run, and let them go by --max-delete {count}", True
        return "", False

    async def _forget(self) -> None:
        """Rows of files that are gone already, and claims on files that others want."""

        def gone() -> Iterator[str]:
            for entry in self._compared.removable("gone"):
                self._tree.leave(entry.path)
                yield entry.path

        await self._known.forget_all(gone())
        await self._known.disclaim(self._compared.shared())


def _changes(compared: Compared) -> str:
    shown = ", ".join(compared.changed) + (" ..." if compared.changes > len(compared.changed) else "")
    return (
        f"{compared.changes:,} files are changed locally ({shown}); nothing was done: --local-changes keep leaves them,"
        " --local-changes overwrite fetches them anew"
    )


def _tell(summary: Summary, fetcher: Fetcher) -> None:
    if fetcher.unproved:
        summary.warnings.append(
            f"{fetcher.unproved:,} files are proved by their size alone: the site told no hash or CRC for them"
        )
    if fetcher.linked:
        summary.warnings.append(f"{fetcher.linked:,} files are hard links to equal ones")


def _collisions(collided: Sequence[str]) -> str:
    shown = ", ".join(sorted(collided)[:3]) + (" ..." if len(collided) > 3 else "")
    return (
        f"{len(collided):,} paths are wanted by several files or folders ({shown}); choose another --layout, or"
        " --on-collision suffix"
    )


def _room(tree: Tree, plan: Plan) -> None:
    free = shutil.disk_usage(tree.real).free
    if plan.bytes and plan.bytes > free:
        raise TargetError(
            f"{tree.real}: {plan.bytes:,} bytes are to come, {free:,} are free; free some, then run again"
        )


async def _write_names(tree: Tree, shelf: Shelf) -> None:
    """Which label became which path, for the components that could not be written as they are called."""
    renamed = shelf.renamed()
    first = next(renamed, None)
    if first is None:
        return
    target = tree.locate(f"{paths.OWN_FOLDER}/names.csv")
    fresh = target.with_name("names.csv.new")  # a full disk must not leave half a table
    with disk_errors(target):
        async with await anyio.open_file(fresh, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
            await out.write("id,label,path\n")
            for one in (first, *renamed):
                await out.write(",".join(_cell(value) for value in (one.id, one.name, one.path)) + "\n")
        fresh.replace(target)


def _cell(value: str) -> str:
    # A label is anyone's text: a leading = + - @ would be a formula in a spreadsheet.
    text = "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return '"' + text.replace('"', '""') + '"'
