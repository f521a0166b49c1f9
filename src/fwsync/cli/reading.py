"""Runs what reads the site and may then change it: a report is printed, and with a flag more is done with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from fwsync.cli.options import Common
from fwsync.cli.progress import reporter_for
from fwsync.cli.start import run_reading, run_summary
from fwsync.config import Settings

if TYPE_CHECKING:
    from fwsync.client.api import Flywheel
    from fwsync.events import Reporter
    from fwsync.operations.context import Context
    from fwsync.work import Summary

T = TypeVar("T")


def run_report(
    common: Common,
    settings: Settings,
    read: Callable[[Flywheel, Reporter], Awaitable[T]],
    show: Callable[[T], None],
    then: Callable[[Context, T], Awaitable[Summary]] | None = None,
) -> tuple[T, int]:
    """What was read, after it was shown, and the exit code: that of `then`, the work that follows, where there is
    any."""
    if then is None:
        reporter = reporter_for(common)
        try:
            found = run_reading(common, settings, lambda fw: read(fw, reporter))
        finally:
            reporter.close()
        show(found)
        return found, 0
    if common.progress == "auto":
        common = msgspec.structs.replace(common, progress="lines")  # a bar and a table don't go together
    held: list[T] = []

    async def work(context: Context) -> Summary:
        held.append(await read(context.fw, context.reporter))
        show(held[0])
        return await then(context, held[0])

    code = run_summary(common, settings, work)
    if not held:
        raise click.exceptions.Exit(code)  # it was stopped while it read
    return held[0], code
