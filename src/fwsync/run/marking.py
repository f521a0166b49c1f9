"""Tags and notes on containers. A tag is a member of a set and is simply sent again; a note is not: the journal holds
its intent before it is sent, and one whose answer was lost is looked for until it can't come any more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

import anyio

from fwsync.client.api import Flywheel
from fwsync.errors import ConflictError, LostAnswerError
from fwsync.run.grace import turns_up
from fwsync.run.journal import Intent, Journal

NOTE = "note"
"""The level under which the intents of notes are kept; their parent is the container, their label the text."""


class Marker:
    """Puts tags and notes on containers of one site, for one run."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float) -> None:
        """`grace` is how many seconds after it was sent a request may still be carried out by the site."""
        self._fw, self._journal, self._run, self._grace = fw, journal, run, grace
        self._loading = anyio.Lock()
        self._old: dict[tuple[str, str, str], Intent] | None = None

    async def mark(self, level: str, ident: str, tags: Sequence[str], notes: Sequence[str]) -> None:
        """Add what a container does not have yet; may be called again after a crash."""
        for tag in tags:
            with contextlib.suppress(ConflictError):  # it is there
                await self._fw.noun(level).add_tag(ident, tag)
        if not notes:
            return
        async with self._loading:
            if self._old is None:
                self._old = await self._journal.intents(self._fw.site)
        held = await self._notes(level, ident)
        for text in notes:
            if text not in held:
                await self._add(level, ident, text)

    async def _add(self, level: str, ident: str, text: str) -> None:
        site, key = self._fw.site, (ident, NOTE, text)
        old = (self._old or {}).pop(key, None)
        if old is None or not await self._turns_up(level, ident, text, old.sent_at):
            for attempt in range(1, self._fw.session.settings.tries + 1):
                sent_at = time.time()
                await self._journal.intend(site, Intent(*key, sent_at, self._run))
                try:
                    await self._fw.noun(level).add_note(ident, text)
                    break
                except LostAnswerError:
                    if await self._turns_up(level, ident, text, sent_at):
                        break
                    if attempt == self._fw.session.settings.tries:
                        raise
        self._journal.settle(site, *key)

    async def _turns_up(self, level: str, ident: str, text: str, sent_at: float) -> bool:
        """Whether a note is there, by the end of the grace time."""

        async def find() -> bool | None:
            return text in await self._notes(level, ident) or None

        return await turns_up(find, sent_at, self._grace) is not None

    async def _notes(self, level: str, ident: str) -> set[str]:
        whole = await self._fw.noun(level).get(ident)
        return {str(note.get("text")) for note in whole.notes or ()}
