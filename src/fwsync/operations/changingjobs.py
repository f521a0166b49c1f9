"""`fwsync gear jobs --cancel` and `--retry-failed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec

from fwsync.errors import UsageError
from fwsync.model import ListedJob
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.jobs import JobsAsked, Places, where_of
from fwsync.operations.turns import turn
from fwsync.report.gears import OPEN, failed_for_good
from fwsync.run.jobchanges import ChangeJob, JobChanger
from fwsync.work import Plan, Summary, WorkItem

What = Literal["cancel", "retry"]
JOB = "gear jobs"


async def change_jobs(
    context: Context, asked: JobsAsked, what: What, *, confirm: Callable[[int], bool], dry: bool = False
) -> Summary:
    """Cancel the jobs that have not ended, or try those again that failed and that nobody tried again, of all that are
    asked for. `confirm(how many)` is asked before. UsageError as `Places.of`, and where it is not confirmed."""
    fw = context.fw
    async with turn(context, f"jobs on {fw.site}"):
        context.reporter.phase("listing")
        places = await Places.of(fw, asked)
        every = [job async for job in places.jobs(fw)]
        chosen = [job for job in every if job.state in OPEN] if what == "cancel" else failed_for_good(every)
        chosen = [job for job in chosen if not asked.states or job.state in asked.states]
        where = await where_of(fw, chosen)
        plan = Plan.of([_item(job, what, where.get(job.id, "")) for job in chosen])
        if dry:
            return await dry_run(context, JOB, plan)
        if chosen and not confirm(len(chosen)):
            raise UsageError("nothing was changed")
        run = await Run.begin(context, JOB, {"what": what, "asked": msgspec.to_builtins(asked)})
        changer = JobChanger(fw, context.journal, run.id, grace=context.settings.network.read_timeout)
        return await guarded(run, lambda: run.carry_out(plan, changer.handlers()))


async def change_again(context: Context, arguments: Mapping[str, Any]) -> Summary:
    """The same as a run before, from what the journal holds of it."""
    asked = msgspec.convert(arguments["asked"], JobsAsked)
    return await change_jobs(context, asked, arguments["what"], confirm=lambda _count: True)


def _item(job: ListedJob, what: What, where: str) -> WorkItem:
    gear = f"{job.gear_info.name}/{job.gear_info.version}" if job.gear_info else "a gear"
    payload = ChangeJob(id=job.id, project_id=(job.parents.project if job.parents else None) or "")
    return WorkItem(kind=f"{what}.job", key=f"job:{job.id}", target=f"{gear} on {where}, job {job.id}", payload=payload)
