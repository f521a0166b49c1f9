"""`fwsync download` by a selection: what a mirror would fetch, once, and by the wishes of this command alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from fwsync.config import MirrorSettings, SelectionSettings, Settings
from fwsync.errors import UsageError
from fwsync.operations.bringing import Sync, bring
from fwsync.operations.context import Context
from fwsync.operations.mirroring import arguments_of, refuse_empty, wishes_of
from fwsync.operations.projects import near
from fwsync.operations.scope import Scope
from fwsync.operations.selections import selection_of
from fwsync.operations.shelving import Shelving, shelve
from fwsync.operations.turns import tree_of, turn
from fwsync.run.shelf import Shelf
from fwsync.selection import Selection, split_path
from fwsync.work import Summary

WISHES = (*SelectionSettings.__struct_fields__, "select")
"""What makes a download one by a selection."""

FORMS = ("layout", "sidecar", "on_collision", "allow_empty")
"""What else such a download may be told."""


def with_wishes(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Settings for a download by `WISHES` and `FORMS`, of which only these are in force: `[mirror]` has wishes for the
    nightly mirror, and they are not this command's. Its rules for files (platform, link, chmod, zips) hold here too.

    None means not given. UsageError where the configuration has no selection of the name in `select`.
    """
    held = {name: value for name, value in given.items() if value is not None}
    base, select = SelectionSettings(), held.pop("select", "")
    if select:
        if select not in settings.selections:
            raise UsageError(f"there is no selection {select!r}{near(select, settings.selections)}")
        base = settings.selections[select]
    plain = {"layout": "", "sidecar": "none", "allow_empty": False, "select": "", "to": ""}
    mirror = msgspec.structs.replace(settings.mirror, **{**msgspec.structs.asdict(base), **plain, **held})
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
    selection = _selection(settings, paths, context.settings.site.project)
    wishes = wishes_of(settings, selection)
    context.reporter.phase("listing")
    scope = await Scope.open(context.fw, selection)
    with Shelf(context.settings.state_folder, settings.platform) as shelf:
        found = await shelve(context.fw, selection, scope, shelf, wishes)
        if not settings.allow_empty:
            _refuse_empty(found, selection, paths)
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


def _selection(settings: MirrorSettings, paths: Sequence[str], project: str) -> Selection:
    if not paths:
        return selection_of(settings, project)
    elsewhere = ("project", "group", "collection", "all_projects", "from_file")
    if also := next((name for name in elsewhere if getattr(settings, name)), ""):
        raise UsageError(f"--{also.replace('_', '-')} and {paths[0]}: name what you want by one of them")
    if short := next((path for path in paths if len(split_path(path)) < 2), ""):
        raise UsageError(f"{short}: a path begins with group/project; name groups by --group")
    return msgspec.structs.replace(selection_of(settings), paths=tuple(dict.fromkeys(paths)))


def _refuse_empty(found: Shelving, selection: Selection, paths: Sequence[str]) -> None:
    try:
        refuse_empty(found, selection)
    except UsageError as error:
        # Paths are looked for as those in a file are, and were given without one.
        line = error.line.removeprefix("--from-file ") if paths else error.line
        raise UsageError(line) from None
