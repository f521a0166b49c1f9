"""`fwsync report gear-status GEAR`: has a gear run on each session, and how did it end?

All runs of a gear in a project come by one listing of analyses. A gear that makes no analyses (a converter, a
classifier) is found among the jobs instead; it counts for a container where it ran on it or on something below it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import UsageError
from fwsync.events import Reporter, SilentReporter
from fwsync.model import Analysis, ListedJob, Parents, Project
from fwsync.operations.attaching import upload
from fwsync.operations.context import Context
from fwsync.operations.gathering import known_gear
from fwsync.operations.projects import group_of
from fwsync.operations.selected import Asked, Found, Selected, path_of
from fwsync.report.gear_status import UNKNOWN, By, GearRun, StateOf, csv_name, gear_status_table, standing
from fwsync.report.table import Table
from fwsync.run import output
from fwsync.run.journal import private_folder
from fwsync.selection import LEVELS
from fwsync.work import Summary


class GearStatus(msgspec.Struct, kw_only=True):
    """The report, how many of its containers have no complete run, and the projects that it is about."""

    table: Table
    lacking: int
    projects: list[Project]


async def gear_status(
    fw: Flywheel,
    gear: str,
    asked: Asked,
    *,
    by: By = "session",
    state_of: StateOf = "latest",
    reporter: Reporter | None = None,
) -> GearStatus:
    """One row for each selected container of level `by`, by the runs of `gear` (as name or name/version) on it.
    UsageError for a gear that the site does not know, with near names."""
    name, _, version = gear.partition("/")
    if not name:
        raise UsageError("gear: give its name, as in fwsync report gear-status mriqc")
    if by not in LEVELS:
        raise UsageError(f"{by}: no level for a report; there is {', '.join(LEVELS)}")
    selected = Selected(asked.selection, (by,))
    tell = reporter or SilentReporter()
    tell.phase(f"reading {by}s")
    await selected.gather(fw, asked)
    tell.phase(f"reading the runs of {gear}")
    looked = _Looked(fw, name, version, by)
    for project in selected.scope.projects:
        await looked.project(project.id)
    if not looked.any:
        await known_gear(fw, name, version or None)
    rows = [(_labels(found), standing(looked.runs.get(_ident(found), ()), state_of)) for found in selected.of(by)]
    notes = [*selected.notes, *looked.notes(gear)]
    title = f"{gear} by {by}, of {selected.place}"
    table = gear_status_table(by, rows, title, notes)
    lacking = sum(not held.succeeded for _, held in rows)
    return GearStatus(table=table, lacking=lacking, projects=selected.scope.projects)


async def upload_status(context: Context, status: GearStatus, gear: str) -> Summary:
    """Attach the report to its project, as `GEAR_RunReport_TIME.csv`. UsageError where it is about several projects.

    The file is kept in the state folder until it has arrived: so that `fwsync retry` finds it."""
    if len(status.projects) != 1:
        raise UsageError(f"--upload: the report is about {len(status.projects):,} projects; name one")
    [project] = status.projects
    folder = context.settings.state_folder / "reports"
    private_folder(folder)
    path = folder / csv_name(gear, datetime.now().strftime("%m_%d_%Y-%H_%M_%S"))  # noqa: DTZ005 - a person's clock
    output.write(path, (line.encode() for line in status.table.csv_lines()), force=True)
    summary = await upload(context, [str(path)], f"{group_of(project)}/<id:{project.id}>")
    if summary.ok:
        path.unlink(missing_ok=True)
    return summary


class _Looked:
    """The runs of a gear, by the id of the container of one level that they count for."""

    def __init__(self, fw: Flywheel, gear: str, version: str, by: str) -> None:
        self._fw, self._gear, self._version, self._by = fw, gear, version, by
        self.runs: dict[str, list[GearRun]] = {}
        self.any = False
        self._elsewhere: Counter[str] = Counter()
        self._without_jobs = False

    async def project(self, project_id: str) -> None:
        """Look through a project."""
        seen = False
        async for analysis in self._fw.project_analyses(project_id, self._gear):
            seen = True
            self._analysis(analysis)
        if not seen:
            jobs = await self._fw.jobs.without_analysis(project_id, self._gear)
            self._without_jobs = self._without_jobs or jobs is None
            for job in jobs or ():
                self._job(job)

    def _analysis(self, analysis: Analysis) -> None:
        about = analysis.gear_info
        level, ident = _where(analysis)
        run = GearRun(
            on=ident, created=analysis.created or "", id=analysis.id, state=analysis.state or UNKNOWN,
            version=(about.version if about else None) or "", label=analysis.label or "",
        )  # fmt: skip
        self._take(run, level, ident if level == self._by else "")

    def _job(self, job: ListedJob) -> None:
        if job.destination is None:
            return
        about = job.gear_info
        run = GearRun(
            on=job.destination.id, created=job.created or "", id=job.id, state=job.state or UNKNOWN,
            version=(about.version if about else None) or "",
        )  # fmt: skip
        own = job.destination.id if job.destination.type == self._by else ""
        self._take(run, job.destination.type, own or str(getattr(job.parents, self._by, None) or ""))

    def _take(self, run: GearRun, level: str, counts_for: str) -> None:
        if self._version and run.version != self._version:
            return
        self.any = True
        if counts_for:
            self.runs.setdefault(counts_for, []).append(run)
        else:
            self._elsewhere[level] += 1

    def notes(self, gear: str) -> Iterator[str]:
        """Where else it ran, and what the site does not tell."""
        for level, count in self._elsewhere.items():
            hint = f"; --by {level} shows them" if level in LEVELS else ""
            runs, count_ = (f"{count:,} runs", "count") if count > 1 else ("1 run", "counts")
            yield f"{runs} of {gear} on a {level} {count_} for no {self._by}{hint}"
        if self._without_jobs and not self.any:
            yield "the site has no listing of jobs: runs that make no analysis are not seen"


def _where(analysis: Analysis) -> tuple[str, str]:
    """Level and id of the container that an analysis is on."""
    if analysis.parent is not None:
        return analysis.parent.type, analysis.parent.id
    parents = analysis.parents or Parents()
    for level in reversed(LEVELS):
        if ident := getattr(parents, level):
            return level, str(ident)
    return "", ""


def _labels(found: Found) -> dict[str, str]:
    labels = {level: above.label for level, above in found.above.items()}
    return {**labels, "project": path_of(found.above["project"])}


def _ident(found: Found) -> str:
    return list(found.above.values())[-1].id
