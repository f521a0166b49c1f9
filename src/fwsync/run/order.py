"""Parents before children: a state machine that decides synchronously which items may start.

It relies on plans being depth first, so that a parent is forgotten once the plan has left its subtree: memory stays
in proportion to what is in flight, not to the plan.
"""

from __future__ import annotations

from typing import NamedTuple

from fwsync.work import PARENT_FAILED, Outcome, WorkItem


class Ready(NamedTuple):
    """An item that may start, with the id of its parent."""

    item: WorkItem
    ref: str | None


class Order:
    """Feeds on items and outcomes, gives back what may start and what is skipped."""

    def __init__(self) -> None:
        self._path: list[str] = []  # from the root of the plan's current subtree to where it is
        self._settled: dict[str, Outcome] = {}  # of keys on the path
        self._running: set[str] = set()
        self._waiting: dict[str, list[WorkItem]] = {}

    def offer(self, item: WorkItem) -> Ready | list[Outcome] | None:
        """Take the plan's next item: ready if it may start, None if it waits, its outcomes if its parent failed."""
        self._walk(item)
        for one in item.everyone():
            self._running.add(one.key)
        if item.parent is None:
            return Ready(item, None)
        if item.parent in self._running:
            self._waiting.setdefault(item.parent, []).append(item)
            return None
        parent = self._settled.get(item.parent)
        if parent is not None and parent.state in ("done", "unchanged"):
            return Ready(item, parent.ref)
        return self._skip(item, parent)

    def settle(self, outcome: Outcome) -> tuple[list[Ready], list[Outcome]]:
        """Take the outcome of an item: the items that may start now, and the outcomes of those that are skipped."""
        self._running.discard(outcome.key)
        waiting = self._waiting.pop(outcome.key, [])
        if outcome.key in self._path:
            self._settled[outcome.key] = outcome
        if outcome.state in ("done", "unchanged"):
            return [Ready(item, outcome.ref) for item in waiting], []
        skipped: list[Outcome] = []
        for item in waiting:
            skipped += self._skip(item, outcome)
        return [], skipped

    @property
    def held(self) -> int:
        """How many keys are remembered, for tests of flat memory."""
        return len(self._settled) + len(self._running) + len(self._path)

    def _walk(self, item: WorkItem) -> None:
        while self._path and self._path[-1] != item.parent:
            self._settled.pop(self._path.pop(), None)
        self._path += [one.key for one in item.everyone()]

    def _skip(self, item: WorkItem, parent: Outcome | None) -> list[Outcome]:
        state = parent.state if parent else "not in the plan"
        name = parent.target if parent else item.parent
        reason = f"{PARENT_FAILED} {name} was {state}"
        out = []
        for one in item.everyone():
            outcome = one.outcome("skipped", reason=reason, attempts=0)
            out.append(outcome)
            _, below = self.settle(outcome)
            out += below
        return out
