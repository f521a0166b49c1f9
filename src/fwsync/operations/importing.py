"""`fwsync import`: a table to subjects, sessions and acquisitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec

from fwsync.errors import NotAsAskedError
from fwsync.model import Project
from fwsync.operations.context import Context, Run, budgeted, dry_run, guarded
from fwsync.operations.existing import read_existing
from fwsync.operations.projects import find_project, project_path
from fwsync.operations.tables import Table, judge_table, open_table, strict_line
from fwsync.operations.turns import turn
from fwsync.plan.importing import ImportOptions, Planner
from fwsync.plan.wanted import Wanted
from fwsync.run.creating import Creator
from fwsync.run.doubles import find_doubles
from fwsync.run.hashes import HashCache
from fwsync.run.rejects import default_path, write_rejects
from fwsync.run.sending import Sender
from fwsync.run.spool import Spool
from fwsync.run.updating import Updater
from fwsync.work import Plan, Summary


async def import_csv(context: Context, source: str, *, dry: bool = False, limit: int | None = None) -> Summary:
    """Create what the rows of `source` (a path, `-` for standard input, or fw://) name and the project does not have.

    The whole table is read and judged before the first write. `limit` takes the first rows alone.
    """
    settings = context.settings.importing
    with Spool(context.settings.state_folder) as spool:
        project = await find_project(context.fw, settings.project or context.settings.site.project)
        table = await read_table(context, source, spool, limit)
        options = import_options(context, project)
        rejects = None
        if table.rejected and not dry:
            rejects = await write_rejects(
                context.journal, Path(settings.rejects or default_path(source)), table.sheet, spool.rejected_records()
            )
            if settings.strict:
                raise NotAsAskedError(f"{strict_line(source, table, next(spool.errors()))}; all are in {rejects}")
        arguments = {
            "source": again(source),
            "project": options.project_path,
            "options": msgspec.structs.asdict(settings),
            "limit": limit,
        }
        summary = await carry_out(
            context, spool, options, arguments, items=table.items, size=table.bytes, notes=table.warnings, dry=dry
        )
    summary.facts["rows"] = table.rows
    if rejects is not None:
        summary.warnings.append(f"rejected rows are in {rejects}: correct them there, and import that file")
    return summary


async def read_table(context: Context, source: str, spool: Spool, limit: int | None = None) -> Table:
    """A table, read and judged into the spool."""
    settings = context.settings.importing
    context.reporter.phase(f"reading {source}")
    opened = await open_table(context.fw, source, settings, spool)
    return await judge_table(opened, source, settings, spool, limit=limit, tell=context.reporter.phase)


def import_options(context: Context, project: Project) -> ImportOptions:
    """Where containers go, from the settings."""
    settings = context.settings.importing
    return ImportOptions(
        project_id=project.id,
        project_path=project_path(project),
        on_conflict=settings.on_conflict,
        tag=settings.tag,
        note=settings.note,
    )


def again(source: str) -> str:
    """How to name a source in a later run, from any folder."""
    return source if source == "-" or "://" in source else str(Path(source).expanduser().resolve())


async def carry_out(
    context: Context,
    spool: Spool,
    options: ImportOptions,
    arguments: dict[str, Any],
    *,
    items: int,
    size: int,
    notes: Iterable[str] = (),
    dry: bool = False,
    job: str = "import",
) -> Summary:
    """What the spool wants, compared with the project, done: by one run at a time."""
    async with turn(context, f"project {options.project_id} on {context.fw.site}"):
        planner = await planner_for(context, spool, options)
        plan = Plan(entries=planner.entries, items=items, bytes=size, warnings=tuple(notes))
        if dry:
            summary = await dry_run(context, job, plan)
        else:
            summary = await work_on_project(context, plan, options.project_id, arguments, job)
        summary.warnings += planner.warnings()
    return summary


async def planner_for(
    context: Context,
    spool: Spool,
    options: ImportOptions,
    on_verdict: Callable[[Wanted, str], None] = lambda *_: None,
) -> Planner:
    """The planner over the spool, after the project's containers were read into it."""
    context.reporter.phase(f"reading what {options.project_path} has")
    await read_existing(context.fw, options.project_id, spool)
    begun = await context.journal.begun(context.fw.site, options.project_id)
    return Planner(
        spool.wanted,
        spool.held,
        options,
        rejected=spool.errors,
        begun=begun,
        padded=spool.padded,
        on_verdict=on_verdict,
    )


async def work_on_project(
    context: Context,
    plan: Plan,
    project_id: str,
    arguments: dict[str, Any],
    job: str,
    hashes: HashCache | None = None,
) -> Summary:
    """Carry out a plan that creates and changes containers of a project and sends files to them."""
    run = await Run.begin(context, job, arguments)
    grace = context.settings.network.read_timeout
    creator = Creator(context.fw, context.journal, run.id, grace=grace)
    updater = Updater(context.fw, context.journal, run.id, grace=grace)
    sender = Sender(context.fw, context.journal, run.id, hashes)
    handlers = {**creator.handlers(), **updater.handlers(), **sender.handlers()}
    if job == "upload":
        handlers = budgeted(handlers, context.settings.upload.max_transfer)

    async def work() -> None:
        try:
            await run.carry_out(plan, handlers)
        finally:
            run.summary.warnings += creator.warnings
        doubles = await creator.settle_doubles()
        doubles += await find_doubles(context.fw, project_id, creator.made)
        for one in doubles:
            run.summary.planned = (run.summary.planned or 0) + 1
            run.took(one)

    return await guarded(run, work)
