"""`fwsync undo`."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from fwsync.cli.options import Common, common, waiting


@click.command()
@click.argument("run")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be deleted; change nothing.")
@waiting
@common
def undo(common: Common, run: str, yes: bool, dry_run: bool, **flags: Any) -> int:
    """Delete what the import RUN created: what it made itself, that is as it made it, with nothing else below it.

    What would be deleted is shown first. What has to stay is named, with the reason.

    \b
    Example:
      fwsync undo 2026-11-24T10-15-00-a1b2 --dry-run
    """
    from fwsync.cli.start import run_summary
    from fwsync.errors import UsageError
    from fwsync.operations.undoing import undo as operate

    def confirm(going: int, staying: int) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise UsageError("undo deletes containers: look at it with --dry-run, then say --yes")
        kept = f"; {staying:,} stay" if staying else ""
        return click.confirm(f"Delete these {going:,} containers{kept}?", err=True)

    if common.progress == "auto":
        common = msgspec.structs.replace(common, progress="lines")  # a bar and a question don't go together
    settings = common.settings(**flags)
    return run_summary(common, settings, lambda context: operate(context, run, confirm=confirm, dry=dry_run))
