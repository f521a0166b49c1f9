"""Opens what an operation needs, runs it on an event loop, prints its summary."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from typing import TYPE_CHECKING, TypeVar

import anyio
import click

from fwsync import logs
from fwsync.cli import garbage, loading  # noqa: F401 - before any import of the client
from fwsync.cli.options import Common
from fwsync.cli.progress import reporter_for
from fwsync.cli.summary import show
from fwsync.client.api import Flywheel
from fwsync.config import Settings
from fwsync.credentials import find_key
from fwsync.operations.context import Context
from fwsync.run import eventloop
from fwsync.run.journal import Journal
from fwsync.work import Summary

if TYPE_CHECKING:
    from fwsync.run.crew import Crew

T = TypeVar("T")
MOST_PROCESSES = 16


def run_summary(
    common: Common,
    settings: Settings,
    work: Callable[[Context], Awaitable[Summary]],
    *,
    offline: bool = False,
    fetches: bool = False,
) -> int:
    """Run an operation that changes something; prints the summary; the exit code. `offline`: it asks no site.
    `fetches`: it brings files, perhaps so many that they are worth more than one process."""

    garbage.loaded()
    held: list[Summary] = []
    crew = _crew(settings) if fetches else None

    async def main() -> int:
        return await _until_stopped(lambda: _operate(common, settings, work, held, offline=offline, crew=crew))

    try:
        code = eventloop.run(main)
    finally:
        if crew is not None:
            crew.close()
        # Also when an error ended the run: what was done by then is told before the error's own line.
        for summary in held:
            show(summary, quiet=common.quiet, as_json=common.json)
    if code:
        click.echo("fwsync: stopped; run the same command again to go on from here", err=True)
    return code or (held[0].exit_code if held else 0)


async def _operate(
    common: Common,
    settings: Settings,
    work: Callable[[Context], Awaitable[Summary]],
    held: list[Summary],
    *,
    offline: bool,
    crew: Crew | None,
) -> None:
    async with _opened(common, settings, offline=offline) as context:
        context.crew = crew
        try:
            held.append(await work(context))
        except BaseException:
            if context.ended is not None:
                held.append(context.ended)
            raise


@asynccontextmanager
async def _opened(common: Common, settings: Settings, *, offline: bool) -> AsyncIterator[Context]:
    """What an operation works with: site, journal and progress."""
    logs.set_up(form=settings.log.format, level=settings.log.level)
    async with AsyncExitStack() as stack:
        fw = Flywheel.nowhere()
        key = None if offline else find_key(settings, flag=common.api_key_file)
        reporter = stack.enter_context(closing(reporter_for(common)))
        if key is not None:
            fw = await stack.enter_async_context(Flywheel.from_key(key.text, settings.network, on_retry=reporter.retry))
        journal = await stack.enter_async_context(Journal(settings.state_folder))
        if key is not None:
            reporter.phase(f"signing in at {fw.site}")
            await fw.auth_status()
        yield Context(fw=fw, journal=journal, settings=settings, reporter=reporter)


def run_context(
    common: Common, settings: Settings, work: Callable[[Context], Awaitable[T]], offline: bool = False
) -> T:
    """Run something that changes nothing and needs the journal too. `offline`: it asks no site."""

    garbage.loaded()

    async def main() -> T:
        async with _opened(common, settings, offline=offline) as context:
            return await work(context)

    return eventloop.run(main)


def run_reading(common: Common, settings: Settings, work: Callable[[Flywheel], Awaitable[T]]) -> T:
    """Run something that only reads the site."""

    garbage.loaded()

    async def main() -> T:
        logs.set_up(form=settings.log.format, level=settings.log.level)
        key = find_key(settings, flag=common.api_key_file)
        async with Flywheel.from_key(key.text, settings.network) as fw:
            await fw.auth_status()
            return await work(fw)

    return eventloop.run(main)


async def _until_stopped(work: Callable[[], Awaitable[None]]) -> int:
    """Run `work`; SIGINT or SIGTERM cancels it once, gracefully, and a second one at once. 0, 130 or 143."""
    caught = 0
    async with anyio.create_task_group() as group:

        async def watch(task_status: anyio.abc.TaskStatus[None]) -> None:
            nonlocal caught
            with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
                task_status.started()
                async for number in signals:
                    if caught:
                        # The second one: the journal is consistent at every moment, so nothing is lost.
                        signal.signal(number, signal.SIG_DFL)
                        signal.raise_signal(number)
                    caught = 128 + int(number)
                    group.cancel_scope.cancel()

        async def watcher(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            with anyio.CancelScope(shield=True) as scope:
                done.append(scope)
                await watch(task_status)

        done: list[anyio.CancelScope] = []
        await group.start(watcher)
        try:
            await work()
        finally:
            done[0].cancel()
    return caught


def _crew(settings: Settings) -> Crew:
    from fwsync.run.crew import Crew

    return Crew.fork(_processes(settings) - 1)


def _processes(settings: Settings) -> int:
    """`[network] processes`; by itself no more than two: what the second one brings was measured, and so was its
    memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(settings.network.processes or min(cores, 2), MOST_PROCESSES)
