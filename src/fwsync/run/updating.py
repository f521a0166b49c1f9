"""The handlers that change containers: only the fields that differ, never a delete."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fwsync.client.api import Flywheel
from fwsync.model import PLURALS
from fwsync.run.creating import LEVELS
from fwsync.run.journal import Journal
from fwsync.run.marking import Marker
from fwsync.run.pool import Handler
from fwsync.work import ChangeContainer, Outcome, WorkItem


class Updater:
    """Changes containers of one site."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float) -> None:
        """`grace` is how many seconds after it was sent a request may still be carried out by the site."""
        self._fw = fw
        self._marker = Marker(fw, journal, run, grace=grace)

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {f"update.{level}": self.update for level in LEVELS}

    async def update(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Set the fields and keys of info that differ, add tags and notes. Every step may be repeated."""
        began = time.monotonic()
        change = item.payload
        if not isinstance(change, ChangeContainer):
            raise TypeError(f"{item.kind} needs a ChangeContainer")
        noun = self._fw.noun(change.level)
        if change.fields:
            await noun.modify(change.id, change.fields)
        if change.info:
            await noun.set_info(change.id, change.info)
        await self._marker.mark(change.level, change.id, change.tags, change.notes)
        request = f"{'PUT' if change.fields else 'PATCH' if change.info else 'POST'} /{PLURALS[change.level]}/{{id}}"
        return [item.outcome("done", ref=change.id, seconds=time.monotonic() - began, request=request)]
