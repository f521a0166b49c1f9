"""The runs of a gear version that a site holds, in a project or on one container."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.client.jobs import REFUSED_LISTING
from fwsync.errors import RemoteError
from fwsync.model import Analysis, FileEntry, GearInfo, ListedJob, Parents, Reference
from fwsync.plan.launching import PastRun

Held = tuple[str, str, str, int]


async def in_project(
    fw: Flywheel, project_id: str, gear: str, version: str, *, level: str, analyses: bool, states: bool
) -> AsyncIterator[tuple[str, PastRun]]:
    """Each run on a container of `level` (or of others too), with the container's id. `analyses`: the gear makes these;
    `states`: they are wanted, whatever that takes."""
    if not analyses:
        async for job in fw.jobs.matching(project_id, gear):
            if job.destination is not None and _is(job.gear_info, gear, version):
                yield job.destination.id, _of_job(job)
        return
    async for analysis in fw.project_analyses(project_id, gear, jobs=states, level=level):
        if _is(analysis.gear_info, gear, version):
            yield _container(analysis), await _of_analysis(fw, analysis)


async def on_container(
    fw: Flywheel, parent: Reference, project_id: str, gear: str, version: str, *, analyses: bool
) -> AsyncIterator[PastRun]:
    """The runs right on one container."""
    if not analyses:
        filters = q.all_of(f"destination.id={parent.id}", q.where("gear_info.name", "=", gear))
        seen = False
        try:
            async for job in fw.jobs.iter(filters=filters):
                if job.destination is not None and job.destination.id == parent.id:
                    seen = True
                    if _is(job.gear_info, gear, version):
                        yield _of_job(job)
        except RemoteError as error:
            if seen or error.status not in REFUSED_LISTING:
                raise
        if not seen:  # a site may not know this filter
            runs = in_project(fw, project_id, gear, version, level=parent.type, analyses=False, states=False)
            async for held, run in runs:
                if held == parent.id:
                    yield run
        return
    async for analysis in fw.analyses.iter(parent=parent):
        if _is(analysis.gear_info, gear, version) and _container(analysis) in ("", parent.id):
            yield await _of_analysis(fw, analysis)


def _container(analysis: Analysis) -> str:
    """The id of what an analysis is on, which not every listing says outright."""
    if analysis.parent is not None:
        return analysis.parent.id
    above = analysis.parents or Parents()
    return above.acquisition or above.session or above.subject or above.project or ""


def _is(info: GearInfo | None, gear: str, version: str) -> bool:
    return info is not None and info.name == gear and (info.version or "") == version


def _of_job(job: ListedJob) -> PastRun:
    held = job.inputs if isinstance(job.inputs, list) else []
    files = [one for one in held if isinstance(one, dict) and isinstance(one.get("name"), str)]
    return PastRun(job.id, job.state or "", tuple(_held(one) for one in files))


def _held(one: dict[str, object]) -> Held:
    version = one.get("version")
    ident, container = one.get("file_id"), one.get("id")
    return (
        ident if isinstance(ident, str) else "",
        container if isinstance(container, str) else "",
        str(one["name"]),
        version if isinstance(version, int) else 0,
    )


async def _of_analysis(fw: Flywheel, analysis: Analysis) -> PastRun:
    if analysis.inputs is None:  # a listing that leaves them out
        analysis = await fw.analyses.get(analysis.id)
    state = analysis.state or ""
    return PastRun(analysis.id, state, tuple(_of_file(entry, analysis.id) for entry in analysis.inputs or ()))


def _of_file(entry: FileEntry, analysis_id: str) -> Held:
    ref = entry.parent_ref
    container = ref.id if ref is not None and ref.id != analysis_id else ""
    return entry.file_id or "", container, entry.name, entry.version or 0
