"""A plan that moves no more than so many bytes: what comes after is stopped, for the next run to go on with."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from fwsync.work import Entry, Outcome, Plan, WorkItem


def limited(plan: Plan, most: int, size: str) -> Plan:
    """The plan up to the first item that would exceed `most` bytes; `size` is how a person wrote that.

    What is settled already stays so. Sizes are those that the plan knows: a transfer that had to begin twice counts
    once. From the first item on that is too much, everything is stopped: what comes later may need what comes before.
    """

    def entries() -> Iterator[Entry]:
        left, over = most, False
        for entry in plan.entries():
            if isinstance(entry, Outcome):
                yield entry
                continue
            over = over or _bytes(entry) > left
            if over:
                reason = f"--max-transfer {size} is reached; run again to go on"
                yield from (one.outcome("stopped", reason=reason, attempts=0) for one in entry.everyone())
            else:
                left -= _bytes(entry)
                yield entry

    return msgspec.structs.replace(plan, entries=entries, bytes=None if plan.bytes is None else min(plan.bytes, most))


def _bytes(item: WorkItem) -> int:
    return sum(one.bytes for one in item.everyone())
