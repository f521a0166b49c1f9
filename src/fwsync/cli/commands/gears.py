"""`fwsync gear` and what is below it."""

from __future__ import annotations

import click

from fwsync.cli.lazy import LazyGroup

GEAR_COMMANDS = {
    "list": ("gear_looking:list_", "List the gears of the site."),
    "show": ("gear_looking:show", "Show the inputs and the configuration of a gear."),
    "run": ("gear_running:run", "Run a gear on each container of a selection."),
    "jobs": ("gear_looking:jobs", "List jobs, or wait until they have ended."),
}


@click.group(cls=LazyGroup, lazy=GEAR_COMMANDS)
def gear() -> None:
    """List gears, show what one takes, run one on a selection, follow its jobs.

    \b
    Begin with:
      fwsync gear list                             what there is
      fwsync gear show freesurfer-recon-all        inputs and configuration
      fwsync gear run NAME lab/study --dry-run     what would run
    """
