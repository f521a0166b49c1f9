"""Which tags containers are to get and to lose, from those that they have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from fwsync.work import Entry, Outcome, Plan, TagContainer, WorkItem


class Marked(NamedTuple):
    """A container with the tags that it has and those that it should have; nobody knows of `doubtful` ones."""

    id: str
    target: str
    held: frozenset[str]
    wanted: tuple[str, ...]
    doubtful: frozenset[str] = frozenset()


def tagging_plan(level: str, marked: Iterable[Marked], ours: Iterable[str], *, untag: bool = False) -> Plan:
    """One item for each container whose tags are to change; the others are unchanged. Tags that are not `ours` are left
    alone; ours that are not wanted go only if `untag`, and never where it is doubtful."""
    known = tuple(dict.fromkeys(ours))

    def entries() -> Iterator[Entry]:
        for one in marked:
            add = tuple(tag for tag in one.wanted if tag not in one.held)
            gone = (tag for tag in known if tag in one.held and tag not in one.wanted and tag not in one.doubtful)
            remove = tuple(gone) if untag else ()
            kind, key = f"tag.{level}", f"{level}:{one.id}"
            if add or remove:
                payload = TagContainer(level=level, id=one.id, add=add, remove=remove)
                yield WorkItem(kind=kind, key=key, target=one.target, payload=payload)
            else:
                yield Outcome(key=key, kind=kind, state="unchanged", target=one.target, ref=one.id, attempts=0)

    return Plan.of(entries())
