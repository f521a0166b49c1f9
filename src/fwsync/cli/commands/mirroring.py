"""`fwsync mirror`."""

from __future__ import annotations

import click

from fwsync.cli.options import Common, common


@click.command()
@click.option("--gear", metavar="NAME", help="The gear whose outputs to fetch (setting: mirror.gear).")
@click.option("--project", metavar="GROUP/LABEL", help="Project to mirror (setting: site.project).")
@click.option("--to", metavar="DIR", help="Target folder (setting: mirror.to).")
@click.option("--member", "members", multiple=True, metavar="GLOB", help="Fetch matching members of zips; repeatable.")
@click.option("--include", multiple=True, metavar="GLOB", help="Only output files that match one of these.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="No output files that match one of these.")
@click.option(
    "--run",
    type=click.Choice(["latest-complete", "latest", "all", "failed"]),
    help="Which runs of the gear on each container (default: latest-complete).",
)
@click.option(
    "--platform",
    type=click.Choice(["auto", "universal", "linux", "windows", "macos"]),
    help="Whose rules for file names to follow (default: this machine's).",
)
@click.option("--allow-empty", is_flag=True, default=None, help="A pattern that matches nothing is no error.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be fetched; change nothing.")
@common
def mirror(common: Common, dry_run: bool, **flags: object) -> int:
    """Bring a gear's outputs into a local tree, and keep them in step. Nothing local is ever removed.

    For each session or subject, the outputs of the gear's latest complete run go to
    DIR/<project>/<subject>/[<session>/]<analysis label>_<file name>. With --member, what matches inside the output
    zips is fetched instead, without the whole archives. A second run transfers nothing.

    \b
    Patterns match from the right at a slash: * stops at a slash, ** does not, a leading slash anchors.
    Examples:
      fwsync mirror --gear bids-freesurfer --to results
      fwsync mirror --gear bids-freesurfer --member '*/stats/aseg.stats' --to results
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.mirroring import mirror as operate

    settings = common.settings(**{f"mirror__{name}": value for name, value in flags.items()})
    return run_summary(common, settings, lambda context: operate(context, dry=dry_run))
