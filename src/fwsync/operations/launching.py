"""`fwsync gear run`: one run of a gear on each container of a selection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from fwsync.config import SelectionSettings
from fwsync.errors import UsageError
from fwsync.model import Gear
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.gears import find_gear
from fwsync.operations.selected import WISHES_OF_CONTAINERS, Asked, Selected
from fwsync.operations.turns import turn
from fwsync.plan.candidates import Candidate
from fwsync.plan.gearinputs import InputFile, InputWish, Pick, Wanted, input_file
from fwsync.plan.gears import configured
from fwsync.plan.launching import ANALYSIS, Destination, Label, PastRun, Rerun, entries
from fwsync.run.launches import Launches
from fwsync.run.launching import Launcher
from fwsync.run.pastruns import in_project
from fwsync.work import Outcome, Plan, Summary

On = Literal["project", "subject", "session", "acquisition"]
Priority = Literal["low", "medium", "high", "critical"]
JOB = "gear run"
GEAR_WISHES = tuple(name for name in WISHES_OF_CONTAINERS if name not in ("gear", "run"))
"""The keywords of a selection that make sense here: which gear it is about is told by itself."""

FilesOf = dict[str, dict[int, list[InputFile]]]
"""The files that fit each wish (by its position), by the id of the container to run on."""


class GearWishes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to run, and how. `gear` is NAME[/VERSION], `inputs` are as in `--input`, `config` is given on top of the
    manifest's defaults, an empty `label` is the SDK's."""

    gear: str
    on: On = "session"
    inputs: tuple[str, ...] = ()
    config: dict[str, Any] = {}
    pick: Pick = ""
    rerun: Rerun = "never"
    label: str = ""
    tags: tuple[str, ...] = ()
    priority: Priority = "medium"


async def run_gear(context: Context, wishes: GearWishes, asked: Asked, *, dry: bool = False) -> Summary:
    """Start the gear on each container of `wishes.on` that `asked` leaves in, with the selected files on or below it.

    UsageError for what can't be so of the gear, its inputs and its configuration, and as `Selected.gather`. A run of
    the same gear version on the same files is not started again, unless `wishes.rerun` says so.
    """
    fw = context.fw
    context.reporter.phase("looking for the gear")
    gear = await find_gear(fw, wishes.gear)
    wanted = Wanted(gear, [InputWish.parse(text) for text in wishes.inputs])
    config = configured(gear, wishes.config)
    label = Label(wishes.label, gear, datetime.now().astimezone(), wishes.on)
    wishes = msgspec.structs.replace(wishes, gear=f"{gear.gear.name}/{gear.gear.version or ''}".rstrip("/"))
    async with turn(context, f"gear {gear.gear.name} on {fw.site}"):
        context.reporter.phase("listing")
        selected, files = await _gathered(context, wishes, asked, wanted)
        runs = await _past_runs(context, gear, selected, wishes)
        places = _destinations(selected, files, runs, wishes.on)
        held = list(
            entries(
                gear, wanted, places, pick=wishes.pick, rerun=wishes.rerun, label=label, config=config,
                tags=wishes.tags, priority=wishes.priority,
            )
        )  # fmt: skip
        notes = _unmet(wanted, files, strict=bool(held) and not asked.allow_empty)
        plan = Plan.of(held, warnings=[*selected.notes, *notes, *_left_over(wanted, files, wishes)])
        if dry:
            return await dry_run(context, JOB, plan)
        await _settle_answered(context, held)
        run = await Run.begin(context, JOB, _arguments(wishes, asked))
        launcher = Launcher(fw, context.journal, run.id, grace=context.settings.network.read_timeout)

        async def work() -> None:
            await run.carry_out(plan, launcher.handlers())
            for one in await launcher.find_doubles():
                run.summary.planned = (run.summary.planned or 0) + 1
                run.took(one)

        return await guarded(run, work)


async def run_again(context: Context, arguments: Mapping[str, Any]) -> Summary:
    """The same as a run before, from what the journal holds of it."""
    wishes = msgspec.convert(arguments["wishes"], GearWishes)
    asked = Asked(
        wishes=msgspec.convert(arguments["selection"], SelectionSettings),
        paths=tuple(arguments["paths"]),
        project=arguments["project"],
        allow_empty=arguments["allow_empty"],
    )
    return await run_gear(context, wishes, asked)


def _arguments(wishes: GearWishes, asked: Asked) -> dict[str, Any]:
    return {
        "wishes": msgspec.to_builtins(wishes), "selection": msgspec.to_builtins(asked.wishes),
        "paths": list(asked.paths), "project": asked.project, "allow_empty": asked.allow_empty,
        "from_file": asked.wishes.from_file,
    }  # fmt: skip


async def _gathered(context: Context, wishes: GearWishes, asked: Asked, wanted: Wanted) -> tuple[Selected, FilesOf]:
    """The containers to run on, and the files that fit the inputs."""
    files: FilesOf = {}

    def take(one: Candidate) -> None:
        held = one.above.get(wishes.on)
        if held is not None and not one.is_input:
            for at in wanted.fitting(one.entry):
                files.setdefault(held.id, {}).setdefault(at, []).append(input_file(one))

    selected = Selected(asked.selection, (wishes.on,), file=take if wanted.wishes else None)
    await selected.gather(context.fw, asked)
    return selected, files


async def _past_runs(
    context: Context, gear: Gear, selected: Selected, wishes: GearWishes
) -> dict[str, list[PastRun]]:  # fmt: skip
    """The runs of this gear version by container, oldest first. They are wanted also where every one runs again: a run
    whose answer is lost is one that was not there before."""
    context.reporter.phase("looking for earlier runs")
    projects = {found.above["project"].id for found in selected.of(wishes.on)}
    held: dict[str, list[PastRun]] = {}
    for project in sorted(projects):
        runs = in_project(
            context.fw, project, gear.gear.name, gear.gear.version or "", level=wishes.on,
            analyses=gear.category == ANALYSIS, states=wishes.rerun == "failed",
        )  # fmt: skip
        async for container, run in runs:
            held.setdefault(container, []).append(run)
    for some in held.values():
        some.sort(key=lambda run: run.id)
    return held


def _destinations(
    selected: Selected, files: FilesOf, runs: Mapping[str, list[PastRun]], on: str
) -> Iterator[Destination]:  # fmt: skip
    for found in selected.of(on):
        ident = found.above[on].id
        yield Destination(found.above, files.get(ident, {}), runs.get(ident, ()))


def _unmet(wanted: Wanted, files: FilesOf, *, strict: bool) -> list[str]:
    """Notes about wishes that no selected file fits. `strict`: UsageError for one without which nothing runs."""
    met = {at for held in files.values() for at in held}
    out = []
    for at, wish in enumerate(wanted.wishes):
        if at not in met:
            line = f"--input {','.join(wish.names)}: no selected file fits {wish.told}"
            if strict and any(not wanted.spec(name).optional for name in wish.names):
                raise UsageError(f"{line}; --allow-empty accepts nothing")
            out.append(line)
    return out


def _left_over(wanted: Wanted, files: FilesOf, wishes: GearWishes) -> list[str]:
    """A note about files for which a series of inputs was too short."""
    left = [count for held in files.values() if (count := wanted.fill(held, wishes.pick).left)]
    if not left:
        return []
    return [f"{sum(left):,} files on {len(left):,} {wishes.on}s found no input any more: their series is full"]


async def _settle_answered(context: Context, held: list[Any]) -> None:
    """Forget what a killed run asked for where the planner has found that it was carried out."""
    launches = Launches(context.journal, context.fw.site)
    there = {one.key: one.ref for one in held if isinstance(one, Outcome) and one.state == "unchanged"}
    for intent in (await launches.open()).values():
        ref = there.get(intent.key)
        if ref is not None and ref not in intent.known:
            launches.settle(intent.key, intent.mark)
