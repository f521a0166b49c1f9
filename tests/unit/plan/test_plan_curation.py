"""What goes into a collection and out of it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import ConfigError
from fwsync.plan.curation import NOTHING, Wanted, collections, memberships
from fwsync.plan.syncing import Brake
from fwsync.work import ChangeContainer, Membership, NewCollection, Outcome, Plan, WorkItem


def named(*idents: str) -> dict[str, str]:
    return {ident: f"path/{ident}" for ident in idents}


def numbered(count: int, start: int = 0) -> dict[str, str]:
    return named(*(f"{number:04}" for number in range(start, start + count)))


def kinds(plan: Plan) -> Counter[str]:
    return Counter(f"{one.kind} {one.state}" if isinstance(one, Outcome) else one.kind for one in plan.entries())


def test_a_new_one_is_made_and_filled() -> None:
    one = Wanted(label="t1", wanted=named("a", "b"), description="told")
    (made,) = collections([one]).entries()
    assert isinstance(made, WorkItem)
    assert (made.kind, made.key, made.target) == ("create.collection", "collection:t1", "collection t1")
    assert made.payload == NewCollection(label="t1", description="told")
    items = list(memberships([one]).entries())
    assert [(item.kind, item.key, item.target) for item in items] == [
        ("add.acquisition", "collection:t1/a", "path/a"),
        ("add.acquisition", "collection:t1/b", "path/b"),
    ]
    assert [item.payload for item in items if isinstance(item, WorkItem)] == [
        Membership("a", "collection:t1"),
        Membership("b", "collection:t1"),
    ]


def test_an_empty_one_is_not_made() -> None:
    one = Wanted(label="t1", description="told")
    assert list(collections([one]).entries()) == list(memberships([one]).entries()) == []


@pytest.mark.parametrize(("asked", "changes"), [("", 0), ("old", 0), ("new", 1)])
def test_a_description_is_changed_only_where_it_is_another(asked: str, changes: int) -> None:
    one = Wanted(label="t1", ident="5", wanted=named("a"), description=asked, described="old")
    found = list(collections([one]).entries())
    assert len(found) == changes
    for item in found:
        assert isinstance(item, WorkItem)
        assert item.payload == ChangeContainer(level="collection", id="5", fields={"description": "new"})


def test_it_adds_and_never_removes_unless_it_is_to_be_exact() -> None:
    one = Wanted(label="t1", ident="5", wanted=named("a", "b"), held=named("b", "c"))
    assert kinds(memberships([one])) == {"add.acquisition": 1, "add.acquisition unchanged": 1}
    one.exact = True
    assert kinds(memberships([one])) == {
        "add.acquisition": 1, "add.acquisition unchanged": 1, "remove.acquisition": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("brake", "held", "going", "halted"),
    [
        ("", 50, 50, False),  # not more than 50
        ("", 1000, 100, False),  # not more than 10 %
        ("", 600, 61, True),
        ("61", 600, 61, False),
        ("60", 600, 61, True),
        ("50%", 600, 300, False),
        ("50%", 600, 301, True),
        ("100%", 600, 599, False),
    ],
)
def test_the_brake(brake: str, held: int, going: int, halted: bool) -> None:
    wanted = named("new") if going == held else numbered(held - going, going)
    one = Wanted(
        label="t1", ident="5", wanted=wanted, held=numbered(held), exact=True, brake=Brake.parse(brake, "--max-remove")
    )
    found = kinds(memberships([one]))
    assert found["remove.acquisition"] == (0 if halted else going)
    assert found["remove.acquisition failed"] == halted
    if halted:
        (why,) = [entry.reason for entry in memberships([one]).entries() if isinstance(entry, Outcome)][-1:]
        assert why.startswith(f"{going:,} of {held:,} acquisitions would be removed; none is")
        assert f"--max-remove {going}" in why


def test_nothing_selected_removes_nothing_whatever_the_brake_says() -> None:
    one = Wanted(label="t1", ident="5", held=named("a", "b"), exact=True, brake=Brake.parse("100%"))
    (entry,) = memberships([one]).entries()
    assert isinstance(entry, Outcome)
    assert (entry.state, entry.reason) == ("failed", NOTHING)


def test_a_brake_that_is_none_names_its_flag() -> None:
    with pytest.raises(ConfigError, match="--max-remove 'x': write a number"):
        Brake.parse("x", "--max-remove")


IDS = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.just("path"), max_size=20)


@given(wanted=IDS, held=IDS, exact=st.booleans())
def test_carried_out_it_is_as_asked_and_then_nothing_is_left_to_do(
    wanted: dict[str, str], held: dict[str, str], exact: bool
) -> None:
    one = Wanted(label="t1", ident="5", wanted=wanted, held=held, exact=exact)
    plan, now = memberships([one]), set(held)
    entries = list(plan.entries())
    assert plan.items == len(entries)
    assert len({entry.key for entry in entries}) == len(entries)
    for entry in entries:
        if isinstance(entry, WorkItem):
            (now.add if entry.kind == "add.acquisition" else now.remove)(entry.payload.id)
    assert now == (set(wanted) if exact and wanted else set(wanted) | set(held))
    one.held = dict.fromkeys(now, "path")
    assert not any(isinstance(entry, WorkItem) for entry in memberships([one]).entries())
