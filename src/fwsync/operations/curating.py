"""`fwsync collection build`: acquisitions of a selection into collections, by one engine and few requests."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from fwsync.client.search import id_of, label_of
from fwsync.config import SelectionSettings
from fwsync.errors import UsageError
from fwsync.model import Acquisition, Collection
from fwsync.operations.collections import collection_by_id, known_collections, only_one
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.scope import searched
from fwsync.operations.selected import Asked, Selected
from fwsync.operations.turns import turn
from fwsync.plan import curation
from fwsync.plan.curation import Wanted
from fwsync.plan.syncing import Brake
from fwsync.run.curating import Curator
from fwsync.selection import LEVELS, Selection, segment_id
from fwsync.work import Plan, Summary

JOB = "collection"
MOST_NAMED = 12


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """One collection to build: what it is called, what goes into it, and whether what does not is to go."""

    label: str
    wishes: SelectionSettings = SelectionSettings()
    paths: tuple[str, ...] = ()
    project: str = ""
    description: str = ""
    exact: bool = False
    max_remove: str = ""
    allow_empty: bool = False

    @classmethod
    def of(cls, label: str, asked: Asked, **how: Any) -> Build:
        """Of a selection that was asked for; `how` are the other fields."""
        return cls(
            label=label, wishes=asked.wishes, paths=asked.paths, project=asked.project, allow_empty=asked.allow_empty,
            **how,
        )  # fmt: skip

    def asked(self) -> Asked:
        """Its selection."""
        return Asked(wishes=self.wishes, paths=self.paths, project=self.project, allow_empty=self.allow_empty)


async def build(context: Context, builds: Sequence[Build], *, dry: bool = False, refuse_none: bool = False) -> Summary:
    """Put the acquisitions of each selection into the collection of that label, which is made where there is none.

    UsageError for a label that several collections have, and for a selection that holds no acquisition, unless that is
    allowed: then there is nothing to do for it, and no collection is made. `refuse_none`: not all of them may be empty.
    """
    checked = [_checked(one) for one in builds]
    async with AsyncExitStack() as held:
        for label in sorted({one.label for one in builds}):
            # From before the listing: two runs at a time would both make the collection.
            await held.enter_async_context(turn(context, f"collection {label} on {context.fw.site}"))
        context.reporter.phase("looking for the collections" if len(builds) > 1 else "looking for the collection")
        there = await _there(context, builds)
        wanted, notes, empty = [], [], []
        for one, (selection, brake), found in zip(builds, checked, there, strict=True):
            context.reporter.phase(f"listing for {one.label}")
            ids, told = await _gather(context, one, selection)
            notes += told if len(builds) == 1 else []
            empty += [] if ids else [one.label]
            wanted.append(await _wanted(context, one, brake, ids, found))
        if refuse_none and len(empty) == len(builds):
            raise UsageError(f"none of {len(builds):,} selections holds an acquisition; --allow-empty accepts nothing")
        notes += _about_empty(empty, len(builds))
        return await _carry_out(context, builds, wanted, checked, notes, dry=dry)


def _about_empty(empty: Sequence[str], of: int) -> list[str]:
    if not empty:
        return []
    if of == 1:
        return ["the selection is empty"]
    some = ", ".join(empty[:MOST_NAMED])
    return [f"{len(empty):,} of {of:,} selections are empty: {some}{' ...' if len(empty) > MOST_NAMED else ''}"]


def _checked(one: Build) -> tuple[Selection, Brake]:
    """Before anything is asked: what can't be read, or is no label."""
    if not one.label.strip():
        raise UsageError("a collection needs a label")
    if one.max_remove and not one.exact:
        raise UsageError("--max-remove: is for --exact, without which nothing is removed")
    return one.asked().selection, Brake.parse(one.max_remove, "--max-remove")


async def _there(context: Context, builds: Sequence[Build]) -> list[Collection | None]:
    """Of each build the collection that it names, None where it is to be made."""
    fw = context.fw
    labels = {one.label for one in builds if segment_id(one.label) is None}
    known = await known_collections(fw, *labels if len(labels) == 1 else ()) if labels else []
    out = []
    for one in builds:
        named = f"collection {one.label}"
        by_id = segment_id(one.label) is not None
        out.append(await collection_by_id(fw, one.label, named) if by_id else only_one(known, one.label, named))
    return out


async def _gather(context: Context, one: Build, selection: Selection) -> tuple[dict[str, str], list[str]]:
    """The acquisitions of a selection, by id, with their paths; and notes for a person."""
    notes: list[str] = []
    if selection == Selection(query=selection.query, everywhere=selection.everywhere) and selection.query:
        found = await _of_query(context, one, selection)
    else:
        selected = Selected(selection, ("acquisition",), finds="acquisition")
        await selected.gather(context.fw, one.asked())
        found, notes = {}, selected.notes
        for above, _ in selected.of("acquisition"):
            path = "/".join([above["project"].note, *(part.label for part in above.values())])
            found[above["acquisition"].id] = path
    if not found and not one.allow_empty:
        raise UsageError("the selection holds no acquisition; --allow-empty accepts nothing")
    return found, notes


async def _of_query(context: Context, one: Build, selection: Selection) -> dict[str, str]:
    """What a query alone finds, anywhere: its hits tell all that is needed, in one request."""
    hits = await searched(context.fw, selection.query, "acquisition")
    if not hits and not one.allow_empty:
        raise UsageError(f"--query {selection.query}: finds nothing; --allow-empty accepts nothing")
    found = {id_of(hit, "acquisition"): "/".join([id_of(hit, "group"), *_labels(hit)]) for hit in hits}
    return {ident: found[ident] for ident in sorted(found, key=lambda ident: (found[ident], ident)) if ident}


def _labels(hit: dict[str, Any]) -> list[str]:
    return [label_of(hit, level) for level in LEVELS]


async def _wanted(context: Context, one: Build, brake: Brake, ids: dict[str, str], found: Collection | None) -> Wanted:
    held: dict[str, str] = {}
    if found is not None:
        context.reporter.phase(f"reading what {found.label} holds")
        held = {member.id: _named(member) async for member in context.fw.members(found.id)}
    return Wanted(
        label=one.label if found is None else found.label or one.label,
        ident=found.id if found is not None else None,
        wanted=ids,
        held=held,
        exact=one.exact,
        brake=brake,
        description=one.description,
        described=(found.description or "") if found is not None else "",
    )


def _named(member: Acquisition) -> str:
    return f"{member.label or 'acquisition'} <id:{member.id}>"


async def _carry_out(
    context: Context,
    builds: Sequence[Build],
    wanted: Sequence[Wanted],
    checked: Sequence[tuple[Selection, Brake]],
    notes: list[str],
    *,
    dry: bool,
) -> Summary:
    itself, inside = curation.collections(wanted), curation.memberships(wanted)
    if dry:
        plan = Plan(
            entries=lambda: iter([*itself.entries(), *inside.entries()]),
            items=(itself.items or 0) + (inside.items or 0),
            bytes=0,
            warnings=tuple(notes),
        )
        return await dry_run(context, JOB, plan)
    inside.warnings = tuple(notes)
    arguments = [_argument(one, selection) for one, (selection, _) in zip(builds, checked, strict=True)]
    run = await Run.begin(context, JOB, {"builds": arguments})
    idents = {one.key: one.ident for one in wanted if one.ident is not None}
    grace = context.settings.network.read_timeout
    curator = Curator(context.fw, context.journal, run.id, grace=grace, idents=idents)

    async def work() -> None:
        await run.carry_out_in_turn([itself, inside], curator.handlers(), curator.batching())
        await _look_again(run, wanted, curator)
        for problem in await curator.settle_doubles():
            run.summary.planned = (run.summary.planned or 0) + 1
            run.took(problem)

    return await guarded(run, work)


async def _look_again(run: Run, wanted: Sequence[Wanted], curator: Curator) -> None:
    """Read each collection that was changed once more: what is not so, is not done."""
    for one in wanted:
        kinds = ("add.acquisition", "remove.acquisition")
        taken = {kind: curator.taken[one.key, kind] for kind in kinds if (one.key, kind) in curator.taken}
        if not taken:
            continue
        run.context.reporter.phase(f"looking at {one.label} again")
        now = frozenset([member.id async for member in run.context.fw.members(curator.ident_of(one.key))])
        for outcome in curation.not_seen(one, now, taken):
            run.revised(outcome)


def _argument(one: Build, selection: Selection) -> dict[str, Any]:
    """What `fwsync retry` needs to select the same again. Times are written out: `7d` would mean another week then."""
    held = msgspec.structs.replace(one.wishes, newer=selection.newer, older=selection.older)
    if held.from_file not in ("", "-"):
        held = msgspec.structs.replace(held, from_file=str(Path(held.from_file).expanduser().resolve()))
    default = SelectionSettings()
    wishes = {name: value for name, value in msgspec.structs.asdict(held).items() if value != getattr(default, name)}
    return {**msgspec.structs.asdict(one), "wishes": wishes}
