"""Handlers that cancel jobs that have not ended, and try failed ones again.

To cancel twice does no harm. A job tried again is a new job: so an intent is committed before, and where the answer is
lost, the new job is looked for before it is asked for again, as with the start of a gear.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import anyio
import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import ConflictError, LostAnswerError, RemoteError
from fwsync.run.grace import turns_up
from fwsync.run.journal import Journal
from fwsync.run.launches import Launches, LaunchIntent
from fwsync.run.pool import Handler
from fwsync.work import Outcome, WorkItem

MARK = "retry"


class ChangeJob(msgspec.Struct, frozen=True):
    """Payload of `cancel.job` and `retry.job`."""

    id: str
    project_id: str = ""


class JobChanger:
    """Changes jobs on one site, for one run."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float) -> None:
        """`grace` is how many seconds after sending a request may still be carried out by the site."""
        self._fw, self._run, self._grace = fw, run, grace
        self._launches = Launches(journal, fw.site)
        self._loading = anyio.Lock()
        self._old: dict[tuple[str, str], LaunchIntent] | None = None

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {"cancel.job": self.cancel, "retry.job": self.retry}

    async def cancel(self, item: WorkItem, _parent_ref: str | None) -> Sequence[Outcome]:
        """Cancel a job; one that has ended meanwhile is left as it is."""
        job = _payload(item)
        try:
            await self._fw.jobs.cancel(job.id)
        except ConflictError:
            state = await self._fw.jobs.state(job.id)
            if state in ("pending", "scheduled", "running"):
                raise
            return [item.outcome("unchanged", ref=job.id, reason=f"has ended: {state}")]
        return [item.outcome("done", ref=job.id, request="PUT /jobs/{id}")]

    async def retry(self, item: WorkItem, _parent_ref: str | None) -> Sequence[Outcome]:
        """Try a job again; the outcome has the id of the new one as `ref`."""
        job = _payload(item)
        async with self._loading:  # once, before any intent of our own
            if self._old is None:
                self._old = await self._launches.open()
        old = self._old.pop((item.key, MARK), None)
        if old is not None and (made := await self._look_up(job, old.sent_at)) is not None:
            return [self._done(item, made, 0)]
        attempts = 0
        while True:
            attempts += 1
            sent_at = time.time()
            await self._launches.intend(LaunchIntent(item.key, MARK, frozenset(), sent_at, self._run))
            try:
                return [self._done(item, await self._fw.jobs.retry(job.id), attempts)]
            except LostAnswerError:
                if (made := await self._look_up(job, sent_at)) is not None:
                    return [self._done(item, made, attempts)]
                if attempts >= self._fw.session.settings.tries:
                    raise
            except RemoteError:
                made = next(iter(await self._fw.jobs.tried_after(job.id, job.project_id)), None)
                self._launches.settle(item.key, MARK)
                if made is None:
                    raise
                return [item.outcome("unchanged", ref=made, reason="was tried again already", attempts=attempts)]

    def _done(self, item: WorkItem, made: str, attempts: int) -> Outcome:
        self._launches.settle(item.key, MARK)
        return item.outcome("done", ref=made, attempts=attempts, request="POST /jobs/{id}/retry")

    async def _look_up(self, job: ChangeJob, sent_at: float) -> str | None:
        """The new job, if it turns up by the end of the grace time."""

        async def find() -> str | None:
            return next(iter(await self._fw.jobs.tried_after(job.id, job.project_id)), None)

        return await turns_up(find, sent_at, self._grace)


def _payload(item: WorkItem) -> ChangeJob:
    if not isinstance(item.payload, ChangeJob):
        raise TypeError(f"{item.kind} needs a ChangeJob")
    return item.payload
