"""`fwsync import`."""

from __future__ import annotations

import click

from fwsync.cli.options import Common, common


@click.command("import")
@click.argument("file")
@click.option("--project", metavar="GROUP/LABEL", help="Project to import into (setting: site.project).")
@click.option("--timezone", metavar="ZONE", help="Zone of times without an offset, e.g. Europe/Zurich (default: UTC).")
@click.option("--session-label", metavar="LABEL", help="Label of sessions without a column (default: Session1).")
@click.option(
    "--acquisition-label", metavar="LABEL", help="Label of acquisitions without a column (default: Struct_T1)."
)
@click.option(
    "--date-format", multiple=True, metavar="FORMAT", help="Form of dates, e.g. '%d.%m.%Y %H:%M'; repeatable."
)
@click.option("--day-first", "day_order", flag_value="day-first", help="Dates are day/month/year.")
@click.option("--month-first", "day_order", flag_value="month-first", help="Dates are month/day/year.")
@click.option(
    "--dst",
    multiple=True,
    type=click.Choice(["earlier", "later", "shift-forward"]),
    help="How to settle local times that happened twice (earlier, later) or never (shift-forward).",
)
@click.option("--days-per-year", type=float, help="Days in a year of age (default: 365.25; the SDK tutorial's is 365).")
@click.option("--delimiter", metavar="CHAR", help="Column delimiter (default: found out).")
@click.option("--encoding", metavar="NAME", help="Text encoding (default: found out).")
@click.option("--strict", is_flag=True, default=None, help="Send nothing when any row is wrong.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be created; change nothing.")
@common
def import_(common: Common, file: str, dry_run: bool, **flags: object) -> int:
    """Create subjects, sessions and acquisitions from a CSV.

    FILE is a path, or - for standard input. Each row names a subject, and may give its first and last name and sex,
    the age at the session, and the time of the scan. Running it again changes nothing.

    \b
    Examples:
      fwsync import subjects.csv
      fwsync import subjects.csv --project lab/study --timezone Europe/Zurich --dry-run
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.importing import import_csv

    settings = common.settings(
        import__project=flags["project"],
        import__timezone=flags["timezone"],
        import__session_label=flags["session_label"],
        import__acquisition_label=flags["acquisition_label"],
        import__date_formats=flags["date_format"],
        import__day_order=flags["day_order"],
        import__dst=flags["dst"],
        import__days_per_year=flags["days_per_year"],
        import__delimiter=flags["delimiter"],
        import__encoding=flags["encoding"],
        import__strict=flags["strict"],
    )
    return run_summary(common, settings, lambda context: import_csv(context, file, dry=dry_run))
