"""A value's stored form: the one function that serves both sending and comparing, so that a second run differs in
nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fwsync.model import instant

TIMES = frozenset({"timestamp", "date_of_birth", "created", "modified"})


def stored_form(field: str, value: Any) -> Any:
    """What the platform keeps of a value: times as instants at 1 ms, ages as whole seconds, the rest as it is."""
    if field in TIMES and isinstance(value, str):
        moment = instant(value)
        return _at_ms(moment) if moment else value
    if field == "age" and isinstance(value, (int, float)):
        return int(value)
    return value


def _at_ms(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=moment.microsecond // 1000 * 1000)


def differences(wanted: dict[str, Any], held: Any) -> list[str]:
    """`field old > new` for each wanted field whose stored form the container does not hold."""
    out = []
    for field, value in wanted.items():
        old = getattr(held, field, None)
        if stored_form(field, old) != stored_form(field, value):
            out.append(f"{field} {old if old is not None else 'unset'} > {value}")
    return out
