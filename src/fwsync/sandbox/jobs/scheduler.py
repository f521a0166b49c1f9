"""When jobs run: at once, after a while, or only when told to.

instant     a job is complete or failed before the request that made it is answered
SECONDS     it starts when one of four places is free, in order of priority, and runs for that long
manual      it stays pending until its state is changed, an engine takes it, or `POST /sandbox/jobs/run` comes
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator

from aiohttp import web

from fwsync.sandbox.jobs import script
from fwsync.sandbox.jobs.create import PRIORITIES
from fwsync.sandbox.jobs.lifecycle import FINAL
from fwsync.sandbox.site import SITE, Site
from fwsync.sandbox.store import documents
from fwsync.sandbox.store.node import Node

PLACES = 4
log = logging.getLogger("fwsync.sandbox")


class Scheduler:
    """Runs the pending jobs of one site as its option `jobs` says."""

    def __init__(self, site: Site) -> None:
        self.site, self.mode = site, site.options.jobs
        self._woken = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def added(self, conn: sqlite3.Connection, job: Node) -> None:
        """Called in the writer thread, in the transaction that made a job."""
        if self.mode == "instant":
            self._through(conn, job)

    def wake(self) -> None:
        """Called on the loop after jobs were added."""
        self._woken.set()

    async def run_pending(self) -> int:
        """Run everything that is pending now; how many jobs that were."""

        def work(conn: sqlite3.Connection) -> int:
            jobs = pending(conn)
            for job in jobs:
                self._through(conn, job)
            return len(jobs)

        return await self.site.db.write(work)

    def _through(self, conn: sqlite3.Connection, job: Node) -> None:
        script.start(conn, job)
        script.finish(conn, self.site.blobs, job)

    async def serve(self) -> None:
        """The loop of the mode SECONDS; ends when it is cancelled."""
        seconds = float(self.mode)
        while True:
            self._woken.clear()
            try:
                await self._start(seconds)
            except Exception:  # one job that can't start must not stop all others
                log.exception("jobs could not be started")
            await self._woken.wait()

    async def _start(self, seconds: float) -> None:
        free = PLACES - len(self._running)
        if free <= 0:
            return

        def work(conn: sqlite3.Connection) -> list[str]:
            chosen = pending(conn)[:free]
            for job in chosen:
                script.start(conn, job)
            return [job.id for job in chosen]

        for ident in await self.site.db.write(work):
            task = asyncio.get_running_loop().create_task(self._finish(ident, seconds))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()

    async def _finish(self, ident: str, seconds: float) -> None:
        await asyncio.sleep(seconds)

        def work(conn: sqlite3.Connection) -> None:
            job = documents.find(conn, ident, ("job",))
            if job is not None and job.doc["state"] not in FINAL:
                script.finish(conn, self.site.blobs, job)

        try:
            await self.site.db.write(work)
        except Exception:
            log.exception("job %s could not be finished", ident)

    async def close(self) -> None:
        """Leave what is running where it is; it goes on from pending when the site starts again."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


def pending(conn: sqlite3.Connection) -> list[Node]:
    """The pending jobs, the most urgent first, then the oldest."""
    rows = conn.execute(
        "select * from nodes where kind = 'job' and json_extract(doc, '$.state') = 'pending'"
    ).fetchall()
    jobs = [documents.from_row(row) for row in rows]
    return sorted(jobs, key=lambda job: (-PRIORITIES.index(str(job.doc.get("priority") or "medium")), job.id))


SCHEDULER: web.AppKey[Scheduler] = web.AppKey("scheduler", Scheduler)


def scheduler_of(request: web.Request) -> Scheduler:
    """The scheduler of the site that a request is for."""
    return request.config_dict[SCHEDULER]


async def _lifetime(app: web.Application) -> AsyncIterator[None]:
    scheduler = app[SCHEDULER]
    task = None
    if scheduler.mode not in ("instant", "manual"):
        await scheduler.site.db.write(_resume)
        task = asyncio.get_running_loop().create_task(scheduler.serve())
    yield
    if task is not None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await scheduler.close()


def _resume(conn: sqlite3.Connection) -> None:
    """Jobs that a stopped server left running start anew. The demo's own running jobs have no log: they stay."""
    rows = conn.execute(
        "select n.* from nodes n join records r on r.id = 'job-log/' || n.id"
        " where n.kind = 'job' and json_extract(n.doc, '$.state') = 'running'"
    ).fetchall()
    for job in map(documents.from_row, rows):
        job.doc["state"] = "pending"
        documents.save(conn, job)


def setup(app: web.Application) -> None:
    """Give the application its scheduler."""
    app[SCHEDULER] = Scheduler(app[SITE])
    app.cleanup_ctx.append(_lifetime)
