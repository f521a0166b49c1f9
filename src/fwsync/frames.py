"""Structs as pandas frames: one row each, one column a field. pandas is an optional extra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, get_type_hints

import msgspec

from fwsync.errors import UsageError

TIMES: Final = ("created", "modified", "timestamp")
"""Fields that hold ISO 8601 text and become times in UTC; what is no time becomes NaT."""

SECONDS: Final = ("started", "ended")
"""Fields that hold Unix seconds and become times in UTC."""


def frame(rows: Iterable[msgspec.Struct], kind: type[msgspec.Struct] | None = None) -> Any:
    """A `pandas.DataFrame` of structs; `kind` gives its columns where there may be no row.

    A struct in a field becomes columns with a dot (`parents.project`); lists and dicts stay as they are. UsageError if
    pandas is not installed.
    """
    pandas = _pandas()
    held = list(rows)
    kinds = list(dict.fromkeys(type(one) for one in held)) or ([kind] if kind is not None else [])
    columns = list(dict.fromkeys(name for one in kinds for name in columns_of(one)))
    made = pandas.DataFrame([dict(_cells(one)) for one in held], columns=columns)
    for name in columns:
        if name in TIMES:
            made[name] = pandas.to_datetime(made[name], utc=True, errors="coerce", format="ISO8601")
        elif name in SECONDS:
            made[name] = pandas.to_datetime(made[name], unit="s", utc=True)
    return made


def counts(by_kind: dict[str, Any], states: tuple[str, ...]) -> Any:
    """A `pandas.DataFrame` of counts: a row for each kind of item, a column for each state."""
    pandas = _pandas()
    table = [[held.get(state, 0) for state in states] for held in by_kind.values()]
    return pandas.DataFrame(table, index=pandas.Index(list(by_kind), name="kind"), columns=list(states), dtype="int64")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """A `pandas.DataFrame` of plain rows."""
    return _pandas().DataFrame([list(row) for row in rows], columns=list(columns))


def columns_of(kind: type[msgspec.Struct]) -> list[str]:
    """The names of the columns of a kind of struct, in the order of its fields."""
    hints = get_type_hints(kind)
    out = []
    for name in kind.__struct_fields__:
        inner = _only_struct(hints[name])
        out += [f"{name}.{below}" for below in inner.__struct_fields__] if inner is not None else [name]
    return out


def _only_struct(hint: Any) -> type[msgspec.Struct] | None:
    """The struct that a field holds where it holds nothing else but None."""
    choices = [one for one in (getattr(hint, "__args__", None) or (hint,)) if one is not type(None)]
    found = choices[0] if len(choices) == 1 else None
    plain = getattr(hint, "__origin__", None) is None
    return found if plain and isinstance(found, type) and issubclass(found, msgspec.Struct) else None


def _cells(one: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name, hint in get_type_hints(type(one)).items():
        if name not in one.__struct_fields__:
            continue
        value, inner = getattr(one, name), _only_struct(hint)
        if inner is None:
            yield name, value
        elif value is not None:
            yield from ((f"{name}.{below}", getattr(value, below)) for below in inner.__struct_fields__)


def _pandas() -> Any:
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ImportError as error:
        raise UsageError("pandas is not installed; pip install 'fwsync[pandas]'") from error
    return pd
