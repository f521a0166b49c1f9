"""Labels made from a row's cells: `{column}` stands for a cell, `{{` and `}}` for braces."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import msgspec

from fwsync.errors import InputFileError
from fwsync.plan.fields import plain

_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")


class Template(msgspec.Struct, frozen=True):
    """A label's parts: text, or the position of a column."""

    parts: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str, header: Sequence[str], path: str, line: int) -> Template:
        """From its text. InputFileError for a column that the header does not have, or a brace left open."""
        parts: list[str | int] = []
        for piece in _PARTS.split(text):
            if piece in ("{{", "}}"):
                parts.append(piece[0])
            elif len(piece) > 1 and piece.startswith("{"):
                parts.append(_position(piece[1:-1], text, header, path, line))
            elif piece in ("{", "}"):
                raise InputFileError(f"label {text!r}: a single {piece}; write {piece * 2} for it", path=path)
            elif piece:
                parts.append(piece)
        return cls(tuple(parts))

    @property
    def is_fixed(self) -> bool:
        """Whether it is the same for every row."""
        return not any(isinstance(part, int) for part in self.parts)

    def columns(self) -> list[int]:
        """The positions of the columns it needs."""
        return [part for part in self.parts if isinstance(part, int)]

    def fill(self, cells: Sequence[str]) -> str:
        """The label of a row, from its stripped cells."""
        return "".join(cells[part] if isinstance(part, int) else part for part in self.parts)


def _position(name: str, text: str, header: Sequence[str], path: str, line: int) -> int:
    for same in (lambda column: column.strip() == name.strip(), lambda column: plain(column) == plain(name)):
        for at, column in enumerate(header):
            if same(column):
                return at
    names = [column.strip() for column in header if column.strip()]
    near = difflib.get_close_matches(name, names, n=2) or names[:6]
    raise InputFileError(f"label {text!r}: has no column {name!r}; there is {', '.join(near)}", path=path, line=line)
