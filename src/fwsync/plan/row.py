"""What a row of a table is once it is read: labels, typed values, files; or what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fwsync.plan.fields import Field

LEAST_OF_AGES = "~age"
"""An age worked out from a date of birth. Rows of one session may be of different days: the earliest counts, and it is
no disagreement."""

Values = dict[str, Any]
"""Field to value, with `info.KEY` for each key. `tags`, `notes` and `files` are lists, which add up over rows."""

FindFiles = Callable[[str], "list[LocalFile]"]
"""The files that a cell names; ValueError when there are none, or they lie where they may not."""


class LocalFile(msgspec.Struct, frozen=True):
    """A file to upload with a row: its path on disk, its name, size in bytes, and modification time in ns."""

    source: str
    name: str
    size: int
    mtime_ns: int


class Row(msgspec.Struct, frozen=True):
    """One good row: the line where it begins, the labels of its containers from the subject down, and the values for
    each of them."""

    line: int
    labels: tuple[str, ...]
    fields: tuple[Values, ...]


class RowError(msgspec.Struct, frozen=True):
    """What is wrong with one row: line, the column's header, and a message for a person."""

    line: int
    column: str
    message: str


class Noticed(msgspec.Struct):
    """Things worth a warning: how often, and the line of the first."""

    counts: dict[str, int] = {}
    lines: dict[str, int] = {}

    def see(self, what: str, line: int) -> None:
        """Count one."""
        self.counts[what] = self.counts.get(what, 0) + 1
        self.lines.setdefault(what, line)

    def warnings(self) -> list[str]:
        """One line for each kind."""
        return [f"{what}: {count:,} rows (first in line {self.lines[what]})" for what, count in self.counts.items()]


def key_of(field: Field) -> str:
    """The key of a field's value: `sex`, `info.site`."""
    return f"{field.name}.{field.key}" if field.key else field.name


class CellError(ValueError):
    """An error in another column than the one that is being read."""

    def __init__(self, at: int, message: str) -> None:
        self.at = at
        super().__init__(message)
