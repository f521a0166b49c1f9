"""Fixtures for other people's tests: run your SDK scripts offline.

Put `pytest_plugins = ["fwsync.sandbox.pytest_plugin"]` into your conftest.py; then

    def test_my_script(flywheel_sandbox):
        fw = flywheel.Client(flywheel_sandbox.key)
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest

from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.server import Sandbox


class ThreadedSandbox:
    """A sandbox on a loop of its own in a thread, for blocking clients: `with ThreadedSandbox() as sandbox`."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.sandbox = Sandbox(options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fwsync-sandbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.sandbox.start(), self._loop).result(60)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.sandbox.stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def key(self) -> str:
        """The API key as the SDK takes it."""
        return self.sandbox.key

    @property
    def url(self) -> str:
        """`http://host:port`, without `/api`."""
        return self.sandbox.url


@pytest.fixture
def flywheel_sandbox() -> Iterator[ThreadedSandbox]:
    """An empty site."""
    with ThreadedSandbox() as running:
        yield running


@pytest.fixture(scope="session")
def flywheel_demo() -> Iterator[ThreadedSandbox]:
    """The demo site, shared by the whole test session: don't change what others read."""
    with ThreadedSandbox(SandboxOptions(demo=True)) as running:
        yield running
