"""`fwsync gear run`."""

from __future__ import annotations

from typing import Any

import click

from fwsync.cli.options import Common, common, waiting
from fwsync.cli.selecting import given_of, selecting_without


@click.command()
@click.argument("gear", metavar="NAME[/VERSION]")
@click.argument("paths", nargs=-1)
@click.option(
    "--on",
    type=click.Choice(["project", "subject", "session", "acquisition"]),
    default="session",
    show_default=True,
    help="The level to run on: one run for each such container.",
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAMES=GLOB",
    help="The files for an input, or for several in their order: 'anatomical,t1w_2..5=*T1w*.nii.gz'; ,KEY=VALUE after"
    " GLOB asks for a type, modality or classification; repeatable.",
)
@click.option(
    "--pick",
    type=click.Choice(["newest", "oldest", "first"]),
    help="Which file, where several fit one input (default: such a container is refused).",
)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A value of the configuration; repeatable.")
@click.option("--label", default="", metavar="TEMPLATE", help="Label of the analyses, e.g. 'recon {subject} {date}'.")
@click.option("--job-tag", "tags", multiple=True, metavar="TAG", help="A tag for the jobs; repeatable.")
@click.option(
    "--priority", type=click.Choice(["low", "medium", "high", "critical"]), default="medium", show_default=True
)
@click.option(
    "--rerun",
    type=click.Choice(["never", "failed", "always"]),
    default="never",
    show_default=True,
    help="Run again where this gear version ran on the same files: never, where it failed or was cancelled, always.",
)
@click.option("-n", "--dry-run", is_flag=True, help="Show what would run; change nothing.")
@selecting_without("gear", "run")
@waiting
@common
def run(
    common: Common,
    gear: str,
    paths: tuple[str, ...],
    on: Any,
    inputs: tuple[str, ...],
    pick: Any,
    settings: tuple[str, ...],
    label: str,
    tags: tuple[str, ...],
    priority: Any,
    rerun: Any,
    dry_run: bool,
    **flags: Any,
) -> int:
    """Run a gear on each container of a selection, with the files on or below it as inputs.

    A container on which this version ran on the same files is left alone; one without a needed file is skipped.

    \b
    Examples:
      fwsync gear show freesurfer-recon-all
      fwsync gear run freesurfer-recon-all lab/study --on subject
          --input 'anatomical,t1w_anatomical_2..5=*.nii.gz,Measurement=T1'
          --input 't2w_anatomical=*.nii.gz,Measurement=T2' --dry-run
      fwsync gear run mriqc lab/study --on acquisition --input 'nifti=*.nii.gz' --rerun failed
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.launching import GearWishes, run_gear
    from fwsync.operations.selected import Asked

    given = given_of(flags)
    held = common.settings(**flags)
    asked = Asked.of(held, given, paths)
    wishes = GearWishes(
        gear=gear, on=on, inputs=inputs, config=_config(settings), pick=pick or "", rerun=rerun, label=label, tags=tags,
        priority=priority,
    )  # fmt: skip
    return run_summary(common, held, lambda context: run_gear(context, wishes, asked, dry=dry_run))


def _config(settings: tuple[str, ...]) -> dict[str, Any]:
    """`--set` by key. UsageError for what has no key, or the same one twice."""
    from fwsync.errors import UsageError

    out: dict[str, Any] = {}
    for text in settings:
        key, mark, value = text.partition("=")
        if not mark or not key:
            raise UsageError(f"--set {text!r}: write KEY=VALUE; fwsync gear show NAME lists the keys")
        if key in out:
            raise UsageError(f"--set {key}: is given twice")
        out[key] = value
    return out
