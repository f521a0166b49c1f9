"""`fwsync report demographics`, `overview` and `missing`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import click

from fwsync.cli.options import Common, common
from fwsync.cli.selecting import given_of, selecting_containers
from fwsync.cli.tables import Tabling, tabling

if TYPE_CHECKING:
    from fwsync.client.api import Flywheel
    from fwsync.events import Reporter
    from fwsync.operations.selected import Asked
    from fwsync.report.demographics import By
    from fwsync.report.missing import By as MissingBy
    from fwsync.report.overview import By as OverviewBy
    from fwsync.report.table import Table

Work = Callable[["Flywheel", "Asked", "Reporter"], Awaitable["Table"]]


@click.command()
@click.argument("paths", nargs=-1)
@click.option(
    "--by", type=click.Choice(["subject", "session"]), default="subject", show_default=True,
    help="One row a subject, with the age at its first session; or one row a session.",
)  # fmt: skip
@click.option("--column", "columns", multiple=True, metavar="FIELD",
              help="A further field, such as subject.info.handedness or session.weight; repeatable.")  # fmt: skip
@selecting_containers
@tabling
@common
def demographics(
    common: Common, tabling: Tabling, paths: tuple[str, ...], by: By, columns: tuple[str, ...], **flags: Any
) -> int:
    """Age and sex of the subjects at or below PATHS, or in a selection.

    The first session of a subject is the earliest by timestamp; sessions without one come after the others, as they
    were created. Ages are in years of 365.25 days. Above the rows: how many subjects and sessions, mean and standard
    deviation of the ages, how many have none, and the count and percentage of each sex.

    \b
    Examples:
      fwsync report demographics lab/study
      fwsync report demographics lab/study --column subject.info.handedness --out people.csv
      fwsync report demographics --group lab --where 'session.age>=20y' --by session
    """
    from fwsync.operations.demographics import demographics as operate

    _report(
        common, tabling, paths, flags,
        lambda fw, asked, reporter: operate(fw, asked, by=by, columns=columns, reporter=reporter),
    )  # fmt: skip
    return 0


@click.command()
@click.argument("paths", nargs=-1)
@click.option(
    "--by", type=click.Choice(["acquisition", "session", "subject"]), default="acquisition", show_default=True,
    help="What has a row; what is below is counted.",
)  # fmt: skip
@click.option("--files", is_flag=True, help="Count files and bytes too, by type.")
@selecting_containers
@tabling
@common
def overview(
    common: Common, tabling: Tabling, paths: tuple[str, ...], by: OverviewBy, files: bool, **flags: Any
) -> int:
    """What there is at or below PATHS, or in a selection: one row an acquisition, by labels.

    A session without any acquisition, or a subject without any session, has a row of its own. Above the rows: how many
    there are of each level. Wishes about files leave in what holds such a file, and count these alone.

    \b
    Examples:
      fwsync report overview lab/study
      fwsync report overview lab/study --by session --files --out sessions.csv
      fwsync report overview --group lab --type nifti --by subject --files
    """
    from fwsync.operations.overview import overview as operate

    _report(
        common, tabling, paths, flags,
        lambda fw, asked, reporter: operate(fw, asked, by=by, files=files, reporter=reporter),
    )  # fmt: skip
    return 0


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--expect", multiple=True, metavar="GLOB",
              help="The label of an acquisition that should be there, or a pattern; repeatable.")  # fmt: skip
@click.option(
    "--expect-from", default="", metavar="FILE", help="A file of such labels, one a line; - is standard input."
)
@click.option(
    "--expect-auto", type=float, is_flag=False, flag_value=90.0, metavar="[PERCENT]",
    help="The labels that at least PERCENT (default: 90) of the sessions or subjects have.",
)  # fmt: skip
@click.option("--expect-file", multiple=True, metavar="ACQUISITION:FILE",
              help="A file that should be on such an acquisition, e.g. 'T1w:*.nii.gz'; repeatable.")  # fmt: skip
@click.option("--by", type=click.Choice(["session", "subject"]), default="session", show_default=True,
              help="Who should have them.")  # fmt: skip
@click.option("--allow-missing", is_flag=True, help="Exit code 0 even if something is missing.")
@selecting_containers
@tabling
@common
def missing(
    common: Common,
    tabling: Tabling,
    paths: tuple[str, ...],
    expect: tuple[str, ...],
    expect_from: str,
    expect_auto: float | None,
    expect_file: tuple[str, ...],
    by: MissingBy,
    allow_missing: bool,
    **flags: Any,
) -> int:
    """Which sessions (or subjects) at or below PATHS, or in a selection, lack which acquisitions.

    One row for each that is missing; exit code 3 if there is any. A subject without any session lacks everything.
    Wishes about subjects and sessions say who is looked at; wishes about acquisitions and files say what counts as
    being there.

    \b
    Examples:
      fwsync report missing lab/study --expect T1w --expect 'rest*'
      fwsync report missing lab/study --expect-auto --by subject
      fwsync report missing lab/study --expect T1w --type nifti --out missing.csv
    """
    from fwsync.operations.missing import Wanted
    from fwsync.operations.missing import missing as operate

    wanted = Wanted(labels=expect, labels_from=expect_from, files=expect_file, auto=expect_auto)
    table = _report(
        common, tabling, paths, flags,
        lambda fw, asked, reporter: operate(fw, asked, wanted, by=by, reporter=reporter),
    )  # fmt: skip
    return 3 if table.rows and not allow_missing else 0


def _report(common: Common, how: Tabling, paths: tuple[str, ...], flags: dict[str, Any], work: Work) -> Table:
    """What a report finds for these flags of a selection, after it was shown."""
    from fwsync.cli.reading import run_report
    from fwsync.cli.tables import prepare, show
    from fwsync.operations.selected import Asked

    prepare(common, how)
    settings = common.settings()
    asked = Asked.of(settings, given_of(flags), paths)
    table, _ = run_report(
        common, settings, lambda fw, reporter: work(fw, asked, reporter), lambda found: show(common, how, found)
    )
    return table
