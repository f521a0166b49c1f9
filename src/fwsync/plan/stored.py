"""A value's stored form: the one function that serves both sending and comparing, so that a second run differs in
nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from fwsync.model import instant

TIMES = frozenset({"timestamp", "created", "modified"})


class Change(msgspec.Struct, frozen=True):
    """One field that differs: as it is, and as it is wanted."""

    field: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.field} {_shown(self.old)} > {_shown(self.new)}"


def _shown(value: Any) -> str:
    if value is None:
        return "unset"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def stored_form(field: str, value: Any) -> Any:
    """What the platform keeps of a value: times as instants at 1 ms, days of birth as days, ages as whole seconds."""
    if field in TIMES and isinstance(value, str):
        moment = instant(value)
        return _at_ms(moment) if moment else value
    if field == "date_of_birth" and isinstance(value, str):
        return value[:10]
    if field == "age" and isinstance(value, (int, float)):
        return int(value)
    return value


def _at_ms(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def same_form(field: str, one: Any, other: Any) -> bool:
    """Whether the platform keeps the same of both values."""
    if one == other:
        # For Python 1 equals True, for the platform it does not.
        return isinstance(one, bool) == isinstance(other, bool)
    return bool(stored_form(field, one) == stored_form(field, other)) and not isinstance(one, bool)


def differences(wanted: Mapping[str, Any], held: Mapping[str, Any]) -> list[Change]:
    """The wanted fields whose stored form the container does not hold.

    Both map a field to its value, with `info.KEY` for each key of info; `tags` and `notes` are lists of texts, of which
    the container must hold every wanted one. Files are compared elsewhere: that takes their bytes.
    """
    out = []
    for field, value in wanted.items():
        if field == "files":
            continue
        old = held.get(field)
        if field in ("tags", "notes"):
            missing = [text for text in value if text not in (old or ())]
            if missing:
                out.append(Change(field, old or None, missing))
        elif not same_form(field, old, value):
            out.append(Change(field, old, value))
    return out
