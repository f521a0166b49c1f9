"""`fwsync upload` and `fwsync download`."""

from __future__ import annotations

import click

from fwsync.cli.options import Common, common


@click.command()
@click.argument("files", nargs=-1, required=True)
@click.option(
    "--to", required=True, metavar="PATH", help="The container: group/project[/subject[/session[/acquisition]]]."
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be sent; change nothing.")
@common
def upload(common: Common, files: tuple[str, ...], to: str, dry_run: bool) -> int:
    """Attach local files to a container. A file that is there with the same bytes is left alone.

    \b
    Examples:
      fwsync upload report.csv --to lab/study
      fwsync upload scan.nii.gz --to 'lab/study/sub-01/ses-1/<id:5dc091c169d4f3002d16f32f>'
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.transfers import upload as operate

    return run_summary(common, common.settings(), lambda context: operate(context, files, to, dry=dry_run))


@click.command()
@click.argument("paths", nargs=-1, required=True)
@click.option("--to", required=True, metavar="DIR", help="Target folder.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be fetched; change nothing.")
@common
def download(common: Common, paths: tuple[str, ...], to: str, dry_run: bool) -> int:
    """Bring files into a folder: single files, or all files right on containers. Verified, resumed, never half a file.

    \b
    Examples:
      fwsync download lab/study/sub-01/ses-1/T1w/T1w.nii.gz --to here
      fwsync download lab/study/sub-01/ses-1/T1w --to here
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.transfers import download as operate

    return run_summary(common, common.settings(), lambda context: operate(context, paths, to, dry=dry_run))
