"""The body of a bulk download: nodes, file filters, container filters; checked.

{nodes: [{level, _id}], optional?, filters?: [{types?: {plus, minus}, tags?: {plus, minus}, since?}],
 container_filters?: [{type?, tags: {plus, minus}}]}        `+` and `-` are read like plus and minus
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fwsync.sandbox.errors import malformed
from fwsync.sandbox.store.documents import CONTAINERS
from fwsync.sandbox.store.ids import to_time

_Sides = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Types and tags that a file must have one of, or must have none of; the earliest time of change in seconds."""

    types: _Sides
    tags: _Sides
    since: float | None

    def passes(self, file: dict[str, Any]) -> bool:
        """Whether a file document passes."""
        moment = to_time(str(file.get("modified") or ""))
        late = self.since is None or (moment is not None and moment.timestamp() >= self.since)
        return late and _passes(self.types, [file.get("type")]) and _passes(self.tags, file.get("tags") or [])


@dataclass(frozen=True, slots=True)
class ContainerFilter:
    """Tags that the containers of a level (or of any) must have one of, or none of."""

    kind: str | None
    tags: _Sides

    def passes(self, kind: str, tags: list[str]) -> bool:
        """Whether a container passes; one of another level always does."""
        return self.kind not in (None, kind) or _passes(self.tags, tags)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checked request."""

    nodes: tuple[tuple[str, str], ...]
    optional: bool
    filters: tuple[FileFilter, ...]
    containers: tuple[ContainerFilter, ...]

    def passes(self, file: dict[str, Any]) -> bool:
        """Whether a file passes any of the filters, or there are none."""
        return not self.filters or any(one.passes(file) for one in self.filters)


def parse(given: dict[str, Any]) -> Wanted:
    """The request of a body; 400 on anything wrong."""
    nodes = given.get("nodes")
    if not isinstance(nodes, list) or not nodes:
        raise malformed("nodes: must be a list of objects with level and _id, and not empty")
    return Wanted(
        nodes=tuple(_node(one) for one in nodes),
        optional=bool(given.get("optional")),
        filters=tuple(_file_filter(one) for one in _list(given, "filters")),
        containers=tuple(_container_filter(one) for one in _list(given, "container_filters")),
    )


def _node(given: Any) -> tuple[str, str]:
    level = given.get("level") if isinstance(given, dict) else None
    ident = given.get("_id") if isinstance(given, dict) else None
    if level not in CONTAINERS or not isinstance(ident, str):
        raise malformed(f"nodes: each must be an object with _id and a level of {', '.join(CONTAINERS)}")
    return str(level), ident


def _list(given: dict[str, Any], name: str) -> list[Any]:
    found = given.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise malformed(f"{name}: must be a list of objects")
    return found


def _file_filter(given: dict[str, Any]) -> FileFilter:
    since = given.get("since")
    if isinstance(since, str):
        moment = to_time(since)
        since = moment.timestamp() if moment else since
    if since is not None and (not isinstance(since, (int, float)) or isinstance(since, bool)):
        raise malformed("filters.since: must be a time or a number of seconds")
    return FileFilter(_sides(given.get("types"), "types"), _sides(given.get("tags"), "tags"), since)


def _container_filter(given: dict[str, Any]) -> ContainerFilter:
    kind = given.get("type")
    if kind is not None and kind not in CONTAINERS:
        raise malformed(f"container_filters.type: {kind!r} is not one of {', '.join(CONTAINERS)}")
    return ContainerFilter(kind, _sides(given.get("tags"), "tags"))


def _sides(given: Any, name: str) -> _Sides:
    if given is None:
        return frozenset(), frozenset()
    if not isinstance(given, dict):
        raise malformed(f"filters.{name}: must be an object with plus and minus")
    out = []
    for words in (("plus", "+"), ("minus", "-")):
        values: Any = next((given[word] for word in words if given.get(word) is not None), [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise malformed(f"filters.{name}: plus and minus must be lists of texts")
        out.append(frozenset(values))
    return out[0], out[1]


def _passes(sides: _Sides, values: list[Any]) -> bool:
    plus, minus = sides
    held = {value for value in values if value is not None}
    return not (held & minus) and (not plus or bool(held & plus))
