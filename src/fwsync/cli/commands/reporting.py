"""`fwsync report demographics`."""

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

    table = _gathered(
        common, tabling, paths, flags,
        lambda fw, asked, reporter: operate(fw, asked, by=by, columns=columns, reporter=reporter),
    )  # fmt: skip
    _show(common, tabling, table)
    return 0


def _gathered(common: Common, how: Tabling, paths: tuple[str, ...], flags: dict[str, Any], work: Work) -> Table:
    """What a report finds for these flags of a selection."""
    from fwsync.cli.progress import reporter_for
    from fwsync.cli.start import run_reading
    from fwsync.cli.tables import prepare
    from fwsync.operations.selected import Asked

    prepare(common, how)
    settings = common.settings()
    asked = Asked.of(settings, given_of(flags), paths)
    reporter = reporter_for(common)
    try:
        return run_reading(common, settings, lambda fw: work(fw, asked, reporter))
    finally:
        reporter.close()


def _show(common: Common, how: Tabling, table: Table) -> None:
    from fwsync.cli.tables import show

    show(common, how, table)
