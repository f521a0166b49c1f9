"""Handlers that create containers: by hierarchy upsert where the site grants it, else by three classic creates.

A create whose answer is lost may have been carried out, or still be: `run.once` takes care of classic creates. An
upsert is idempotent by natural key and is simply repeated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from fwsync import logs
from fwsync.client import query as q
from fwsync.client.api import Flywheel, Upserted
from fwsync.errors import AuthError, FwsyncError, RemoteError
from fwsync.model import PLURALS, Container, Reference
from fwsync.run.doubles import Made, double_outcome
from fwsync.run.journal import Journal
from fwsync.run.marking import Marker
from fwsync.run.once import Once
from fwsync.run.pool import Handler
from fwsync.work import NewContainer, Outcome, State, WorkItem

log = logs.get("run")

REFUSES_UPSERT = frozenset({401, 403, 404, 405, 501})
PARENT_LEVEL = {"subject": "project", "session": "subject", "acquisition": "session"}
LEVELS = ("subject", "session", "acquisition")


class Double(msgspec.Struct, frozen=True):
    """A create that was sent twice: where to look for a double at the end."""

    level: str
    parent_id: str
    label: str


class Creator:
    """Creates containers on one site, for one run."""

    def __init__(self, fw: Flywheel, journal: Journal, run: str, *, grace: float, upsert: bool = True) -> None:
        """`grace` is how many seconds after sending a create may still be carried out by the site."""
        self._fw, self._journal, self._run = fw, journal, run
        self._upsert: bool | None = None if upsert else False
        self._marker = Marker(fw, journal, run, grace=grace)
        self._probe = anyio.Lock()
        self._probed = not upsert
        self._once = Once(fw, journal, run, grace=grace)
        self._sent_twice: list[Double] = []
        self.made: dict[str, Made] = {}
        """What classic creates of this run made, by id: sites may allow doubles of these."""
        self.warnings: list[str] = []

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {f"create.{level}": self.create for level in LEVELS}

    async def create(self, item: WorkItem, parent_ref: str | None) -> Sequence[Outcome]:
        """Create a container and its riders. The first upsert of a run goes alone: it tells whether the site has it."""
        if (ident := _payload(item).existing_id) is not None:
            await self._mark(item, ident, tags=True)
            return [item.outcome("done", ref=ident, request=f"finished {ident}")]
        if not self._probed:
            async with self._probe:
                if not self._probed:
                    try:
                        return await self._create(item, parent_ref)
                    finally:
                        # Even if it failed to find out: the others must not queue up one behind the other.
                        self._probed = True
        return await self._create(item, parent_ref)

    async def _create(self, item: WorkItem, parent_ref: str | None) -> Sequence[Outcome]:
        if self._upsert is not False:
            try:
                outcomes = await self._by_upsert(item)
                self._upsert = True
                return outcomes
            except RemoteError as error:
                if error.status not in REFUSES_UPSERT:
                    self._upsert = True  # its values are wrong, the route is there
                    raise
                if self._upsert is None:
                    self.warnings.append(
                        f"the site grants no hierarchy upsert ({error.status}); using one create per container"
                    )
                self._upsert = False
            except AuthError as error:
                if self._upsert:
                    raise
                self.warnings.append(f"the hierarchy upsert was refused ({error}); using one create per container")
                self._upsert = False
        return await self._classic(item, parent_ref)

    # --- hierarchy upsert ---------------------------------------------------------------------------------------

    async def _by_upsert(self, item: WorkItem) -> Sequence[Outcome]:
        """One request for the item and its riders. Existing parents are named by label alone: fields would overwrite
        theirs."""
        began = time.monotonic()
        payload = _payload(item)
        body: dict[str, dict[str, Any]] = {
            level: {"label": label} for level, label in zip(LEVELS, payload.lineage, strict=False)
        }
        for one in item.everyone():
            new = _payload(one)
            body[new.level] = {"label": new.label, **new.fields, **({"tags": list(new.tags)} if new.tags else {})}
        marked = [one for one in item.everyone() if _payload(one).notes]
        await self._begin(marked)
        found = await self._fw.upsert_hierarchy(payload.project_id, body)
        seconds = time.monotonic() - began
        outcomes = [_settled(one, found.get(_payload(one).level), seconds) for one in item.everyone()]
        for one, outcome in zip(item.everyone(), outcomes, strict=True):
            if one in marked:
                if outcome.state == "done" and outcome.ref:
                    await self._mark(one, outcome.ref, tags=False)
                else:
                    self._end(one)
        return outcomes

    # --- tags and notes -------------------------------------------------------------------------------------------

    async def _begin(self, items: Sequence[WorkItem]) -> None:
        """Commit that these are about to be created and will then need more requests: a run after a crash must know."""
        keys = [(_payload(one).project_id, one.key) for one in items]
        if keys:
            await self._journal.begin_containers(self._fw.site, keys, self._run)

    async def _mark(self, item: WorkItem, ident: str, *, tags: bool) -> None:
        """Put tags and notes on a container that was just created; harmless when repeated."""
        new = _payload(item)
        await self._marker.mark(new.level, ident, new.tags if tags else (), new.notes)
        self._end(item)

    def _end(self, item: WorkItem) -> None:
        self._journal.end_container(self._fw.site, _payload(item).project_id, item.key)

    # --- classic creates ----------------------------------------------------------------------------------------

    async def _classic(self, item: WorkItem, parent_ref: str | None) -> Sequence[Outcome]:
        out: list[Outcome] = []
        parent = _payload(item).parent_id or parent_ref
        items = item.everyone()
        for position, one in enumerate(items):
            began = time.monotonic()
            new = _payload(one)
            try:
                if new.tags or new.notes:
                    await self._begin([one])
                parent, attempts, made = await self._one(new, parent)
                if made and (new.tags or new.notes):
                    await self._mark(one, parent, tags=True)
            except FwsyncError as error:
                if position == 0 and not isinstance(error, RemoteError):
                    raise
                out.append(one.outcome("failed", reason=error.line, seconds=time.monotonic() - began))
                out += [
                    rest.outcome("skipped", reason=f"parent {one.target} was failed", attempts=0)
                    for rest in items[position + 1 :]
                ]
                return out
            out.append(
                one.outcome(
                    "done" if made else "unchanged",
                    ref=parent,
                    attempts=attempts,
                    seconds=time.monotonic() - began,
                    request=f"POST /{PLURALS[new.level]}",
                    sent=_sent(new) if made else None,
                )
            )
        return out

    async def _one(self, new: NewContainer, parent_id: str | None) -> tuple[str, int, bool]:
        """Create one container; its id, how often it was sent, and whether fwsync made it, now or in a run before."""
        parent = parent_id or new.project_id

        async def find() -> str | None:
            found = await self._find(new, parent)
            return found.id if found is not None else None

        def again() -> None:
            self._sent_twice.append(Double(new.level, parent, new.label))

        sent = await self._once.create((parent, new.level, new.label), _document(new, parent), find, again)
        if sent.by_us and sent.attempts:
            self.made[sent.id] = Made(new.level, parent, new.label)
        return sent.id, sent.attempts, sent.by_us

    async def _find(self, new: NewContainer, parent: str) -> Container | None:
        """The oldest container with this natural key."""
        found = await self._all(new.level, parent, new.label)
        return min(found, key=lambda c: (c.created or "", c.id)) if found else None

    async def _all(self, level: str, parent: str, label: str) -> list[Container]:
        noun = self._fw.noun(level)
        reference = Reference(type=PARENT_LEVEL[level], id=parent)
        filters = q.where("label", "=", label) if q.expressible(label) else ""
        found = [c async for c in noun.iter(parent=reference, filters=filters, files=False)]
        return [c for c in found if label in (c.label, getattr(c, "code", None))]

    # --- after the run ------------------------------------------------------------------------------------------

    async def settle_doubles(self) -> list[Outcome]:
        """Look once more where a create was sent twice. A double that this run made, still empty and unchanged, is
        deleted; every other is returned as a failure for the report."""
        problems = []
        for double in self._sent_twice:
            found = sorted(
                await self._all(double.level, double.parent_id, double.label), key=lambda c: (c.created or "", c.id)
            )
            for extra in found[1:]:
                if await self._is_untouched(double.level, extra):
                    await self._fw.noun(double.level).delete(extra.id)
                    log.info("double deleted", level=double.level, id=extra.id)
                else:
                    problems.append(double_outcome(double.level, double.label, (found[0].id, extra.id)))
                    self.made.pop(found[0].id, None)
                    self.made.pop(extra.id, None)
        return problems

    async def _is_untouched(self, level: str, container: Container) -> bool:
        whole = await self._fw.noun(level).get(container.id)
        if whole.files or whole.notes or getattr(whole, "analyses", None) or (whole.revision or 1) > 1:
            return False
        if level == "acquisition":
            return True
        below = self._fw.noun("session" if level == "subject" else "acquisition")
        return await below.first(parent=Reference(type=level, id=container.id)) is None


def _settled(item: WorkItem, found: Upserted | None, seconds: float) -> Outcome:
    if found is None:
        return item.outcome("failed", reason=f"the site's upsert answered nothing for {item.target}")
    # `ignored` after a repeated request: the first one made it, and its answer was lost.
    there = found.result == "ignored" and found.attempts == 1
    state: State = "unchanged" if there else "done"
    new = _payload(item)
    return item.outcome(
        state,
        ref=found.id,
        attempts=found.attempts,
        seconds=seconds,
        request="POST /projects/{id}/upsert-hierarchy",
        sent=None if there or found.result == "updated" else _sent(new),
    )


def _sent(new: NewContainer) -> dict[str, Any]:
    """What was sent of a container, for `fwsync undo` to compare with."""
    return {"label": new.label, **new.fields, "tags": list(new.tags), "notes": list(new.notes)}


def _payload(item: WorkItem) -> NewContainer:
    payload = item.payload
    if not isinstance(payload, NewContainer):
        raise TypeError(f"{item.kind} needs a NewContainer")
    return payload


def _document(new: NewContainer, parent: str) -> dict[str, Any]:
    """The body of a classic create. A subject is created by itself: embedded in a session it loses names and sex."""
    document: dict[str, Any] = {"label": new.label, **new.fields}
    if new.level == "subject":
        document["project"] = new.project_id
    elif new.level == "session":
        document.update(project=new.project_id, subject={"_id": parent})
    else:
        document["session"] = parent
    return document
