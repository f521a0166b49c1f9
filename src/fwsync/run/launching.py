"""Handlers that start gears: an analysis with its job, or a job alone.

Nothing on a site keeps a gear from running twice on the same files, so an intent is committed to the journal before a
run is asked for. Where the answer is lost, the site is looked through for a run that was not there before, until the
grace time has passed, and only then it is asked again; a later run looks for intents without an outcome first.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio

from fwsync import logs
from fwsync.client.api import Flywheel
from fwsync.errors import LostAnswerError, RemoteError
from fwsync.model import PLURALS
from fwsync.plan.gearinputs import same_inputs
from fwsync.plan.launching import Launch
from fwsync.run.grace import turns_up
from fwsync.run.journal import Journal
from fwsync.run.launches import Launches, LaunchIntent
from fwsync.run.pastruns import on_container
from fwsync.run.pool import Handler
from fwsync.work import Outcome, WorkItem

log = logs.get("run")

KINDS = ("launch.analysis", "launch.job")


class Launcher:
    """Starts gears on one site, for one run of fwsync."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float) -> None:
        """`grace` is how many seconds after sending a request may still be carried out by the site."""
        self._fw, self._run, self._grace = fw, run, grace
        self._launches = Launches(journal, fw.site)
        self._loading = anyio.Lock()
        self._old: dict[tuple[str, str], LaunchIntent] | None = None
        self._sent_twice: list[tuple[WorkItem, frozenset[str]]] = []

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return dict.fromkeys(KINDS, self.launch)

    async def launch(self, item: WorkItem, _parent_ref: str | None) -> Sequence[Outcome]:
        """Start one run; its outcome has the id of the analysis or job as `ref`."""
        began = time.monotonic()
        launch = _payload(item)
        made, attempts = await self._one(item, launch)
        seconds = time.monotonic() - began
        return [item.outcome("done", ref=made, attempts=attempts, seconds=seconds, request=_request(item, launch))]

    async def _one(self, item: WorkItem, launch: Launch) -> tuple[str, int]:
        """The id of the run, and how often it was asked for."""
        mark, known = launch.mark, launch.known
        async with self._loading:  # once, before any intent of our own
            if self._old is None:
                self._old = await self._launches.open()
        sent_before = False
        if (old := self._old.pop((item.key, mark), None)) is not None:
            # What a killed run asked for is among the known ones by now, where it was carried out: its own list counts.
            known, sent_before = old.known, True
            if (found := await self._look_up(item, launch, known, old.sent_at)) is not None:
                self._launches.settle(item.key, mark)
                return found, 0
        attempts = 0
        while True:
            if attempts or sent_before:
                self._sent_twice.append((item, known))
            attempts += 1
            sent_at = time.time()
            await self._launches.intend(LaunchIntent(item.key, mark, known, sent_at, self._run))
            try:
                made = await self._ask(item, launch)
                self._launches.settle(item.key, mark)
                return made, attempts
            except LostAnswerError:
                if (found := await self._look_up(item, launch, known, sent_at)) is not None:
                    self._launches.settle(item.key, mark)
                    return found, attempts
                if attempts >= self._fw.session.settings.tries:
                    raise
            except RemoteError:
                self._launches.settle(item.key, mark)
                raise

    async def _ask(self, item: WorkItem, launch: Launch) -> str:
        if item.kind == "launch.analysis":
            return await self._fw.jobs.start_analysis(launch.destination, launch.label, launch.job)
        return await self._fw.jobs.start_job(launch.destination, launch.job)

    async def _look_up(self, item: WorkItem, launch: Launch, known: frozenset[str], sent_at: float) -> str | None:
        """The run, if it turns up by the end of the grace time."""

        async def find() -> str | None:
            return next(iter(await self._new_ones(item, launch, known)), None)

        return await turns_up(find, sent_at, self._grace)

    async def _new_ones(self, item: WorkItem, launch: Launch, known: frozenset[str]) -> list[str]:
        """The ids of the runs on the same files that were not there before, oldest first."""
        runs = on_container(
            self._fw, launch.destination, launch.project_id, launch.gear, launch.version,
            analyses=item.kind == "launch.analysis",
        )  # fmt: skip
        files = list(launch.inputs.values())
        return sorted([run.id async for run in runs if run.id not in known and same_inputs(files, run.inputs)])

    async def find_doubles(self) -> list[Outcome]:
        """Look once more where a run was asked for twice. Of two that are there neither is stopped, since both may be
        at work by now; a failure in the report tells of them."""
        out = []
        for item, known in {item.key: (item, known) for item, known in self._sent_twice}.values():
            found = await self._new_ones(item, _payload(item), known)
            if len(found) > 1:
                log.info("gear runs twice", target=item.target)
                out.append(
                    Outcome(
                        key=f"double:{':'.join(found)}",
                        kind="double",
                        state="failed",
                        target=item.target,
                        reason=f"is there more than once: {' and '.join(found)}; cancel one of them on the site",
                        ref=found[0],
                    )
                )
        return out


def _payload(item: WorkItem) -> Launch:
    if not isinstance(item.payload, Launch):
        raise TypeError(f"{item.kind} needs a Launch")
    return item.payload


def _request(item: WorkItem, launch: Launch) -> str:
    plural = PLURALS[launch.destination.type]
    return f"POST /{plural}/{{id}}/analyses" if item.kind == "launch.analysis" else "POST /jobs/add"
