"""The half that mirror and download share: wanted files to a local tree, under its lock, by a plan."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio

from fwsync.config import parse_mode
from fwsync.errors import NotAsAskedError, TargetError
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.plan import paths
from fwsync.plan.mirroring import entry_of, judge
from fwsync.run.fetching import Fetcher
from fwsync.run.lock import hold
from fwsync.run.shelf import Shelf
from fwsync.run.tree import Tree
from fwsync.work import Entry, Outcome, Plan, Summary


async def bring(
    context: Context,
    job: str,
    to: str,
    shelf: Shelf,
    arguments: dict[str, Any],
    *,
    settled: Sequence[Outcome] = (),
    notes: Sequence[str] = (),
    complete: bool = True,
    dry: bool = False,
) -> Summary:
    """Fetch what the tree at `to` does not hold yet. `settled` are outcomes of gathering, such as unreadable zips."""
    options = context.settings.mirror
    mode = parse_mode(options.chmod)
    collided = shelf.settle()
    if collided and options.on_collision == "error":
        raise NotAsAskedError(_collisions(collided))
    tree = Tree(Path(to).expanduser())
    await _open(tree, create=not dry)
    with hold(context.settings.state_folder, f"tree {tree.real}"):
        context.reporter.phase("comparing with the local tree")
        if dry:
            return await dry_run(context, job, await _plan(context, tree, shelf, settled, notes, complete))
        run = await Run.begin(context, job, {**arguments, "to": str(tree.real)})
        fetcher = Fetcher(
            context.fw, context.journal, tree, run.id, fsync=context.settings.state.fsync, link=options.link, mode=mode
        )

        async def work() -> None:
            await fetcher.prepare()
            plan = await _plan(context, tree, shelf, settled, notes, complete)
            _room(tree, plan)
            await run.carry_out(plan, fetcher.handlers(), fetcher.batching())
            await fetcher.sweep()
            await _write_names(tree, shelf)
            if fetcher.unproved:
                run.summary.warnings.append(
                    f"{fetcher.unproved:,} files are proved by their size alone: the site told no hash or CRC for them"
                )
            if fetcher.linked:
                run.summary.warnings.append(f"{fetcher.linked:,} files are hard links to equal ones")

        return await guarded(run, work)


def _collisions(collided: Sequence[str]) -> str:
    shown = ", ".join(sorted(collided)[:3]) + (" ..." if len(collided) > 3 else "")
    return (
        f"{len(collided):,} paths are wanted by several files or folders ({shown}); choose another --layout, or"
        " --on-collision suffix"
    )


async def _open(tree: Tree, *, create: bool) -> None:
    if create:
        await tree.prepare()
    elif tree.root.exists() and not tree.root.is_dir():
        raise TargetError(f"{tree.root}: is a file; name a folder")
    else:
        tree.real = tree.root.resolve()


async def _plan(
    context: Context, tree: Tree, shelf: Shelf, settled: Sequence[Outcome], notes: Sequence[str], complete: bool
) -> Plan:
    for some in shelf.wanted():
        places = [one.fetch.path for _, one in some]
        index, local = await context.journal.index(str(tree.real), paths=places), await tree.scan(places)
        shelf.judge((number, judge(one.fetch, index, local)) for number, one in some)

    def entries() -> Iterator[Entry]:
        yield from settled
        for one, state in shelf.judged():
            yield entry_of(one, state)

    return Plan(
        entries=entries,
        complete=complete,
        items=len(settled) + shelf.files,
        bytes=shelf.bytes_to_come(),
        warnings=tuple(notes),
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
    async with await anyio.open_file(target, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        await out.write("id,label,path\n")
        for one in (first, *renamed):
            await out.write(",".join(_cell(value) for value in (one.id, one.name, one.path)) + "\n")


def _cell(value: str) -> str:
    # A label is anyone's text: a leading = + - @ would be a formula in a spreadsheet.
    text = "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return '"' + text.replace('"', '""') + '"'
