"""What every report is in the end: named columns, rows of plain values, and lines of summary above them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

from fwsync import csvtext, frames

Cell = str | int | float | bool | None
Form = Literal["text", "integer", "number", "percent", "bytes", "yes"]
"""How people read a column; in CSV and JSON values are plain."""


class Column(msgspec.Struct, frozen=True):
    """A column's name, as written in a CSV header, and the form of its values."""

    name: str
    form: Form = "text"


class Table(msgspec.Struct, kw_only=True):
    """A report. `name` is short and fit for a file's name (`demographics`), `title` for people; `facts` are figures
    about all rows, by what they are called; `notes` are lines for a person."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: list[tuple[Cell, ...]]
    facts: dict[str, Cell] = {}
    notes: list[str] = []

    def records(self) -> Iterator[dict[str, Cell]]:
        """Each row by the names of its columns."""
        names = [column.name for column in self.columns]
        return (dict(zip(names, row, strict=True)) for row in self.rows)

    def csv_lines(self, delimiter: str = ",") -> Iterator[str]:
        """The table as CSV text, the header first; an absent value is an empty cell, and no cell is a formula."""
        yield _line((column.name for column in self.columns), delimiter)
        for row in self.rows:
            yield _line((_text(cell) for cell in row), delimiter)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame` of the rows. UsageError without pandas."""
        return frames.table([column.name for column in self.columns], self.rows)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return csvtext.escaped(cell) if isinstance(cell, str) else str(cell)


def _line(cells: Iterable[str], delimiter: str) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerow(cells)
    return out.getvalue()
