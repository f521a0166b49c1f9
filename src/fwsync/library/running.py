"""One run, from Python: read its outcomes as they come, or wait for its summary.

A run is a task of its own, and its outcomes reach the reader through a `Backlog`: so no generator yields inside a task
group, a slow reader holds nothing up, and whoever leaves the loop early cancels the run, which settles what it has
begun before anything goes on.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any, Generic, TypeVar

import anyio

from fwsync import frames
from fwsync.config import Settings
from fwsync.errors import UsageError, first_known
from fwsync.events import Reporter, SilentReporter
from fwsync.library.backlog import Backlog
from fwsync.library.connection import Connection
from fwsync.library.waiting import until_ended
from fwsync.operations.context import Context
from fwsync.work import Entry, Outcome, Summary, WorkItem

T = TypeVar("T", bound=Entry)

Work = Callable[[Context, bool], Awaitable[Summary]]
"""An operation: its surroundings, and whether it is a dry run."""


class Running(Generic[T]):
    """A run that begins when it is first iterated or awaited.

    `async for outcome in run` gives outcomes in the order in which items are settled; leaving the loop early cancels
    the run. `await run` gives its Summary. Errors of the run as a whole (UsageError, AuthError, UnreachableError) are
    raised to whoever iterates or awaits; an item that failed is an outcome, and `summary.ok` is False.
    """

    def __init__(self, connection: Connection, job: str, work: Work, settings: Settings, *, dry: bool = False) -> None:
        self._connection, self._job, self._work, self._settings, self._dry = connection, job, work, settings, dry
        self._backlog: Backlog[T] | None = None
        self._task: asyncio.Task[Summary] | None = None
        self._scope: anyio.CancelScope | None = None
        self._used = False

    def __repr__(self) -> str:
        state = "not begun" if self._task is None else "ended" if self._task.done() else "running"
        return f"<fwsync {self._job}{' (dry run)' if self._dry else ''}: {state}>"

    def dry_run(self) -> Running[Entry]:
        """What it would do, without doing it: gives a WorkItem for each item to do, and an Outcome for each that is
        settled already (unchanged, skipped, rejected). UsageError if it has begun."""
        if self._task is not None:
            raise UsageError(f"{self._job}: has begun; a dry run comes first")
        self._used = True
        return Running(self._connection, self._job, self._work, self._settings, dry=True)

    def __aiter__(self) -> AsyncIterator[T]:
        self._used = True
        return self._read()

    async def _read(self) -> AsyncIterator[T]:
        try:
            while some := await self.take():
                for one in some:
                    yield one
        finally:
            await self.cancel()
        self._result()

    def __await__(self) -> Generator[Any, None, Summary]:
        self._used = True
        return self._until_end().__await__()

    async def _until_end(self) -> Summary:
        task = self._begin(keep=False)
        try:
            await asyncio.wait([task])
        except BaseException:
            await self.cancel()
            raise
        return self._result()

    async def take(self) -> list[T]:
        """The next outcomes, as many as have come, at least one; none at the end. For those who read in batches."""
        self._begin(keep=True)
        if self._backlog is None:
            raise UsageError(f"{self._job}: has begun without a reader; its outcomes are in fw.outcomes(summary.run)")
        return await self._backlog.take()

    async def cancel(self) -> None:
        """Stop it, and wait until everything it has begun is settled: requests in flight get up to 30 s to finish.

        Nothing happens where it has not begun, or has ended.
        """
        if self._task is None:
            return
        if self._scope is not None and not self._task.done():
            self._scope.cancel()
        await until_ended([self._task])
        if self._backlog is not None:
            self._backlog.discard()

    @property
    def summary(self) -> Summary:
        """The sum of an ended run; UsageError before its end. Raises what the run raised."""
        if self._task is None or not self._task.done():
            raise UsageError(f"{self._job}: has not ended; await it first")
        return self._result()

    async def to_pandas(self) -> Any:
        """Carry it out; its outcomes as a `pandas.DataFrame`, a row each. UsageError if pandas is not installed."""
        held: list[Entry] = [one async for one in self]
        return frames.frame(held, None if self._dry else Outcome)

    # --- the task -------------------------------------------------------------------------------------------------

    def _begin(self, *, keep: bool) -> asyncio.Task[Summary]:
        self._used = True
        if self._task is None:
            _ = self._connection.fw  # says so at once where it is not open
            if keep:
                self._backlog = Backlog(self._connection.state_folder)
            self._scope = anyio.CancelScope()
            self._connection.scopes.add(self._scope)
            self._task = self._connection.spawn(self._main(self._scope))
            self._task.add_done_callback(self._ended)
        return self._task

    async def _main(self, scope: anyio.CancelScope) -> Summary:
        shown = self._connection.progress()
        teller = _Teller(shown, self._backlog, dry=self._dry)
        context = self._connection.context(self._settings, teller)
        self._connection.listen(teller)
        try:
            with scope:
                return await self._work(context, self._dry)
        finally:
            self._connection.unlisten(teller)
            shown.close()
        # Cancelled: what was settled by then, or nothing where no run had begun.
        return context.ended or Summary(job=self._job, ended_early=True)

    def _ended(self, task: asyncio.Task[Summary]) -> None:
        if self._scope is not None:
            self._connection.scopes.discard(self._scope)
        if self._backlog is not None:
            self._backlog.close()
        if not task.cancelled():
            task.exception()  # it is raised to whoever asks; nobody may

    def _result(self) -> Summary:
        assert self._task is not None  # noqa: S101
        try:
            return self._task.result()
        except BaseExceptionGroup as several:
            if (ours := first_known(several)) is not None:
                raise ours from several
            raise

    def __del__(self) -> None:
        if not self._used:
            warnings.warn(
                f"fwsync: {self._job} was neither iterated nor awaited; nothing was done", RuntimeWarning, stacklevel=2
            )


class _Teller(SilentReporter):
    """Passes on what an operation tells: to the reader, and to who shows progress."""

    def __init__(self, shown: Reporter, backlog: Backlog[Any] | None, *, dry: bool) -> None:
        self._shown, self._backlog, self._dry = shown, backlog, dry

    def phase(self, text: str) -> None:
        self._shown.phase(text)

    def planned(self, items: int | None, size: int | None) -> None:
        self._shown.planned(items, size)

    def retry(self, reason: str, attempt: int, wait: float) -> None:
        self._shown.retry(reason, attempt, wait)

    def outcome(self, outcome: Outcome) -> None:
        self._shown.outcome(outcome)
        self._keep(outcome)

    def item(self, item: WorkItem) -> None:
        self._shown.item(item)
        if self._dry:
            self._keep(item)

    def _keep(self, one: Entry) -> None:
        if self._backlog is not None:
            self._backlog.put(one)
