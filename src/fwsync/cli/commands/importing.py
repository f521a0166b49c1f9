"""`fwsync import`, and the flags that it shares with `fwsync plan import`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fwsync.cli.options import Common, common, moving

if TYPE_CHECKING:
    from fwsync.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

_EXTRAS = ["ignore", "info", "subject.info", "session.info", "acquisition.info", "error"]

_FLAGS = (
    click.option("--project", metavar="GROUP/LABEL", help="Project to import into (setting: site.project)."),
    click.option("--map", "maps", multiple=True, metavar="COLUMN=FIELD", help="What a column means; repeatable."),
    click.option("--extra", type=click.Choice(_EXTRAS), help="What to do with unknown columns (default: ignore)."),
    click.option("--subject-label", metavar="TEMPLATE", help="Label of subjects, e.g. '{site}-{id}'."),
    click.option("--session-label", metavar="TEMPLATE", help="Label of sessions, e.g. '{visit}' (default: Session1)."),
    click.option(
        "--acquisition-label", metavar="TEMPLATE", help="Label of acquisitions, e.g. '{scan}' (default: Struct_T1)."
    ),
    click.option(
        "--deepest",
        type=click.Choice(["subject", "session", "acquisition"]),
        help="Create down to this level (default: acquisition; for BIDS tables, what they speak of).",
    ),
    click.option("--require", metavar="FIELDS", help="Fields that no row may lack, e.g. age,timestamp."),
    click.option("--timezone", metavar="ZONE", help="Zone of times without an offset, e.g. Europe/Zurich."),
    click.option(
        "--date-format", multiple=True, metavar="FORMAT", help="Form of dates, e.g. '%d.%m.%Y %H:%M'; repeatable."
    ),
    click.option("--day-first", "day_order", flag_value="day-first", help="Dates are day/month/year."),
    click.option("--month-first", "day_order", flag_value="month-first", help="Dates are month/day/year."),
    click.option(
        "--dst",
        multiple=True,
        type=click.Choice(["earlier", "later", "shift-forward"]),
        help="How to settle local times that happened twice (earlier, later) or never (shift-forward).",
    ),
    click.option(
        "--days-per-year", type=float, help="Days in a year of age (default: 365.25; the SDK tutorial's is 365)."
    ),
    click.option("--delimiter", metavar="CHAR", help="Column delimiter (default: found out)."),
    click.option("--encoding", metavar="NAME", help="Text encoding (default: found out)."),
    click.option("--sheet", metavar="NAME", help="Sheet of a workbook (default: the first)."),
    click.option("--files-from", metavar="DIR", help="Where files that rows name lie (default: the table's folder)."),
    click.option(
        "--on-conflict",
        type=click.Choice(["skip", "update", "error"]),
        help="What to do with containers that exist with other values (default: skip).",
    ),
    click.option("--tag", metavar="TAG", help="Tag whatever is created."),
    click.option("--note", metavar="TEXT", help="Put a note on whatever is created."),
    click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N rows."),
)


def import_flags(command: F) -> F:
    """Add the flags that say how a table becomes containers."""
    for flag in reversed(_FLAGS):
        command = flag(command)
    return command


def import_settings(common: Common, flags: dict[str, Any]) -> Settings:
    """Settings with these flags on top."""
    require = flags["require"]
    return common.settings(
        import__project=flags["project"],
        import__maps=flags["maps"],
        import__extra=flags["extra"],
        import__subject_label=flags["subject_label"],
        import__session_label=flags["session_label"],
        import__acquisition_label=flags["acquisition_label"],
        import__deepest=flags["deepest"],
        import__require=tuple(filter(None, map(str.strip, require.split(",")))) if require else None,
        import__timezone=flags["timezone"],
        import__date_formats=flags["date_format"],
        import__day_order=flags["day_order"],
        import__dst=flags["dst"],
        import__days_per_year=flags["days_per_year"],
        import__delimiter=flags["delimiter"],
        import__encoding=flags["encoding"],
        import__sheet=flags["sheet"],
        import__files_from=flags["files_from"],
        import__on_conflict=flags["on_conflict"],
        import__tag=flags["tag"],
        import__note=flags["note"],
        import__rejects=flags.get("rejects"),
        import__strict=flags.get("strict"),
        state__wait=flags.get("state__wait"),
        network__bwlimit=flags.get("network__bwlimit"),
    )


@click.command("import")
@click.argument("file")
@import_flags
@click.option("--rejects", metavar="FILE", help="Where rows in error go (default: FILE.rejects.csv beside the table).")
@click.option("--strict", is_flag=True, default=None, help="Send nothing when any row is wrong.")
@click.option("--explain-mapping", is_flag=True, help="Show what each column becomes; send nothing.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be done; change nothing.")
@moving
@common
def import_(common: Common, file: str, dry_run: bool, explain_mapping: bool, **flags: Any) -> int:
    """Create subjects, sessions and acquisitions from a table: CSV, Excel, or a BIDS .tsv.

    FILE is a path, - for standard input, or fw://group/project/.../file of a file on the site. Each row names a
    subject, and may tell of it, of its session and of its acquisition. Running it again changes nothing. Rows in
    error are left out and written to a file of their own.

    \b
    Examples:
      fwsync import subjects.csv
      fwsync import subjects.xlsx --project lab/study --timezone Europe/Zurich --dry-run
      fwsync import visits.csv --session-label '{visit}' --map 'site=subject.info.site'
      fwsync import subjects.csv --explain-mapping
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.importing import import_csv

    settings = import_settings(common, flags)
    if explain_mapping:
        from fwsync.cli.mapping import show_mapping

        return show_mapping(common, settings, file)
    limit = flags["limit"]
    return run_summary(common, settings, lambda context: import_csv(context, file, dry=dry_run, limit=limit))
