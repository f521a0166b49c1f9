"""Creates that are carried out once, although their answers may be lost.

The journal holds the intent before a create is sent. One whose answer is lost is looked up until the site can't carry
it out any more, and only then sent again; a later run looks up intents without an outcome first.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import anyio

from fwsync.client.api import Flywheel
from fwsync.errors import ConflictError, LostAnswerError, RemoteError
from fwsync.run.grace import turns_up
from fwsync.run.journal import Intent, Journal

Find = Callable[[], Awaitable[str | None]]
"""Looks for a container by its natural key; its id."""


class Sent(NamedTuple):
    """A container, how often its create was sent, and whether fwsync made it, now or in a run before."""

    id: str
    attempts: int
    by_us: bool


class Once:
    """Creates on one site, for one run."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float) -> None:
        """`grace` is how many seconds after it was sent a create may still be carried out by the site."""
        self._fw, self._journal, self._run, self._grace = fw, journal, run, grace
        self._loading = anyio.Lock()
        self._old: dict[tuple[str, str, str], Intent] | None = None

    async def create(
        self, key: tuple[str, str, str], document: Mapping[str, Any], find: Find, again: Callable[[], None]
    ) -> Sent:
        """Create a container by its natural key (parent, level, label). `again` is called before a create that may be a
        second one of this key: then the site may hold a double.

        RemoteError where the site refuses it, LostAnswerError where it can't be found out whether it was made.
        """
        site, attempts = self._fw.site, 0
        if (old := await self._taken(key)) is not None:
            if (found := await turns_up(find, old.sent_at, self._grace)) is not None:
                self._journal.settle(site, *key)
                return Sent(found, 0, True)
            again()
        while True:
            if attempts:
                again()
            attempts += 1
            sent_at = time.time()
            await self._journal.intend(site, Intent(*key, sent_at, self._run))
            try:
                made = await self._fw.noun(key[1]).create(document)
                self._journal.settle(site, *key)
                return Sent(made, attempts, True)
            except ConflictError:
                there = await find()
                self._journal.settle(site, *key)
                if there is None:
                    raise
                return Sent(there, attempts, attempts > 1)
            except LostAnswerError:
                if (found := await turns_up(find, sent_at, self._grace)) is not None:
                    self._journal.settle(site, *key)
                    return Sent(found, attempts, True)
                if attempts >= self._fw.session.settings.tries:
                    raise
            except RemoteError:
                self._journal.settle(site, *key)
                raise

    async def _taken(self, key: tuple[str, str, str]) -> Intent | None:
        """The intent of a run before, given out once."""
        async with self._loading:  # once, before any intent of our own
            if self._old is None:
                self._old = await self._journal.intents(self._fw.site)
        return self._old.pop(key, None)
