"""`fwsync gear jobs`: the jobs at or below a place, and waiting until they have ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

import anyio
import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import RemoteError, UsageError
from fwsync.model import ListedJob, Parents, Reference
from fwsync.operations.gathering import at_once
from fwsync.operations.projects import find_container, find_project, project_path, reference
from fwsync.report.gears import OPEN, failed_for_good, jobs_table
from fwsync.report.table import Table

FEW = 20
"""So few containers of a level are asked for their labels one by one; more by reading the project's pages."""

SHORTEST, LONGEST = 1.0, 30.0
"""Seconds between two looks at jobs that have not ended."""

BELOW_PROJECT = ("subject", "session", "acquisition")
STATES = ("pending", "scheduled", "running", "failed", "complete", "cancelled")


class JobsAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs: at or below any of `paths`, else in `project`, else all that the key sees.
    `gear` is NAME[/VERSION]."""

    paths: tuple[str, ...] = ()
    project: str = ""
    gear: str = ""
    states: tuple[str, ...] = ()


class JobsFound(msgspec.Struct, frozen=True, kw_only=True):
    """The jobs as a table, how many failed and were not tried again, and whether some had not ended in time."""

    table: Table
    failed: int = 0
    timed_out: bool = False


class Places:
    """Where to look: projects, and in them the containers whose jobs count (none: all)."""

    def __init__(self, projects: Sequence[str], held: Sequence[Reference], asked: JobsAsked) -> None:
        self._projects, self._held = projects, {(one.type, one.id) for one in held}
        self._gear, _, self._version = asked.gear.partition("/")

    @classmethod
    async def of(cls, fw: Flywheel, asked: JobsAsked) -> Places:
        """UsageError for a path that leads nowhere, or to what has no jobs."""
        held = []
        projects: dict[str, None] = {}
        for path in asked.paths:
            node = await find_container(fw, path)
            if node.container_type not in ("project", *BELOW_PROJECT, "analysis"):
                raise UsageError(f"{path}: is a {node.container_type}; name a project or what is below it")
            held.append(reference(node))
            parents = getattr(node.document, "parents", None) or Parents()
            projects[node.id if node.container_type == "project" else parents.project or ""] = None
        if not asked.paths and asked.project:
            projects[(await find_project(fw, asked.project)).id] = None
        return cls(list(projects) or [""], held, asked)

    async def jobs(self, fw: Flywheel, states: tuple[str, ...] = ()) -> AsyncIterator[ListedJob]:
        """The jobs here, in some states or all."""
        for project in self._projects:
            async for job in fw.jobs.matching(project, self._gear, states):
                version = job.gear_info.version if job.gear_info else None
                if self._is_here(job) and self._version in ("", version):
                    yield job

    def _is_here(self, job: ListedJob) -> bool:
        above = msgspec.to_builtins(job.parents or Parents())
        own = (job.destination.type, job.destination.id) if job.destination else ("", "")
        return not self._held or own in self._held or any(pair in self._held for pair in above.items())


async def find_jobs(
    fw: Flywheel, asked: JobsAsked, *, wait: bool = False, timeout: float | None = None,
    tell: Callable[[str], None] = lambda _line: None,
) -> JobsFound:  # fmt: skip
    """The jobs that are asked for; with `wait` once none of them is pending, scheduled or running, or after `timeout`
    seconds. `tell` gets a line whenever their number has changed. UsageError as `Places.of`."""
    places = await Places.of(fw, asked)
    timed_out = False
    if wait:
        with anyio.move_on_after(timeout) as scope:
            await _until_ended(fw, places, tell)
        timed_out = scope.cancelled_caught
    every = [job async for job in places.jobs(fw)]
    shown = [job for job in every if not asked.states or job.state in asked.states]
    table = jobs_table(shown, await where_of(fw, shown), fw.site)
    return JobsFound(table=table, failed=len(failed_for_good(every)), timed_out=timed_out)


async def _until_ended(fw: Flywheel, places: Places, tell: Callable[[str], None]) -> None:
    pause, before = SHORTEST, -1
    while True:
        left = 0
        async for _ in places.jobs(fw, OPEN):
            left += 1
        if not left:
            return
        if left != before:
            tell(f"{left:,} jobs have not ended")
            pause = SHORTEST
        before = left
        await anyio.sleep(pause)
        pause = min(pause * 1.5, LONGEST)


async def where_of(fw: Flywheel, jobs: Sequence[ListedJob]) -> dict[str, str]:
    """Where the destination of each job is, as a path, by the job's id."""
    wanted: dict[tuple[str, str], set[str]] = {}
    for job in jobs:
        parents = job.parents or Parents()
        for level in BELOW_PROJECT:
            if (ident := getattr(parents, level)) and parents.project:
                wanted.setdefault((parents.project, level), set()).add(ident)
    labels: dict[str, str] = {}
    projects = {job.parents.project for job in jobs if job.parents and job.parents.project}
    works = [partial(_labels, fw, project, level, idents, labels) for (project, level), idents in wanted.items()]
    await at_once(*works, *(partial(_project, fw, project, labels) for project in projects))
    return {job.id: _path(job, labels) for job in jobs}


def _path(job: ListedJob, labels: dict[str, str]) -> str:
    parents = job.parents or Parents()
    steps = [ident for level in ("project", *BELOW_PROJECT) if (ident := getattr(parents, level))]
    if not steps:
        return f"{job.destination.type} {job.destination.id}" if job.destination else ""
    return "/".join(labels.get(ident, f"<id:{ident}>") for ident in steps)


async def _project(fw: Flywheel, ident: str, labels: dict[str, str]) -> None:
    try:
        labels[ident] = project_path(await fw.projects.get(ident))
    except RemoteError:
        return  # it was deleted, or may not be seen


async def _labels(fw: Flywheel, project: str, level: str, idents: set[str], labels: dict[str, str]) -> None:
    noun = fw.noun(level)
    try:
        if len(idents) > FEW:
            async for one in noun.iter(parent=Reference(type="project", id=project), files=False):
                if one.id in idents:
                    labels[one.id] = one.label or one.id
            return
    except RemoteError:
        return
    for ident in sorted(idents):
        try:
            labels[ident] = (await noun.get(ident)).label or ident
        except RemoteError:
            continue
