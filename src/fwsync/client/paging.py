"""How a listing is read page by page: how many documents are asked for at once, and the next page ahead of its turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from yarl import URL

from fwsync.client.session import FEATURES, Answer, ApiSession, FailedTryError

T = TypeVar("T")

USUAL = 1000
"""Documents a page that every site bears; one that is set to less is never asked for more than that."""
MOST = 2000
LEAST = 100
QUICK = 2.0
"""Seconds: a page that takes longer is not made larger, and one that fails after longer was too large."""
LIGHT = 4 * 1024 * 1024
"""Bytes: a page that holds more is not made larger, since two of them are in memory at once."""
TURNS = 8
"""Turns of the event loop after which a request on an open connection has been sent."""
TOO_LARGE = frozenset({400, 413, 422})
"""Statuses by which a site may refuse a page of more than the usual size."""


class Page(msgspec.Struct, Generic[T]):
    """One page of documents and, where the site told it, how many there are in all."""

    documents: list[T]
    total: int | None = None


class PageSize:
    """How many documents the next page of one listing is asked for: `now`.

    It begins as set, doubles up to MOST while pages come quickly and are light, and is halved when one fails. What
    failed slowly, or twice, is not tried again.
    """

    def __init__(self, asked: int) -> None:
        self.now = self.asked = asked
        self._most = max(asked, MOST) if asked >= USUAL else asked
        self._failed = 0

    def answered(self, seconds: float, size: int) -> None:
        """A page has come, after so many seconds, with so many bytes."""
        if self.now == self._failed:
            self._failed = 0
        if seconds <= QUICK and size <= LIGHT:
            self.now = min(2 * self.now, self._most)

    def failed(self, seconds: float) -> None:
        """A page of this size has not come."""
        smaller = max(self.now // 2, min(LEAST, self.now))
        if seconds > QUICK or self.now == self._failed:
            self._most = smaller
        self._failed, self.now = self.now, smaller

    def refused(self) -> None:
        """The site takes no such size at all."""
        self.now = self._most = self.asked


async def read_page(
    session: ApiSession, size: PageSize, url: Callable[[int], URL], what: str, features: Sequence[str] = ()
) -> Answer:
    """One page as large as `size` says, repeated as the rules for calls allow, and with fewer documents each time where
    that may have been the reason."""
    headers = {"x-accept-feature": ",".join((FEATURES, *features))}

    async def once(attempt: int) -> Answer:
        began = time.monotonic()
        try:
            answer = await session.once("GET", url(size.now), what, None, headers, attempt)
        except FailedTryError as failure:
            if not failure.again and size.now > size.asked and getattr(failure.error, "status", 0) in TOO_LARGE:
                size.refused()
                return await once(attempt)
            if failure.again and not failure.untouched:
                size.failed(time.monotonic() - began)
            raise
        size.answered(time.monotonic() - began, len(answer.body))
        return answer

    return await session.retried(once, what, repeatable=True)


class Ahead(Generic[T]):
    """A page that is being fetched while the one before it is consumed.

    An asyncio task by itself, not a task group: a generator must not yield inside one.
    """

    def __init__(self, fetch: Coroutine[Any, Any, Page[T]]) -> None:
        self._task = asyncio.get_running_loop().create_task(fetch)

    async def begin(self) -> None:
        """Let the request get onto the wire: who consumes pages may keep the loop busy until the next one is due."""
        for _ in range(TURNS):
            await asyncio.sleep(0)

    def cancel(self) -> None:
        """Drop the page; its error, if any, is nobody's business."""
        self._task.cancel()
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def result(self) -> Page[T]:
        """The page, once it is here."""
        try:
            return await self._task
        except BaseException:
            self._task.cancel()
            raise
