"""After classic creates: does the site hold another container with the label of one that this run made?

Sites allow sessions and acquisitions of one label, so that two runs at the same time can both make one. It can't be
prevented there, and deleting could take both away; so it is seen, and said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import anyio
import msgspec

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.model import Acquisition, Container, Reference, Session

FEW = 20
"""So few are looked up by label; more by reading the project's pages."""

PARENT = {"session": "subject", "acquisition": "session"}


class Made(msgspec.Struct, frozen=True):
    """A container that a classic create made, by its natural key."""

    level: str
    parent_id: str
    label: str


async def find_doubles(fw: Flywheel, project_id: str, made: Mapping[str, Made]) -> list[str]:
    """A line for each container of `made` (by id) that has a double."""
    lines: list[str] = []
    for level in ("session", "acquisition"):
        of_level = {ident: one for ident, one in made.items() if one.level == level}
        if of_level:
            lines += await _of_level(fw, project_id, level, of_level)
    return lines


async def _of_level(fw: Flywheel, project_id: str, level: str, made: Mapping[str, Made]) -> list[str]:
    keys = {(one.parent_id, one.label) for one in made.values()}
    found: dict[tuple[str, str], list[str]] = defaultdict(list)

    async def take(parent: Reference, filters: str = "") -> None:
        async for container in fw.noun(level).iter(parent=parent, filters=filters, files=False):
            key = (_parent(container), container.label or "")
            if key in keys:
                found[key].append(container.id)

    if len(keys) > FEW:
        await take(Reference(type="project", id=project_id))
    else:
        async with anyio.create_task_group() as group:
            for parent, label in keys:
                filters = q.where("label", "=", label) if q.expressible(label) else ""
                group.start_soon(take, Reference(type=PARENT[level], id=parent), filters)
    out = []
    for (_, label), idents in found.items():
        several = sorted(set(idents))
        if len(several) > 1:
            out.append(
                f"{level} {label!r} is there {len(several)} times ({' and '.join(several)}):"
                " someone else made one at the same time"
            )
    return sorted(out)


def _parent(container: Container) -> str:
    parents = container.parents
    if isinstance(container, Session):
        subject = container.subject
        embedded = subject.get("_id") if isinstance(subject, dict) else subject
        return (parents.subject if parents else None) or str(embedded or "")
    if isinstance(container, Acquisition):
        return container.session or (parents.session if parents else None) or ""
    return ""
