"""`--watch`: one line for each round, on and on until a signal comes."""

from __future__ import annotations

import time

import click
import msgspec

from fwsync.cli.options import Common
from fwsync.cli.progress import duration, printable, reporter_for
from fwsync.cli.start import run_summary
from fwsync.cli.summary import as_document
from fwsync.config import Settings
from fwsync.events import Reporter
from fwsync.operations.context import Context
from fwsync.operations.mirroring import mirror
from fwsync.operations.watching import Round, watch
from fwsync.progress import ClosableReporter
from fwsync.work import Summary, human


class Rounds:
    """Prints a line, or a JSON object, after each round, and gives each a progress display of its own."""

    def __init__(self, common: Common) -> None:
        # Lines of every phase of every round would bury the one line that counts: they come when asked for.
        quiet = common.progress == "auto" and not common.verbose
        self._common = msgspec.structs.replace(common, progress="none") if quiet else common
        self._reporter: ClosableReporter | None = None

    def begins(self) -> Reporter:
        """A fresh display."""
        self._reporter = reporter_for(self._common)
        return self._reporter

    def ended(self, one: Round) -> None:
        """The round's line."""
        self.close()
        if self._common.json:
            click.echo(msgspec.json.encode(_document(one)))
        else:
            click.echo(printable(line_of(one, time.strftime("%Y-%m-%d %H:%M:%S"))))

    def close(self) -> None:
        """No display any more."""
        if self._reporter is not None:
            self._reporter.close()
            self._reporter = None


def line_of(one: Round, now: str) -> str:
    """`2026-11-24 22:10:00  round 3: complete, 2 done, 94 unchanged, 1.2 MB, 0.31 s; next in 5 min 0 s`."""
    parts = [one.error.line] if one.error is not None else []
    if (summary := one.summary) is not None:
        parts += [summary.verdict.replace("complete: nothing to do", "complete")] if one.error is None else []
        parts += [f"{count:,} {state}" for state, count in summary.states.items() if count]
        parts += [human(summary.bytes)] if summary.bytes else []
        parts.append(duration(summary.seconds))
    soon = f"next in {duration(one.next_in)}" if one.next_in else "next at once"
    return f"{now}  round {one.number}: {', '.join(parts)}; {soon}"


def _document(one: Round) -> dict[str, object]:
    summary = as_document(one.summary) if one.summary is not None else {"event": "summary", "ok": False}
    error = one.error.line if one.error is not None else None
    return {**summary, "round": one.number, "error": error, "next_in": round(one.next_in, 3)}


def run_watch(common: Common, settings: Settings, every: float) -> int:
    """Mirror on and on; the exit code is that of the signal, or of the error that ended it."""
    rounds = Rounds(common)

    async def work(context: Context) -> Summary:
        try:
            await watch(context, every, mirror, rounds)
        finally:
            rounds.close()
        raise AssertionError("a watch ends by an error or a signal")

    return run_summary(common, settings, work, fetches=True)
