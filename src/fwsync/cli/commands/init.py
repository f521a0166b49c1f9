"""`fwsync init`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fwsync.cli.options import Common, common

_TEMPLATE = """\
# fwsync settings for this folder; docs/reference/settings.md lists them all.
# The API key is not kept here: run `fwsync login`, or set FWSYNC_API_KEY.

[site]
{project}

[import]
# Zone of times that have no offset of their own.
{timezone}
# date_formats = ["%d.%m.%Y %H:%M"]

[mirror]
{to}
# members = ["*/stats/aseg.stats"]
"""


@click.command()
@click.option("--project", metavar="GROUP/LABEL", help="Project that commands work on.")
@click.option("--timezone", metavar="ZONE", help="Zone of times without an offset, e.g. Europe/Zurich.")
@click.option("--to", metavar="DIR", help="Target folder of mirrors.")
@common
def init(common: Common, project: str | None, timezone: str | None, to: str | None) -> int:
    """Write a commented fwsync.toml into this folder, never over one. Asks, on a terminal, for what is left open."""
    from fwsync.errors import UsageError
    from fwsync.plan.timestamps import zone_named

    path = Path("fwsync.toml")
    if path.exists():
        raise UsageError(f"{path}: is there already, and is not overwritten")
    if sys.stdin.isatty():
        project = project or click.prompt("Project (group/label)", default="", show_default=False)
        timezone = timezone or click.prompt("Time zone of your scans", default="UTC")
        to = to or click.prompt("Folder for mirrored files", default="mirror")
    if timezone:
        try:
            zone_named(timezone)
        except ValueError as error:
            raise UsageError(f"--timezone: {error}") from None
    text = _TEMPLATE.format(
        project=_line("project", project, "group/label"),
        timezone=_line("timezone", timezone, "UTC"),
        to=_line("to", to, "mirror"),
    )
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except OSError as error:
        raise UsageError(f"{path}: can't be written: {error.strerror}") from error
    if not common.quiet:
        click.echo(f"wrote {path}")
    return 0


def _line(name: str, value: str | None, example: str) -> str:
    shown = (value or example).replace("\\", "\\\\").replace('"', '\\"')
    return f'{"" if value else "# "}{name} = "{shown}"'
