"""The server: builds the application, starts and stops it, in a test or as a process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from fwsync.sandbox import faults, http, stats
from fwsync.sandbox.demo.build import build_once
from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.routes import ROOMS
from fwsync.sandbox.routes.index import index
from fwsync.sandbox.site import SITE, Site


def make_app(site: Site) -> web.Application:
    """The application over a site: every room of `routes`, then 501 for the rest of /api."""
    counters = stats.Stats()
    options = site.options
    dealt = [faults.middleware(options, counters)] if options.faults or options.latency_ms else []
    app = web.Application(
        middlewares=[stats.middleware, *dealt, http.gate],
        client_max_size=http.MOST_JSON,
        handler_args={"access_log": None},
    )
    app[SITE] = site
    app[stats.STATS] = counters
    for room in ROOMS:
        room.setup(app)
    stats.setup(app)
    app.router.add_route("*", "/api", http.unknown_route)
    app.router.add_route("*", "/api/{rest:.*}", http.unknown_route)
    index(app.router)
    return app


class Sandbox:
    """A running sandbox: `async with Sandbox(SandboxOptions(...)) as sandbox: sandbox.key`."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self.port = 0
        self._temporary: str | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the data folder, build the demo site if asked, listen."""
        folder = self.options.data
        if folder is None:
            self._temporary = tempfile.mkdtemp(prefix="fwsync-sandbox-")
            folder = Path(self._temporary)
        try:
            await self._listen(folder)
        except BaseException:
            self._remove_temporary()
            raise

    async def _listen(self, folder: Path) -> None:
        self.site = Site(self.options, folder)
        if self.options.demo:
            await build_once(self.site)
        self._runner = web.AppRunner(make_app(self.site), access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        # A deep backlog: a client's burst of connections must not meet SYN retries.
        listener = socket.create_server((self.options.host, self.options.port), backlog=1024, reuse_port=False)
        await web.SockSite(self._runner, listener).start()
        self.port = listener.getsockname()[1]

    async def stop(self) -> None:
        """Finish the requests in flight for up to two seconds, then close everything."""
        await self._runner.cleanup()
        self.site.close()
        await asyncio.to_thread(self._remove_temporary)

    def _remove_temporary(self) -> None:
        if self._temporary:
            shutil.rmtree(self._temporary, ignore_errors=True)

    @property
    def url(self) -> str:
        """`http://host:port`, without `/api`."""
        return f"http://{self.options.host}:{self.port}"

    @property
    def key(self) -> str:
        """The API key as the SDK takes it."""
        return f"{self.options.host}:{self.port}:__force_insecure:{self.site.secret}"

    def stats(self) -> dict[str, Any]:
        """The same counters as `GET /sandbox/stats`."""
        return self._runner.app[stats.STATS].as_dict()


async def serve(options: SandboxOptions, *, say: Callable[[str], None] | None = None) -> None:
    """Run until SIGINT or SIGTERM; the key line goes to `say` (standard output) once the server listens."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(options) as sandbox:
        (say or _print)(sandbox.key)
        await stop.wait()


def _print(line: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
