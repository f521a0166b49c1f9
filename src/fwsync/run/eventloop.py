"""The one way in which an event loop of ours is begun."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, TypeVar

import anyio

T = TypeVar("T")


def run(main: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """anyio on asyncio (aiohttp needs that), with uvloop where it is installed."""
    options = {"use_uvloop": find_spec("uvloop") is not None}
    return anyio.run(main, *arguments, backend="asyncio", backend_options=options)
