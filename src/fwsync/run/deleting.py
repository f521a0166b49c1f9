"""The handlers that take back what an import created: only what nobody has touched since."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from fwsync.client.api import Flywheel
from fwsync.errors import FwsyncError, NotFoundError
from fwsync.model import Container, Reference
from fwsync.plan.stored import same_form
from fwsync.run.pool import Handler
from fwsync.work import DeleteContainer, Outcome, State, WorkItem

LEVELS = ("subject", "session", "acquisition")
BELOW = {"subject": "session", "session": "acquisition"}
GONE = "is gone already"

_FIELDS = {
    "subject": (
        "firstname",
        "lastname",
        "sex",
        "date_of_birth",
        "cohort",
        "race",
        "ethnicity",
        "species",
        "strain",
        "type",
    ),
    "session": ("age", "weight", "operator", "timestamp", "timezone"),
    "acquisition": ("timestamp", "timezone"),
}


def change_since(level: str, held: Container, sent: Mapping[str, Any], files: frozenset[str]) -> str:
    """What was changed on a container since it was created as `sent`; empty for nothing. `files` are the ids of those
    files that the same run put on it."""
    for name in ("label", *_FIELDS[level]):
        old, now = sent.get(name), getattr(held, name, None)
        # A site may fill a field in by itself only where nothing was sent; what it fills in is not a person's work.
        if not same_form(name, old, now) and not (old is None and now in ("", [], {})):
            return f"{name} was changed"
    if (held.info or {}) != sent.get("info", {}):
        return "its info was changed"
    if set(held.tags or ()) != set(sent.get("tags", ())):
        return "its tags were changed"
    if sorted(str(note.get("text")) for note in held.notes or ()) != sorted(sent.get("notes", ())):
        return "its notes were changed"
    if any(file.file_id not in files or (file.version or 1) > 1 for file in held.files or ()):
        return "files were added"
    return "analyses were added" if getattr(held, "analyses", None) else ""


class Deleter:
    """Deletes on one site."""

    def __init__(self, fw: Flywheel) -> None:
        self._fw = fw

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {f"delete.{level}": self.delete for level in LEVELS}

    async def delete(self, item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        """Delete a container and its riders, which are below it, from the deepest up. Each is looked at once more right
        before; one that has to stay keeps everything above it."""
        kept: set[str] = set()
        out: list[Outcome] = []
        for one in sorted(item.everyone(), key=lambda i: -LEVELS.index(i.kind.split(".")[1])):
            began = time.monotonic()
            state: State
            try:
                state, reason = ("skipped", "parent of what has to stay") if one.key in kept else await self._one(one)
            except FwsyncError as error:
                state, reason = "failed", error.line
            if state in ("failed", "skipped"):
                kept |= _above(one.key)
            request = f"DELETE /{one.kind.split('.')[1]}s/{{id}}" if state == "done" else ""
            ref, seconds = _payload(one).id, time.monotonic() - began
            out.append(one.outcome(state, reason=reason, ref=ref, seconds=seconds, request=request))
        return out

    async def _one(self, item: WorkItem) -> tuple[State, str]:
        wanted = _payload(item)
        noun = self._fw.noun(wanted.level)
        try:
            held = await noun.get(wanted.id)
        except NotFoundError:
            return "unchanged", GONE
        if change := change_since(wanted.level, held, wanted.sent, wanted.files):
            return "failed", f"kept: {change}"
        below = BELOW.get(wanted.level)
        if below and await self._fw.noun(below).first(parent=Reference(type=wanted.level, id=wanted.id)) is not None:
            return "failed", f"kept: there are {below}s below it"
        try:
            await noun.delete(wanted.id)
        except NotFoundError:
            return "done", ""  # a repeated delete whose first answer was lost
        return "done", ""


def _payload(item: WorkItem) -> DeleteContainer:
    if not isinstance(item.payload, DeleteContainer):
        raise TypeError(f"{item.kind} needs a DeleteContainer")
    return item.payload


def _above(key: str) -> set[str]:
    """The keys of everything above a container: keys are made of the labels from the subject down."""
    parts = key.partition(":")[2].split("/")
    return {f"{LEVELS[depth]}:{'/'.join(parts[: depth + 1])}" for depth in range(len(parts) - 1)}
