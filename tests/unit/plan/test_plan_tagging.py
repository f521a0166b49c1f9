"""Which tags a container gets and loses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan.tagging import Marked, tagging_plan
from fwsync.work import Outcome, TagContainer, WorkItem

TAGS = st.sampled_from(["LOW_SNR", "HIGH_FD", "mine", "theirs"])
OURS = ("LOW_SNR", "HIGH_FD", "LOW_SNR")


def change(one: Marked, *, untag: bool = False) -> TagContainer | None:
    """What is to happen to one container; None for nothing."""
    [entry] = tagging_plan("acquisition", [one], OURS, untag=untag).entries()
    assert (entry.kind, entry.key, entry.target) == ("tag.acquisition", f"acquisition:{one.id}", one.target)
    if isinstance(entry, Outcome):
        assert (entry.state, entry.attempts) == ("unchanged", 0)
        return None
    assert isinstance(entry.payload, TagContainer)
    assert entry.payload.id == one.id
    return entry.payload


def test_tags_are_added_and_go_only_where_asked() -> None:
    one = Marked("i", "g/p", frozenset({"HIGH_FD", "mine"}), ("LOW_SNR",))
    assert change(one) == TagContainer(level="acquisition", id="i", add=("LOW_SNR",))
    assert change(one, untag=True) == TagContainer(level="acquisition", id="i", add=("LOW_SNR",), remove=("HIGH_FD",))
    doubtful = one._replace(doubtful=frozenset({"HIGH_FD"}), wanted=())
    assert change(doubtful, untag=True) is None, "nobody knows whether it holds"
    plan = tagging_plan("acquisition", [one, doubtful], OURS)
    assert plan.items == 2
    assert [type(entry) for entry in plan.entries()] == [WorkItem, Outcome]


@given(st.frozensets(TAGS), st.lists(st.sampled_from(OURS[:2]), unique=True), st.frozensets(TAGS), st.booleans())
def test_a_second_run_finds_nothing_to_do(
    held: frozenset[str], wanted: list[str], doubtful: frozenset[str], untag: bool
) -> None:
    one = Marked("i", "t", held, tuple(wanted), doubtful - set(wanted))
    found = change(one, untag=untag)
    after = held if found is None else (held | set(found.add)) - set(found.remove)
    assert after >= set(wanted)
    assert after - set(OURS) == held - set(OURS), "other people's tags stay"
    assert untag or after >= held
    assert change(one._replace(held=after), untag=untag) is None
