"""What planners make and executors carry out: WorkItem, Outcome, Plan, Summary.

A plan lists *depth first*: an item comes after its parent and before any item that is not below that parent. An
executor may therefore forget a parent as soon as the plan has left its subtree, and a million items need no memory
in proportion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, Protocol

import msgspec

from fwsync import frames

State = Literal["done", "unchanged", "skipped", "failed", "stopped", "rejected"]
"""done: changed something. unchanged: was already so. skipped: not tried, with a reason. failed: tried in vain.
stopped: the run ended first. rejected: bad input (a row in error), nothing was sent."""

STATES: tuple[State, ...] = ("done", "unchanged", "skipped", "failed", "stopped", "rejected")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one item. Handlers return it; only bugs raise.

    `ref` is the id of the container or file, `kind` the item's kind, `seconds` wall time, `bytes` those that
    crossed the network for its content. `request` is what settled it (`POST /subjects`), `line` the line of the
    input that asked for it, `sent` what a create sent, so that it can be told later whether that was changed.
    """

    key: str
    kind: str
    state: State
    target: str = ""
    reason: str = ""
    ref: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    bytes: int = 0
    request: str = ""
    line: int = 0
    sent: dict[str, Any] | None = None


class WorkItem(msgspec.Struct, frozen=True, kw_only=True):
    """One container or one file to be dealt with; plain values only, so that it pickles.

    `kind` names the handler (`create.subject`, `download.file`), `key` is the same in every run, `target` is what a
    person reads (`demo/neuro/sub-01`), `payload` is what the handler needs, `parent` is the key of the item whose
    ref this one needs. `riders` are further items, each below the one before it, that the same request may settle
    (a hierarchy upsert makes a subject, its session and its acquisition at once); a handler answers for all. `line`
    is the line of the input that asks for it first, 0 where there is none.
    """

    kind: str
    key: str
    target: str
    payload: Any = None
    parent: str | None = None
    riders: tuple[WorkItem, ...] = ()
    bytes: int = 0
    line: int = 0

    def everyone(self) -> tuple[WorkItem, ...]:
        """The item and its riders, parents first."""
        return (self, *self.riders)

    def outcome(
        self,
        state: State,
        *,
        reason: str = "",
        ref: str | None = None,
        attempts: int = 1,
        seconds: float = 0.0,
        moved: int = 0,
        request: str = "",
        sent: dict[str, Any] | None = None,
    ) -> Outcome:
        """An outcome of this item; `moved` is the number of bytes that crossed the network."""
        return Outcome(
            key=self.key,
            kind=self.kind,
            state=state,
            target=self.target,
            reason=reason,
            ref=ref,
            attempts=attempts,
            seconds=seconds,
            bytes=moved,
            request=request,
            line=self.line,
            sent=sent,
        )


Entry = WorkItem | Outcome
"""A plan's entry: something to do, or something already settled while planning (unchanged, rejected, skipped)."""


class Plan(msgspec.Struct, kw_only=True):
    """What is to be done, in depth-first order.

    `entries` may be called several times (a dry run reads it, then an executor) and streams. `complete` is False
    when a listing that it was made from was cut short: such a plan never deletes and never ends in success.
    `items` and `bytes` count what `entries` will yield where the planner knows. `warnings` are lines for a person.
    """

    entries: Callable[[], Iterator[Entry]]
    complete: bool = True
    items: int | None = None
    bytes: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[Entry], *, complete: bool = True, warnings: Iterable[str] = ()) -> Plan:
        """A plan from a list in memory: for small work and for tests."""
        held = tuple(entries)
        return cls(
            entries=lambda: iter(held),
            complete=complete,
            items=sum(len(e.everyone()) if isinstance(e, WorkItem) else 1 for e in held),
            bytes=sum(w.bytes for e in held if isinstance(e, WorkItem) for w in e.everyone()),
            warnings=tuple(warnings),
        )


OnOutcome = Callable[[Outcome], None]
"""Called once for every item, in any order, on the event loop; must not block."""


class Executor(Protocol):
    """Carries a plan out. It calls back and does not yield: a generator must not yield inside a task group."""

    async def run(self, plan: Plan, on_outcome: OnOutcome) -> None:
        """Settle every entry of `plan` exactly once.

        Parents before children; a child of a failed, skipped or stopped parent is `skipped` with a reason. When
        cancelled, the items in flight are finished or `stopped`, and all others are `stopped`.
        """


class Summary(msgspec.Struct, kw_only=True):
    """The sum over all outcomes; exit code and verdict come from here alone.

    planned = done + unchanged + skipped + failed + stopped + rejected must hold, else the verdict is incomplete.
    `reasons` counts failures by reason, without what is another in each case; `examples` has one whole reason for
    each that was cut. `facts` are numbers about the input, such as rows read; `would` counts by kind what a dry run
    would do, `would_bytes` their sizes.
    `ended_early` is set when an error ended the run.
    """

    run: str = ""
    job: str = ""
    planned: int | None = None
    complete: bool = True
    ended_early: bool = False
    dry_run: bool = False
    states: Counter[str] = msgspec.field(default_factory=Counter)
    by_kind: dict[str, Counter[str]] = msgspec.field(default_factory=dict)
    reasons: Counter[str] = msgspec.field(default_factory=Counter)
    examples: dict[str, str] = msgspec.field(default_factory=dict)
    first_failures: list[Outcome] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    would: Counter[str] = msgspec.field(default_factory=Counter)
    would_bytes: Counter[str] = msgspec.field(default_factory=Counter)
    facts: dict[str, int] = msgspec.field(default_factory=dict)
    retries: int = 0
    requests: int = 0
    writes: int = 0
    bytes: int = 0
    seconds: float = 0.0

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.states[outcome.state] += 1
        if (of_kind := self.by_kind.get(outcome.kind)) is None:
            of_kind = self.by_kind[outcome.kind] = Counter()  # not a Counter for each of a million outcomes
        of_kind[outcome.state] += 1
        self.bytes += outcome.bytes
        if outcome.state in ("failed", "skipped", "stopped"):
            group = group_of(outcome.reason)
            self.reasons[group] += 1
            if self.reasons[group] == 1 and group != outcome.reason:
                self.examples[group] = f"{outcome.target}{outcome.reason.removeprefix(group)}"
        if outcome.state in ("failed", "rejected") and len(self.first_failures) < MOST_SHOWN:
            self.first_failures.append(outcome)

    def revise(self, was: State, outcome: Outcome) -> None:
        """Count an outcome in place of one of the same kind that was counted in the state `was`."""
        self.states -= Counter({was: 1})
        self.by_kind[outcome.kind] -= Counter({was: 1})
        self.add(outcome)

    @property
    def settled(self) -> int:
        """How many items have an outcome."""
        return self.states.total()

    @property
    def ok(self) -> bool:
        """Everything that was planned is done or already so, and nothing was cut short."""
        bad = self.states["failed"] + self.states["stopped"] + self.states["rejected"]
        return self.complete and not self.ended_early and not bad and not self._orphans() and self._adds_up()

    def _orphans(self) -> int:
        """Items skipped because their parent failed; other skips are on purpose and no failure."""
        return sum(n for reason, n in self.reasons.items() if reason.startswith(PARENT_FAILED))

    def _adds_up(self) -> bool:
        return self.planned is None or self.planned == self.settled

    @property
    def exit_code(self) -> int:
        """0 when all is as asked, else 3."""
        return 0 if self.ok else 3

    @property
    def verdict(self) -> str:
        """The last line of every command that changes something."""
        total = self.planned if self.planned is not None else self.settled
        if self.dry_run:
            bad = self.states["rejected"]
            return f"dry run: {self.would.total():,} to do, nothing was changed" + (
                f"; {bad:,} rejected" if bad else ""
            )
        if self.ok:
            return "complete" if total else "complete: nothing to do"
        parts = [f"{self.states[state]:,} {state}" for state in ("failed", "rejected", "stopped") if self.states[state]]
        if orphans := self._orphans():
            parts.append(f"{orphans:,} skipped below a failure")
        if not self._adds_up():
            parts.append(f"{total - self.settled:,} without an outcome")
        if not self.complete:
            parts.append("the listing was cut short")
        if not parts:
            parts.append("ended early")
        return f"incomplete: {', '.join(parts)} of {total:,}"

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`: a row for each kind of item, how many are in each state. UsageError without pandas."""
        kinds = sorted({*self.by_kind, *self.would})
        held = {kind: {**self.by_kind.get(kind, {}), "to do": self.would[kind]} for kind in kinds}
        return frames.counts(held, (*STATES, "to do") if self.dry_run else STATES)


MOST_SHOWN = 100
"""So many failed and rejected items are named in the summary; the journal has all."""

EXISTS_OTHERWISE = "exists with other values"
"""Reasons that begin so go on with `: field old > new, ...`."""

NO_ROOM = "no space left"
TOO_LARGE = "the file is too large"
"""Reasons of files for which the local disk has no room; they go on with the numbers."""

_WITH_DETAILS = (
    NO_ROOM,
    TOO_LARGE,
    EXISTS_OTHERWISE,
    "changed since the plan was made, plan again",
    "is there more than once",
    "several files fit one input, choose by --pick",
)


def group_of(reason: str) -> str:
    """The reason without what is another for each item: so that a hundred thousand of them are one line, and little
    memory."""
    return next((start for start in _WITH_DETAILS if reason.startswith(start)), reason)


def human(size: float | None) -> str:
    """Bytes for people."""
    value = float(size or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


PARENT_FAILED = "parent"
"""Reasons that begin so mark items that were skipped because the item above them was not done."""


class NewContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `create.subject`, `create.session` and `create.acquisition`.

    `fields` holds what to send besides the label, already in stored form (times as ISO 8601 text with offset, ages as
    whole seconds). `parent_id` is the id of the parent where it exists already, else None: then the parent's outcome
    gives it. `lineage` are the labels of the ancestors from the subject down, for a hierarchy upsert, which names
    existing parents by label alone. `tags` and `notes` are put on it, as far as the create can't take them, after it.
    `existing_id` is set where a run before created it and may not have finished: then only these are put right.
    """

    level: Literal["subject", "session", "acquisition"]
    label: str
    project_id: str
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    parent_id: str | None = None
    lineage: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    existing_id: str | None = None


class ChangeContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `update.subject`, `update.session` and `update.acquisition`: only what is to be changed.

    `info` is merged key by key; `tags` and `notes` are added; nothing is ever taken away.
    """

    level: str
    id: str
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    info: dict[str, Any] = msgspec.field(default_factory=dict)
    tags: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class TagContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `tag.acquisition` and of its like: tags that a container is to have, and such that it is to lose."""

    level: str
    id: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class DeleteContainer(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `delete.subject`, `delete.session` and `delete.acquisition`: a container that a run created as `sent`,
    and the ids of the files that it put there."""

    level: str
    id: str
    sent: dict[str, Any] = msgspec.field(default_factory=dict)
    files: frozenset[str] = frozenset()


class NewCollection(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `create.collection`."""

    label: str
    description: str = ""


class Membership(msgspec.Struct, frozen=True, gc=False):
    """Payload of `add.acquisition` and `remove.acquisition`: an acquisition by its id, and the key of the item, or of
    the collection, that it is put into or taken out of."""

    id: str
    collection: str


class FetchFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Payload of `download.file` and `download.member`: one version of one file, or one member inside its zip.

    `path` is relative to the root of the local tree, `/`-separated and already safe. `size` and `hash` are those of
    the file entry; `member_*` tell of the member (size, CRC, where its local header begins, packed size, zip method) as
    far as its archive's directory was read: without them it comes by the site's own member endpoint. `content` is what
    to write where nothing is to be fetched (a sidecar); `hash` is then that of these bytes. With `aside`, the local
    file at `path` was changed by someone, and goes to the trash first.
    `mtime_ns` is the time that the local file is to have where that is not `modified`.
    """

    container_type: str
    container_id: str
    name: str
    path: str
    file_id: str | None = None
    version: int | None = None
    size: int | None = None
    hash: str | None = None
    modified: str | None = None
    mtime_ns: int | None = None
    member: str | None = None
    member_size: int | None = None
    member_crc: int | None = None
    member_offset: int | None = None
    member_packed: int | None = None
    member_method: int | None = None
    content: bytes | None = None
    aside: bool = False


class MoveFile(msgspec.Struct, frozen=True):
    """Payload of `move.local`: what lies at `source` in the tree is what `fetch` wants at its path."""

    fetch: FetchFile
    source: str


class DeleteFile(msgspec.Struct, frozen=True):
    """Payload of `delete.local`: a local file that nothing wants any more, as it was left (`mtime_ns` in nanoseconds).
    `file_id` is what it was fetched from."""

    path: str
    file_id: str
    size: int
    mtime_ns: int
    permanent: bool = False


class SendFile(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `upload.file`: a local file and where it goes. `size` and `mtime_ns` are as seen while planning.

    An empty `container_id` is that of the parent item. `held_*` tell of the file of this name that was there while
    planning; `on_conflict` says what to do where its bytes are others: a new version (`update`), or nothing (`skip`,
    `error`). `listed` tells that the container's files were read while planning, so that `held_*` is all there was and
    nobody needs to look again. `digest` is the local file's hash where that is known.
    """

    container_type: str
    container_id: str
    name: str
    source: str
    size: int
    mtime_ns: int
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    held_size: int | None = None
    held_hash: str | None = None
    held_id: str | None = None
    held_version: int | None = None
    listed: bool = False
    digest: str | None = None
    on_conflict: Literal["skip", "update", "error"] = "update"
