"""One document of any kind, with where it is in the hierarchy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HIERARCHY = ("group", "project", "subject", "session", "acquisition")
"""The levels from the top."""


@dataclass(slots=True)
class Place:
    """Where a document is: all that one needs of a parent. `ancestors` maps level to id, itself not in it."""

    id: str
    kind: str
    parent_id: str | None
    ancestors: dict[str, str]

    @property
    def lineage(self) -> dict[str, str]:
        """The ancestors and, for a level of the hierarchy, the node itself: the ancestors of a child."""
        return {**self.ancestors, self.kind: self.id} if self.kind in HIERARCHY else dict(self.ancestors)


@dataclass(slots=True)
class Node(Place):
    """One document. `doc` is without info, files and ancestors."""

    doc: dict[str, Any]
    info: dict[str, Any]

    @property
    def label(self) -> str:
        """The label, or the id where there is none."""
        return str(self.doc.get("label") or self.id)
