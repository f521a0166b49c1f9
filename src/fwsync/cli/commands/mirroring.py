"""`fwsync mirror`."""

from __future__ import annotations

import click

from fwsync.cli.options import Common, common
from fwsync.cli.selecting import selecting


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
@selecting
@common
def mirror(common: Common, dry_run: bool, **flags: object) -> int:
    """Bring a selection of files into a local tree, and keep them in step. Nothing local is ever removed.

    Without any wish that is every file on the project and its subjects, sessions and acquisitions. With --gear it is
    the outputs of that gear's latest complete run on each container. With --member, what matches inside zips is
    fetched without the whole archives. A second run transfers nothing.

    \b
    Patterns match from the right at a slash: * stops at a slash, ** does not, a leading slash anchors.
    Examples:
      fwsync mirror --project lab/study --to data
      fwsync mirror --type nifti --where 'session.age>=20y,subject.sex=female' --to data
      fwsync mirror --gear bids-freesurfer --member '*/stats/aseg.stats' --to results
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.mirroring import mirror as operate

    settings = common.settings(**{f"mirror__{name}": value for name, value in flags.items()})
    return run_summary(common, settings, lambda context: operate(context, dry=dry_run))
