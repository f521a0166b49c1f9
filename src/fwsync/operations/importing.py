"""`fwsync import`: a CSV to subjects, sessions and acquisitions."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.errors import InputFileError, NotAsAskedError, RemoteError
from fwsync.model import Reference, Subject
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.projects import find_project, project_path
from fwsync.plan.importing import Existing, ImportOptions, Judged, Level, judge, plan_import
from fwsync.plan.table import read_table
from fwsync.plan.timestamps import Reading
from fwsync.run.creating import Creator
from fwsync.run.lock import hold
from fwsync.work import Entry, Outcome, Plan, Summary, WorkItem

FEW = 3
"""So few named subjects are read one by one, whatever the size of the project."""

LABELS_IN_ONE_FILTER = 40
REQUESTS_PER_SUBJECT = 2
LEVELS: tuple[Level, ...] = ("subject", "session", "acquisition")


async def import_csv(context: Context, source: str, *, dry: bool = False) -> Summary:
    """Create what the rows of `source` (a path, or `-` for standard input) name and the project does not have."""
    settings = context.settings.importing
    context.reporter.phase(f"reading {source}")
    raw = await anyio.to_thread.run_sync(_read, source)
    table = await anyio.to_thread.run_sync(
        lambda: read_table(raw, source, delimiter=settings.delimiter, encoding=settings.encoding)
    )
    project = await find_project(context.fw, settings.project or context.settings.site.project)
    options = ImportOptions(
        project_id=project.id,
        project_path=project_path(project),
        reading=Reading(
            zone=settings.timezone, formats=settings.date_formats, order=settings.day_order, dst=settings.dst
        ),
        session_label=settings.session_label,
        acquisition_label=settings.acquisition_label,
        days_per_year=settings.days_per_year,
    )
    judged = await anyio.to_thread.run_sync(judge, table, options, source)
    if settings.strict and judged.rejected and not dry:
        first = judged.rejected[0]
        raise NotAsAskedError(
            f"{source}: {len(judged.rejected):,} rows are wrong and nothing was sent (--strict); the first:"
            f" line {first.line}, {first.column}: {first.message}"
        )
    with hold(context.settings.state_folder, f"project {project.id} on {context.fw.site}"):
        context.reporter.phase(f"reading what {options.project_path} has")
        existing = await read_existing(context.fw, project.id, judged)
        plan = make_plan(judged, existing, options)
        if dry:
            summary = await dry_run(context, "import", plan)
        else:
            arguments = {
                "source": _again(source),
                "project": options.project_path,
                "options": msgspec.structs.asdict(settings),
            }
            summary = await _apply(context, plan, arguments)
    summary.facts["rows"] = judged.rows
    return summary


def _again(source: str) -> str:
    return source if source == "-" else str(Path(source).resolve())


def _read(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source).expanduser()
    if path.is_dir():
        raise InputFileError("is a folder; name a CSV file", path=source)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=source) from error


def make_plan(judged: Judged, existing: Existing, options: ImportOptions) -> Plan:
    """The plan, with its counts."""

    def entries() -> Iterator[Entry]:
        return plan_import(judged, existing, options)

    items = sum(len(entry.everyone()) if isinstance(entry, WorkItem) else 1 for entry in entries())
    return Plan(entries=entries, items=items, warnings=(*judged.warnings, *existing.warnings()))


async def _apply(context: Context, plan: Plan, arguments: dict[str, Any]) -> Summary:
    run = await Run.begin(context, "import", arguments)
    creator = Creator(context.fw, context.journal, run.id, grace=context.settings.network.read_timeout)

    async def work() -> None:
        try:
            await run.carry_out(plan, creator.handlers())
        finally:
            run.summary.warnings += creator.warnings
        for line in await creator.settle_doubles():
            run.summary.planned = (run.summary.planned or 0) + 1
            run.took(Outcome(key=f"double:{line}", kind="double", state="failed", target=line, reason=line))

    return await guarded(run, work)


async def read_existing(fw: Flywheel, project_id: str, judged: Judged) -> Existing:
    """What the project has of what the rows name, by whichever way costs fewer requests.

    The subjects that are named come by filter, a few dozen labels a request. Then either each existing one is asked
    for its sessions and acquisitions, or the whole project is read in pages.
    """
    existing = Existing()
    labels = list(judged.subjects)
    project = Reference(type="project", id=project_id)
    page_size = fw.session.settings.page_size
    first = await fw.subjects.page(parent=project, limit=page_size, files=False, count=True)
    total = first.total if first.total is not None else len(first.documents)
    small = first.total is not None and first.total <= len(first.documents)
    pages = -(-max(total, 1) // page_size)
    cheaper = pages < len(labels) / LABELS_IN_ONE_FILTER + REQUESTS_PER_SUBJECT * len(labels)
    found = 0
    async for subject in _subjects(fw, project, labels, whole=small or (len(labels) > FEW and cheaper)):
        existing.add("subject", project_id, subject)
        found += 1
    if not found:
        return existing
    ids = {c.id for label in labels if (c := existing.find("subject", project_id, label)) is not None}
    if len(ids) <= FEW or REQUESTS_PER_SUBJECT * len(ids) < 2 * pages:
        for ident in ids:
            await _below(fw, existing, Reference(type="subject", id=ident), ids)
    else:
        await _below(fw, existing, project, ids)
    return existing


async def _subjects(fw: Flywheel, project: Reference, labels: list[str], *, whole: bool) -> AsyncIterator[Subject]:
    """The subjects of these labels: from the whole project, or by filter where the site does not refuse it."""
    wanted = set(labels)
    for start in range(0, 0 if whole else len(labels), LABELS_IN_ONE_FILTER):
        some = labels[start : start + LABELS_IN_ONE_FILTER]
        try:
            async for subject in fw.subjects.iter(parent=project, filters=q.any_of("label", some), files=False):
                if subject.label in wanted or subject.code in wanted:
                    yield subject
        except RemoteError as error:
            if error.status not in (400, 422):
                raise
            whole = True
            break
    if whole:
        async for subject in fw.subjects.iter(parent=project, files=False):
            if subject.label in wanted or subject.code in wanted:
                yield subject


async def _below(fw: Flywheel, existing: Existing, parent: Reference, subjects: set[str]) -> None:
    """Sessions and acquisitions below a subject or a whole project, of the wanted subjects."""
    sessions = set()
    async for session in fw.sessions.iter(parent=parent, files=False):
        subject = session.parents.subject if session.parents else None
        subject = subject or (parent.id if parent.type == "subject" else _subject_of(session.subject))
        if subject in subjects:
            existing.add("session", str(subject), session)
            sessions.add(session.id)
    if not sessions:
        return
    async for acquisition in fw.acquisitions.iter(parent=parent, files=False):
        held = acquisition.session or (acquisition.parents.session if acquisition.parents else None)
        if held in sessions:
            existing.add("acquisition", str(held), acquisition)


def _subject_of(embedded: object) -> str | None:
    if isinstance(embedded, dict):
        ident = embedded.get("_id")
        return ident if isinstance(ident, str) else None
    return embedded if isinstance(embedded, str) else None
