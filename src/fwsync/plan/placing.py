"""Layouts read backwards: from the path of a local file to the container it belongs on and its name there.

    layout  = folder *( "/" folder ) "/" last          `{subject}/{session}/{acquisition}/{file.name}`
    fields    project group subject session acquisition file.name _      each may carry `.label`
    {_}       any text, which means nothing          {session=Baseline}   takes no text: a label for all

A file that lies less deep than the layout belongs on the deepest container that its folders name: right in the folder
on the project, below `{subject}` on the subject, and so on. A field takes as little text as it can, never a `/`, and
never nothing; a field that stands twice must be the same text both times.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from fwsync.errors import UsageError
from fwsync.plan.fields import LEVELS

NAME, ANYTHING = "file.name", "_"
ABOVE = ("group", "project")
_KNOWN = (*ABOVE, *LEVELS, NAME, ANYTHING)
_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")


class Placed(NamedTuple):
    """Where a file goes: the labels of its container from the subject down (none: the project), and its name."""

    labels: tuple[str, ...]
    name: str


class Layout(msgspec.Struct, frozen=True):
    """A layout that paths can be read by. `depths` has, by the number of folders above a file, how to read its path,
    and which labels are fixed by then."""

    text: str
    depths: tuple[tuple[re.Pattern[str], dict[str, str]], ...]
    above: dict[str, str]

    @classmethod
    def parse(cls, text: str, above: Mapping[str, str] | None = None) -> Layout:
        """From its text. `above` has what `{group}` and `{project}` must be. UsageError for one that can't be read."""
        *folders, last = text.split("/")
        if not all((*folders, last)):
            raise _wrong(text, "has an empty part; it neither begins nor ends with /, and has no //")
        reader = _Reader(text)
        read = [reader.part(folder, last=False) for folder in folders]
        depths = [("/".join([*read[:count], "(?P<name>[^/]+)"]), reader.fixed_by(count)) for count in range(len(read))]
        name = reader.part(last, last=True)
        depths.append(("/".join([*read, name]), reader.fixed_by(len(read) + 1)))
        reader.check()
        return cls(
            text, tuple((re.compile(body + r"\Z", re.DOTALL), fixed) for body, fixed in depths), dict(above or {})
        )

    def place(self, path: str) -> Placed:
        """Where the file at this path (relative, by `/`) goes. ValueError with the reason if the layout can't tell."""
        folders = path.count("/")
        if folders >= len(self.depths):
            raise ValueError(f"lies deeper than the layout {self.text}; leave it out by --exclude, or give a --layout")
        pattern, fixed = self.depths[folders]
        found = pattern.match(path)
        if found is None:
            raise ValueError(f"does not fit the layout {self.text}")
        told = {**fixed, **{name: value for name, value in found.groupdict().items() if value is not None}}
        for field in ABOVE:
            if told.get(field, self.above.get(field)) != self.above.get(field):
                raise ValueError(f"is of {field} {told[field]!r}, not of {self.above.get(field)!r}")
        labels: list[str] = []
        for level in LEVELS:
            if level in told:
                labels.append(told[level])
                if len(labels) != LEVELS.index(level) + 1:
                    raise ValueError(f"lies below a {level} before its {LEVELS[len(labels) - 1]} is known")
        return Placed(tuple(labels), told["name"])


class _Reader:
    """Reads the parts of one layout, and keeps what was seen."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._seen: set[str] = set()
        self._fixed: list[tuple[int, str, str]] = []  # (the part it stands in, level, label)
        self._parts = 0

    def part(self, text: str, *, last: bool) -> str:
        """The pattern of one part."""
        out: list[str] = []
        field_before = False
        self._parts += 1
        for piece in _PARTS.split(text):
            if piece in ("{{", "}}"):
                out.append(re.escape(piece[0]))
            elif piece in ("{", "}"):
                raise _wrong(self._text, f"has a single {piece}; write {piece * 2} for it")
            elif piece.startswith("{"):
                pattern = self._field(piece[1:-1], last=last)
                if pattern and field_before:
                    raise _wrong(self._text, f"has nothing between {piece} and the field before it to tell them apart")
                out.append(pattern)
                field_before = field_before or bool(pattern)
                continue
            else:
                out.append(re.escape(piece))
            field_before = field_before and not piece
        return "".join(out)

    def _field(self, text: str, *, last: bool) -> str:
        name, equals, label = text.partition("=")
        name = name.strip().removesuffix(".label")
        if name not in _KNOWN:
            close = difflib.get_close_matches(name, _KNOWN, n=1, cutoff=0.5) or [", ".join(_KNOWN)]
            raise _wrong(self._text, f"has no field {{{name}}}; did you mean {close[0]}?")
        if equals:
            if name not in LEVELS or not label or name in self._seen:
                raise _wrong(self._text, f"{{{text}}}: a label for all is written once, as in {{session=Baseline}}")
            self._seen.add(name)
            self._fixed.append((self._parts, name, label))
            return ""
        if name == ANYTHING:
            return "[^/]+?"
        if name == NAME:
            if not last:
                raise _wrong(self._text, "has {file.name} before its last part")
            if "name" in self._seen:
                raise _wrong(self._text, "has {file.name} twice")
            self._seen.add("name")
            return "(?P<name>[^/]+)"
        if name in self._seen:
            return f"(?P={name})"
        self._seen.add(name)
        return f"(?P<{name}>[^/]+?)"

    def fixed_by(self, count: int) -> dict[str, str]:
        """The labels for all that stand in the first `count` parts."""
        return {level: label for part, level, label in self._fixed if part <= count}

    def check(self) -> None:
        """UsageError for a layout that could place nothing, or leaves out a level between two others."""
        if "name" not in self._seen:
            raise _wrong(self._text, "must end in {file.name}")
        levels = [level for level in LEVELS if level in self._seen]
        missing = [level for level in LEVELS[: LEVELS.index(levels[-1])] if level not in levels] if levels else []
        if missing:
            hint = f"{{{missing[0]}=LABEL}} gives one label for all"
            raise _wrong(self._text, f"names a {levels[-1]} but no {missing[0]}; {hint}")


def _wrong(text: str, reason: str) -> UsageError:
    return UsageError(f"layout {text!r}: {reason}")
