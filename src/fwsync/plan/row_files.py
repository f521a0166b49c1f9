"""The columns that tell of files to upload with a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fwsync.plan import values
from fwsync.plan.columns import Columns
from fwsync.plan.facts import Facts
from fwsync.plan.fields import LEVELS, Field
from fwsync.plan.row import CellError, FindFiles, Values


class FileColumns:
    """The columns of one level that tell of files to upload."""

    def __init__(self, columns: Columns, facts: Facts, level: str) -> None:
        self._depth = LEVELS.index(level)
        self.at = columns.position(level, "file")
        self._about = [
            (at, field, field.type or facts.types.get(at, "str"))
            for at, field in columns.fields
            if field.level == level and field.name.startswith("file.")
        ]

    def read(self, cells: Sequence[str], fields: tuple[Values, ...], find: FindFiles | None) -> None:
        """Add `files` to the level's fields."""
        cell = cells[self.at] if self.at is not None else ""
        if values.is_missing_text(cell) or self._depth >= len(fields):
            return
        if self.at is None:
            return
        if find is None:
            raise CellError(self.at, "names files, but this table did not come from a folder; give --files-from")
        about: dict[str, Any] = {}
        for at, field, kind in self._about:
            told = cells[at]
            if not told or values.is_missing_text(told):
                continue
            try:
                _tell(about, field, told, kind)
            except ValueError as error:
                raise CellError(at, str(error)) from None
        try:
            found = find(cell)
        except ValueError as error:
            raise CellError(self.at, str(error)) from None
        fields[self._depth]["files"] = [{**msgspec.structs.asdict(file), **about} for file in found]


def _tell(about: dict[str, Any], field: Field, cell: str, kind: str) -> None:
    """Put one cell of a file's metadata where it belongs."""
    name = field.name.removeprefix("file.")
    if name == "info":
        about.setdefault("info", {})[field.key] = values.info_value(cell, kind)
    elif name == "classification" and field.key:
        about.setdefault("classification", {})[field.key] = values.texts(cell, json=False, split=True)
    elif name == "classification":
        for part in filter(str.strip, cell.split(";")):
            key, equals, listed = part.partition("=")
            if not equals:
                raise ValueError(f"{cell!r} is no classification; write it as Intent=Structural; Measurement=T1")
            about.setdefault("classification", {})[key.strip()] = values.texts(listed, json=False, split=True)
    else:
        about[name] = cell
