"""What every executor must do. A second executor goes through the same suite by a line in EXECUTORS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import anyio
import pytest

from fwsync.errors import AuthError, NotFoundError, UnreachableError
from fwsync.run.pool import DryRun, Handler, LocalPool
from fwsync.work import Entry, Executor, Outcome, Plan, WorkItem

Make = Callable[[Mapping[str, Handler]], Executor]
EXECUTORS: dict[str, Make] = {
    "local": lambda handlers: LocalPool(handlers, workers=8, grace=5),
    "one worker": lambda handlers: LocalPool(handlers, workers=1, grace=5),
}


@pytest.fixture(params=EXECUTORS)
def make(request: pytest.FixtureRequest) -> Make:
    return EXECUTORS[request.param]


def item(key: str, parent: str | None = None, riders: tuple[WorkItem, ...] = (), kind: str = "work") -> WorkItem:
    return WorkItem(kind=kind, key=key, target=key, parent=parent, riders=riders)


async def settle(make: Make, entries: list[Entry], handler: Handler) -> list[Outcome]:
    out: list[Outcome] = []
    await make({"work": handler}).run(Plan.of(entries), out.append)
    return out


async def fine(one: WorkItem, parent: str | None) -> list[Outcome]:
    await anyio.sleep(0)
    return [each.outcome("done", ref=f"id-{each.key}", reason=parent or "") for each in one.everyone()]


async def test_every_entry_has_exactly_one_outcome(make: Make) -> None:
    settled = item("old").outcome("unchanged")
    entries: list[Entry] = [settled, item("a", riders=(item("a/b"),)), item("a/c", "a"), item("d")]
    out = await settle(make, entries, fine)
    assert Counter(o.key for o in out) == {"old": 1, "a": 1, "a/b": 1, "a/c": 1, "d": 1}
    assert next(o for o in out if o.key == "a/c").reason == "id-a"


async def test_a_failure_is_of_its_item_and_of_those_below(make: Make) -> None:
    async def handler(one: WorkItem, parent: str | None) -> list[Outcome]:
        if one.key == "a":
            raise NotFoundError("gone", status=404, request="GET /x")
        return await fine(one, parent)

    out = await settle(make, [item("a", riders=(item("a/r"),)), item("a/b", "a"), item("c")], handler)
    assert {o.key: o.state for o in out} == {"a": "failed", "a/r": "skipped", "a/b": "skipped", "c": "done"}
    assert "404" in next(o for o in out if o.key == "a").reason


async def test_a_bug_fails_its_item_and_the_run_goes_on(make: Make) -> None:
    async def handler(one: WorkItem, parent: str | None) -> list[Outcome]:
        if one.key == "a":
            raise ZeroDivisionError
        return [] if one.key == "b" else await fine(one, parent)

    out = await settle(make, [item("a"), item("b"), item("c")], handler)
    assert {o.key: o.state for o in out} == {"a": "failed", "b": "failed", "c": "done"}
    assert all("bug" in o.reason for o in out if o.state == "failed")


async def test_a_refused_key_ends_the_run_and_the_rest_is_stopped(make: Make) -> None:
    async def handler(one: WorkItem, parent: str | None) -> list[Outcome]:
        if one.key == "n3":
            raise AuthError("the site refuses the API key")
        return await fine(one, parent)

    out: list[Outcome] = []
    with pytest.raises(AuthError):
        await make({"work": handler}).run(Plan.of([item(f"n{n}") for n in range(500)]), out.append)
    assert Counter(o.key for o in out) == {f"n{n}": 1 for n in range(500)}
    assert {o.state for o in out} == {"done", "stopped"}


async def test_a_site_that_has_gone_ends_the_run(make: Make) -> None:
    tried = 0

    async def handler(one: WorkItem, parent: str | None) -> list[Outcome]:
        nonlocal tried
        tried += 1
        if int(one.key[1:]) > 100 or one.key.endswith("0"):
            raise UnreachableError("site: can't connect")
        return await fine(one, parent)

    out: list[Outcome] = []
    with pytest.raises(UnreachableError):
        await make({"work": handler}).run(Plan.of([item(f"n{n}") for n in range(5000)]), out.append)
    assert len(out) == 5000
    assert tried < 200
    assert Counter(o.state for o in out)["stopped"] > 4800


async def test_a_cancelled_run_finishes_what_is_in_flight_and_stops_the_rest(make: Make) -> None:
    begun: list[str] = []

    async def handler(one: WorkItem, parent: str | None) -> list[Outcome]:
        begun.append(one.key)
        await anyio.sleep(0.05)
        return await fine(one, parent)

    out: list[Outcome] = []
    async with anyio.create_task_group() as group:

        async def run() -> None:
            await make({"work": handler}).run(Plan.of([item(f"n{n}") for n in range(300)]), out.append)

        group.start_soon(run)
        await anyio.sleep(0.12)
        group.cancel_scope.cancel()
    assert Counter(o.key for o in out) == {f"n{n}": 1 for n in range(300)}
    assert {o.key for o in out if o.state == "done"} == set(begun)
    assert {o.state for o in out} == {"done", "stopped"}


async def test_a_plan_is_read_only_as_far_as_there_is_room(make: Make) -> None:
    read = done = 0
    most = 0

    def entries() -> Iterator[Entry]:
        nonlocal read
        for number in range(5000):
            read += 1
            yield item(f"n{number}")

    async def handler(one: WorkItem, parent: str | None) -> list[Outcome]:
        nonlocal most
        most = max(most, read - done)
        return await fine(one, parent)

    def took(_outcome: Outcome) -> None:
        nonlocal done
        done += 1

    await make({"work": handler}).run(Plan(entries=entries), took)
    assert done == 5000
    assert most < 300


async def test_a_dry_run_has_no_handlers() -> None:
    seen: list[str] = []
    out: list[Outcome] = []
    plan = Plan.of([item("old").outcome("unchanged"), item("a", riders=(item("a/b"),))])
    await DryRun(lambda one: seen.append(one.key)).run(plan, out.append)
    assert (seen, [o.key for o in out]) == (["a", "a/b"], ["old"])


def test_plans_are_values() -> None:
    import pickle

    one: Any = item("a", riders=(item("b"),))
    assert pickle.loads(pickle.dumps(one)) == one
