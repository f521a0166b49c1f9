"""`fwsync plan` and `fwsync apply`."""

from __future__ import annotations

from typing import Any

import click

from fwsync.cli.commands.importing import import_flags, import_settings
from fwsync.cli.options import Common, common, waiting


@click.group()
def plan() -> None:
    """Write what a command would do to a file, to be read, and carried out by fwsync apply."""


@plan.command("import")
@click.argument("file")
@import_flags
@click.option("--out", required=True, metavar="PLAN", help="The plan file to write, one JSON object a line.")
@common
def plan_import(common: Common, file: str, out: str, **flags: Any) -> int:
    """Write what an import of FILE would do: what it creates, what is there already, what differs, what is wrong.

    \b
    Example:
      fwsync plan import subjects.csv --out plan.jsonl
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.planning import plan_import as operate

    settings = import_settings(common, flags)
    limit = flags["limit"]
    return run_summary(common, settings, lambda context: operate(context, file, out, limit=limit))


@click.command("apply")
@click.argument("plan")
@click.option("-n", "--dry-run", is_flag=True, help="Compare the plan with the site as it is now; change nothing.")
@waiting
@common
def apply_(common: Common, plan: str, dry_run: bool, **flags: Any) -> int:
    """Carry out a plan file. The site is read anew; where it has changed since the plan was made, that is said, and
    nothing is changed that the plan does not show.

    \b
    Example:
      fwsync apply plan.jsonl
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.planning import apply_plan

    return run_summary(common, common.settings(**flags), lambda context: apply_plan(context, plan, dry=dry_run))
