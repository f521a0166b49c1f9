"""The half that mirror and download share: wanted files to a local tree, under its lock, by a plan."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import msgspec

from fwsync.errors import TargetError
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.plan import paths
from fwsync.plan.mirroring import WantedFile, plan_mirror
from fwsync.plan.paths import Renamed, Step
from fwsync.run.fetching import Fetcher
from fwsync.run.lock import hold
from fwsync.run.tree import Tree
from fwsync.work import Entry, FetchFile, Outcome, Plan, Summary

Place = tuple[Sequence[Step], FetchFile]
"""A file to fetch, whose path is not settled yet, with its steps from the root down."""


async def bring(
    context: Context,
    job: str,
    to: str,
    places: Sequence[Place],
    arguments: dict[str, Any],
    *,
    settled: Sequence[Outcome] = (),
    notes: Sequence[str] = (),
    dry: bool = False,
) -> Summary:
    """Fetch what the tree at `to` does not hold yet. `settled` are outcomes of gathering, such as unreadable zips."""
    laid, renamed = paths.lay_out([steps for steps, _ in places], context.settings.mirror.platform)
    wanted = [
        WantedFile(msgspec.structs.replace(fetch, path=path), path)
        for (_, fetch), path in zip(places, laid, strict=True)
    ]
    tree = Tree(Path(to).expanduser())
    await _open(tree, create=not dry)
    with hold(context.settings.state_folder, f"tree {tree.real}"):
        context.reporter.phase("comparing with the local tree")
        if dry:
            return await dry_run(context, job, await _plan(context, tree, wanted, settled, notes))
        run = await Run.begin(context, job, {**arguments, "to": str(tree.real)})
        fetcher = Fetcher(context.fw, context.journal, tree, run.id, fsync=context.settings.state.fsync)

        async def work() -> None:
            await fetcher.prepare()
            plan = await _plan(context, tree, wanted, settled, notes)
            _room(tree, plan)
            await run.carry_out(plan, fetcher.handlers())
            await fetcher.sweep()
            if renamed:
                await _write_names(tree, renamed)
            if fetcher.unproved:
                run.summary.warnings.append(
                    f"{fetcher.unproved:,} files are proved by their size alone: the site told no hash or CRC for them"
                )

        return await guarded(run, work)


async def _open(tree: Tree, *, create: bool) -> None:
    if create:
        await tree.prepare()
    elif tree.root.exists() and not tree.root.is_dir():
        raise TargetError(f"{tree.root}: is a file; name a folder")
    else:
        tree.real = tree.root.resolve()


async def _plan(
    context: Context, tree: Tree, wanted: Sequence[WantedFile], settled: Sequence[Outcome], notes: Sequence[str]
) -> Plan:
    index = await context.journal.index(str(tree.real))
    local = await tree.scan([one.fetch.path for one in wanted])
    entries: list[Entry] = [*settled, *plan_mirror(wanted, index, local)]
    return Plan.of(entries, warnings=notes)


def _room(tree: Tree, plan: Plan) -> None:
    free = shutil.disk_usage(tree.real).free
    if plan.bytes and plan.bytes > free:
        raise TargetError(
            f"{tree.real}: {plan.bytes:,} bytes are to come, {free:,} are free; free some, then run again"
        )


async def _write_names(tree: Tree, renamed: Sequence[Renamed]) -> None:
    """Which label became which path, for the components that could not be written as they are called."""
    lines = ["id,label,path", *(",".join(_cell(value) for value in (one.id, one.name, one.path)) for one in renamed)]
    target = tree.locate(f"{paths.OWN_FOLDER}/names.csv")
    async with await anyio.open_file(target, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        await out.write("\n".join(lines) + "\n")


def _cell(value: str) -> str:
    # A label is anyone's text: a leading = + - @ would be a formula in a spreadsheet.
    text = "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return '"' + text.replace('"', '""') + '"'
