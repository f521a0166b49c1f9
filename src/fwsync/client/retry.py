"""Which failures are worth another try, how long to wait, and the limiter that adapts to what a site bears.

The decisions are pure; the one loop that acts on them is `session.ApiSession.call` for calls and
`transfer.persist` for bodies (progress resets its count, which no retry library expresses).
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import anyio
import msgspec

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which a request that may safely be repeated is sent again."""

REFUSED_UNTOUCHED = frozenset({429, 503})
"""Statuses by which a server says that it did not start: even a create is sent again after them."""

SLOW_DOWN = frozenset({429, 503, 504})
"""Statuses that shrink the limiter."""

REFUSED_FORMS = frozenset({400, 403, 404, 405, 422, 501})
"""Statuses by which a site says that it has no such route, or does not take such a body: another way may do."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How stubborn to be. `seconds` is the time without progress after which to give up."""

    tries: int = 8
    seconds: float = 300.0
    first_wait: float = 0.5
    most_wait: float = 30.0


def back_off(policy: Policy, attempt: int, chance: float, retry_after: float | None = None) -> float:
    """Seconds to wait after failure number `attempt` (from 1): full jitter by `chance` in [0, 1), doubled each time.

    What the server asked for by Retry-After wins, with a little jitter on top so that a crowd does not return as one.
    """
    if retry_after is not None:
        return retry_after + chance * min(1.0, retry_after * 0.1 + 0.05)
    return float(min(policy.most_wait, policy.first_wait * 2.0 ** min(attempt - 1, 30)) * chance)


def may_go_on(policy: Policy, attempt: int, idle: float, wait: float) -> bool:
    """Whether another try is allowed after `attempt` failures and `idle` seconds without progress."""
    return attempt < policy.tries and idle + wait <= policy.seconds


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds that a Retry-After header (a number or an HTTP date) asks to wait; `now` as Unix time."""
    if not header:
        return None
    text = header.strip()
    try:
        seconds = float(text) if text.replace(".", "", 1).isdigit() else parsedate_to_datetime(text).timestamp() - now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), 3600.0)


_NEVER = float("-inf")


class AdaptiveLimiter:
    """Bounds what is in flight: doubles with every full round of successes until the site first asks to slow down.
    Shrinks by half on 429, 503 and time-outs, at most once a second, and from then on grows by one slot a round."""

    def __init__(self, start: int, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = float(min(start, most))
        self._most = most
        self._clock = clock
        self._last_cut = _NEVER
        self._slots: anyio.CapacityLimiter | None = None

    @property
    def limit(self) -> int:
        """How many may be in flight now."""
        return int(self._limit)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one slot. A sleeping retry must not be inside."""
        if self._slots is None:  # made here since it belongs to the running event loop
            self._slots = anyio.CapacityLimiter(self.limit)
        borrower = object()
        await self._slots.acquire_on_behalf_of(borrower)
        try:
            yield
        finally:
            self._slots.release_on_behalf_of(borrower)

    def cap(self, most: int) -> None:
        """Let no more than so many be in flight from now on."""
        if most != self._most:
            self._most = most
            self._set(min(self._limit, float(most)))

    def went_well(self) -> None:
        """One success."""
        if self._limit < self._most:
            step = 1.0 if self._last_cut == _NEVER else 1.0 / self._limit
            self._set(min(self._limit + step, float(self._most)))

    def too_much(self) -> None:
        """The site asked to slow down, or timed out."""
        moment = self._clock()
        if moment - self._last_cut >= 1.0:
            self._last_cut = moment
            self._set(max(self._limit / 2, 1.0))

    def _set(self, value: float) -> None:
        changed = int(value) != self.limit
        self._limit = value
        if changed and self._slots is not None:
            self._slots.total_tokens = self.limit


def chance() -> float:
    """A random number in [0, 1); its own function so that tests can fix it."""
    return random.random()  # noqa: S311 - jitter, not a secret
