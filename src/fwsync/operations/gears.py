"""The gears of a site: which there are, and what one takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from fwsync.client.api import Flywheel
from fwsync.errors import RemoteError, UsageError
from fwsync.model import Gear
from fwsync.operations.projects import near
from fwsync.plan.gears import config_of, inputs_of, newest_of_each, version_rank
from fwsync.report.gears import gears_table, manifest_table
from fwsync.report.table import Cell, Table
from fwsync.selection import is_pattern, matches


async def list_gears(fw: Flywheel, pattern: str = "", *, all_versions: bool = False) -> Table:
    """The newest version of each gear, or all of them, disabled ones too. UsageError where none fits the pattern."""
    every = await fw.all_gears()
    fitting = [one for one in every if not pattern or matches(pattern, one.gear.name)]
    if pattern and not fitting:
        raise UsageError(f"gear {pattern}: {fw.site} has none{near(pattern, {one.gear.name for one in every})}")
    if all_versions:
        shown = sorted(fitting, key=lambda one: (one.gear.name, version_rank(one.gear.version)))
    else:
        shown = newest_of_each(fitting)
    return gears_table(shown, fw.site)


async def show_gear(fw: Flywheel, name: str) -> Table:
    """What `NAME[/VERSION]` takes. UsageError for a gear that is not there."""
    gear = await find_gear(fw, name, disabled=True)
    return manifest_table(gear, list(_rows(gear)))


async def find_gear(fw: Flywheel, name: str, *, disabled: bool = False) -> Gear:
    """The gear `NAME/VERSION`, or the newest version of NAME. UsageError with near names where there is none, and for
    one that is disabled unless those are wanted too."""
    plain, _, version = name.partition("/")
    if not plain or is_pattern(name):
        raise UsageError(f"gear {name!r}: name one, as NAME or NAME/VERSION; fwsync gear list shows them")
    if version:
        found = await fw.gear_versions(plain)
        gear = next((one for one in found if one.gear.version == version), None)
        if gear is None and found:
            known = [one.gear.version or "" for one in found]
            raise UsageError(f"gear {name}: no such version{near(version, known)}")
    else:
        gear = await _newest(fw, plain)
    if gear is None:
        names = {one.gear.name for one in await fw.all_gears()}
        raise UsageError(f"gear {plain}: {fw.site} has none of this name{near(plain, names)}")
    if gear.disabled and not disabled:
        raise UsageError(f"gear {plain}/{gear.gear.version}: is disabled on {fw.site}; fwsync gear list shows others")
    return gear


async def _newest(fw: Flywheel, name: str) -> Gear | None:
    """As the SDK finds it: by the site's own word on which version is the newest. Where it has none, by the numbers of
    the versions; a disabled one if there is no other."""
    try:
        node = await fw.lookup(("gears", name))
        if isinstance(node.document, Gear):
            return node.document
    except RemoteError as error:
        if error.status not in (400, 404, 405, 422, 501):
            raise
    found = sorted(await fw.gear_versions(name), key=lambda one: version_rank(one.gear.version))
    return next(iter(newest_of_each(found) or found[-1:]), None)


def _rows(gear: Gear) -> Iterator[tuple[Cell, ...]]:
    for one in inputs_of(gear).values():
        needed = one.base == "file" and not one.optional
        yield "input", one.name, one.base, needed, None, _listed(one.types), one.description or None
    for spec in config_of(gear).values():
        default = None if spec.default is None else _written(spec.default)
        needed = spec.default is None and not spec.optional
        choices = _listed(_written(choice) for choice in spec.choices)
        yield "config", spec.name, spec.type or None, needed, default, choices, spec.description or None


def _listed(values: Iterable[str]) -> str | None:
    return ", ".join(values) or None


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
