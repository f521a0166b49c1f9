"""`fwsync export`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fwsync.cli.options import Common, common

if TYPE_CHECKING:
    from fwsync.operations.exporting import Exported


@click.command()
@click.argument("project", default="", metavar="[GROUP/LABEL]")
@click.option("-o", "--out", default="-", metavar="FILE", help="File to write (default: -, standard output).")
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists with other content.")
@common
def export(common: Common, project: str, out: str, force: bool) -> int:
    """Write a project's subjects, sessions and acquisitions as the table that import reads.

    The project is GROUP/LABEL, else the one in the settings (site.project). Imported into an empty project, and
    exported again, the table is the same byte for byte: headers carry types where a plain reading would change a value.
    One row an acquisition; what is above it stands in every row. Columns without any value are left out.

    Not exported: files, notes, analyses. What the table can't hold, such as a label that is there twice under one
    parent, is told on standard error, and the exit code is then 3.

    \b
    Examples:
      fwsync export lab/study > study.csv
      fwsync export lab/study --out study.csv
      fwsync import study.csv --project lab/copy
    """
    import sys
    from pathlib import Path

    from fwsync.cli.progress import printable, reporter_for
    from fwsync.cli.start import run_reading
    from fwsync.errors import UsageError
    from fwsync.operations.exporting import export_project

    if out == "-" and common.json:
        raise UsageError("--json needs standard output for itself; name a file by --out FILE")
    settings = common.settings()
    reporter = reporter_for(common)
    try:
        done = run_reading(
            common,
            settings,
            lambda fw: export_project(
                fw,
                project or settings.importing.project or settings.site.project,
                sys.stdout.buffer if out == "-" else Path(out),
                state_folder=settings.state_folder,
                force=force,
                reporter=reporter,
            ),
        )
    finally:
        reporter.close()
    for warning in done.warnings:
        click.echo(f"fwsync: warning: {printable(warning)}", err=True)
    _tell(done, common, out)
    return done.exit_code


def _tell(done: Exported, common: Common, out: str) -> None:
    import msgspec

    if common.json:
        click.echo(msgspec.json.encode({"event": "export", "to": out, **msgspec.structs.asdict(done)}))
    elif not common.quiet:
        counts = f"{done.subjects:,} subjects, {done.sessions:,} sessions, {done.acquisitions:,} acquisitions"
        where = "" if out == "-" else f" in {out}" + ("" if done.changed else ", which was the same already")
        click.echo(f"fwsync: {counts}: {done.rows:,} rows{where}", err=True)
