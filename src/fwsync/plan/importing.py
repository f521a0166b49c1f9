"""The containers that a table asks for, and those that the site has, to a plan.

Both come as streams in the same order: depth first, by labels. Nothing is held but the path down to where the streams
are, so that a million rows need no memory in proportion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from fwsync.plan.fields import LEVELS
from fwsync.plan.row import LEAST_OF_AGES, RowError, Values
from fwsync.plan.stored import Change, differences
from fwsync.plan.wanted import Wanted
from fwsync.work import EXISTS_OTHERWISE, ChangeContainer, Entry, NewContainer, Outcome, SendFile, State, WorkItem

OnConflict = Literal["skip", "update", "error"]
NO_KEYS: frozenset[str] = frozenset()


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Where containers go, and what becomes of those that exist with other values. `tag` and `note` mark what is
    created."""

    project_id: str
    project_path: str
    on_conflict: OnConflict = "skip"
    tag: str = ""
    note: str = ""


class Held(msgspec.Struct, frozen=True):
    """One container of the site: its labels from the subject down, its ids, and the fields that are compared.

    `values` has `info.KEY` for each key of info, `tags` and `notes` as texts, and `files` as a dict of name to
    (size, hash, file id, version).
    """

    labels: tuple[str, ...]
    id: str
    parent_id: str
    values: dict[str, Any]


CREATE, EQUAL, DIFFERS = "create", "equal", "differs"


class Planner:
    """Makes the plan of one import; `entries` may be called again and again."""

    def __init__(
        self,
        wanted: Callable[[], Iterable[Wanted]],
        held: Callable[[], Iterable[Held]],
        options: ImportOptions,
        *,
        rejected: Callable[[], Iterable[RowError]] = tuple,
        begun: Collection[str] = NO_KEYS,
        padded: Callable[[str], str | None] = lambda _: None,
        on_verdict: Callable[[Wanted, str], None] = lambda *_: None,
    ) -> None:
        """`begun` are keys of containers that a run before began and may not have finished: they are finished.
        `padded` finds a subject of the site that is this number with zeros before it. `on_verdict` is told of each
        container whether it is `create`, `equal`, or how it differs."""
        self._wanted, self._held, self._options = wanted, held, options
        self._rejected, self._begun, self._padded = rejected, begun, padded
        self._on_verdict = on_verdict
        self._forget()

    def _forget(self) -> None:
        self._doubles = self._stripped = self._moved = 0
        self._examples: dict[str, str] = {}

    def entries(self) -> Iterator[Entry]:
        """Rejected rows, then containers depth first: those that are there, those to create or change, and files."""
        self._forget()
        for error in self._rejected():
            yield rejection(error)
        site = _Site(self._held(), self._options.project_id)
        path = _Path(self._options.project_path)
        fresh: list[WorkItem] = []  # a new container and the first ones below it, which one request may settle
        files: list[Entry] = []
        for one in self._wanted():
            place = path.enter(one.depth, one.label)
            found = site.find(place.labels)
            if found is None:
                item = self._new(one, place, site.parent_of(one.depth))
                if not fresh or files or item.parent != fresh[-1].key:
                    yield from _chain(fresh, files)
                    fresh = []
                fresh.append(item)
                files = self._files(one, place, None) if "files" in one.fields else []
                self._note_new(one, place)
            else:
                yield from _chain(fresh, files)
                fresh, files = [], []
                yield self._there(one, place, found)
                if "files" in one.fields:
                    yield from self._files(one, place, found)
        yield from _chain(fresh, files)
        if site.doubles:
            self._doubles, self._examples["doubles"] = site.doubles, site.example

    def warnings(self) -> list[str]:
        """What the last reading of the plan noticed, a line each."""
        out = []
        if self._doubles:
            example = self._examples["doubles"]
            out.append(
                f"labels that the site holds more than once: {self._doubles:,} (e.g. {example}); the oldest is taken"
            )
        if self._stripped:
            example = self._examples["stripped"]
            what = "subjects that look like existing ones without their leading zeros"
            out.append(f"{what}: {self._stripped:,} (e.g. {example})")
        if self._moved:
            example = self._examples["moved"]
            out.append(f"the site has changed since the plan was made: {self._moved:,} containers (e.g. {example})")
        return out

    def _note_new(self, one: Wanted, place: _Place) -> None:
        self._verdict(one, place, CREATE)
        if one.depth == 0 and one.label.isdigit() and (like := self._padded(one.label)) is not None:
            self._stripped += 1
            self._examples.setdefault("stripped", f"{one.label!r} beside {like!r}")

    def _verdict(self, one: Wanted, place: _Place, now: str) -> bool:
        """Tell what a container is; whether a plan file said something else of it."""
        self._on_verdict(one, now)
        if not one.was or one.was == now:
            return False
        self._moved += 1
        self._examples.setdefault("moved", f"{place.target} was {one.was!r}, is {now!r}")
        return True

    def _new(self, one: Wanted, place: _Place, parent_id: str | None, existing_id: str | None = None) -> WorkItem:
        options = self._options
        fields, tags, notes = sendable(one.fields) if one.fields else ({}, (), ())
        return WorkItem(
            kind=_CREATES[one.depth],
            key=place.key,
            target=place.target,
            payload=NewContainer(
                level=LEVELS[one.depth],
                label=one.label,
                project_id=options.project_id,
                fields=fields,
                parent_id=parent_id,
                lineage=place.labels[:-1],
                tags=_with(tags, options.tag),
                notes=_with(notes, options.note),
                existing_id=existing_id,
            ),
            parent=place.above if parent_id is None else None,
            line=one.line,
        )

    def _there(self, one: Wanted, place: _Place, found: Held) -> Entry:
        """A container that exists: finished, equal, changed, or left as it is."""
        if place.key in self._begun:
            return self._new(one, place, found.parent_id, found.id)
        values = _with_age(one.fields) if LEAST_OF_AGES in one.fields else one.fields
        changes = differences(values, found.values)
        now = f"{DIFFERS}: {', '.join(map(str, changes))}" if changes else EQUAL
        moved = self._verdict(one, place, now)
        if not changes:
            return _settled(one, place, found, "unchanged")
        reason = f"{EXISTS_OTHERWISE}: {', '.join(map(str, changes))}"
        match self._options.on_conflict:
            case "error":
                return _settled(one, place, found, "failed", reason)
            case "skip":
                return _settled(one, place, found, "skipped", reason)
        if moved:
            # A plan that someone has read is carried out as it was read, or not at all.
            return _settled(one, place, found, "failed", f"changed since the plan was made, plan again: {reason}")
        level = LEVELS[one.depth]
        change = change_of(level, found.id, changes)
        return WorkItem(kind=f"update.{level}", key=place.key, target=place.target, payload=change, line=one.line)

    def _files(self, one: Wanted, place: _Place, found: Held | None) -> list[Entry]:
        out: list[Entry] = []
        there = found.values.get("files") or {} if found else {}
        for file in one.fields.get("files", ()):
            metadata = {k: file[k] for k in ("type", "modality", "classification", "info") if k in file}
            size, digest, file_id, version = there.get(file["name"], (None, None, None, None))
            out.append(
                WorkItem(
                    kind="upload.file",
                    key=f"{place.key}:file:{quote(file['name'], safe=' ')}",
                    target=f"{place.target}/{file['name']}",
                    payload=SendFile(
                        container_type=LEVELS[one.depth],
                        container_id=found.id if found else "",
                        name=file["name"],
                        source=file["source"],
                        size=file["size"],
                        mtime_ns=file["mtime_ns"],
                        metadata=metadata,
                        held_size=size,
                        held_hash=digest,
                        held_id=file_id,
                        held_version=version,
                        listed=True,
                        on_conflict=self._options.on_conflict,
                    ),
                    parent=None if found else place.key,
                    bytes=file["size"],
                    line=one.line,
                )
            )
        return out


def _chain(fresh: list[WorkItem], files: list[Entry]) -> Iterator[Entry]:
    """The first of new containers with the others riding along, then the files of the last."""
    if fresh:
        yield msgspec.structs.replace(fresh[0], riders=tuple(fresh[1:])) if len(fresh) > 1 else fresh[0]
        yield from files


class _Place(NamedTuple):
    """Where a container is: its labels from the subject down, its key, its parent's key, and its path for people."""

    labels: tuple[str, ...]
    key: str
    above: str | None
    target: str


class _Path:
    """The way down to where the plan is."""

    def __init__(self, project_path: str) -> None:
        self._places = [_Place((), "", None, project_path)]

    def enter(self, depth: int, label: str) -> _Place:
        """Go to a container below the one of the next lesser depth that was entered last."""
        del self._places[depth + 1 :]
        above = self._places[depth]
        # The key is the same in every run, and unambiguous for any labels.
        quoted = label if _SAFE.match(label) else quote(label, safe=" ")
        tail = f"{above.key.partition(':')[2]}/{quoted}" if depth else quoted
        place = _Place((*above.labels, label), f"{LEVELS[depth]}:{tail}", above.key or None, f"{above.target}/{label}")
        self._places.append(place)
        return place


def labels_of(key: str) -> tuple[str, ...]:
    """The labels, from the subject down, in the key of a container."""
    return tuple(map(unquote, key.partition(":")[2].split("/")))


_SAFE = re.compile(r"[A-Za-z0-9_. ~-]+\Z")
_CREATES = tuple(f"create.{level}" for level in LEVELS)


class _Site:
    """A cursor over what the site holds, which moves along with what is wanted."""

    def __init__(self, held: Iterable[Held], project_id: str) -> None:
        self._stream = iter(held)
        self._next = next(self._stream, None)
        self._ids: list[str | None] = [project_id]  # of the project and of the containers on the current path
        self.doubles, self.example = 0, ""

    def find(self, labels: tuple[str, ...]) -> Held | None:
        """The oldest container with these labels, below the ones that were found for its ancestors."""
        del self._ids[len(labels) :]
        above = self._ids[-1] if len(self._ids) == len(labels) else None
        found = None
        while self._next is not None and self._next.labels <= labels:
            if self._next.labels == labels and self._next.parent_id == above:
                if found is not None and found.id != self._next.id:
                    self.doubles += 1
                    self.example = self.example or f"{LEVELS[len(labels) - 1]} {labels[-1]!r}"
                found = found or self._next
            self._next = next(self._stream, None)
        self._ids.append(found.id if found else None)
        return found

    def parent_of(self, depth: int) -> str | None:
        """The id of what is above the container of this depth that was looked for last, where it exists."""
        return self._ids[depth]


def rejection(error: RowError) -> Outcome:
    """The outcome of a row in error."""
    return Outcome(
        key=f"row:{error.line}",
        kind="row",
        state="rejected",
        target=f"line {error.line}",
        reason=f"{error.column}: {error.message}" if error.column else error.message,
        attempts=0,
        line=error.line,
    )


def _settled(one: Wanted, place: _Place, found: Held, state: State, reason: str = "") -> Outcome:
    """The outcome of a container that needs nothing done."""
    return Outcome(
        key=place.key,
        kind=_CREATES[one.depth],
        state=state,
        target=place.target,
        reason=reason,
        ref=found.id,
        attempts=0,
        line=one.line,
    )


def _with_age(values: Values) -> Values:
    """The values with an age that was worked out in the place of one that was told."""
    out = {name: value for name, value in values.items() if name != LEAST_OF_AGES}
    out.setdefault("age", values[LEAST_OF_AGES])
    return out


def sendable(values: Values) -> tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """What a create sends of values: a document with its nested info, tags, notes."""
    document: dict[str, Any] = {}
    info: dict[str, Any] = {}
    if LEAST_OF_AGES in values:
        values = _with_age(values)
    for name, value in values.items():
        if name.startswith("info."):
            info[name[5:]] = value
        elif name not in ("tags", "notes", "files"):
            document[name] = value
    if info:
        document["info"] = info
    return document, tuple(values.get("tags", ())), tuple(values.get("notes", ()))


def change_of(level: str, ident: str, changes: Iterable[Change]) -> ChangeContainer:
    """What an update sends: only the fields that differ."""
    fields, tags, notes = sendable({change.field: change.new for change in changes})
    info = fields.pop("info", {})
    return ChangeContainer(level=level, id=ident, fields=fields, info=info, tags=tags, notes=notes)


def _with(texts: tuple[str, ...], mark: str) -> tuple[str, ...]:
    return texts if not mark or mark in texts else (*texts, mark)
