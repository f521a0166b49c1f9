"""`fwsync verify DIR`: read again what fwsync put below a folder, and with `--repair` bring again what is damaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from fwsync.config import parse_mode
from fwsync.errors import UsageError
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.turns import turn
from fwsync.run.fetching import Fetcher
from fwsync.run.index import LocalIndex
from fwsync.run.pool import Handler
from fwsync.run.rearranging import Rearranger
from fwsync.run.repairing import Repairer
from fwsync.run.roots import keep_manifest, open_tree
from fwsync.run.tree import Tree
from fwsync.run.verifying import KIND, REPAIR, Verifier, VerifyFile, roots, rows
from fwsync.selection import matches
from fwsync.work import Entry, Outcome, Plan, Summary, WorkItem


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What to verify, and what to do about what is not as it was left."""

    repair: bool = False
    overwrite: bool = False
    """With `repair`: files that were changed locally too."""
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        """Whether a path is one of those to verify."""
        wanted = not self.include or any(matches(pattern, path) for pattern in self.include)
        return wanted and not any(matches(pattern, path) for pattern in self.exclude)


async def verify(context: Context, folder: str, wishes: Wishes, *, dry: bool = False) -> Summary:
    """Compare every file that the journal's index has below `folder` with its hash. The site is asked only to repair.

    UsageError where fwsync put nothing there; NotAsAskedError where the folder is not the tree that was last there.
    """
    if wishes.overwrite and not wishes.repair:
        raise UsageError("--local-changes overwrite: needs --repair")
    real = str(Path(folder).expanduser().resolve())
    async with AsyncExitStack() as stack:
        parts = await _parts(context, real, stack, write=wishes.repair and not dry)
        context.reporter.phase("reading the index")
        plan = await anyio.to_thread.run_sync(_plan, context, parts, wishes)
        if not plan.items:
            raise UsageError(f"{folder}: {_nothing(wishes)}")
        if dry:
            return await dry_run(context, "verify", plan)
        run = await _Verification.begin(context, "verify", {"folder": real, **msgspec.to_builtins(wishes)})
        return await guarded(run, lambda: _work(run, parts, plan, wishes))


class _Part(msgspec.Struct, frozen=True):
    """A tree of which something is to be verified: the path under which the journal knows it, and what of it: `below`
    this folder in it. `within` is where it lies in the folder that was named."""

    tree: Tree
    root: str
    below: str
    within: str

    def path(self, path: str) -> str:
        """A path in the tree as one in the folder that was named."""
        return path.removeprefix(f"{self.below}/") if self.below else f"{self.within}{path}"


async def _parts(context: Context, real: str, stack: AsyncExitStack, *, write: bool) -> list[_Part]:
    """The trees at, above and below a folder, recognised and locked until the stack is left."""
    found = await roots(context.journal, real)
    if not found and Tree(Path(real)).marker() is not None:
        found = [(real, "")]  # a tree that was moved here
    parts = []
    for place, below in found:
        await stack.enter_async_context(turn(context, f"tree {place}"))
        tree = Tree(Path(place))
        opened = await open_tree(tree, context.journal, write=write)
        within = place.removeprefix(real).strip("/")
        parts.append(_Part(tree, opened.root, below, f"{within}/" if within and not below else ""))
    return parts


def _nothing(wishes: Wishes) -> str:
    if wishes.include or wishes.exclude:
        return "of the files that fwsync put there none is included and not excluded"
    return "fwsync has put nothing there; name a folder that mirror or download filled"


async def _work(run: Run, parts: Sequence[_Part], plan: Plan, wishes: Wishes) -> None:
    context = run.context
    repairer, fetchers = None, []
    if wishes.repair:
        handlers: dict[str, dict[str, Handler]] = {}
        shared: dict[str, Any] = {
            "fsync": context.settings.state.fsync, "mode": parse_mode(context.settings.mirror.chmod),
        }  # fmt: skip
        for part in parts:
            fetcher = Fetcher(context.fw, context.journal, part.tree, run.id, **shared)
            fetchers.append(fetcher)
            rearranger = Rearranger(part.tree, LocalIndex(context.journal, part.root, ""), run.id, fetcher.fetch)
            await fetcher.prepare()
            await rearranger.settle()
            handlers[part.root] = {**fetcher.handlers(), **rearranger.handlers()}
        repairer = Repairer(context.fw, handlers, overwrite=wishes.overwrite)
    renaming = {part.root: await context.journal.renaming(part.root) for part in parts}
    verifier = Verifier({part.root: part.tree for part in parts}, renaming, repairer.repair if repairer else None)
    await run.carry_out(plan, verifier.handlers(), verifier.batching())
    for fetcher in fetchers:
        await fetcher.sweep()
    if run.summary.by_kind.get(REPAIR):
        for part in parts:
            await keep_manifest(part.tree, context.journal, part.root)


class _Verification(Run):
    """A run that keeps in the journal only what is worth it: not a row for each of a million files that are well."""

    def took(self, outcome: Outcome) -> None:
        if outcome.state != "unchanged":
            super().took(outcome)
            what = "repaired" if outcome.kind == REPAIR else outcome.state
            self.context.reporter.line(f"{what:<9} {outcome.target}: {outcome.reason}")
            return
        self.summary.add(outcome)
        self.context.reporter.outcome(outcome)


def _plan(context: Context, parts: Sequence[_Part], wishes: Wishes) -> Plan:
    def wanted() -> Iterator[tuple[str, VerifyFile]]:
        for part in parts:
            for entry in rows(context.journal.path, part.root, part.below):
                if wishes.takes(path := part.path(entry.path)):
                    yield path, VerifyFile(part.root, entry)

    def entries() -> Iterator[Entry]:
        for path, held in wanted():
            yield WorkItem(
                kind=KIND, key=f"{held.root}/{held.entry.path}", target=path, payload=held, bytes=held.entry.size
            )

    items = size = 0
    for _, held in wanted():
        items, size = items + 1, size + held.entry.size
    return Plan(entries=entries, items=items, bytes=size)
