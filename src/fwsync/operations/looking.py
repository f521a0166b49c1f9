"""`fwsync ls`, `fwsync tree`, `fwsync find`: reading the hierarchy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import ConflictError, UsageError
from fwsync.model import Container, FileEntry, Project, Reference
from fwsync.operations.projects import find_container, find_project, group_of, reference
from fwsync.selection import split_path

BELOW = {"group": "project", "project": "subject", "subject": "session", "session": "acquisition"}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One container or file of a listing; `depth` counts from 0 at the top of what was asked for."""

    type: str
    id: str
    label: str
    path: str
    depth: int = 0
    size: int | None = None
    modified: str | None = None
    tags: list[str] = []


def _line(kind: str, container: Any, path: str, depth: int = 0) -> Line:
    if isinstance(container, FileEntry):
        return Line(
            type="file", id=container.file_id or "", label=container.name, path=path, depth=depth,
            size=container.size, modified=container.modified, tags=list(container.tags or ()),
        )  # fmt: skip
    return Line(
        type=kind, id=container.id, label=container.label or container.id, path=path, depth=depth,
        modified=container.modified, tags=list(container.tags or ()),
    )  # fmt: skip


def segment_of(kind: str, container: Container) -> str:
    """How a container is named in a path: its label, or `<id:...>` where that could not be split again."""
    if kind == "group":
        return container.id
    label = container.label or ""
    return label if label and "/" not in label and label == label.strip("/") else f"<id:{container.id}>"


async def list_path(fw: Flywheel, path: str) -> AsyncIterator[Line]:
    """What is right below a path: groups at the top, else containers, then files and analyses."""
    if not split_path(path):
        async for group in fw.groups.iter():
            yield _line("group", group, group.id)
        return
    node = await find_container(fw, path)
    if isinstance(node.document, FileEntry):
        yield _line("file", node.document, path)
        return
    base = path.strip("/")
    below = BELOW.get(node.container_type)
    if below is not None:
        async for child in fw.noun(below).iter(parent=reference(node), files=False):
            yield _line(below, child, f"{base}/{segment_of(below, child)}")
    whole = node.document
    for analysis in getattr(whole, "analyses", None) or ():
        yield _line("analysis", analysis, f"{base}/analyses/{analysis.label}")
    for entry in getattr(whole, "files", None) or ():
        yield _line("file", entry, f"{base}/files/{entry.name}")


async def tree(fw: Flywheel, path: str, *, depth: int, files: bool) -> AsyncIterator[Line]:
    """Everything below a path down to `depth` levels, depth first."""
    if not split_path(path):
        async for group in fw.groups.iter():
            yield _line("group", group, group.id)
            if depth > 1:
                async for line in _below(fw, "group", group, group.id, 1, depth, files):
                    yield line
        return
    node = await find_container(fw, path)
    yield _line(node.container_type, node.document, path.strip("/"))
    if not isinstance(node.document, FileEntry):
        async for line in _below(fw, node.container_type, node.document, path.strip("/"), 1, depth, files):
            yield line


async def _below(
    fw: Flywheel, kind: str, container: Container, base: str, level: int, depth: int, files: bool
) -> AsyncIterator[Line]:
    if level > depth:
        return
    for entry in (container.files or ()) if files else ():
        yield _line("file", entry, f"{base}/files/{entry.name}", level)
    below = BELOW.get(kind)
    if below is None:
        return
    async for child in fw.noun(below).iter(parent=Reference(type=kind, id=container.id), files=files):
        path = f"{base}/{segment_of(below, child)}"
        yield _line(below, child, path, level)
        async for line in _below(fw, below, child, path, level + 1, depth, files):
            yield line


async def find(fw: Flywheel, level: str, filters: str, project: str) -> AsyncIterator[Line]:
    """Containers of a level that a finder filter (`label=sub-01,age>=630720000`) matches, in a project or anywhere."""
    async for container in containers(fw, level, filters=filters, project=project):
        yield _line(level, container, _path(level, container))


async def containers(
    fw: Flywheel, level: str, *, filters: str = "", project: str = "", files: bool = False, info: bool = False
) -> AsyncIterator[Any]:
    """Containers of a level as the model's structs; with their files and their info only where asked for."""
    parent = None
    if project:
        found = await find_project(fw, project)
        parent = Reference(type="project", id=found.id)
    try:
        async for container in fw.noun(level).iter(parent=parent, filters=filters, files=files, info=info):
            yield container
    except ConflictError as error:
        raise UsageError(f"filter {filters!r}: {error.reason}") from error


def _path(level: str, container: Container) -> str:
    if isinstance(container, Project):
        return f"{group_of(container)}/{segment_of(level, container)}"
    return segment_of(level, container) if level == "group" else f"<id:{container.id}>"
