"""An event loop in a thread of its own, for blocking code: also where a loop runs already, as in a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, wait
from typing import TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutine functions on its loop, one call at a time for each thread that calls."""

    def __init__(self) -> None:
        self._loop = _new_loop()
        self._thread = threading.Thread(target=self._run, name="fwsync-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            # Here, and not by whoever closes: a loop may run in that thread.
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    @property
    def running(self) -> bool:
        """Whether it can be called."""
        return self._thread.is_alive()

    def call(self, work: Callable[[], Awaitable[T]]) -> T:
        """`work()` on the loop, to its end. KeyboardInterrupt (or any other error that strikes while waiting) cancels
        it, waits until it has ended, and goes on; a second one goes on at once."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("a blocking call inside fwsync's own event loop would never end")
        future: Future[T] = Future()
        tasks: list[asyncio.Task[T]] = []

        async def carried_out() -> T:
            return await work()

        def begin() -> None:
            tasks.append(self._loop.create_task(carried_out()))
            tasks[0].add_done_callback(lambda task: _pass_on(task, future))

        def cancel() -> None:
            tasks[0].cancel()

        self._loop.call_soon_threadsafe(begin)
        try:
            wait([future])
        except BaseException:
            self._loop.call_soon_threadsafe(cancel)
            wait([future])
            raise
        return future.result()

    def close(self) -> None:
        """End the loop and its thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()


def _pass_on(task: asyncio.Task[T], future: Future[T]) -> None:
    if task.cancelled():
        future.set_exception(asyncio.CancelledError())
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415  an extra
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
