"""Waiting for a task that must have ended before what it works with is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import anyio


async def until_ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Wait until tasks have ended, however they end. A cancellation that comes meanwhile is raised afterwards."""
    cancelled: asyncio.CancelledError | None = None
    waiting = set(tasks)
    # The shield holds off cancel scopes; `Task.cancel` comes through it, once for each call.
    with anyio.CancelScope(shield=True):
        while waiting := {task for task in waiting if not task.done()}:
            try:
                await asyncio.wait(waiting)
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        raise cancelled
