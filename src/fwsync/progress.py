"""Progress: a bar on a terminal, a display in a notebook, plain lines on standard error elsewhere, or nothing."""

from __future__ import annotations

import html
import importlib
import sys
import time
from typing import Any

import click

from fwsync.events import SilentReporter
from fwsync.work import Outcome, human

EVERY = 10.0
"""Seconds between plain progress lines."""


class ClosableReporter(SilentReporter):
    """A reporter that is closed at the end. Items of a dry run are printed even when progress is not."""

    def __init__(self, *, lines: bool = True) -> None:
        self._lines = lines

    def line(self, text: str) -> None:
        if self._lines:
            click.echo(printable(text))

    def close(self) -> None:
        """No more calls come."""


def printable(text: str) -> str:
    """Text from the site without what a terminal would act on."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


class LineReporter(ClosableReporter):
    """A line at each phase, and one every few seconds while items are settled."""

    every = EVERY

    def __init__(self, *, lines: bool = True) -> None:
        super().__init__(lines=lines)
        self._began = self._last = time.monotonic()
        self._items: int | None = None
        self._done = self._bytes = self._retries = self._failed = 0

    def phase(self, text: str) -> None:
        self._say(text)

    def planned(self, items: int | None, size: int | None) -> None:
        self._items = items
        if items:
            self._say(f"{items:,} items" + (f", {human(size)}" if size else ""))

    def outcome(self, outcome: Outcome) -> None:
        self._done += 1
        self._bytes += outcome.bytes
        self._failed += outcome.state in ("failed", "rejected")
        if time.monotonic() - self._last >= self.every:
            self._say(self._now())

    def retry(self, reason: str, attempt: int, wait: float) -> None:
        self._retries += 1

    def _now(self) -> str:
        rate = self._done / max(time.monotonic() - self._began, 0.001)
        to_come = (self._items or 0) - self._done
        left = f", {duration(to_come / rate)} left" if to_come > 0 and rate else ""
        total = f" of {self._items:,}" if self._items else ""
        failed = f", {self._failed:,} failed" if self._failed else ""
        retries = f", {self._retries:,} retries" if self._retries else ""
        return f"{self._done:,}{total} items, {human(self._bytes)}, {rate:,.0f}/s{failed}{retries}{left}"

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        click.echo(f"fwsync: {printable(text)}", err=True)


class NotebookReporter(LineReporter):
    """One display below the cell that changes a few times a second: a bar where a browser shows it, else its text. What
    is left of it in the end, and in the saved notebook, is the last count. It needs nothing but IPython."""

    every = 0.25

    def __init__(self, *, lines: bool = True) -> None:
        super().__init__(lines=lines)
        self._handle: Any = None

    def close(self) -> None:
        if self._done or self._items is not None:
            self._say(self._now() if self._done or self._items else "nothing to do")

    def _say(self, text: str) -> None:
        self._last = time.monotonic()
        told = f"fwsync: {printable(text)}"
        of = f' value="{min(self._done, self._items)}" max="{self._items}"' if self._items else ""
        bar = f"<progress{of}></progress> " if self._items else ""
        data = {"text/plain": told, "text/html": f"<div>{bar}{html.escape(told)}</div>"}
        if self._handle is None:
            display = importlib.import_module("IPython.display").display
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


class BarReporter(ClosableReporter):
    """One bar over all items, redrawn at most ten times a second."""

    def __init__(self, *, lines: bool = True) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        super().__init__(lines=lines)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[more]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            refresh_per_second=10,
            transient=True,
        )
        self._task: Any = self._progress.add_task("starting", total=None, more="")
        self._began = time.monotonic()
        self._done = self._bytes = self._retries = 0
        self._drawn = 0.0
        self._progress.start()

    def phase(self, text: str) -> None:
        self._progress.update(self._task, description=printable(text))

    def planned(self, items: int | None, size: int | None) -> None:
        self._progress.update(self._task, total=items)

    def outcome(self, outcome: Outcome) -> None:
        self._done += 1
        self._bytes += outcome.bytes
        if time.monotonic() - self._drawn >= 0.1:
            self._draw()

    def retry(self, reason: str, attempt: int, wait: float) -> None:
        self._retries += 1

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        seconds = max(self._drawn - self._began, 0.001)
        more = (
            f"{human(self._bytes)} {human(self._bytes / seconds)}/s"
            if self._bytes
            else f"{self._done / seconds:,.0f}/s"
        )
        retries = f", {self._retries:,} retries" if self._retries else ""
        self._progress.update(self._task, completed=self._done, more=more + retries)

    def close(self) -> None:
        self._draw()
        self._progress.stop()


def choose(kind: str, *, lines: bool = True) -> ClosableReporter:
    """A reporter by its name: `bar`, `lines`, `none`, or `auto`: a bar on a terminal, else lines."""
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "lines"
    if kind == "none":
        return ClosableReporter(lines=lines)
    return BarReporter(lines=lines) if kind == "bar" else LineReporter(lines=lines)


def wished(wish: bool | None) -> ClosableReporter:
    """A reporter for Python code: False for none, True for one in any case, None for one where a person looks on (a
    terminal, a notebook)."""
    if wish is False:
        return choose("none", lines=False)
    if _in_notebook():
        return NotebookReporter(lines=False)
    return choose("auto" if wish or sys.stderr.isatty() else "none", lines=False)


def _in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
