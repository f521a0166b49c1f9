"""Which files of a container become the inputs of a gear.

`--input` is `NAMES=GLOB[,KEY=VALUE...]`. NAMES is an input, or several that are filled in their order:
`anatomical,t1w_anatomical_2..5`. KEY=VALUE is what the site must say of the file: `type`, `modality`, or a key of its
classification.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from fwsync.errors import UsageError
from fwsync.model import FileEntry, Gear, instant
from fwsync.plan.candidates import Candidate
from fwsync.plan.gears import InputSpec, inputs_of, nearby
from fwsync.selection import matches

Pick = Literal["", "newest", "oldest", "first"]
MOST_INPUTS = 1000
SEVERAL = "several files fit one input, choose by --pick"

_RANGE = re.compile(r"(.*?)(\d{1,6})\.\.(\d{1,6})\Z")
_CONDITION = re.compile(r"[A-Za-z][\w -]*=.+\Z")


class InputWish(msgspec.Struct, frozen=True):
    """What a person wants in some inputs: the inputs in the order in which they are filled, the pattern over names of
    files, and the conditions, as (key, value)."""

    names: tuple[str, ...]
    pattern: str
    conditions: tuple[tuple[str, str], ...] = ()

    @property
    def told(self) -> str:
        """The pattern and the conditions, as they were written."""
        return ",".join([self.pattern, *(f"{key}={value}" for key, value in self.conditions)])

    @classmethod
    def parse(cls, text: str) -> InputWish:
        """From `--input`. UsageError where it can't be read."""
        left, mark, right = text.partition("=")
        pattern, *rest = right.split(",")
        while rest and not _CONDITION.match(rest[0].strip()):
            pattern += "," + rest.pop(0)  # a name of a file may hold a comma
        readable = pattern.strip() and left.strip() and all(_CONDITION.match(one.strip()) for one in rest)
        if not mark or not readable:
            raise UsageError(f"--input {text!r}: write NAME=GLOB, such as anatomical='*T1w*.nii.gz'")
        names = [name for part in left.split(",") for name in _spelled_out(part.strip(), text)]
        if len(set(names)) < len(names):
            raise UsageError(f"--input {text!r}: names an input twice")
        conditions = [one.strip().partition("=") for one in rest]
        return cls(tuple(names), pattern.strip(), tuple((key.strip(), value.strip()) for key, _, value in conditions))

    @classmethod
    def of(cls, name: str, pattern: str) -> InputWish:
        """From Python's `inputs={name: pattern}`."""
        return cls.parse(f"{name}={pattern}")


def _spelled_out(name: str, text: str) -> list[str]:
    """`t1w_2..4` as t1w_2, t1w_3, t1w_4."""
    if not name:
        raise UsageError(f"--input {text!r}: names no input before a comma")
    found = _RANGE.match(name)
    if found is None:
        return [name]
    first, last = int(found[2]), int(found[3])
    if not first <= last < first + MOST_INPUTS:
        raise UsageError(f"--input {text!r}: {name} is no range; write as in t1w_2..5")
    return [f"{found[1]}{number}" for number in range(first, last + 1)]


class InputFile(msgspec.Struct, frozen=True, gc=False):
    """A file that may become an input: the container that holds it, its name, what tells it from others, and by what it
    is ordered (ids of the containers above it, then when it was made)."""

    kind: str
    container: str
    name: str
    file_id: str = ""
    version: int = 0
    order: tuple[str, ...] = ()
    created: str = ""

    @property
    def reference(self) -> dict[str, str]:
        """As the site takes it."""
        return {"type": self.kind, "id": self.container, "name": self.name}


def input_file(one: Candidate) -> InputFile:
    """What to remember of a file."""
    entry, ids = one.entry, tuple(above.id for above in one.above.values())
    made = instant(entry.created or entry.modified)
    created = made.isoformat() if made else ""
    return InputFile(
        *one.held_by, entry.name, entry.file_id or "", entry.version or 0, (*ids, created, entry.name), created
    )


class Wanted:
    """The wishes for a gear's inputs, checked against its manifest."""

    def __init__(self, gear: Gear, wishes: Sequence[InputWish]) -> None:
        """UsageError for an input that the gear does not have, with near names, for one that is no file or is wished
        twice, and for a required one that nobody wishes."""
        self.wishes = tuple(wishes)
        self._specs = known = inputs_of(gear)
        files = {name: spec for name, spec in known.items() if spec.base == "file"}
        wished = [name for wish in wishes for name in wish.names]
        for name in wished:
            if name not in known:
                raise UsageError(f"--input {name}: gear {gear.gear.name} has no such input{nearby(name, files)}")
            if name not in files:
                raise UsageError(f"--input {name}: takes no file ({known[name].base}); the site fills it")
            if wished.count(name) > 1:
                raise UsageError(f"--input {name}: is given twice")
        for name, spec in files.items():
            if not spec.optional and name not in wished:
                raise UsageError(
                    f"gear {gear.gear.name}: needs the input {name}; name its files by --input {name}=GLOB"
                )

    def fitting(self, entry: FileEntry) -> list[int]:
        """The wishes that a file fits, by their positions."""
        return [at for at, wish in enumerate(self.wishes) if self._fits(wish, entry)]

    def _fits(self, wish: InputWish, entry: FileEntry) -> bool:
        if not matches(wish.pattern, entry.name) or not all(_holds(entry, *one) for one in wish.conditions):
            return False
        return any(self._takes(name, entry) for name in wish.names)

    def _takes(self, name: str, entry: FileEntry) -> bool:
        """What the gear's author says of types counts, where the site knows the file's."""
        types = self._specs[name].types
        return not types or not entry.type or entry.type in types

    def fill(self, found: Mapping[int, Sequence[InputFile]], pick: Pick) -> Filled:
        """The inputs of one container, from the files that fit each wish."""
        inputs: dict[str, InputFile] = {}
        left = 0
        for at, wish in enumerate(self.wishes):
            files = ordered(found.get(at, ()), pick)
            if len(files) > 1 and len(wish.names) == 1 and not pick:
                names = ", ".join(sorted({file.name for file in files})[:3])
                return Filled({}, f"{SEVERAL}: {len(files)} for {wish.names[0]} ({names})")
            left += max(len(files) - len(wish.names), 0) if len(wish.names) > 1 else 0
            inputs.update(zip(wish.names, files, strict=False))
            for name in wish.names[len(files) :]:
                if not self._specs[name].optional:
                    return Filled({}, "", missing=f"no file for the input {name} ({wish.told})")
        return Filled(inputs, left=left)

    def spec(self, name: str) -> InputSpec:
        """The manifest's word on an input."""
        return self._specs[name]


class Filled(msgspec.Struct, frozen=True):
    """The inputs of one container, or why there are none: `refused` where a person has to say more, `missing` where
    there is nothing to run on. `left` counts files for which a series had no input any more."""

    inputs: dict[str, InputFile]
    refused: str = ""
    missing: str = ""
    left: int = 0


def ordered(files: Iterable[InputFile], pick: Pick) -> list[InputFile]:
    """In the order in which containers and files were made, or the newest or oldest file first."""
    held = sorted(files, key=lambda file: (file.order, file.container))
    if pick in ("newest", "oldest"):
        held.sort(key=lambda file: file.created, reverse=pick == "newest")
    return held


def same_inputs(wanted: Iterable[InputFile], held: Iterable[tuple[str, str, str, int]]) -> bool:
    """Whether a run had just these files, held as (file id, container id, name, version). File ids decide where both
    have one, else names and containers; versions where both are known."""
    rest = list(held)
    for file in wanted:
        found = next((one for one in rest if _same(file, *one)), None)
        if found is None:
            return False
        rest.remove(found)
    return not rest


def _same(file: InputFile, file_id: str, container: str, name: str, version: int) -> bool:
    if file.version and version and file.version != version:
        return False
    if file.file_id and file_id:
        return file.file_id == file_id
    return file.name == name and container in ("", file.container)


def _holds(entry: FileEntry, key: str, value: str) -> bool:
    """Whether a condition holds for a file; classification keys are compared as they are written."""
    if key in ("type", "modality"):
        return matches(value, str(getattr(entry, key) or ""))
    held = (entry.classification or {}).get(key)
    return any(matches(value, str(one)) for one in (held if isinstance(held, list) else [held] if held else []))
