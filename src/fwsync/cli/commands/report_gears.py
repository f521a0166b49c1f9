"""`fwsync report gear-status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fwsync.cli.options import Common, common
from fwsync.cli.selecting import given_of, selecting_containers
from fwsync.cli.tables import Tabling, tabling
from fwsync.errors import UsageError

if TYPE_CHECKING:
    from fwsync.operations.context import Context
    from fwsync.operations.gear_status import GearStatus
    from fwsync.report.gear_status import By, StateOf
    from fwsync.work import Summary


@click.command("gear-status")
@click.argument("of", metavar="GEAR[/VERSION]")
@click.argument("paths", nargs=-1)
@click.option(
    "--by",
    type=click.Choice(["project", "subject", "session", "acquisition"]),
    default="session",
    show_default=True,
    help="One row for each of these, by the runs on it.",
)
@click.option(
    "--state-of",
    type=click.Choice(["latest", "latest-complete"]),
    default="latest",
    show_default=True,
    help="The run that tells, where there are several: the newest, or the newest that is complete.",
)
@click.option("--require", is_flag=True, help="Exit with code 3 unless the gear has a complete run on each.")
@click.option("--upload", is_flag=True, help="Attach the report to its project, as GEAR_RunReport_TIME.csv.")
@selecting_containers
@tabling
@common
def gear_status(
    common: Common,
    tabling: Tabling,
    of: str,
    paths: tuple[str, ...],
    by: By,
    state_of: StateOf,
    require: bool,
    upload: bool,
    **flags: Any,
) -> int:
    """Tell of each selected session whether GEAR has run on it, and how that ended: a row for each, by its newest run.

    Runs on subjects, acquisitions and projects count for these (--by), and are told in a note elsewhere. A gear that
    makes no analyses, such as a classifier, is found by its jobs: it has run where it ran on the container itself or on
    anything below it, and the least good of these tells. --gear selects by the outputs of another gear.

    \b
    Examples:
      fwsync report gear-status bids-fmriprep lab/study
      fwsync report gear-status bids-fmriprep/1.2.1 --project lab/study --state-of latest-complete --require
      fwsync report gear-status bids-freesurfer lab/study --by subject --out runs.csv
      fwsync report gear-status bids-fmriprep lab/study --upload
    """  # fmt: skip
    from fwsync.cli.reading import run_report
    from fwsync.cli.tables import prepare, show
    from fwsync.operations.gear_status import gear_status as operate
    from fwsync.operations.gear_status import upload_status
    from fwsync.operations.selected import Asked

    if upload and tabling.form in ("csv", "tsv"):
        raise UsageError("--format: a summary follows the table with --upload; write it to a file by --out")
    settings = common.settings()
    asked = Asked.of(settings, given_of(flags), paths)
    prepare(common, tabling)

    async def send(context: Context, found: GearStatus) -> Summary:
        return await upload_status(context, found, of)

    found, code = run_report(
        common, settings,
        lambda fw, reporter: operate(fw, of, asked, by=by, state_of=state_of, reporter=reporter),
        lambda found: show(common, tabling, found.table),
        send if upload else None,
    )  # fmt: skip
    if require and not code and found.lacking:
        if not common.json:
            where = f"{found.lacking:,} of {len(found.table.rows):,} {by}s"
            click.echo(f"fwsync: {of} has no complete run on {where}", err=True)
        code = 3
    return code
