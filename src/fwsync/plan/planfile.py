"""A plan as a file: what an import would do, to be read by people and carried out later.

One JSON object a line. The first tells where the plan belongs (`fwsync_plan` is the version of this form), the last
(`end`) how many lines came before it, so that a cut file is noticed. Between them, in the plan's order:

    {"do": "create", "level": "subject", "label": "sub-01", "fields": {"sex": "female"}, "line": 2}
    {"do": "equal" | "differs: sex male > female", ...the same}
    {"wrong": 7, "column": "age", "message": "'-3' is a negative age"}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec

from fwsync.errors import InputFileError
from fwsync.plan.fields import LEVELS
from fwsync.plan.importing import ImportOptions
from fwsync.plan.row import RowError
from fwsync.plan.wanted import Wanted

VERSION = 1

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Head(msgspec.Struct, kw_only=True):
    """The first line: the site and project that the plan is for, and how to settle conflicts."""

    fwsync_plan: int = VERSION
    site: str
    source: str
    rows: int
    options: ImportOptions


class _Container(msgspec.Struct, kw_only=True):
    do: str
    level: str
    label: str
    fields: dict[str, Any] = {}
    line: int = 0


class _Wrong(msgspec.Struct, kw_only=True):
    wrong: int
    column: str
    message: str


class _End(msgspec.Struct, kw_only=True):
    end: int


def header_line(head: Head) -> bytes:
    """The first line."""
    return msgspec.json.encode(head) + b"\n"


def wrong_line(error: RowError) -> bytes:
    """The line of a row in error."""
    return msgspec.json.encode(_Wrong(wrong=error.line, column=error.column, message=error.message)) + b"\n"


def container_line(one: Wanted, verdict: str) -> bytes:
    """The line of a container."""
    level = LEVELS[one.depth]
    return (
        msgspec.json.encode(_Container(do=verdict, level=level, label=one.label, fields=one.fields, line=one.line))
        + b"\n"
    )


def end_line(lines: int) -> bytes:
    """The last line."""
    return msgspec.json.encode(_End(end=lines)) + b"\n"


def read_head(file: BinaryIO, path: str) -> Head:
    """The first line of a plan file. InputFileError when it is none, or of another version."""
    line = file.readline()
    try:
        head = msgspec.json.decode(line, type=Head)
    except _UNREADABLE as error:
        raise InputFileError("is no plan of fwsync; make one by fwsync plan import", path=path, line=1) from error
    if head.fwsync_plan != VERSION:
        raise InputFileError("was made by another version of fwsync; plan again", path=path, line=1)
    return head


def read_lines(file: BinaryIO, path: str) -> Iterator[Wanted | RowError]:
    """What comes after the head. InputFileError, with its line, for one that can't be read, and for a cut file."""
    number, ended, depth = 1, False, -1
    for line in file:
        number += 1
        if ended:
            raise InputFileError("goes on after its end; plan again", path=path, line=number)
        one = _read(line, path, number)
        if isinstance(one, _End):
            ended = True
            if one.end != number - 1:
                raise InputFileError("has lost or gained lines; plan again", path=path, line=number)
        elif isinstance(one, _Wrong):
            yield RowError(one.wrong, one.column, one.message)
        else:
            below = LEVELS.index(one.level) if one.level in LEVELS else 99
            if below > depth + 1 or not one.label:
                raise InputFileError("is out of order; plan again", path=path, line=number)
            depth = below
            yield Wanted(depth, one.label, one.fields, one.line, one.do)
    if not ended:
        raise InputFileError("is cut off; plan again", path=path, line=number)


def _read(line: bytes, path: str, number: int) -> _Container | _Wrong | _End:
    kind: Any = _Wrong if line.startswith(b'{"wrong"') else _End if line.startswith(b'{"end"') else _Container
    try:
        found: _Container | _Wrong | _End = msgspec.json.decode(line, type=kind)
    except _UNREADABLE as error:
        raise InputFileError(f"is no line of a plan ({error})", path=path, line=number) from error
    return found


def by_subject(containers: Iterable[Wanted]) -> Iterator[list[Wanted]]:
    """Containers in depth-first order, one subject's after the other."""
    held: list[Wanted] = []
    for one in containers:
        if one.depth == 0 and held:
            yield held
            held = []
        held.append(one)
    if held:
        yield held
