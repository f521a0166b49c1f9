"""`fwsync mirror`."""

from __future__ import annotations

from typing import Any

import click

from fwsync.cli.options import Common, common, in_section, moving
from fwsync.cli.selecting import limiting, selecting
from fwsync.errors import UsageError
from fwsync.selection import parse_interval


@click.command()
@click.option("--to", metavar="DIR", help="Target folder (setting: mirror.to).")
@click.option(
    "--layout",
    metavar="TEMPLATE",
    help="Where files go: default, gear, flat, bids, or a template such as '{subject}/{session}/{file.name}'.",
)
@click.option(
    "--on-collision",
    type=click.Choice(["suffix", "error"]),
    help="Several files for one path: tell them apart (default), or refuse.",
)
@click.option("--sidecar", type=click.Choice(["none", "json"]), help="Write metadata beside each file: NAME.json.")
@click.option("--link", is_flag=True, default=None, help="Make equal files hard links to one.")
@click.option("--chmod", metavar="MODE", help="Permission bits of the files, e.g. 640 (default: as the umask says).")
@click.option(
    "--local-changes",
    type=click.Choice(["keep", "overwrite", "error"]),
    help="Files changed locally: keep them (default), fetch them anew (theirs go to the trash), or refuse.",
)
@click.option(
    "--delete",
    type=click.Choice(["no", "trash", "permanent"]),
    is_flag=False,
    flag_value="trash",
    help="Remove what this selection fetched and finds no more: to .fwsync/trash, or --delete permanent.",
)
@click.option(
    "--max-delete",
    metavar="N|N%",
    help="Remove nothing if more would go (default: more than 50 files and more than 10%).",
)
@click.option(
    "--trash-days",
    type=click.IntRange(0),
    metavar="N",
    help="After a complete run, empty .fwsync/trash of what went there more than N days ago (default: 0, never).",
)
@click.option("--new-tree", is_flag=True, help="Begin anew in a folder that is not the tree that was there.")
@click.option("--keep-times", is_flag=True, default=None, help="Restore times that `upload --keep-times` stored.")
@click.option("--zip-members", type=click.IntRange(1), metavar="N", help="Refuse zips with more members.")
@click.option("--zip-bytes", metavar="SIZE", help="Refuse zips that unpack to more.")
@click.option("--zip-ratio", type=click.IntRange(1), metavar="N", help="Refuse members that unpack to so many times.")
@click.option(
    "--platform",
    type=click.Choice(["auto", "universal", "linux", "windows", "macos"]),
    help="Whose rules for file names to follow (default: this machine's).",
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be fetched; change nothing.")
@limiting
@click.option(
    "--watch",
    metavar="INTERVAL",
    help="Do it again every 30s, 5m, 2h or 1d, from start to start, until stopped.",
)
@moving
@selecting
@common
def mirror(common: Common, dry_run: bool, new_tree: bool, watch: str | None, **flags: Any) -> int:
    """Bring a selection of files into a local tree, and keep them in step.

    Without any wish that is every file on the project and its subjects, sessions and acquisitions. With --gear it is
    the outputs of that gear's latest complete run on each container. With --member, what matches inside zips is
    fetched without the whole archives. A second run transfers nothing; what was renamed or moved on the site is moved
    here. Files that fwsync did not write, or that were changed since, are never touched unless you say so.

    \b
    Patterns match from the right at a slash: * stops at a slash, ** does not, a leading slash anchors.
    Examples:
      fwsync mirror --project lab/study --to data
      fwsync mirror --type nifti --where 'session.age>=20y,subject.sex=female' --to data
      fwsync mirror --select t1 --to data --delete --dry-run
      fwsync mirror --gear bids-freesurfer --member '*/stats/aseg.stats' --to results
      fwsync mirror --project lab/study --to data --watch 15m --bwlimit '08:00,2M 18:00,off'
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.mirroring import mirror as operate

    settings = common.settings(**in_section("mirror", flags))
    if watch is not None:
        from fwsync.cli.watching import run_watch

        if dry_run or new_tree:
            raise UsageError("--watch: brings files again and again; --dry-run and --new-tree are for a single run")
        return run_watch(common, settings, parse_interval(watch, "--watch"))
    return run_summary(
        common, settings, lambda context: operate(context, dry=dry_run, new_tree=new_tree), fetches=not dry_run
    )
