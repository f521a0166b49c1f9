"""The handlers that make collections and change what is in them: many acquisitions a request.

Membership is a set: to add what is in, or to remove what is not, changes nothing, so a lost answer is simply asked for
again. To make a collection is not, and `run.once` takes care of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence

from fwsync import logs
from fwsync.client.api import Flywheel
from fwsync.errors import RemoteError
from fwsync.run.doubles import double_outcome
from fwsync.run.journal import Journal
from fwsync.run.once import Once
from fwsync.run.pool import Batching, Failure, Handler
from fwsync.run.updating import Updater
from fwsync.work import PARENT_FAILED, Membership, NewCollection, Outcome, WorkItem

log = logs.get("run")

BATCH = 500
AT_ONCE = 4
SITE = "site"
"""What stands for the parent of a collection in the journal: collections belong to the site."""
ONE_OF_THEM = frozenset({400, 403, 404, 409, 413, 422})
"""Statuses that may be due to a single one of several acquisitions, or to their number."""
MOST_REFUSED = 8
"""So many single acquisitions refused before any is taken: then the collection is refused, and not they."""


class Curator:
    """Makes and fills collections of one site, for one run."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float, idents: Mapping[str, str]) -> None:
        """`grace` is how many seconds after sending a create may still be carried out by the site. `idents` are the ids
        of the collections that are there, by key."""
        self._fw = fw
        self._idents = dict(idents)
        self._once = Once(fw, journal, run, grace=grace)
        self._updater = Updater(fw, journal, run, grace=grace)
        self._sent_twice: dict[str, NewCollection] = {}
        self.taken: dict[tuple[str, str], set[str]] = {}
        """The acquisitions that the site has taken, by collection (its key) and by kind of item."""
        self._refused: Counter[str] = Counter()

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind, of collections themselves."""
        return {"create.collection": self.create, "update.collection": self._updater.update}

    def batching(self) -> Batching:
        """How acquisitions go: some hundreds a request."""
        return Batching(
            takes=lambda item: isinstance(item.payload, Membership), handler=self.change, items=BATCH, at_once=AT_ONCE
        )

    async def create(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Make a collection."""
        began = time.monotonic()
        new = _new(item)
        document = {"label": new.label, **({"description": new.description} if new.description else {})}

        async def find() -> str | None:
            found = await self._fw.collections_called(new.label)
            return found[0].id if found else None

        def again() -> None:
            self._sent_twice[item.key] = new

        sent = await self._once.create((SITE, "collection", new.label), document, find, again)
        self._idents[item.key] = sent.id
        return [
            item.outcome(
                "done" if sent.by_us else "unchanged", ref=sent.id, attempts=sent.attempts,
                seconds=time.monotonic() - began, request="POST /collections",
            )
        ]  # fmt: skip

    # --- acquisitions ---------------------------------------------------------------------------------------------

    async def change(self, items: Sequence[WorkItem]) -> Sequence[Outcome | Failure]:
        """Put acquisitions into their collections, or take them out."""
        groups: dict[tuple[str, str], list[WorkItem]] = {}
        for item in items:
            groups.setdefault((_membership(item).collection, item.kind.partition(".")[0]), []).append(item)
        out: list[Outcome | Failure] = []
        for (key, operation), some in groups.items():
            ident = self._idents.get(key)
            if ident is None:
                reason = f"{PARENT_FAILED} {key.replace(':', ' ', 1)} was not made"
                out += [item.outcome("skipped", reason=reason, attempts=0) for item in some]
            else:
                out += await self._send(ident, operation, some)
        return out

    def ident_of(self, key: str) -> str:
        """The id of a collection by its key; empty where it was not made."""
        return self._idents.get(key, "")

    async def _send(self, ident: str, operation: str, items: Sequence[WorkItem]) -> list[Outcome | Failure]:
        """One request. Where the site refuses it, each half by itself, so that one that is gone keeps no other out."""
        began = time.monotonic()
        nodes = [{"_id": _membership(item).id, "level": "acquisition"} for item in items]
        try:
            await self._fw.collections.modify(ident, {"contents": {"operation": operation, "nodes": nodes}})
        except RemoteError as error:
            self._refused[ident] += len(items) == 1
            hopeless = not self._has_taken(items[0]) and self._refused[ident] >= MOST_REFUSED
            if len(items) == 1 or hopeless or error.status not in ONE_OF_THEM:
                return [Failure(item, error, time.monotonic() - began) for item in items]
            half = len(items) // 2
            return [
                *(await self._send(ident, operation, items[:half])),
                *(await self._send(ident, operation, items[half:])),
            ]
        for item in items:
            self.taken.setdefault((_membership(item).collection, item.kind), set()).add(_membership(item).id)
        seconds = time.monotonic() - began
        request = "PUT /collections/{id}"
        return [item.outcome("done", ref=_membership(item).id, seconds=seconds, request=request) for item in items]

    def _has_taken(self, item: WorkItem) -> bool:
        return (_membership(item).collection, item.kind) in self.taken

    # --- after the run --------------------------------------------------------------------------------------------

    async def settle_doubles(self) -> list[Outcome]:
        """Look once more where a create was sent twice. A double that this run made, still empty and unchanged, is
        deleted; every other is returned as a failure for the report."""
        problems = []
        for key, new in self._sent_twice.items():
            ours = self._idents.get(key)
            for extra in await self._fw.collections_called(new.label):
                if ours is None or extra.id == ours:
                    continue
                if await self._is_untouched(extra.id, new):
                    await self._fw.collections.delete(extra.id)
                    log.info("double deleted", level="collection", id=extra.id)
                else:
                    problems.append(double_outcome("collection", new.label, (ours, extra.id)))
        return problems

    async def _is_untouched(self, ident: str, new: NewCollection) -> bool:
        whole = await self._fw.collections.get(ident)
        if whole.files or whole.notes or whole.tags or whole.info or (whole.description or "") != new.description:
            return False
        return await anext(aiter(self._fw.members(ident)), None) is None


def _membership(item: WorkItem) -> Membership:
    if not isinstance(item.payload, Membership):
        raise TypeError(f"{item.kind} needs a Membership")
    return item.payload


def _new(item: WorkItem) -> NewCollection:
    if not isinstance(item.payload, NewCollection):
        raise TypeError(f"{item.kind} needs a NewCollection")
    return item.payload
