"""After classic creates: does the site hold another container with the label of one that this run made?

Sites allow sessions and acquisitions of one label, so that two runs at the same time can both make one. It can't be
prevented there, and deleting could take both away; so it is seen, and said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import anyio
import msgspec

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.model import Reference, parent_of
from fwsync.work import Outcome

FEW = 20
"""So few are looked up by label; more by reading the project's pages."""

PARENT = {"session": "subject", "acquisition": "session"}


class Made(msgspec.Struct, frozen=True):
    """A container that a classic create made, by its natural key."""

    level: str
    parent_id: str
    label: str


async def find_doubles(fw: Flywheel, project_id: str, made: Mapping[str, Made]) -> list[Outcome]:
    """A failure for each container of `made` (by id) that has a double."""
    out: list[Outcome] = []
    for level in ("session", "acquisition"):
        of_level = {ident: one for ident, one in made.items() if one.level == level}
        if of_level:
            out += await _of_level(fw, project_id, level, of_level)
    return out


async def _of_level(fw: Flywheel, project_id: str, level: str, made: Mapping[str, Made]) -> list[Outcome]:
    keys = {(one.parent_id, one.label) for one in made.values()}
    found: dict[tuple[str, str], list[str]] = defaultdict(list)

    async def take(parent: Reference, filters: str = "") -> None:
        async for container in fw.noun(level).iter(parent=parent, filters=filters, files=False):
            key = (parent_of(container), container.label or "")
            if key in keys:
                found[key].append(container.id)

    if len(keys) > FEW:
        await take(Reference(type="project", id=project_id))
    else:
        async with anyio.create_task_group() as group:
            for parent, label in keys:
                filters = q.where("label", "=", label) if q.expressible(label) else ""
                group.start_soon(take, Reference(type=PARENT[level], id=parent), filters)
    several = [(label, sorted(set(idents))) for (_, label), idents in found.items() if len(set(idents)) > 1]
    return [double_outcome(level, label, idents) for label, idents in several]


def double_outcome(level: str, label: str, idents: Sequence[str]) -> Outcome:
    """The failure that tells of containers with one natural key, by their ids."""
    return Outcome(
        key=f"double:{':'.join(idents)}",
        kind="double",
        state="failed",
        target=f"{level} {label!r}",
        reason=f"is there more than once: {' and '.join(idents)}; another run or person made one at the same time",
        ref=idents[0],
    )
