"""How a run is carried out."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from fwsync.operations import context as contexts
from fwsync.operations.context import MOST_WORKERS, Context, Run
from fwsync.work import Outcome, Plan, WorkItem


class _Journal:
    """Keeps nothing."""

    def record(self, run: str, outcome: Outcome) -> None:
        pass


def _item(number: int) -> WorkItem:
    return WorkItem(kind="work", key=str(number), target=str(number), payload=None)


@pytest.mark.parametrize(
    ("count", "told", "at_once"), [(0, True, 0), (1, True, 1), (5, True, 5), (200, True, 64), (200, False, 64)]
)
def test_there_are_as_many_workers_as_items_but_no_more_than_the_most(count: int, told: bool, at_once: int) -> None:
    running = most = 0

    async def handle(item: WorkItem, _ref: str | None) -> list[Outcome]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.01)
        running -= 1
        return [item.outcome("done", attempts=1)]

    def entries() -> Iterator[WorkItem]:
        return map(_item, range(count))

    async def main() -> Run:
        run = Run(Context(fw=None, journal=_Journal(), settings=None), "job", "run")  # type: ignore[arg-type]
        await run.carry_out(Plan(entries=entries, items=count if told else None), {"work": handle})
        return run

    run = anyio.run(main)
    assert run.summary.states["done"] == count
    assert most == at_once <= MOST_WORKERS
    assert contexts._workers(Plan(entries=entries, items=0)) == 1
