"""A wire between fwsync and a site: a TCP relay that counts what comes down it, and can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator


class Wire:
    """`down` are the bytes that the site has sent; at `limit` of them `at_limit` is called, once."""

    def __init__(self, target: str) -> None:
        host, port = target.split(":")
        self._target = host, int(port)
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self.down = self.port = 0
        self.limit: int | None = None
        self.at_limit: Callable[[], None] = self.cut

    def cut(self) -> None:
        """Abort every connection that is open now; new ones are taken."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, up: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        down, server = await asyncio.open_connection(*self._target)
        self._writers |= {client, server}

        async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter, counts: bool) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(1 << 16):
                    to.write(data)
                    await to.drain()
                    if counts:
                        self.down += len(data)
                    if self.limit is not None and self.down >= self.limit:
                        self.limit = None
                        self.at_limit()
            to.close()

        await asyncio.gather(pump(up, server, counts=False), pump(down, client, counts=True))
        self._writers -= {client, server}

    async def _serve(self, started: threading.Event) -> None:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        with contextlib.suppress(asyncio.CancelledError):
            await server.serve_forever()

    def run(self, started: threading.Event) -> None:
        """Serve until `stop`, in the thread that calls."""
        self._task = self._loop.create_task(self._serve(started))
        self._loop.run_until_complete(self._task)
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    def stop(self) -> None:
        """Close it."""
        self._loop.call_soon_threadsafe(self._task.cancel)


@contextlib.contextmanager
def wire(target: str) -> Iterator[Wire]:
    """A relay to `host:port`, until the block ends."""
    made, started = Wire(target), threading.Event()
    thread = threading.Thread(target=made.run, args=(started,), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield made
    finally:
        made.stop()
        thread.join(10)
