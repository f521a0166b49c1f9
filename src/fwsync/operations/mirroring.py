"""`fwsync mirror`: any selection of remote files, or members inside their zips, in a local tree that stays in step."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from fwsync.config import MirrorSettings, SelectionSettings
from fwsync.errors import ConfigError, UsageError
from fwsync.operations.bringing import Sync, bring
from fwsync.operations.context import Context
from fwsync.operations.projects import project_path
from fwsync.operations.scope import Scope
from fwsync.operations.selections import refuse_empty, selection_of
from fwsync.operations.shelving import Wishes, shelve
from fwsync.operations.turns import tree_of, turn
from fwsync.plan.layout import Layout
from fwsync.plan.syncing import Brake
from fwsync.plan.unpacking import Limits
from fwsync.run.shelf import Shelf
from fwsync.selection import Selection, parse_size
from fwsync.work import Summary


async def mirror(context: Context, *, dry: bool = False, new_tree: bool = False, claims_as: str = "") -> Summary:
    """Bring what is selected into the target folder. `claims_as` names the selection as an earlier run did, in which
    project patterns and relative times were written otherwise."""
    to = context.settings.mirror.to
    if not to:
        raise UsageError("where to? name a folder by --to, or as `to` under [mirror] in fwsync.toml")
    # From before the listing: one that was read before another run's end would be older than the tree.
    async with turn(context, tree_of(to)):
        return await _mirror(context, dry=dry, new_tree=new_tree, claims_as=claims_as)


async def _mirror(context: Context, *, dry: bool, new_tree: bool, claims_as: str) -> Summary:
    settings = context.settings.mirror
    selection = selection_of(settings, context.settings.site.project)
    if settings.trash_days < 0:
        raise ConfigError(f"mirror.trash_days: {settings.trash_days} is no number of days; 0 keeps the trash")
    wishes, brake = wishes_of(settings, selection), Brake.parse(settings.max_delete)
    named = claims_as or _digest(context.fw.site, settings, selection)
    context.reporter.phase("listing")
    scope = await Scope.open(context.fw, selection)
    with Shelf(context.settings.state_folder, settings.platform) as shelf:
        found = await shelve(context.fw, selection, scope, shelf, wishes)
        if not (settings.allow_empty or found.may_hold_more):
            refuse_empty(selection, scope.tally, scope)
        return await bring(
            context,
            "mirror",
            settings.to,
            shelf,
            {**arguments_of(settings, selection, scope), "selection": named},
            sync=Sync(
                selection=named,
                local_changes=settings.local_changes,
                delete=settings.delete,
                brake=brake,
                moves=True,
                new_tree=new_tree,
                trash_days=settings.trash_days,
            ),
            settled=found.troubles,
            notes=found.notes,
            dry=dry,
        )


def wishes_of(settings: MirrorSettings, selection: Selection) -> Wishes:
    """How what is found is to be laid out, and what of it is refused. UsageError for what can't be read."""
    alone = not selection.of_containers
    limits = Limits(settings.zip_members, parse_size(settings.zip_bytes, "--zip-bytes"), settings.zip_ratio)
    return Wishes(
        layout=Layout.parse(settings.layout, gear=alone),
        limits=limits,
        sidecars=settings.sidecar == "json",
        kept_times=settings.keep_times,
    )


def arguments_of(settings: MirrorSettings, selection: Selection, scope: Scope) -> dict[str, Any]:
    """What `fwsync retry` needs to select the same again. Times are written out: `7d` would mean another week then."""
    out: dict[str, Any] = {name: value for name, value in msgspec.structs.asdict(settings).items() if name != "to"}
    out |= {"newer": selection.newer, "older": selection.older, "select": ""}
    if settings.from_file not in ("", "-"):
        out["from_file"] = str(Path(settings.from_file).expanduser().resolve())
    if selection.projects or not (selection.everywhere or selection.group):
        out["project"] = tuple(project_path(one) for one in scope.projects) if _nameable(selection) else ()
    return {name: value for name, value in out.items() if value != _DEFAULTS.get(name)}


def _nameable(selection: Selection) -> bool:
    return not (selection.collection or selection.query or selection.paths)


def _digest(site: str, settings: MirrorSettings, selection: Selection) -> str:
    """A name for what is selected, and on which site: the same for the same flags, on every day. How it is laid out has
    no part in it: a tree that is laid out anew is still this selection's."""
    told: dict[str, Any] = {name: getattr(settings, name) for name in SelectionSettings.__struct_fields__}
    told |= {"site": site, "project": selection.projects}
    if settings.from_file == "-":
        told["from_file"] = selection.paths
    elif settings.from_file:
        told["from_file"] = str(Path(settings.from_file).expanduser().resolve())
    return hashlib.blake2b(msgspec.json.encode(told, order="sorted"), digest_size=8).hexdigest()


_DEFAULTS = msgspec.structs.asdict(MirrorSettings())
