"""`fwsync report qc`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fwsync.cli.options import Common, common
from fwsync.cli.selecting import given_of, selecting_containers
from fwsync.cli.tables import Tabling, tabling
from fwsync.errors import UsageError

if TYPE_CHECKING:
    from fwsync.operations.context import Context
    from fwsync.operations.quality import Quality
    from fwsync.work import Summary


@click.command()
@click.argument("paths", nargs=-1)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Show this value of the files' info; dots lead into it; repeatable.",
)
@click.option(
    "--flag",
    "rules",
    multiple=True,
    metavar="RULE",
    help="Flag files by a rule, e.g. 'LOW_SNR: snr < 1.0 where Measurement=T2*'; repeatable.",
)
@click.option(
    "--preset",
    type=click.Choice(["mriqc"]),
    help="The usual rules for a gear's files (default where neither --metric nor --flag is given: mriqc).",
)
@click.option("--require", is_flag=True, help="Exit with code 3 if any file is flagged, or lacks a value.")
@click.option("--write-tags", is_flag=True, help="Put the flags as tags on the acquisitions.")
@click.option("--clear-tags", is_flag=True, help="With --write-tags: take tags of the rules off that hold no more.")
@click.option("-n", "--dry-run", is_flag=True, help="With --write-tags: show what would be tagged; change nothing.")
@selecting_containers
@tabling
@common
def qc(
    common: Common,
    tabling: Tabling,
    paths: tuple[str, ...],
    metrics: tuple[str, ...],
    rules: tuple[str, ...],
    preset: str | None,
    require: bool,
    write_tags: bool,
    clear_tags: bool,
    dry_run: bool,
    **flags: Any,
) -> int:
    """Report the values that a quality gear left in the info of files, and flag bad ones: a row for the newest such
    file of each acquisition. Files are those of --include (default: '*mriqc.qa*').

    A rule is NAME: METRIC OPERATOR NUMBER, then, if it is about some files alone, where KEY=VALUE of their
    classification, joined by and. A file that a rule is about and that has no such number is told, and never flagged.
    Without --write-tags nothing is changed.

    \b
    Examples:
      fwsync report qc lab/study
      fwsync report qc lab/study --write-tags --dry-run
      fwsync report qc lab/study --session 'ses-*' --flag 'HIGH_FD: fd_mean > 0.5' --metric tsnr --out qc.csv
      fwsync report qc lab/study --preset mriqc --write-tags --clear-tags
    """  # fmt: skip
    from fwsync.cli.reading import run_report
    from fwsync.cli.tables import prepare, show
    from fwsync.operations.quality import Checks, quality, tag_quality
    from fwsync.operations.selected import Asked

    if (clear_tags or dry_run) and not write_tags:
        raise UsageError(f"{'--clear-tags' if clear_tags else '--dry-run'}: is for --write-tags")
    if write_tags and tabling.form in ("csv", "tsv"):
        raise UsageError("--format: a summary follows the table with --write-tags; write it to a file by --out")
    settings = common.settings()
    checks = Checks.of(metrics, rules, preset or "")
    asked = Asked.of(settings, given_of(flags), paths)
    prepare(common, tabling)

    async def tag(context: Context, found: Quality) -> Summary:
        return await tag_quality(context, asked, checks, found, untag=clear_tags, dry=dry_run)

    found, code = run_report(
        common, settings,
        lambda fw, reporter: quality(fw, asked, checks, reporter=reporter),
        lambda found: show(common, tabling, found.table),
        tag if write_tags else None,
    )  # fmt: skip
    if require and not code and found.bad:
        if not common.json:
            of = f"{found.bad:,} of {len(found.table.rows):,} files"
            click.echo(f"fwsync: {of} are flagged or lack a value", err=True)
        code = 3
    return code
