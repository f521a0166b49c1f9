"""The filter language of list endpoints: `field OP value`, comma-joined, all must hold.

    filter = clause *( "," clause )          a literal comma is written `\\,`
    clause = field OP value                  OP: <= >= != =~ =| = < >

Values are cast in this order: "quoted" text, 24 hex characters (an id, before any number), ISO date or time, null,
true or false, number, else text. A field is dotted and reaches through objects and lists; on a list any element may
match; `!=` also holds where the field is missing. `=~` searches with a regular expression (see `patterns`), `=|` takes
a list `[a,b,c]` (also with `|` or `;` between). Ranges compare like with like: a number never compares with a text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.query.patterns import pattern
from fwsync.sandbox.store.ids import HEX24, to_time

_CLAUSE = re.compile(r"\s*([A-Za-z_][^<>=!~|\s]*)\s*(<=|>=|!=|=~|=\||=|<|>)(.*)\Z", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?\Z")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?\Z")
_ITEMS = re.compile(r'[|;,](?=(?:[^"]*"[^"]*")*[^"]*\Z)')
"""Between the items of a list, outside of quotes."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition; `value` is cast, `text` is as written."""

    field: str
    operator: str
    value: Any
    text: str


def parse(text: str) -> list[Clause]:
    """The clauses of a filter; 422 on anything that is not one."""
    return [_clause(part) for part in _split(text) if part.strip()] if text.strip() else []


def _split(text: str) -> Iterator[str]:
    part: list[str] = []
    quoted = listed = False
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and text[position + 1 : position + 2] == ",":
            part.append(",")
            position += 2
            continue
        if char == '"' and (quoted or _opens(part)):
            quoted = not quoted
        # The commas of a list `=|[a,b]` are its own.
        if not quoted and char in "[]":
            listed = char == "[" and "".join(part).rstrip().endswith("=|")
        if char == "," and not quoted and not listed:
            yield "".join(part)
            part = []
        else:
            part.append(char)
        position += 1
    yield "".join(part)


def _opens(part: list[str]) -> bool:
    # A quote opens a quoted value only right after the operator; elsewhere it is a character like any other.
    before = "".join(part).rstrip()
    return before.endswith(("=", "<", ">", "~", "|"))


def _clause(part: str) -> Clause:
    found = _CLAUSE.match(part)
    if found is None:
        raise invalid(f"filter: {part.strip()!r} is not `field operator value`")
    field, operator, text = found.groups()
    if operator == "=~":
        return Clause(field, operator, pattern(_unquoted(text), "filter"), text)
    if operator == "=|":
        body = text.strip().removeprefix("[").removesuffix("]")
        return Clause(field, operator, [cast(item.strip()) for item in _ITEMS.split(body)], text)
    return Clause(field, operator, cast(text), text)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def cast(text: str) -> Any:
    """A filter value in its own type; see the top of this file for the order."""
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] == '"':
        return bare[1:-1]
    if HEX24.match(bare):
        return bare
    if _DATE.match(bare) and (moment := to_time(bare)) is not None:
        return moment
    words = {"null": None, "true": True, "false": False}
    if bare.lower() in words:
        return words[bare.lower()]
    if _NUMBER.match(bare):
        try:
            return int(bare)
        except ValueError:
            return float(bare)
    return bare


def predicate(clauses: list[Clause]) -> Callable[[dict[str, Any]], bool]:
    """Whether a whole document satisfies all clauses."""
    return lambda document: all(holds(clause, document) for clause in clauses)


def holds(clause: Clause, document: dict[str, Any]) -> bool:
    """Whether a document satisfies one clause."""
    values = list(_reach(document, clause.field.split(".")))
    match clause.operator:
        case "=":
            return _equal(values, clause.value)
        case "!=":
            return not _equal(values, clause.value)
        case "=|":
            return any(_equal(values, item) for item in clause.value)
        case "=~":
            return any(isinstance(value, str) and clause.value.search(value) for value in values)
    return any(_compare(value, clause.operator, clause.value) for value in values)


def _reach(value: Any, path: list[str]) -> Iterator[Any]:
    """Every value that a dotted path leads to; lists are entered at any depth, and at the end given by element.

    A field that is not there counts as null, in each element of a list too; an empty list is itself and no null.
    """
    if isinstance(value, list):
        if not value and not path:
            yield value
        for item in value:
            if isinstance(item, (dict, list)) or not path:
                yield from _reach(item, path)
    elif not path:
        yield value
    else:
        yield from _reach(value.get(path[0]) if isinstance(value, dict) else None, path[1:])


def _equal(values: list[Any], wanted: Any) -> bool:
    if wanted is None:
        return any(value is None for value in values)
    return any(_same(value, wanted) for value in values)


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, datetime):
        moment = to_time(value) if isinstance(value, str) else None
        return moment == wanted
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, (int, float)) and isinstance(value, str):
        return False
    return bool(value == wanted)


def _compare(value: Any, operator: str, wanted: Any) -> bool:
    if isinstance(wanted, datetime):
        value = to_time(value) if isinstance(value, str) else None
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (value, wanted))
    alike = numbers or (isinstance(value, str) and isinstance(wanted, str)) or isinstance(value, datetime)
    if not alike:
        return False
    match operator:
        case "<":
            return bool(value < wanted)
        case "<=":
            return bool(value <= wanted)
        case ">":
            return bool(value > wanted)
    return bool(value >= wanted)
