"""The handlers that put tags on containers and take them off: what is so already is fine, so each may be repeated."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from fwsync.client.api import Flywheel
from fwsync.errors import ConflictError, NotFoundError
from fwsync.model import PLURALS
from fwsync.run.pool import Handler
from fwsync.selection import LEVELS
from fwsync.work import Outcome, TagContainer, WorkItem


class Tagger:
    """Tags containers of one site."""

    def __init__(self, fw: Flywheel) -> None:
        self._fw = fw

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {f"tag.{level}": self.tag for level in LEVELS}

    async def tag(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Add and remove. A tag that someone else added or removed meanwhile is no failure."""
        began = time.monotonic()
        change = item.payload
        if not isinstance(change, TagContainer):
            raise TypeError(f"{item.kind} needs a TagContainer")
        noun = self._fw.noun(change.level)
        for tag in change.add:
            with contextlib.suppress(ConflictError):  # it is there
                await noun.add_tag(change.id, tag)
        for tag in change.remove:
            try:
                await noun.remove_tag(change.id, tag)
            except NotFoundError:
                await noun.get(change.id)  # the tag is gone, unless the container is
        request = f"{'POST' if change.add else 'DELETE'} /{PLURALS[change.level]}/{{id}}/tags"
        return [item.outcome("done", ref=change.id, seconds=time.monotonic() - began, request=request)]
