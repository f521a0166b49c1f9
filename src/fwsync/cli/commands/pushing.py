"""`fwsync push`."""

from __future__ import annotations

import click

from fwsync.cli.options import Common, common, in_section, moving


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--include", multiple=True, metavar="GLOB", help="Take just files with such paths; repeatable.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave such files and folders out; repeatable.")
@click.option("--subject", multiple=True, metavar="GLOB", help="Only what lies in such subject folders; repeatable.")
@click.option("--session", multiple=True, metavar="GLOB", help="Only what lies in such session folders; repeatable.")
@click.option(
    "--acquisition", multiple=True, metavar="GLOB", help="Only what lies in such acquisition folders; repeatable."
)
@click.option(
    "--only",
    type=click.Choice(["all", "changed", "new"]),
    help="Send only changed files of the mirror, or only new ones (default: all).",
)
@click.option("--hidden", is_flag=True, default=None, help="Take new hidden files and folders too.")
@click.option(
    "--on-conflict",
    type=click.Choice(["error", "skip", "update"]),
    help="What to do with files that changed on the site too (default: error; update: a new version on top).",
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be sent; change nothing.")
@moving
@common
def push(common: Common, folder: str, dry_run: bool, **flags: object) -> int:
    """Send local changes of a mirrored tree back to where they came from. Nothing remote is ever removed.

    A changed file becomes a new version of the same file, with its type, classification, tags and info; a new file goes
    to the container whose files lie in its folder, also where that is an analysis. What changed on the site since the
    mirror is left alone, unless --on-conflict says otherwise. Afterwards fwsync mirror finds nothing to do.

    \b
    Examples:
      fwsync push data --dry-run
      fwsync push data --subject 'sub-0*' --exclude '*.tmp'
      fwsync push data --acquisition 'T1w*' --only changed
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.pushing import push as operate

    settings = common.settings(**in_section("push", flags))
    return run_summary(common, settings, lambda context: operate(context, folder, dry=dry_run))
