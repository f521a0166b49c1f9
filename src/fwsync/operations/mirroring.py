"""`fwsync mirror`: any selection of remote files, or members inside their zips, in a local tree that stays in step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fwsync.config import MirrorSettings
from fwsync.errors import UsageError
from fwsync.operations.bringing import bring
from fwsync.operations.context import Context
from fwsync.operations.gathering import Gatherer, Wishes
from fwsync.operations.projects import project_path
from fwsync.operations.scope import Scope
from fwsync.operations.selections import selection_of
from fwsync.plan.layout import Layout
from fwsync.plan.selecting import unmet
from fwsync.plan.unpacking import Limits
from fwsync.run.shelf import Shelf
from fwsync.selection import Selection, parse_size
from fwsync.work import Summary


async def mirror(context: Context, *, dry: bool = False) -> Summary:
    """Bring what is selected into the target folder."""
    settings = context.settings.mirror
    if not settings.to:
        raise UsageError("where to? name a folder by --to, or as `to` under [mirror] in fwsync.toml")
    selection = selection_of(settings, context.settings.site.project)
    wishes = _wishes(settings, selection)
    context.reporter.phase("listing")
    scope = await Scope.open(context.fw, selection)
    with Shelf(context.settings.state_folder, settings.platform) as shelf:
        gatherer = Gatherer(context.fw, selection, scope, shelf, wishes)
        await gatherer.run()
        if not settings.allow_empty:
            _refuse_empty(gatherer, selection)
        return await bring(
            context,
            "mirror",
            settings.to,
            shelf,
            _arguments(settings, selection, scope),
            settled=gatherer.troubles,
            notes=gatherer.notes,
            dry=dry,
        )


def _wishes(settings: MirrorSettings, selection: Selection) -> Wishes:
    alone = not selection.of_containers
    limits = Limits(settings.zip_members, parse_size(settings.zip_bytes, "--zip-bytes"), settings.zip_ratio)
    return Wishes(
        layout=Layout.parse(settings.layout, gear=alone),
        limits=limits,
        sidecars=settings.sidecar == "json",
        kept_times=settings.keep_times,
    )


def _refuse_empty(gatherer: Gatherer, selection: Selection) -> None:
    """UsageError for a pattern, condition or query that matches nothing, with near names."""
    if gatherer.troubles and selection.looks_inside:
        return  # what could not be read may hold it
    line = unmet(selection, gatherer.tally) or gatherer.scope.unmet()
    if selection.query and gatherer.scope.hits is not None and not gatherer.scope.hits:
        line = line or f"--query {selection.query}: finds nothing"
    if line:
        raise UsageError(f"{line}; --allow-empty accepts nothing")


def _arguments(settings: MirrorSettings, selection: Selection, scope: Scope) -> dict[str, Any]:
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


_DEFAULTS = msgspec.structs.asdict(MirrorSettings())
