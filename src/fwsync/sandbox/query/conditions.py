"""What a search query means: a tree of conditions over records.

A record maps the name of a container kind, or `file`, to one document (for `collection` to a list of them). A field is
`<container>.<path>`; a path reaches through objects and lists, and on a list any element may satisfy a condition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fwsync.sandbox.query.patterns import SafePattern
from fwsync.sandbox.store.ids import to_time

CONTAINERS = ("group", "project", "subject", "session", "acquisition", "analysis", "file", "collection")
"""What a field can begin with."""

Record = Mapping[str, Any]


class Query(Protocol):
    """Anything that a record satisfies or not."""

    def holds(self, record: Record) -> bool:
        """Whether the record satisfies it."""

    def names(self) -> set[str]:
        """The containers whose fields it looks at."""


@dataclass(frozen=True, slots=True)
class All:
    """Every part must hold; with no parts it always does."""

    parts: tuple[Query, ...]

    def holds(self, record: Record) -> bool:
        """Whether all parts hold."""
        return all(part.holds(record) for part in self.parts)

    def names(self) -> set[str]:
        """The containers of all parts."""
        return set().union(*(part.names() for part in self.parts))


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 - `Any` is taken
    """At least one part must hold."""

    parts: tuple[Query, ...]

    def holds(self, record: Record) -> bool:
        """Whether any part holds."""
        return any(part.holds(record) for part in self.parts)

    def names(self) -> set[str]:
        """The containers of all parts."""
        return set().union(*(part.names() for part in self.parts))


@dataclass(frozen=True, slots=True)
class Not:
    """The part must not hold."""

    part: Query

    def holds(self, record: Record) -> bool:
        """Whether the part does not hold."""
        return not self.part.holds(record)

    def names(self) -> set[str]:
        """The containers of the part."""
        return self.part.names()


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: its text, and whether it was quoted. A bare `null`, `true` or number can also mean that."""

    text: str
    quoted: bool = False

    @property
    def number(self) -> float | None:
        """The number that a bare literal may mean."""
        if self.quoted:
            return None
        try:
            return float(self.text)
        except ValueError:
            return None

    @property
    def moment(self) -> datetime | None:
        """The time that it may mean; a number alone is never one."""
        return to_time(self.text) if "-" in self.text else None

    def equals(self, held: Any) -> bool:
        """Whether a field's value is the same: the field's kind decides how the literal is read."""
        if held is None:
            return not self.quoted and self.text.lower() == "null"
        if isinstance(held, bool):
            return self.text.lower() == str(held).lower()
        if isinstance(held, (int, float)):
            return self.number == held
        if isinstance(held, str):
            return held == self.text or (self.moment is not None and to_time(held) == self.moment)
        return False


@dataclass(frozen=True, slots=True)
class Condition:
    """`field operator value`: the operator in its plain spelling; `!=` and the like are `Not` around one."""

    field: str
    operator: str
    values: tuple[Value, ...] = ()
    pattern: SafePattern | None = None

    def names(self) -> set[str]:
        """The one container of the field."""
        return {self.field.partition(".")[0]}

    def holds(self, record: Record) -> bool:
        """Whether any value of the field satisfies it; a missing field satisfies only `= null`."""
        held = list(values_at(record, self.field))
        match self.operator:
            case "=" | "IN":
                null = any(not value.quoted and value.text.lower() == "null" for value in self.values)
                return (not held and null) or any(value.equals(one) for value in self.values for one in held)
            case "EXISTS":
                return any(one is not None for one in held)
            case "PATTERN":
                return self.pattern is not None and any(
                    self.pattern.search(one if isinstance(one, str) else _text(one)) for one in held if one is not None
                )
        return any(_compares(one, self.operator, self.values[0]) for one in held)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _compares(held: Any, operator: str, value: Value) -> bool:
    """`<` and its kin compare like with like: numbers, times, or texts."""
    pair: tuple[Any, Any] | None = None
    if isinstance(held, (int, float)) and not isinstance(held, bool):
        pair = (held, value.number) if value.number is not None else None
    elif isinstance(held, str):
        moments = (to_time(held) if "-" in held else None, value.moment)
        if None not in moments:
            pair = moments
        elif value.number is None:
            pair = (held, value.text)
    if pair is None:
        return False
    left, right = pair
    match operator:
        case "<":
            return bool(left < right)
        case "<=":
            return bool(left <= right)
        case ">":
            return bool(left > right)
    return bool(left >= right)


def values_at(document: Any, path: str) -> Iterator[Any]:
    """Every value that a dotted path leads to; lists are entered at any depth. `id` also means `_id`."""
    yield from _reach(document, path.split("."))


def _reach(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _reach(item, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping):
        name = "_id" if path == ["id"] and "id" not in value else path[0]
        if name in value:
            yield from _reach(value[name], path[1:])
