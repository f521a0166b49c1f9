"""Waiting for what a request may still bring about whose answer was lost."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

T = TypeVar("T")


async def turns_up(find: Callable[[], Awaitable[T | None]], sent_at: float, grace: float) -> T | None:
    """What is looked for, if it is there by `grace` seconds after the request was sent (Unix time): looked for at once,
    after 1, 3, 7, ... seconds."""
    pause = 1.0
    while True:
        if (found := await find()) is not None:
            return found
        left = sent_at + grace - time.time()
        if left <= 0:
            return None
        # A clock that was set back must not make the wait longer than the grace time itself.
        await anyio.sleep(min(pause, left, grace))
        pause *= 2
