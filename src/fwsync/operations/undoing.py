"""`fwsync undo RUN`: delete what an import created, where nobody has touched it since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

import anyio
import msgspec

from fwsync.errors import FwsyncError, NotFoundError, RemoteError, UsageError
from fwsync.model import Reference
from fwsync.operations.context import Context, Run, guarded
from fwsync.operations.curating import JOB as COLLECTION
from fwsync.operations.projects import find_project, near
from fwsync.operations.turns import turn
from fwsync.run.deleting import BELOW, GONE, LEVELS, Deleter, change_since
from fwsync.run.journal import RunRecord
from fwsync.work import DeleteContainer, Entry, Outcome, Plan, State, Summary, WorkItem


class _Made(msgspec.Struct):
    """A container that the run created; `keep` says why it has to stay, empty where it may go."""

    level: str
    outcome: Outcome
    keep: str = ""
    files: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        return self.outcome.ref or ""


async def undo(context: Context, run: str, *, confirm: Callable[[int, int], bool], dry: bool = False) -> Summary:
    """Show what would be deleted and what has to stay, ask `confirm(to delete, to keep)`, then delete.

    A container goes only if that run created it, it is as it was created, and all that is below it goes too.
    """
    record = await context.journal.run(run)
    if record is None:
        known = [one.id for one in await context.journal.runs()]
        raise UsageError(f"run {run}: not in the journal{near(run, known)}")
    if record.site != context.fw.site:
        raise UsageError(f"run {run}: was on {record.site}, the API key in use is for {context.fw.site}")
    if record.command == COLLECTION:
        raise UsageError(f"run {run}: put acquisitions into collections; only imports are undone")
    async with turn(context, f"project {await _project_of(context, record)} on {context.fw.site}"):
        made = _made(await context.journal.outcomes(run, ("done",)))
        if context.only is not None:
            made = {key: one for key, one in made.items() if key in context.only}
        context.reporter.phase(f"looking at {len(made):,} containers")
        await _look(context, made)
        going = [one for one in made.values() if not one.keep]
        for one in made.values():
            context.reporter.line(f"{'keep' if one.keep else 'delete'} {one.outcome.target}{_because(one)}")
        plan = Plan.of(_entries(made))
        if dry:
            return _shown(plan, going)
        if going and not confirm(len(going), len(made) - len(going)):
            raise UsageError("nothing was deleted")
        again = await Run.begin(context, "undo", {"run": run})
        deleter = Deleter(context.fw)
        return await guarded(again, lambda: again.carry_out(plan, deleter.handlers()))


async def _project_of(context: Context, record: RunRecord) -> str:
    """The id of the project that a run worked on, by which imports take turns. The run knows its path; where that is
    another one by now, some container that it made tells."""
    if named := record.arguments.get("project"):
        with suppress(UsageError, RemoteError):
            return (await find_project(context.fw, named)).id
    for one in _made(await context.journal.outcomes(record.id, ("done",))).values():
        with suppress(RemoteError):
            held = await context.fw.noun(one.level).get(one.id)
            if held.parents is not None and held.parents.project:
                return str(held.parents.project)
    return "that is gone"


def _because(one: _Made) -> str:
    return f": {one.keep}" if one.keep else ""


def _shown(plan: Plan, going: list[_Made]) -> Summary:
    summary = Summary(job="undo", dry_run=True)
    for one in going:
        summary.would[f"delete.{one.level}"] += 1
    for entry in plan.entries():
        if isinstance(entry, Outcome):
            summary.add(entry)
    return summary


def _made(outcomes: Iterable[Outcome]) -> dict[str, _Made]:
    """What the run created, by key, parents before children, with the files that it put there."""
    held = list(outcomes)
    made = {}
    for depth in LEVELS:
        for outcome in held:
            if outcome.kind == f"create.{depth}" and outcome.ref and outcome.sent is not None:
                made[outcome.key] = _Made(depth, outcome)
    files: dict[str, set[str]] = {}
    for outcome in held:
        if outcome.kind == "upload.file" and outcome.ref:
            files.setdefault(outcome.key.partition(":file:")[0], set()).add(outcome.ref)
    for key, idents in files.items():
        if key in made:
            made[key].files = frozenset(idents)
    return made


async def _look(context: Context, made: dict[str, _Made]) -> None:
    """Find out of each whether it may go: first by itself, then by what is below it."""
    below: dict[str, list[str]] = {}

    async def look(key: str, one: _Made) -> None:
        try:
            held = await context.fw.noun(one.level).get(one.id)
            one.keep = change_since(one.level, held, one.outcome.sent or {}, one.files)
            if (kind := BELOW.get(one.level)) is not None:
                parent = Reference(type=one.level, id=one.id)
                below[key] = [child.id async for child in context.fw.noun(kind).iter(parent=parent, files=False)]
        except NotFoundError:
            one.keep = GONE
        except FwsyncError as error:
            one.keep = error.line

    limit = anyio.CapacityLimiter(64)

    async def limited(key: str, one: _Made) -> None:
        async with limit:
            await look(key, one)

    async with anyio.create_task_group() as group:
        for key, one in made.items():
            group.start_soon(limited, key, one)
    going = {one.id for one in made.values() if not one.keep}
    for level in ("session", "subject"):
        for key, one in made.items():
            if one.level == level and not one.keep and not going.issuperset(below.get(key, ())):
                one.keep = f"{BELOW[level]}s below it were not made by that run, or have to stay"
                going.discard(one.id)


def _entries(made: dict[str, _Made]) -> Iterator[Entry]:
    """One item for each topmost container that goes, with those below it as its riders."""
    items: dict[str, WorkItem] = {}
    below: dict[str, list[WorkItem]] = {}
    for key, one in made.items():
        if one.keep:
            state: State = "unchanged" if one.keep == GONE else "failed"
            reason = one.keep if one.keep == GONE else f"kept: {one.keep}"
            yield Outcome(
                key=key, kind=f"delete.{one.level}", state=state, target=one.outcome.target, reason=reason, ref=one.id,
                attempts=0, line=one.outcome.line,
            )  # fmt: skip
            continue
        sent = one.outcome.sent or {}
        items[key] = WorkItem(
            kind=f"delete.{one.level}",
            key=key,
            target=one.outcome.target,
            payload=DeleteContainer(level=one.level, id=one.id, sent=sent, files=one.files),
            line=one.outcome.line,
        )
        top = _topmost(key, items)
        if top != key:
            below.setdefault(top, []).append(items[key])
    for key, item in items.items():
        if _topmost(key, items) == key:
            yield msgspec.structs.replace(item, riders=tuple(below.get(key, ())))


def _topmost(key: str, items: dict[str, WorkItem]) -> str:
    """The key of the highest container above this one that goes too."""
    parts = key.partition(":")[2].split("/")
    for depth in range(len(parts)):
        above = f"{LEVELS[depth]}:{'/'.join(parts[: depth + 1])}"
        if above in items:
            return above
    return key
