"""`fwsync runs` and `fwsync retry`."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fwsync.cli.options import Common, common, waiting

if TYPE_CHECKING:
    from fwsync.run.journal import Journal, RunRecord
    from fwsync.work import Outcome


T = TypeVar("T")


@click.command()
@click.argument("run")
@waiting
@common
def retry(common: Common, run: str, **flags: Any) -> int:
    """Try again what RUN did not get done: what failed, was stopped, or skipped below a failure.

    The command of that run is planned anew, so what was done meanwhile is not done twice.
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.retrying import retry as operate

    return run_summary(common, common.settings(**flags), lambda context: operate(context, run), fetches=True)


@click.group(invoke_without_command=True)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many to list.")
@common
def runs(common: Common, limit: int) -> int:
    """List past runs, newest first; `fwsync runs show RUN` tells what became of each item."""
    if click.get_current_context().invoked_subcommand is None:
        _list(common, limit)
    return 0


@runs.command("show")
@click.argument("run")
@click.option("--all", "everything", is_flag=True, help="Unchanged items too.")
@common
def show_run(common: Common, run: str, everything: bool) -> int:
    """Show what became of each item of RUN: state, line of the table, container or file, request, id, time, error."""
    import msgspec

    from fwsync.cli.progress import printable
    from fwsync.errors import UsageError

    record, outcomes = _read(common, run)
    if record is None:
        raise UsageError(f"run {run}: not in the journal; fwsync runs lists them")
    if not common.json:
        where = f" on {record.site}" if record.site else ""
        click.echo(f"{record.id}  {record.command}{where}  {record.verdict or 'did not end'}")
    for outcome in outcomes:
        if common.json:
            click.echo(msgspec.json.encode(outcome))
        elif everything or outcome.state != "unchanged":
            click.echo(printable(_line(outcome)))
    return 0


def _line(outcome: Outcome) -> str:
    """What became of an item: state, line of the input, target, then what was asked, its id, its time, its error."""
    row = f"{outcome.line:>6}  " if outcome.line else " " * 8
    told = [outcome.request, outcome.ref or "", f"{1000 * outcome.seconds:,.0f} ms" if outcome.seconds else ""]
    return "  ".join([f"{outcome.state:<9} {row}{outcome.target}", *filter(None, told), outcome.reason]).rstrip()


def _list(common: Common, limit: int) -> None:
    import msgspec

    for record in _journal(common, lambda journal: journal.runs(limit)):
        if common.json:
            click.echo(msgspec.json.encode(record))
        else:
            started = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.started))
            click.echo(f"{record.id}  {started}  {record.command:<8}  {record.verdict or 'did not end'}")


def _read(common: Common, run: str) -> tuple[RunRecord | None, list[Outcome]]:
    return (
        _journal(common, lambda journal: journal.run(run)),
        _journal(common, lambda journal: journal.outcomes(run)),
    )


def _journal(common: Common, work: Callable[[Journal], Awaitable[T]]) -> T:
    import anyio

    from fwsync.run.journal import Journal

    settings = common.settings()

    async def main() -> T:
        async with Journal(settings.state_folder) as journal:
            return await work(journal)

    return anyio.run(main)
