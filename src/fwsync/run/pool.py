"""The local executor: an anyio task group on a bounded stream, and the dry run, which has no handlers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

import anyio
import anyio.lowlevel
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

from fwsync import logs
from fwsync.errors import AuthError, FwsyncError, LockedError, StateError, UnreachableError
from fwsync.run.order import Order, Ready
from fwsync.work import OnOutcome, Outcome, Plan, WorkItem

log = logs.get("run")

Handler = Callable[[WorkItem, str | None], Awaitable[Sequence[Outcome]]]
"""Carries one item (and its riders) out, given the id of its parent; answers for every one of them."""


class Failure(NamedTuple):
    """An item of a batch that could not be carried out, and why."""

    item: WorkItem
    error: Exception
    seconds: float = 0.0


BatchHandler = Callable[[Sequence[WorkItem]], Awaitable[Sequence[Outcome | Failure]]]
"""Carries several items out together and answers for every one of them; only bugs raise."""


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """Small items that cost less together: those without parents that `takes` accepts go to `handler`, at most `items`
    and `bytes` at a time, `at_once` such batches in flight."""

    takes: Callable[[WorkItem], bool]
    handler: BatchHandler
    items: int = 128
    bytes: int = 8 * 1024 * 1024
    at_once: int = 6


ENDS_THE_RUN = (AuthError, LockedError, StateError)
"""After one of these no other item can fare better."""

MOST_UNREACHABLE = 16
"""Items in a row that found the site unreachable, each after its own patience: then the run ends, since thousands more
would only take their time to fail alike."""

BREATH = 200
"""Entries taken from a plan before other tasks get a turn."""


class LocalPool:
    """Carries plans out in this process with `workers` coroutines."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        batching: Batching | None = None,
        workers: int = 64,
        grace: float = 30.0,
    ) -> None:
        """`grace` is how many seconds items in flight get to finish after a cancellation."""
        self._handlers, self._batching, self._workers, self._grace = handlers, batching, workers, grace

    async def run(self, plan: Plan, on_outcome: OnOutcome) -> None:
        """See `work.Executor`. Raises the error that ended the run early, after settling every entry."""
        await _Run(self._handlers, self._batching, self._workers, self._grace, plan, on_outcome).go()


class _Run:
    """One plan being carried out."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        batching: Batching | None,
        workers: int,
        grace: float,
        plan: Plan,
        on_outcome: OnOutcome,
    ) -> None:
        self._handlers, self._workers, self._grace = handlers, workers, grace
        self._batching = batching
        self._batch: list[WorkItem] = []
        self._batch_bytes = 0
        self._most_pending = max(4 * workers, batching.items * batching.at_once if batching else 0)
        self._entries = plan.entries()
        self._on_outcome = on_outcome
        self._order = Order()
        self._unsettled: dict[str, WorkItem] = {}
        self._stopping = ""
        self._fatal: FwsyncError | None = None
        self._pending = self._unreachable = 0
        self._changed = anyio.Event()
        self._scopes: list[anyio.CancelScope] = []

    async def go(self) -> None:
        self._send, receive = anyio.create_memory_object_stream[Ready | list[WorkItem]](float("inf"))
        try:
            async with anyio.create_task_group() as group:
                for _ in range(self._workers):
                    group.start_soon(self._work, receive.clone())
                receive.close()
                try:
                    await self._feed()
                    if self._stopping:
                        await self._drain()
                except anyio.get_cancelled_exc_class():
                    self._stopping = "the run was stopped"
                    await self._drain()
                    raise
                finally:
                    self._send.close()
        finally:
            self._stop_the_rest()
        if self._fatal is not None:
            raise self._fatal

    async def _feed(self) -> None:
        """Read the plan only as far as there is room, so that a million entries never sit in memory."""
        for number, entry in enumerate(self._entries):
            if self._stopping:
                self._stop(entry)
                continue
            if isinstance(entry, Outcome):
                self._on_outcome(entry)
            else:
                for one in entry.everyone():
                    self._unsettled[one.key] = one
                self._dispatch(self._order.offer(entry))
                while self._pending >= self._most_pending and not self._stopping:
                    self._send_batch()
                    await self._wait()
            if number % BREATH == BREATH - 1:
                await anyio.lowlevel.checkpoint()
        self._send_batch()
        while self._unsettled and not self._stopping:
            await self._wait()

    async def _wait(self) -> None:
        self._changed = anyio.Event()
        await self._changed.wait()

    def _dispatch(self, decision: Ready | list[Outcome] | None) -> None:
        if isinstance(decision, Ready):
            self._pending += 1
            if self._batching is not None and self._batching.takes(decision.item):
                self._gather(decision.item, self._batching)
            else:
                self._send.send_nowait(decision)
        for outcome in decision if isinstance(decision, list) else ():
            self._report(outcome)

    def _gather(self, item: WorkItem, batching: Batching) -> None:
        if self._batch and self._batch_bytes + item.bytes > batching.bytes:
            self._send_batch()
        self._batch.append(item)
        self._batch_bytes += item.bytes
        if len(self._batch) >= batching.items:
            self._send_batch()

    def _send_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if batch:
            self._send.send_nowait(batch)

    async def _work(self, receive: MemoryObjectReceiveStream[Ready | list[WorkItem]]) -> None:
        # Shielded: a cancellation ends the run between items; `_drain` cuts those that outlast the grace time.
        with anyio.CancelScope(shield=True) as scope:
            self._scopes.append(scope)
            async with receive:
                async for work in receive:
                    if not self._stopping:
                        if isinstance(work, Ready):
                            outcomes = await self._carry_out(*work)
                        else:
                            outcomes = await self._carry_out_batch(work)
                        for outcome in outcomes:
                            self._settle(outcome)
                    self._pending -= 1 if isinstance(work, Ready) else len(work)
                    self._changed.set()

    async def _carry_out_batch(self, items: Sequence[WorkItem]) -> Sequence[Outcome]:
        batching = self._batching
        assert batching is not None  # noqa: S101 - only it makes batches
        try:
            answers = await batching.handler(items)
        except Exception as error:
            answers = [Failure(item, error) for item in items]
        outcomes = []
        for answer in answers:
            outcomes += [answer] if isinstance(answer, Outcome) else self._failed(*answer)
        answered = {answer.key if isinstance(answer, Outcome) else answer.item.key for answer in answers}
        missing = [item for item in items if item.key not in answered]
        return [*outcomes, *(item.outcome("failed", reason="bug in fwsync: no outcome") for item in missing)]

    async def _carry_out(self, item: WorkItem, ref: str | None) -> Sequence[Outcome]:
        began = time.monotonic()
        try:
            outcomes = await self._handlers[item.kind](item, ref)
        except Exception as error:
            return self._failed(item, error, time.monotonic() - began)
        answered = {outcome.key for outcome in outcomes}
        missing = [one for one in item.everyone() if one.key not in answered]
        return [*outcomes, *(one.outcome("failed", reason="bug in fwsync: no outcome") for one in missing)]

    def _failed(self, item: WorkItem, error: Exception, seconds: float) -> list[Outcome]:
        """The outcomes of an item that raised; none where that ends the run: then it is stopped like the rest."""
        if isinstance(error, ENDS_THE_RUN):
            self._fatal = self._fatal or error
            self._stopping = error.line
            return []
        if isinstance(error, FwsyncError):
            self._note_unreachable(error)
            return _failed(item, error.line, getattr(error, "attempts", 1), seconds)
        log.error("bug in a handler", kind=item.kind, exc_info=error)
        return _failed(item, f"bug in fwsync: {type(error).__name__}: {logs.scrub(str(error))}", 1, 0.0)

    def _note_unreachable(self, error: FwsyncError) -> None:
        if isinstance(error, UnreachableError):
            self._unreachable += 1
            if self._unreachable >= MOST_UNREACHABLE and self._fatal is None:
                self._fatal = error
                self._stopping = error.line

    def _settle(self, outcome: Outcome) -> None:
        if outcome.state in ("done", "unchanged"):
            self._unreachable = 0
        self._report(outcome)
        ready, skipped = self._order.settle(outcome)
        for one_ready in ready:
            self._dispatch(one_ready)
        for one in skipped:
            self._report(one)

    def _report(self, outcome: Outcome) -> None:
        if self._unsettled.pop(outcome.key, None) is not None:
            self._on_outcome(outcome)
        self._changed.set()

    async def _drain(self) -> None:
        """Let what is in flight finish, for the grace time, then cancel it."""
        self._send.close()
        with anyio.CancelScope(shield=True), anyio.move_on_after(self._grace):
            while self._pending > 0:
                await self._wait()
        for scope in self._scopes:
            scope.cancel()

    def _stop(self, entry: WorkItem | Outcome) -> None:
        if isinstance(entry, Outcome):
            self._on_outcome(entry)
            return
        for one in entry.everyone():
            self._on_outcome(one.outcome("stopped", reason=self._stopping, attempts=0))

    def _stop_the_rest(self) -> None:
        """Every entry gets its outcome, also those that were never begun."""
        reason = self._stopping or "the run was stopped"
        for item in list(self._unsettled.values()):
            self._on_outcome(item.outcome("stopped", reason=reason, attempts=0))
        self._unsettled.clear()
        self._stopping = reason
        for entry in self._entries:
            self._stop(entry)


def _failed(item: WorkItem, reason: str, attempts: int, seconds: float) -> list[Outcome]:
    first, *riders = item.everyone()
    out = [first.outcome("failed", reason=reason, attempts=attempts, seconds=seconds)]
    return out + [rider.outcome("skipped", reason=f"parent {first.target} was failed", attempts=0) for rider in riders]


class DryRun:
    """Reads a plan and touches nothing: it has no handlers. Every item is reported through `on_item`."""

    def __init__(self, on_item: Callable[[WorkItem], None]) -> None:
        self._on_item = on_item

    async def run(self, plan: Plan, on_outcome: OnOutcome) -> None:
        """Report what would be done (`on_item`) and what is settled already (`on_outcome`)."""
        for number, entry in enumerate(plan.entries()):
            if isinstance(entry, Outcome):
                on_outcome(entry)
            else:
                for one in entry.everyone():
                    self._on_item(one)
            if number % BREATH == BREATH - 1:
                await anyio.lowlevel.checkpoint()
