"""A plain model of what a site answers: documents as dicts, filters by the rules of the platform's database.

Written from the rules alone, without a look at the sandbox's code:

- a dotted path enters objects, and lists element by element;
- `=` holds for a value or an element of a list; `= null` where a value is null or missing, not for an empty list;
- `!=` is the opposite of `=`; ranges compare numbers with numbers, texts with texts, times with times;
- `=~` searches in texts; sorting: nothing, numbers, texts, objects, truth values; equal ones by id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any


class Missing:
    """Stands for a field that is not there."""


MISSING = Missing()


def leaves(value: Any, path: str) -> list[Any]:
    """All values that the path leads to."""
    if path == "":
        return (value or [value]) if isinstance(value, list) else [value]
    name, _, rest = path.partition(".")
    if isinstance(value, list):
        return [leaf for item in value if isinstance(item, dict) for leaf in leaves(item, path)]
    if not isinstance(value, dict) or name not in value:
        return [MISSING]
    return leaves(value[name], rest)


def kind(value: Any) -> str:
    """The kind that a value is compared within."""
    if value is None or isinstance(value, Missing):
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "text", datetime: "time"}.get(type(value), "other")


@dataclass(frozen=True)
class Test:
    """One clause: a field, an operator, and the value (for `=|` a list of them)."""

    __test__ = False  # not one of pytest's

    field: str
    operator: str
    value: Any

    def written(self) -> str:
        """As a filter says it."""
        value = self.value
        text = f"[{'|'.join(map(literal, value))}]" if self.operator == "=|" else literal(value)
        if self.operator == "=~":
            text = value
        return f"{self.field}{self.operator}{text}".replace(",", "\\,")

    def holds(self, document: dict[str, Any]) -> bool:
        """Whether a document satisfies it."""
        found = leaves(document, self.field)
        match self.operator:
            case "=":
                return any(same(one, self.value) for one in found)
            case "!=":
                return not any(same(one, self.value) for one in found)
            case "=|":
                return any(same(one, value) for one in found for value in self.value)
            case "=~":
                return any(isinstance(one, str) and re.search(self.value, one) is not None for one in found)
        return any(ordered(one, self.operator, self.value) for one in found)


def literal(value: Any) -> str:
    """A value as a filter writes it; texts in quotes."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, datetime):
        return value.isoformat()
    return (
        {None: "null", True: "true", False: "false"}.get(value, str(value))
        if not isinstance(value, (int, float)) or isinstance(value, bool)
        else str(value)
    )


def as_time(value: Any) -> datetime | None:
    """The time that a stored text says."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\dT", value):
        return None
    return datetime.fromisoformat(value)


def same(held: Any, wanted: Any) -> bool:
    """Equal and of one kind."""
    if isinstance(wanted, datetime):
        return as_time(held) == wanted
    return kind(held) == kind(wanted) and (kind(held) == "null" or held == wanted)


def ordered(held: Any, operator: str, wanted: Any) -> bool:
    """A range within one kind."""
    if isinstance(wanted, datetime):
        held = as_time(held)
    if kind(held) != kind(wanted) or kind(held) not in ("number", "text", "time"):
        return False
    return {"<": held < wanted, "<=": held <= wanted, ">": held > wanted, ">=": held >= wanted}[operator]


def order_key(document: dict[str, Any], field: str) -> tuple[int, Any]:
    """What documents are sorted by; not for lists."""
    (value,) = leaves(document, field)
    match kind(value):
        case "null":
            return 0, 0
        case "number":
            return 1, value
        case "text":
            return 2, value
        case "bool":
            return 4, value
    return 3, 0


def ordered_by(documents: list[dict[str, Any]], orders: list[tuple[str, bool]]) -> list[dict[str, Any]]:
    """Sorted by several fields, each (field, descending)."""
    found = sorted(documents, key=lambda one: one["_id"])
    for field, down in reversed(orders):
        found = sorted(found, key=lambda one, f=field: order_key(one, f), reverse=down)
    return found
