"""`fwsync download` by a selection: what a mirror would fetch, once, and by the wishes of this command alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fwsync.config import Settings
from fwsync.operations.bringing import Sync, bring
from fwsync.operations.context import Context
from fwsync.operations.mirroring import arguments_of, wishes_of
from fwsync.operations.scope import Scope
from fwsync.operations.selections import refuse_empty, selection_at, wished
from fwsync.operations.shelving import shelve
from fwsync.operations.turns import tree_of, turn
from fwsync.run.shelf import Shelf
from fwsync.work import Summary

FORMS = ("layout", "sidecar", "on_collision", "allow_empty")
"""What else such a download may be told."""


def with_wishes(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Settings for a download by `WISHES` and `FORMS`, of which only these are in force: `[mirror]` has wishes for the
    nightly mirror, and they are not this command's. Its rules for files (platform, link, chmod, zips) hold here too.

    None means not given. UsageError where the configuration has no selection of the name in `select`.
    """
    forms = {name: value for name, value in given.items() if name in FORMS and value is not None}
    base = wished(settings, {name: value for name, value in given.items() if name not in FORMS})
    plain = {"layout": "", "sidecar": "none", "allow_empty": False, "select": "", "to": ""}
    mirror = msgspec.structs.replace(settings.mirror, **{**msgspec.structs.asdict(base), **plain, **forms})
    return msgspec.structs.replace(settings, mirror=mirror)


async def download_selection(
    context: Context, paths: Sequence[str], to: str, *, dry: bool = False, new_tree: bool = False
) -> Summary:
    """Bring what `[mirror]` selects (see `with_wishes`) into the folder `to`; with `paths`, what is at or below them.

    A pattern that matches nothing is UsageError, as in a mirror."""
    async with turn(context, tree_of(to)):
        return await _download(context, paths, to, dry=dry, new_tree=new_tree)


async def _download(context: Context, paths: Sequence[str], to: str, *, dry: bool, new_tree: bool) -> Summary:
    settings = context.settings.mirror
    selection = selection_at(settings, paths, context.settings.site.project)
    wishes = wishes_of(settings, selection)
    context.reporter.phase("listing")
    scope = await Scope.open(context.fw, selection)
    with Shelf(context.settings.state_folder, settings.platform) as shelf:
        found = await shelve(context.fw, selection, scope, shelf, wishes)
        if not (settings.allow_empty or found.may_hold_more):
            refuse_empty(selection, scope.tally, scope, paths)
        arguments = {"paths": list(paths), "wishes": arguments_of(settings, selection, scope)}
        return await bring(
            context,
            "download",
            to,
            shelf,
            arguments,
            sync=Sync(new_tree=new_tree),
            settled=found.troubles,
            notes=found.notes,
            dry=dry,
        )
