"""So many bytes for one run, where only the handlers know what is to be moved."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from fwsync.run.budget import Budget
from fwsync.run.pool import LocalPool
from fwsync.work import Outcome, Plan, WorkItem


def carried_out(sizes: dict[str, int], unchanged: set[str], most: int) -> dict[str, str]:
    found: dict[str, str] = {}

    async def handler(item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        await anyio.sleep(0)
        return [item.outcome("unchanged" if item.key in unchanged else "done")]

    handlers = Budget(most, "100").over({"upload.file": handler})
    items = [WorkItem(kind="upload.file", key=key, target=key, bytes=size) for key, size in sizes.items()]

    def took(one: Outcome) -> None:
        found[one.key] = one.state

    anyio.run(LocalPool(handlers, workers=8).run, Plan.of(items), took)
    return found


def test_what_is_unchanged_costs_nothing_however_many_are_under_way() -> None:
    sizes = {f"old-{n}": 90 for n in range(20)} | {"new": 60, "last": 60}
    found = carried_out(sizes, {key for key in sizes if key.startswith("old")}, 100)
    assert (found["new"], found["last"]) == ("done", "stopped")
    assert [state for key, state in found.items() if key.startswith("old")] == ["unchanged"] * 20


@pytest.mark.parametrize("sizes", [{"a": 60, "large": 90, "small": 1}, {"a": 101, "b": 1}])
def test_nothing_slips_through_behind_one_that_is_too_much(sizes: dict[str, int]) -> None:
    found = carried_out(sizes, set(), 100)
    assert list(found.values()).count("done") == (1 if sizes["a"] == 60 else 0)
    assert found[list(sizes)[-1]] == "stopped"
