"""`fwsync collection`: the group, and what is in it."""

from __future__ import annotations

from typing import Any

import click

from fwsync.cli.lazy import LazyGroup
from fwsync.cli.options import Common, common, waiting
from fwsync.cli.selecting import given_of, selecting_containers
from fwsync.cli.tables import Tabling, tabling

COMMANDS = {
    "list": ("collections:list_", "List the collections that the key sees."),
    "show": ("collections:show", "List the acquisitions of a collection."),
    "build": ("collections:build", "Put the acquisitions of a selection into a collection."),
    "matrix": ("collections:matrix", "Build a collection for every combination of conditions."),
}


@click.group(cls=LazyGroup, lazy=COMMANDS)
def collection() -> None:
    """List, show and build collections."""


@click.command("list")
@tabling
@common
def list_(common: Common, tabling: Tabling) -> int:
    """List the collections that the key sees.

    \b
    Example:
      fwsync collection list
    """
    from fwsync.cli.start import run_reading
    from fwsync.cli.tables import prepare
    from fwsync.cli.tables import show as print_table
    from fwsync.operations.collected import list_collections

    prepare(common, tabling)
    print_table(common, tabling, run_reading(common, common.settings(), list_collections))
    return 0


@click.command()
@click.argument("label")
@tabling
@common
def show(common: Common, tabling: Tabling, label: str) -> int:
    """List the acquisitions of the collection LABEL (or <id:HEX>), with the labels above them.

    \b
    Examples:
      fwsync collection show T1w-20-30
      fwsync collection show T1w-20-30 --out members.csv
    """
    from fwsync.cli.start import run_reading
    from fwsync.cli.tables import prepare
    from fwsync.cli.tables import show as print_table
    from fwsync.operations.collected import show_collection

    prepare(common, tabling)
    print_table(common, tabling, run_reading(common, common.settings(), lambda fw: show_collection(fw, label)))
    return 0


@click.command()
@click.argument("label")
@click.argument("paths", nargs=-1)
@click.option("--description", metavar="TEXT", default="", help="Describe the collection.")
@click.option("--exact", is_flag=True, help="Remove acquisitions that are not in the selection.")
@click.option(
    "--max-remove",
    metavar="N|N%",
    default="",
    help="Remove nothing if more would go (default: more than 50 acquisitions and more than 10%).",
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go in and out; change nothing.")
@waiting
@selecting_containers
@common
def build(
    common: Common, label: str, paths: tuple[str, ...], description: str, exact: bool, max_remove: str, dry_run: bool,
    **flags: Any,
) -> int:  # fmt: skip
    """Put the acquisitions of a selection into the collection LABEL (or <id:HEX>), which is made if there is none.

    With wishes about files, that is every acquisition that holds such a file. A query is about acquisitions. PATHS are
    containers: all acquisitions at or below them. Nothing is removed without --exact; a second run changes nothing.

    \b
    Examples:
      fwsync collection build t1-20-30 --all-projects --where 'session.age>=20y,session.age<30y' \\
          --classification Intent=Structural --classification Measurement=T1
      fwsync collection build bold --query 'acquisition.label CONTAINS bold AND subject.sex = female'
      fwsync collection build pilot lab/study/sub-01 lab/study/sub-02/ses-1 --exact --dry-run
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.curating import Build
    from fwsync.operations.curating import build as operate
    from fwsync.operations.selected import Asked

    given = given_of(flags)
    settings = common.settings(**flags)
    asked = Asked.of(settings, given, paths)
    one = Build.of(label, asked, description=description, exact=exact, max_remove=max_remove)
    return run_summary(common, settings, lambda context: operate(context, [one], dry=dry_run))


@click.command()
@click.argument("file")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would go in and out; change nothing.")
@click.option("--allow-empty", is_flag=True, help="It is no error when all selections are empty.")
@waiting
@common
def matrix(common: Common, file: str, dry_run: bool, allow_empty: bool, **flags: Any) -> int:
    """Build a collection for every combination of the axes in FILE, by one selection with templates in it.

    A combination without any acquisition makes no collection. docs/guides/collections.md tells what FILE may hold.

    \b
    Example:
      fwsync collection matrix decades.toml --dry-run
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.matrix import build_matrix

    settings = common.settings(**flags)
    return run_summary(
        common, settings, lambda context: build_matrix(context, file, allow_empty=allow_empty, dry=dry_run)
    )
