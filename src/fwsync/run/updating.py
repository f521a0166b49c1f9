"""The handlers that change containers: only the fields that differ, never a delete."""

from __future__ import annotations

import time
from collections.abc import Sequence

from fwsync.client.api import Flywheel
from fwsync.model import PLURALS
from fwsync.run.creating import LEVELS, add_marks
from fwsync.run.pool import Handler
from fwsync.work import ChangeContainer, Outcome, WorkItem


class Updater:
    """Changes containers of one site."""

    def __init__(self, fw: Flywheel) -> None:
        self._fw = fw

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
        await add_marks(self._fw, change.level, change.id, change.tags, change.notes)
        request = f"{'PUT' if change.fields else 'PATCH' if change.info else 'POST'} /{PLURALS[change.level]}/{{id}}"
        return [item.outcome("done", ref=change.id, seconds=time.monotonic() - began, request=request)]
