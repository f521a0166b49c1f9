"""A plan of so many bytes at most."""

from __future__ import annotations

import pytest

from fwsync.errors import UsageError
from fwsync.plan.limiting import limited
from fwsync.selection import parse_interval
from fwsync.work import Outcome, Plan, WorkItem


def item(key: str, size: int, *riders: WorkItem) -> WorkItem:
    return WorkItem(kind="download.file", key=key, target=key, bytes=size, riders=riders)


def settled(key: str) -> Outcome:
    return Outcome(key=key, kind="download.file", state="unchanged", target=key)


def states(plan: Plan) -> dict[str, str]:
    return {one.key: one.state if isinstance(one, Outcome) else "to do" for one in plan.entries()}


def test_it_stops_before_the_item_that_would_exceed() -> None:
    plan = limited(
        Plan.of([item("a", 40), settled("b"), item("c", 60), item("d", 1), settled("e"), item("f", 0)]), 100, "100"
    )
    assert states(plan) == {
        "a": "to do", "b": "unchanged", "c": "to do", "d": "stopped", "e": "unchanged", "f": "stopped",
    }  # fmt: skip
    assert states(plan)["d"] == "stopped", "a plan may be read twice"
    assert (plan.items, plan.bytes) == (6, 100)


def test_nothing_small_slips_through_behind_a_large_one() -> None:
    plan = limited(Plan.of([item("a", 10), item("large", 95), item("small", 1)]), 100, "100 bytes")
    assert states(plan) == {"a": "to do", "large": "stopped", "small": "stopped"}
    reasons = {one.reason for one in plan.entries() if isinstance(one, Outcome)}
    assert reasons == {"--max-transfer 100 bytes is reached; run again to go on"}


def test_an_item_goes_with_its_riders_or_not_at_all() -> None:
    plan = limited(Plan.of([item("a", 40, item("rider", 61)), item("b", 1)]), 100, "100")
    assert states(plan) == {"a": "stopped", "rider": "stopped", "b": "stopped"}


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("0.5s", 0.5)])
def test_intervals(text: str, seconds: float) -> None:
    assert parse_interval(text, "--watch") == seconds


@pytest.mark.parametrize("text", ["", "5", "0s", "-5m", "5 minutes", "m", "1h30m", "5M"])
def test_what_is_no_interval_is_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_interval(text, "--watch")
    assert caught.value.line.startswith("--watch")
