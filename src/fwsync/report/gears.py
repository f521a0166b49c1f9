"""Gears, their manifests, and their jobs, as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from fwsync.model import Gear, ListedJob, Parents
from fwsync.report.table import Cell, Column, Table

OPEN = ("pending", "scheduled", "running")
"""The states of jobs that have not ended."""


def gears_table(gears: Iterable[Gear], site: str) -> Table:
    """One row a gear version."""
    rows: list[tuple[Cell, ...]] = [
        (one.gear.name, one.gear.version, one.gear.label, one.category, bool(one.disabled)) for one in gears
    ]
    columns = (Column("gear"), Column("version"), Column("label"), Column("category"), Column("disabled", "yes"))
    return Table(name="gears", title=f"Gears of {site}", columns=columns, rows=rows, facts={"gears": len(rows)})


def manifest_table(gear: Gear, rows: Sequence[tuple[Cell, ...]]) -> Table:
    """What a gear takes: rows are (`input` or `config`, name, type, needed, default, what it may be, description)."""
    about: dict[str, Cell] = {
        "label": gear.gear.label, "category": gear.category, "version": gear.gear.version, "id": gear.id,
    }  # fmt: skip
    columns = (
        Column("what"), Column("name"), Column("type"), Column("needed", "yes"), Column("default"), Column("choices"),
        Column("description"),
    )  # fmt: skip
    notes = ["this version is disabled on the site"] if gear.disabled else []
    return Table(
        name="gear", title=f"Gear {gear.gear.name}", columns=columns, rows=list(rows), facts=about, notes=notes
    )


def jobs_table(jobs: Iterable[ListedJob], where: Mapping[str, str], site: str) -> Table:
    """One row a job, the oldest first; `where` tells of each job's id where its destination is."""
    held = sorted(jobs, key=lambda job: (job.created or "", job.id))
    rows: list[tuple[Cell, ...]] = []
    for job in held:
        gear = job.gear_info
        names = (gear.name, gear.version) if gear else (None, None)
        place = where.get(job.id, "")
        rows.append((job.id, *names, job.state, place, job.created, job.attempt, job.failure_reason))
    columns = (
        Column("job"), Column("gear"), Column("version"), Column("state"), Column("destination"), Column("created"),
        Column("attempt", "integer"), Column("failure_reason"),
    )  # fmt: skip
    states = Counter(job.state or "unknown" for job in held)
    facts: dict[str, Cell] = {"jobs": len(held), **{state: states[state] for state in sorted(states)}}
    return Table(name="jobs", title=f"Jobs on {site}", columns=columns, rows=rows, facts=facts)


def failed_for_good(jobs: Iterable[ListedJob]) -> list[ListedJob]:
    """The failed jobs that nobody tried again: by the site's own retry, or by a later run of the gear, of any version,
    on the same files of the same container."""
    newest: dict[tuple[object, ...], ListedJob] = {}
    for job in sorted(jobs, key=lambda job: (job.created or "", job.id)):
        newest[_work_of(job)] = job
    return [job for job in newest.values() if job.state == "failed"]


def _work_of(job: ListedJob) -> tuple[object, ...]:
    """What a job was to do: two that agree in this stand for each other."""
    above = job.parents or Parents()
    place = (above.project, above.subject, above.session, above.acquisition)
    if not any(place):
        place = (job.destination.id if job.destination else job.id, None, None, None)
    held = job.inputs if isinstance(job.inputs, list) else []
    files = sorted(f"{one.get('input')} {one.get('id')} {one.get('name')}" for one in held if isinstance(one, dict))
    return (job.gear_info.name if job.gear_info else None, *place, *files)
