"""One run per tree and per project: who comes second leaves, or waits where `--wait` says so."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fwsync.operations.context import Context
from fwsync.run.lock import hold_in_turn
from fwsync.selection import parse_interval

FOREVER = "forever"


def patience_of(text: str) -> float:
    """Seconds from `[state] wait`. UsageError for what is neither an interval nor `forever`."""
    if not text:
        return 0.0
    return math.inf if text == FOREVER else parse_interval(text, "--wait")


@asynccontextmanager
async def turn(context: Context, target: str) -> AsyncIterator[None]:
    """Hold the lock of `target`, a tree or a project; LockedError if another run has it for too long.

    Who holds a target already, further out in the same command, holds it still.
    """
    if target in context.holds:
        yield
        return
    patience = patience_of(context.settings.state.wait)
    async with hold_in_turn(context.settings.state_folder, target, patience, context.reporter.phase):
        context.holds.add(target)
        try:
            yield
        finally:
            context.holds.discard(target)


def tree_of(root: str | Path) -> str:
    """The name of a tree's lock: its real path, also of a tree that is not there yet."""
    return f"tree {Path(root).expanduser().resolve()}"
