"""`fwsync upload` and `fwsync download`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fwsync.cli.options import Common, common, in_section, moving
from fwsync.cli.selecting import limiting, selecting
from fwsync.errors import UsageError


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES... | DIR")
@click.option(
    "--to", required=True, metavar="PATH", help="The container, group/project[/subject[/...]]; for DIR the project."
)
@click.option("--layout", metavar="TEMPLATE", help="DIR: what its paths say (default: subject/session/acquisition).")
@click.option("--include", multiple=True, metavar="GLOB", help="DIR: take just these files; repeatable.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="DIR: leave these files and folders out; repeatable.")
@click.option("--hidden", is_flag=True, default=None, help="DIR: take hidden files and folders too.")
@click.option(
    "--sidecar",
    type=click.Choice(["json", "none"]),
    help="DIR: NAME.json beside NAME tells of it (json, the default), or is a file like any other (none).",
)
@click.option("--keep-times", is_flag=True, default=None, help="DIR: keep modification times in the files' info.")
@click.option(
    "--on-conflict",
    type=click.Choice(["skip", "update", "error"]),
    help="DIR: what to do with files that exist with other bytes (default: update, a new version).",
)
@click.option(
    "--max-transfer", metavar="SIZE", help="Stop before the file that would exceed so much in one run, e.g. 100G."
)
@click.option(
    "--checksum", is_flag=True, default=None, help="DIR, with --dry-run: read files that may be unchanged, to tell."
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be sent; change nothing.")
@moving
@common
def upload(common: Common, files: tuple[str, ...], to: str, dry_run: bool, **flags: Any) -> int:
    """Attach local files to a container, or put a folder onto a project: its subfolders become subjects, sessions and
    acquisitions, created where they are missing. A file that is there with the same bytes is left alone.

    \b
    Examples:
      fwsync upload report.csv --to lab/study
      fwsync upload scan.nii.gz --to 'lab/study/sub-01/ses-1/<id:5dc091c169d4f3002d16f32f>'
      fwsync upload scans --to lab/study --dry-run
      fwsync upload bids --to lab/study --layout 'sub-{subject}/ses-{session}/{acquisition}/{file.name}'
    """
    from fwsync.cli.start import run_summary

    settings = common.settings(**in_section("upload", flags))
    folders = [name for name in files if Path(name).expanduser().is_dir()]
    if folders and len(files) > 1:
        raise UsageError(f"{folders[0]}: is a folder; upload it by a command of its own")
    if folders:
        from fwsync.operations.uploading import upload_folder

        return run_summary(common, settings, lambda context: upload_folder(context, files[0], to, dry=dry_run))
    own = [name for name in flags if "__" not in name and name != "max_transfer"]
    if given := [name for name in own if flags[name] not in (None, ())]:
        raise UsageError(f"--{given[0].replace('_', '-')}: is for uploading a folder, and {files[0]} is none")
    from fwsync.operations.attaching import upload as operate

    return run_summary(common, settings, lambda context: operate(context, files, to, dry=dry_run))


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--to", required=True, metavar="DIR", help="Target folder.")
@click.option(
    "--layout",
    metavar="TEMPLATE",
    help="Where files of a selection go: default, gear, flat, bids, or a template such as '{subject}/{file.name}'.",
)
@click.option(
    "--on-collision",
    type=click.Choice(["suffix", "error"]),
    help="Several files of a selection for one path: tell them apart (default), or refuse.",
)
@click.option("--sidecar", type=click.Choice(["none", "json"]), help="Write metadata beside each file: NAME.json.")
@click.option("-n", "--dry-run", is_flag=True, help="Show what would be fetched; change nothing.")
@click.option("--new-tree", is_flag=True, help="Begin anew in a folder that is not the tree that was there.")
@selecting
@limiting
@moving
@common
def download(common: Common, paths: tuple[str, ...], to: str, dry_run: bool, new_tree: bool, **flags: Any) -> int:
    """Bring files into a folder, once: single files, all files right on containers, or a selection as in fwsync mirror.

    PATHS alone are files, and containers whose own files come into a folder of their name. With any flag that selects,
    the files at or below PATHS that it leaves in come, laid out by project, subject, session and acquisition.

    \b
    Examples:
      fwsync download lab/study/sub-01/ses-1/T1w/T1w.nii.gz --to here
      fwsync download lab/study/sub-01/ses-1/T1w --to here
      fwsync download lab/study/sub-01 --type nifti --to here
      fwsync download --project lab/study --session 'ses-*' --include '*.json' --layout flat --to here
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.downloading import FORMS, download_selection, with_wishes
    from fwsync.operations.selections import WISHES
    from fwsync.operations.transfers import download as operate

    given = {name: value for name, value in flags.items() if value not in (None, ())}
    settings = common.settings(**in_section("mirror", given))
    if any(name in WISHES for name in given):
        wishes = {name: value for name, value in given.items() if "__" not in name}
        settings = with_wishes(settings, wishes)
        return run_summary(
            common,
            settings,
            lambda context: download_selection(context, paths, to, dry=dry_run, new_tree=new_tree),
            fetches=not dry_run,
        )
    if wish := next((name for name in given if name in FORMS), ""):
        raise UsageError(f"--{wish.replace('_', '-')}: is for a selection; add what selects, as --type nifti")
    if not paths:
        raise UsageError("name paths, or say what to select: --project lab/study --type nifti")
    return run_summary(
        common,
        settings,
        lambda context: operate(context, paths, to, dry=dry_run, new_tree=new_tree),
        fetches=not dry_run,
    )
