"""`fwsync gear list`, `fwsync gear show` and `fwsync gear jobs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fwsync.cli.options import Common, common
from fwsync.cli.tables import Tabling, tabling

if TYPE_CHECKING:
    from fwsync.config import Settings
    from fwsync.operations.changingjobs import What
    from fwsync.operations.jobs import JobsAsked


@click.command("list")
@click.argument("glob", default="", metavar="[GLOB]")
@click.option("--all-versions", is_flag=True, help="Every version, disabled ones too.")
@tabling
@common
def list_(common: Common, tabling: Tabling, glob: str, all_versions: bool) -> int:
    """List the gears of the site: the newest version of each, or of those whose names match GLOB.

    \b
    Examples:
      fwsync gear list
      fwsync gear list 'bids-*' --all-versions
    """
    from fwsync.cli.start import run_reading
    from fwsync.cli.tables import prepare, show
    from fwsync.operations.gears import list_gears

    prepare(common, tabling)
    settings = common.settings()
    show(common, tabling, run_reading(common, settings, lambda fw: list_gears(fw, glob, all_versions=all_versions)))
    return 0


@click.command()
@click.argument("name", metavar="NAME[/VERSION]")
@tabling
@common
def show(common: Common, tabling: Tabling, name: str) -> int:
    """Show the inputs and the configuration of a gear: types, defaults, and what is needed.

    \b
    Example:
      fwsync gear show freesurfer-recon-all
    """
    from fwsync.cli.start import run_reading
    from fwsync.cli.tables import prepare
    from fwsync.cli.tables import show as print_table
    from fwsync.operations.gears import show_gear

    prepare(common, tabling)
    print_table(common, tabling, run_reading(common, common.settings(), lambda fw: show_gear(fw, name)))
    return 0


@click.command()
@click.argument("paths", nargs=-1)
@click.option("--project", metavar="GROUP/LABEL", help="The project, without PATHS (setting: site.project).")
@click.option("--gear", default="", metavar="NAME[/VERSION]", help="Only jobs of this gear.")
@click.option(
    "--state",
    multiple=True,
    type=click.Choice(["pending", "scheduled", "running", "failed", "complete", "cancelled"]),
    help="Show only jobs in this state; repeatable.",
)
@click.option("--wait", is_flag=True, help="Wait until none is pending, scheduled or running; exit 3 if any failed.")
@click.option("--timeout", metavar="TIME", help="With --wait: stop waiting after so long (30m, 8h); then exit 3.")
@click.option("--cancel", is_flag=True, help="Cancel those that have not ended, after a question (--yes).")
@click.option("--retry-failed", is_flag=True, help="Try those again that failed and that nobody tried again.")
@click.option("--yes", is_flag=True, help="With --cancel: without asking.")
@click.option("-n", "--dry-run", is_flag=True, help="With --cancel or --retry-failed: show which; change nothing.")
@tabling
@common
def jobs(
    common: Common,
    tabling: Tabling,
    paths: tuple[str, ...],
    project: str | None,
    gear: str,
    state: tuple[str, ...],
    wait: bool,
    timeout: str | None,
    cancel: bool,
    retry_failed: bool,
    yes: bool,
    dry_run: bool,
) -> int:
    """List the jobs at or below PATHS, in the project, or all that the key sees; or cancel them, or try them again.

    With --wait the table comes once they have ended. A failed job that was tried again does not count as failed.

    \b
    Examples:
      fwsync gear jobs lab/study --state failed
      fwsync gear jobs lab/study --gear freesurfer-recon-all --wait --timeout 12h
      fwsync gear jobs lab/study --retry-failed --dry-run
    """
    from fwsync.cli.start import run_reading
    from fwsync.cli.tables import prepare
    from fwsync.cli.tables import show as print_table
    from fwsync.errors import UsageError
    from fwsync.operations.jobs import JobsAsked, find_jobs
    from fwsync.selection import parse_interval

    if timeout is not None and not wait:
        raise UsageError("--timeout: is for --wait")
    if wait and (cancel or retry_failed):
        raise UsageError("--wait: is for a command of its own, after this one")
    if (yes or dry_run) and not (cancel or retry_failed):
        raise UsageError(f"{'--yes' if yes else '--dry-run'}: is for --cancel and --retry-failed")
    seconds = parse_interval(timeout, "--timeout") if timeout is not None else None
    settings = common.settings(site__project=project)
    asked = JobsAsked(paths=paths, project=settings.site.project, gear=gear, states=state)
    if cancel or retry_failed:
        return _change(common, settings, asked, tabling, cancel=cancel, retry=retry_failed, yes=yes, dry_run=dry_run)
    prepare(common, tabling)

    def tell(line: str) -> None:
        if not common.quiet:
            click.echo(f"fwsync: {line}", err=True)

    found = run_reading(common, settings, lambda fw: find_jobs(fw, asked, wait=wait, timeout=seconds, tell=tell))
    print_table(common, tabling, found.table)
    if found.timed_out:
        click.echo(f"fwsync: some jobs have not ended within {timeout}; wait again, or give them longer", err=True)
    elif wait and found.failed:
        click.echo(f"fwsync: {found.failed:,} jobs failed; fwsync gear jobs --state failed lists them", err=True)
    return 3 if wait and (found.failed or found.timed_out) else 0


def _change(
    common: Common, settings: Settings, asked: JobsAsked, tabling: Tabling, *, cancel: bool, retry: bool, yes: bool,
    dry_run: bool,
) -> int:  # fmt: skip
    import sys

    from fwsync.cli.start import run_summary
    from fwsync.errors import UsageError
    from fwsync.operations.changingjobs import change_jobs

    if cancel and retry:
        raise UsageError("--cancel and --retry-failed: choose one of them")
    if tabling != Tabling():
        raise UsageError("--format, --out and --force: are for the list of jobs, and this changes jobs")

    def confirm(count: int) -> bool:
        if yes or retry:
            return True
        if not sys.stdin.isatty():
            raise UsageError(f"--cancel: would cancel {count:,} jobs: look at them with --dry-run, then say --yes")
        return click.confirm(f"Cancel these {count:,} jobs?", err=True)

    what: What = "cancel" if cancel else "retry"
    return run_summary(
        common, settings, lambda context: change_jobs(context, asked, what, confirm=confirm, dry=dry_run)
    )
