"""`--max-transfer` for items of which only their handlers find out whether anything is to be moved, such as uploads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import anyio

from fwsync.run.pool import Handler
from fwsync.work import Outcome, WorkItem


class Budget:
    """So many bytes for one run. Items are let through in order; one that turns out to be unchanged costs nothing."""

    def __init__(self, most: int, size: str) -> None:
        """`size` is how a person wrote `most`."""
        self._most, self._reason = most, f"--max-transfer {size} is reached; run again to go on"
        self._spent = self._flying = 0
        self._over = False
        self._turn = anyio.Lock()
        self._landed = anyio.Event()

    def over(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """The handlers within this budget."""
        return {kind: self._within(handler) for kind, handler in handlers.items()}

    def _within(self, handler: Handler) -> Handler:
        async def bounded(item: WorkItem, parent: str | None) -> Sequence[Outcome]:
            size = sum(one.bytes for one in item.everyone())
            if not await self._admit(size):
                return [one.outcome("stopped", reason=self._reason, attempts=0) for one in item.everyone()]
            try:
                outcomes = await handler(item, parent)
                if all(one.state in ("unchanged", "skipped") for one in outcomes):
                    size = 0
                return outcomes
            finally:
                self._land(size, sum(one.bytes for one in item.everyone()))

        return bounded

    async def _admit(self, size: int) -> bool:
        """Whether an item may begin. One that does not fit waits for what is under way: that may cost less in the end.
        After the first one that must not, none may."""
        async with self._turn:
            while not self._over and self._spent + self._flying + size > self._most and self._flying:
                self._landed = anyio.Event()
                await self._landed.wait()
            self._over = self._over or self._spent + size > self._most
            if not self._over:
                self._flying += size
            return not self._over

    def _land(self, spent: int, held: int) -> None:
        self._spent += spent
        self._flying -= held
        self._landed.set()
