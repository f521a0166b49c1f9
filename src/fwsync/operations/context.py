"""What every operation works with: an open site, an open journal, settings, and someone to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from fwsync.client.api import Flywheel
from fwsync.config import Settings
from fwsync.errors import FwsyncError, NotAsAskedError
from fwsync.events import Reporter, SilentReporter
from fwsync.plan.limiting import limited
from fwsync.run.budget import Budget
from fwsync.run.journal import Journal
from fwsync.run.pool import Batching, DryRun, Handler, LocalPool
from fwsync.selection import parse_size
from fwsync.work import ChangeContainer, Entry, Outcome, Plan, SendFile, Summary, TagContainer, WorkItem, human

if TYPE_CHECKING:
    from fwsync.run.crew import Crew

MOST_WORKERS = 64


class Context(msgspec.Struct):
    """The surroundings of one operation."""

    fw: Flywheel
    journal: Journal
    settings: Settings
    reporter: Reporter = SilentReporter()
    crew: Crew | None = None
    """Processes that help to bring small files."""
    only: frozenset[str] | None = None
    """Keys of the items to carry out; the others are left out of the plan (`fwsync retry`)."""
    ended: Summary | None = None
    """The summary of the run that ended last, also of one that was cancelled."""
    holds: set[str] = msgspec.field(default_factory=set)
    """The targets whose locks this command holds (`operations.turns`)."""
    before: tuple[int, int, int] = (0, 0, 0)
    """Requests, writes and retries that the site had from us before this operation began."""

    def count(self, summary: Summary) -> None:
        """Write the requests of this operation into its summary."""
        fw, (requests, writes, retries) = self.fw, self.before
        summary.requests, summary.writes = fw.requests - requests, fw.writes - writes
        summary.retries = fw.retries - retries


class Run:
    """One run: an id in the journal, a summary, and every outcome in both."""

    def __init__(self, context: Context, job: str, run: str) -> None:
        self.context, self.id = context, run
        self.summary = Summary(run=run, job=job)
        self._began = anyio.current_time()

    @classmethod
    async def begin(cls, context: Context, job: str, arguments: dict[str, Any]) -> Run:
        """Open a run in the journal. `arguments` are what `fwsync retry` needs to do it again."""
        return cls(context, job, await context.journal.begin(job, arguments, context.fw.site))

    def took(self, outcome: Outcome) -> None:
        """Count, record and show an outcome."""
        self.summary.add(outcome)
        # What runs every night must not leave a row an item and night of which there is nothing to tell.
        if outcome.state != "unchanged" or outcome.attempts or outcome.kind not in NOT_KEPT:
            self.context.journal.record(self.id, outcome)
        self.context.reporter.outcome(outcome)

    def revised(self, outcome: Outcome) -> None:
        """An item that was taken as done turned out not to be."""
        self.summary.revise("done", outcome)
        self.context.journal.record(self.id, outcome)

    async def carry_out(self, plan: Plan, handlers: Mapping[str, Handler], batching: Batching | None = None) -> None:
        """Run the plan. Whatever happens, the summary is complete afterwards."""
        await self.carry_out_in_turn([plan], handlers, batching)

    async def carry_out_in_turn(
        self, plans: Iterable[Plan], handlers: Mapping[str, Handler], batching: Batching | None = None
    ) -> None:
        """Run plans, each after the one before it has ended. What an early end leaves is stopped."""
        left = [narrowed(plan, self.context.only) for plan in plans]
        known = [plan.items for plan in left if plan.items is not None]
        self.summary.planned = sum(known) if len(known) == len(left) else None
        self.summary.complete = all(plan.complete for plan in left)
        sizes = [plan.bytes for plan in left if plan.bytes is not None]
        self.summary.warnings += [line for plan in left for line in plan.warnings]
        self.context.reporter.planned(self.summary.planned, sum(sizes) if sizes else None)
        self.context.reporter.phase("working")
        try:
            while left:
                plan = left.pop(0)
                await LocalPool(handlers, batching=batching, workers=_workers(plan)).run(plan, self.took)
        finally:
            for entry in (entry for plan in left for entry in plan.entries()):
                for one in entry.everyone() if isinstance(entry, WorkItem) else ():
                    self.took(one.outcome("stopped", reason="the run ended before its turn", attempts=0))
                if isinstance(entry, Outcome):
                    self.took(entry)

    async def end(self) -> Summary:
        """Close the run."""
        with anyio.CancelScope(shield=True):
            self.context.count(self.summary)
            self.summary.seconds = anyio.current_time() - self._began
            await self.context.journal.end(self.id, self.summary)
        self.context.ended = self.summary
        return self.summary


def _workers(plan: Plan) -> int:
    """One for each item, and MOST_WORKERS at most: to start all of them costs as much as the rest of a run that finds
    nothing to do."""
    return MOST_WORKERS if plan.items is None else min(max(plan.items, 1), MOST_WORKERS)


async def guarded(run: Run, work: Callable[[], Any]) -> Summary:
    """`work`, then the end of the run in any case. An error that ended it early is a line in the summary when
    something had been settled by then, and is raised as itself when not."""
    try:
        await work()
    except FwsyncError as error:
        run.summary.ended_early = True
        summary = await run.end()
        if not summary.settled or not isinstance(error, NotAsAskedError):
            raise
        summary.warnings.append(error.line)
        return summary
    except BaseException:
        run.summary.ended_early = True
        await run.end()
        raise
    return await run.end()


async def dry_run(context: Context, job: str, plan: Plan, *, quiet: bool = False) -> Summary:
    """What a plan would do: each item as a line (unless `quiet`), and the counts. Nothing is written, not even a
    run."""
    summary = Summary(job=job, dry_run=True, complete=plan.complete)
    summary.warnings += plan.warnings
    context.reporter.planned(plan.items, plan.bytes)

    def show(item: WorkItem) -> None:
        context.reporter.item(item)
        if not quiet:
            context.reporter.line(f"would {item.kind.split('.')[0]} {item.target}{_told(item)}")
        summary.would[item.kind] += 1
        summary.would_bytes[item.kind] += item.bytes

    def settled(outcome: Outcome) -> None:
        summary.add(outcome)
        context.reporter.outcome(outcome)
        if not quiet and outcome.state in ("skipped", "failed"):
            context.reporter.line(f"would leave {outcome.target}: {outcome.reason}")

    await DryRun(show).run(plan, settled)
    context.count(summary)
    return summary


def _told(item: WorkItem) -> str:
    """What an item would send, for a person."""
    payload = item.payload
    if isinstance(payload, ChangeContainer):
        fields = {**payload.fields, **{f"info.{key}": value for key, value in payload.info.items()}}
        added = [f"+{text}" for text in (*payload.tags, *payload.notes)]
        return ": " + ", ".join([*(f"{name} > {value}" for name, value in fields.items()), *added])
    if (told := getattr(payload, "told", "")) and isinstance(told, str):
        return f": {told}"
    if isinstance(payload, TagContainer):
        return ": " + ", ".join([*(f"+{tag}" for tag in payload.add), *(f"-{tag}" for tag in payload.remove)])
    size = f" ({human(item.bytes)})" if item.kind.partition(".")[0] in _OF_FILES else ""
    if isinstance(payload, SendFile) and payload.digest is None and payload.held_hash is not None:
        if payload.held_size not in (None, payload.size):
            return size
        return f"{size}, which may be unchanged: its bytes were not read (--checksum reads them)"
    return size


NOT_KEPT = frozenset(
    {"download.file", "download.member", "write.sidecar", "add.acquisition", "launch.analysis", "launch.job"}
)
"""Items of which those that were unchanged without a look are counted, and not kept one by one."""

_OF_FILES = ("download", "write", "move", "delete", "upload")


def within(plan: Plan, most: str) -> Plan:
    """The plan as far as `--max-transfer` lets it go. UsageError for what is no size."""
    return limited(plan, parse_size(most, "--max-transfer"), most) if most else plan


def budgeted(handlers: Mapping[str, Handler], most: str) -> dict[str, Handler]:
    """`within` for plans that don't know yet what is to be moved: their handlers do. UsageError as there."""
    return Budget(parse_size(most, "--max-transfer"), most).over(handlers) if most else dict(handlers)


def narrowed(plan: Plan, only: frozenset[str] | None) -> Plan:
    """The plan with just the entries whose keys are wanted. What is above them is wanted too, or exists by now."""
    if only is None:
        return plan

    def entries() -> Iterator[Entry]:
        for entry in plan.entries():
            if isinstance(entry, Outcome):
                if entry.key in only:
                    yield entry
            elif any(one.key in only for one in entry.everyone()):
                yield entry

    items = sum(len(entry.everyone()) if isinstance(entry, WorkItem) else 1 for entry in entries())
    return msgspec.structs.replace(plan, entries=entries, items=items, bytes=None)
