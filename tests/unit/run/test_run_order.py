"""Parents before children, decided without any waiting; and forgotten in time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwsync.run.order import Order, Ready
from fwsync.work import WorkItem


def item(key: str, parent: str | None = None, riders: tuple[WorkItem, ...] = ()) -> WorkItem:
    return WorkItem(kind="k", key=key, target=key, parent=parent, riders=riders)


def test_a_child_waits_for_its_parent_and_gets_its_ref() -> None:
    order = Order()
    parent, child = item("a"), item("a/b", "a")
    assert order.offer(parent) == Ready(parent, None)
    assert order.offer(child) is None
    ready, skipped = order.settle(parent.outcome("done", ref="id-a"))
    assert (ready, skipped) == ([Ready(child, "id-a")], [])


def test_a_child_of_a_settled_parent_starts_at_once() -> None:
    order = Order()
    order.offer(item("a"))
    order.settle(item("a").outcome("unchanged", ref="id-a"))
    child = item("a/b", "a")
    assert order.offer(child) == Ready(child, "id-a")


def test_everything_below_a_failure_is_skipped_riders_too() -> None:
    order = Order()
    order.offer(item("a"))
    order.offer(item("a/b", "a", riders=(item("a/b/c"),)))
    order.offer(item("a/b/c/d", "a/b/c"))
    ready, skipped = order.settle(item("a").outcome("failed"))
    assert not ready
    assert [(o.key, o.state) for o in skipped] == [("a/b", "skipped"), ("a/b/c", "skipped"), ("a/b/c/d", "skipped")]
    assert all(o.reason.startswith("parent") for o in skipped)
    late = order.offer(item("a/e", "a"))
    assert isinstance(late, list)
    assert late[0].state == "skipped"


trees = st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=4), max_leaves=40)


def walk(tree: list, parent: str | None = None, prefix: str = "r") -> list[WorkItem]:
    out = []
    for number, below in enumerate(tree):
        key = f"{prefix}/{number}"
        out.append(item(key, parent))
        out += walk(below, key, key)
    return out


@given(tree=trees, failing=st.sets(st.integers(0, 40)), late=st.integers(0, 5))
def test_any_tree_settles_every_item_once_in_order(tree: list, failing: set[int], late: int) -> None:
    items = walk(tree)
    order, running, outcomes = Order(), [], {}

    def take(outcome):  # type: ignore[no-untyped-def]
        assert outcome.key not in outcomes
        outcomes[outcome.key] = outcome
        ready, skipped = order.settle(outcome)
        running.extend(ready)
        for one in skipped:
            assert one.key not in outcomes
            outcomes[one.key] = one

    def finish_one() -> None:
        ready = running.pop(0)
        parent = ready.item.parent
        if parent:
            assert outcomes[parent].state == "done"
            assert ready.ref == f"id-{parent}"
        failed = items.index(ready.item) in failing
        take(ready.item.outcome("failed" if failed else "done", ref=f"id-{ready.item.key}"))

    for one in items:
        decided = order.offer(one)
        if isinstance(decided, Ready):
            running.append(decided)
        for outcome in decided if isinstance(decided, list) else ():
            outcomes[outcome.key] = outcome
        while len(running) > late:
            finish_one()
    while running:
        finish_one()
    assert set(outcomes) == {one.key for one in items}


def test_memory_stays_with_the_path_not_with_the_plan() -> None:
    order = Order()
    most = 0
    for number in range(20_000):
        for one in (item(f"s{number}"), item(f"s{number}/a", f"s{number}"), item(f"s{number}/a/b", f"s{number}/a")):
            order.offer(one)
            order.settle(one.outcome("done", ref="x"))
            most = max(most, order.held)
    assert most < 20
