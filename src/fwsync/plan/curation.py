"""What a collection lacks of a selection, and what it has besides, as a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from fwsync.plan.syncing import Brake
from fwsync.work import ChangeContainer, Entry, Membership, NewCollection, Outcome, Plan, WorkItem

NOT_IN = "the site took it, and does not list it in the collection"
STILL_IN = "the site took it out, and still lists it in the collection"
NOTHING = "nothing is selected, so nothing is removed"


class Wanted(msgspec.Struct, kw_only=True):
    """A collection as it is to be: `wanted` are the acquisitions selected for it and `held` those in it, by id, each
    with what a person reads. `ident` is None for a collection that is to be made.

    `exact` removes what is held and not wanted, as far as the brake lets it. `description` is set where it is another
    one than `described`; empty leaves it.
    """

    label: str
    ident: str | None = None
    wanted: Mapping[str, str] = {}
    held: Mapping[str, str] = {}
    exact: bool = False
    brake: Brake = Brake()
    description: str = ""
    described: str = ""

    @property
    def key(self) -> str:
        """Its key, the same in every run."""
        return f"collection:{self.label}"

    @property
    def surplus(self) -> list[str]:
        """The ids of what is to be removed, whether or not it may be."""
        return sorted(self.held.keys() - self.wanted.keys()) if self.exact else []

    def why_not(self) -> str:
        """Why nothing may be removed; empty where it may be."""
        surplus = len(self.surplus)
        if surplus and not self.wanted:
            return NOTHING
        if self.brake.trips(surplus, len(self.held)):
            of = f"{surplus:,} of {len(self.held):,} acquisitions would be removed; none is"
            return f"{of}: look at --dry-run, and let them go by --max-remove {surplus}"
        return ""


def collections(wanted: Sequence[Wanted]) -> Plan:
    """What is to be done on the collections themselves. One without any acquisition is not made."""
    return Plan.of(entry for one in wanted for entry in _itself(one))


def _itself(one: Wanted) -> Iterator[Entry]:
    target = f"collection {one.label}"
    if one.ident is None:
        if one.wanted:
            new = NewCollection(label=one.label, description=one.description)
            yield WorkItem(kind="create.collection", key=one.key, target=target, payload=new)
    elif one.description and one.description != one.described:
        change = ChangeContainer(level="collection", id=one.ident, fields={"description": one.description})
        yield WorkItem(kind="update.collection", key=one.key, target=target, payload=change)


def memberships(wanted: Sequence[Wanted]) -> Plan:
    """What is to be put into the collections and taken out of them: an item for each acquisition, and an outcome for
    each that is in already."""
    return Plan(entries=lambda: _members(wanted), items=sum(_count(one) for one in wanted), bytes=0)


def _count(one: Wanted) -> int:
    return len(one.wanted) + (bool(one.surplus) if one.why_not() else len(one.surplus))


def _members(wanted: Sequence[Wanted]) -> Iterator[Entry]:
    for one in wanted:
        for ident, target in one.wanted.items():
            item = _item("add.acquisition", one, ident, target)
            yield item if ident not in one.held else item.outcome("unchanged", ref=ident, attempts=0)
        if not one.surplus:
            continue
        if why := one.why_not():
            yield Outcome(
                key=f"{one.key} -", kind="remove.acquisition", state="failed", target=one.label, reason=why, attempts=0
            )
            continue
        yield from (_item("remove.acquisition", one, ident, one.held[ident]) for ident in one.surplus)


def not_seen(one: Wanted, now: frozenset[str], taken: Mapping[str, set[str]]) -> Iterator[Outcome]:
    """What a site has taken, by kind of item, and does not show in the collection, which holds `now`: some sites say
    nothing of an acquisition that they leave out."""
    for ident in sorted(taken.get("add.acquisition", set()) - now):
        yield _item("add.acquisition", one, ident, one.wanted[ident]).outcome("failed", reason=NOT_IN)
    for ident in sorted(taken.get("remove.acquisition", set()) & now):
        yield _item("remove.acquisition", one, ident, one.held[ident]).outcome("failed", reason=STILL_IN)


def _item(kind: str, one: Wanted, ident: str, target: str) -> WorkItem:
    return WorkItem(kind=kind, key=f"{one.key}/{ident}", target=target, payload=Membership(ident, one.key))
