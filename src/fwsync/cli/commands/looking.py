"""`fwsync ls`, `fwsync tree`, `fwsync find`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import click

from fwsync.cli.options import Common, common

if TYPE_CHECKING:
    from fwsync.client.api import Flywheel
    from fwsync.operations.looking import Line


@click.command()
@click.argument("path", default="")
@common
def ls(common: Common, path: str) -> int:
    """List what is right below PATH: groups at the top, else containers, analyses and files.

    \b
    Examples:
      fwsync ls
      fwsync ls lab/study
    """
    from fwsync.operations.looking import list_path

    return _print(common, lambda fw: list_path(fw, path), _ls_line)


@click.command()
@click.argument("path", default="")
@click.option("--depth", type=click.IntRange(1), default=2, show_default=True, help="Levels below PATH.")
@click.option("--files", is_flag=True, help="Show files too.")
@common
def tree(common: Common, path: str, depth: int, files: bool) -> int:
    """Show the hierarchy below PATH.

    \b
    Examples:
      fwsync tree lab
      fwsync tree lab/study --depth 3 --files
    """
    from fwsync.operations.looking import tree as operate

    return _print(common, lambda fw: operate(fw, path, depth=depth, files=files), _tree_line)


@click.command()
@click.argument("level", type=click.Choice(["group", "project", "subject", "session", "acquisition"]))
@click.argument("filters", default="")
@click.option("--project", metavar="GROUP/LABEL", help="Only in this project.")
@common
def find(common: Common, level: str, filters: str, project: str | None) -> int:
    """Find containers of a LEVEL by a finder filter, as in the SDK: field, operator, value, comma-joined.

    \b
    Examples:
      fwsync find subject 'info.age>40,sex=female' --project lab/study
      fwsync find acquisition 'label=~^((?!SBRef).)*$'
    """
    from fwsync.operations.looking import find as operate

    return _print(common, lambda fw: operate(fw, level, filters, project or ""), _find_line)


def _print(common: Common, listing: Callable[[Flywheel], AsyncIterator[Line]], form: Callable[[Line], str]) -> int:
    import msgspec

    from fwsync.cli.progress import printable
    from fwsync.cli.start import run_reading

    async def work(fw: Flywheel) -> int:
        count = 0
        async for line in listing(fw):
            count += 1
            click.echo(msgspec.json.encode(line) if common.json else printable(form(line)))
        return count

    count = run_reading(common, common.settings(), work)
    if not count and not common.json and not common.quiet:
        click.echo("nothing found", err=True)
    return 0


def _ls_line(line: Line) -> str:
    from fwsync.work import human

    size = human(line.size) if line.size is not None else ""
    return f"{line.type:<12} {size:>9}  {line.label}"


def _tree_line(line: Line) -> str:
    mark = "" if line.depth == 0 else "  " * (line.depth - 1) + "└ "
    return f"{mark}{line.label}"


def _find_line(line: Line) -> str:
    return f"{line.id}  {line.label}"
