"""A local tree and what the site has, to a plan: containers by the import's planner, and the files on each of them.

A new container and the first ones below it are one item, since one request may settle them. The files of a new one come
after all that is below it: an item's parent must still be on the executor's path when the item is read, and a file of
the subject would end the path to the acquisitions that are still to come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from fwsync.plan.importing import OnConflict, labels_of
from fwsync.work import Entry, NewContainer, Outcome, SendFile, WorkItem

OTHER_BYTES = "exists with other bytes"


class HeldFile(msgspec.Struct, frozen=True):
    """A file that a container holds, as a listing tells it."""

    size: int | None
    hash: str | None
    version: int | None
    file_id: str | None


class TreeFile(msgspec.Struct, frozen=True):
    """A local file that goes to a container under `name`. `digest` is its hash where that is known without reading it;
    `held` what the container has under this name."""

    name: str
    source: str
    size: int
    mtime_ns: int
    digest: str | None
    metadata: dict[str, Any]
    held: HeldFile | None


Decision = Literal["send", "unchanged", "conflict"]


def decide(file: TreeFile) -> Decision:
    """What is to be done as far as it is known without reading the file.

    held           local hash     decision
    nothing        any            send
    same hash      the same       unchanged
    other size     any            conflict
    other hash     another        conflict
    otherwise      unknown        send: the sender hashes it and compares
    """
    held = file.held
    if held is None:
        return "send"
    if held.hash is not None and file.digest is not None:
        return "unchanged" if held.hash == file.digest else "conflict"
    if held.size is not None and held.size != file.size:
        return "conflict"
    return "send"


Files = Callable[[tuple[str, ...], str | None], Iterable[TreeFile]]
"""The local files of a container by its labels; its id, where it exists, tells what it holds."""


class TreePlanner:
    """Makes the plan of an upload; `entries` may be called again and again."""

    def __init__(
        self,
        containers: Callable[[], Iterable[Entry]],
        files: Files,
        *,
        project_id: str,
        project_path: str,
        on_conflict: OnConflict,
        settled: Callable[[], Iterable[Outcome]] = tuple,
    ) -> None:
        """`containers` is the plan of the containers alone; `settled` are the files that were left out."""
        self._containers, self._files, self._settled = containers, files, settled
        self._project_id, self._project_path, self._on_conflict = project_id, project_path, on_conflict

    def entries(self) -> Iterator[Entry]:
        """What was left out, the project's own files, then containers depth first, each with its files."""
        yield from self._settled()
        for file in self._files((), self._project_id):
            yield self._file(file, "project", self._project_id, "project", self._project_path, None)
        opened: list[WorkItem] = []
        for entry in self._containers():
            yield from self._files_of(opened, entry.key)
            yield entry
            if isinstance(entry, WorkItem):
                opened += entry.everyone()
            elif entry.ref is not None:
                yield from self._below(entry.key, entry.target, entry.ref, None)
        yield from self._files_of(opened, "")

    def _files_of(self, opened: list[WorkItem], key: str) -> Iterator[Entry]:
        """The files of those new containers, deepest first, that the plan leaves for the container with this key."""
        labels = labels_of(key)
        while opened and labels_of(opened[-1].key) != labels[: len(labels_of(opened[-1].key))]:
            one = opened.pop()
            there = one.payload.existing_id if isinstance(one.payload, NewContainer) else None
            yield from self._below(one.key, one.target, there, one.key)

    def _below(self, key: str, target: str, ident: str | None, parent: str | None) -> Iterator[Entry]:
        level, _, _ = key.partition(":")
        for file in self._files(labels_of(key), ident):
            yield self._file(file, level, ident or "", key, target, parent)

    def _file(
        self, file: TreeFile, level: str, ident: str, key: str, target: str, parent: str | None
    ) -> WorkItem | Outcome:
        held, decision = file.held, decide(file)
        item = WorkItem(
            kind="upload.file",
            key=f"{key}:file:{quote(file.name, safe=' ')}",
            target=f"{target}/{file.name}",
            payload=SendFile(
                container_type=level,
                container_id=ident,
                name=file.name,
                source=file.source,
                size=file.size,
                mtime_ns=file.mtime_ns,
                metadata=file.metadata,
                held_size=held.size if held else None,
                held_hash=held.hash if held else None,
                held_id=held.file_id if held else None,
                held_version=held.version if held else None,
                listed=True,
                digest=file.digest,
                on_conflict=self._on_conflict,
            ),
            parent=parent,
            bytes=file.size,
        )
        if decision == "unchanged":
            return item.outcome("unchanged", ref=held.file_id if held else None, attempts=0)
        if decision == "conflict" and self._on_conflict != "update":
            state: Literal["skipped", "failed"] = "skipped" if self._on_conflict == "skip" else "failed"
            return item.outcome(state, ref=held.file_id if held else None, reason=OTHER_BYTES, attempts=0)
        return item
