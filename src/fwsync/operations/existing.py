"""What a project already has of what a table asks for, read by whichever way costs fewer requests, into the spool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import anyio

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.client.nouns import Noun
from fwsync.errors import RemoteError
from fwsync.model import Container, Reference, parent_of
from fwsync.run.spool import Spool

FEW = 3
"""So few named subjects are asked one by one, whatever the size of the project."""

IN_ONE_FILTER = 40
"""So many labels or ids are asked for in one request: a filter is part of an address, whose length has limits."""

CHARACTERS_IN_ONE_FILTER = 3000
BATCH = 1000

Held = tuple[int, str, str, str, str, dict[str, Any]]


async def read_existing(fw: Flywheel, project_id: str, spool: Spool) -> None:
    """Fill the spool with the containers that the project has.

    Either the whole project is read in pages, all levels at once; or only the subjects that are named come by filter,
    a few dozen a request, and then their sessions and acquisitions, a few dozen subjects a request.
    """
    project = Reference(type="project", id=project_id)
    wanted = spool.subject_count()
    if not wanted:
        return
    first = await fw.subjects.page(parent=project, limit=1, files=False, count=True)
    if not first.documents:
        return
    reader = _Reader(fw, project, spool)
    # Unknown where a site does not count: then a short table is taken for the smaller work.
    pages = 3 * -(-first.total // fw.session.settings.page_size) if first.total is not None else 3 * IN_ONE_FILTER
    named = 1 + 2 * wanted if wanted <= FEW else 1 + 3 * -(-wanted // IN_ONE_FILTER)
    if pages <= named:
        await reader.everything()
    else:
        await reader.named(pages)
    spool.index_held()


class _Reader:
    def __init__(self, fw: Flywheel, project: Reference, spool: Spool) -> None:
        self._fw, self._project, self._spool = fw, project, spool
        nouns: tuple[Noun[Any], ...] = (fw.subjects, fw.sessions, fw.acquisitions)
        self._nouns = nouns

    def _list(self, depth: int, parent: Reference, filters: str = "") -> AsyncIterator[Any]:
        """A listing. Files and info make it several times as large: they come only where the table speaks of them."""
        names = self._spool.names[depth]
        info = any(name.startswith("info.") for name in names)
        return self._nouns[depth].iter(parent=parent, filters=filters, files="files" in names, info=info)

    async def everything(self) -> None:
        """The whole project, its three levels at the same time."""
        async with anyio.create_task_group() as group:
            for depth in range(3):
                group.start_soon(self._take, depth, self._list(depth, self._project))

    async def named(self, pages: int) -> None:
        """The named subjects, then what is below them; in all `pages` pages where the site has no filter for it."""
        for labels in _batches(self._spool.subject_labels()):
            try:
                await self._take(0, self._list(0, self._project, _any_of(labels)))
            except RemoteError as error:
                if error.status not in (400, 422):
                    raise
                await self.everything()  # a site that has no patterns in filters
                return
        idents = self._spool.held_ids()
        if len(idents) > FEW and await self._fw.subjects.has_lists(idents):
            await self._below_many(idents)
        elif len(idents) <= FEW or 2 * len(idents) < pages:
            await self._below_each(idents)
        else:
            await self.everything()

    async def _below_many(self, idents: list[str]) -> None:
        """Sessions and acquisitions of many subjects, some dozen subjects a request."""
        async with anyio.create_task_group() as group:
            for some in _batches(idents):
                filters = q.one_of("parents.subject", some)
                for depth in (1, 2):
                    group.start_soon(self._take, depth, self._list(depth, self._project, filters))

    async def _below_each(self, idents: list[str]) -> None:
        """Sessions and acquisitions of one subject after the other: two requests each."""
        async with anyio.create_task_group() as group:
            for ident in idents:
                below = Reference(type="subject", id=ident)
                group.start_soon(self._take, 1, self._list(1, below), ident)
                group.start_soon(self._take, 2, self._list(2, below))

    async def _take(self, depth: int, listing: AsyncIterator[Any], parent: str = "") -> None:
        batch: list[Held] = []
        async for container in listing:
            batch += _held(depth, container, self._project.id, parent, self._spool.names[depth])
            if len(batch) >= BATCH:
                self._spool.add_held(batch)
                batch = []
        self._spool.add_held(batch)


def _held(depth: int, container: Container, project_id: str, parent: str, names: Iterable[str]) -> Iterator[Held]:
    above = project_id if depth == 0 else parent_of(container) or parent
    values = {name: value for name in names if (value := _value(container, name)) is not None}
    # `code` is the older name of a subject's label: a site may know it by either.
    labels = {container.label, getattr(container, "code", None)} - {None, ""}
    for label in labels:
        yield depth, container.id, above, str(label), container.created or "", values


def _value(container: Container, name: str) -> Any:
    """What a container holds of a field, as `plan.stored.differences` compares it."""
    if name.startswith("info."):
        return (container.info or {}).get(name[5:])
    if name == "notes":
        return [note.get("text") for note in container.notes or ()]
    if name == "files":
        return {f.name: (f.size, f.hash, f.file_id, f.version) for f in container.files or ()}
    return getattr(container, name, None)


def _batches(labels: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for label in labels:
        if batch and (len(batch) >= IN_ONE_FILTER or size + len(label) > CHARACTERS_IN_ONE_FILTER):
            yield batch
            batch, size = [], 0
        batch.append(label)
        size += len(label)
    if batch:
        yield batch


def _any_of(labels: Iterable[str]) -> str:
    """A filter for these labels. A number is looked for with zeros before it too: a spreadsheet may have lost them."""
    return q.any_of("label", labels, padded=True)
