"""One description, many collections: every combination of some axes, as labels and selections.

An axis is a list of values (`decade = [20, 30]`), which is then called as the axis is, or a list of tables
(`[[axes.kind]]`), whose keys go together. `{name}` stands for a value, `{name*10+5}` for a whole number that is made of
one, `{{` and `}}` for braces.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from fwsync.errors import InputFileError
from fwsync.selection import near

MOST = 500
"""Combinations in one file."""

_TOP = ("label", "description", "exact", "max_remove", "paths", "axes", "selection")
_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")
_FIELD = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\*\s*(\d+)\s*)?(?:([+-])\s*(\d+)\s*)?\Z", re.ASCII)

Values = Mapping[str, str | int | float]


class Combination(msgspec.Struct, frozen=True, kw_only=True):
    """One collection of a matrix, every text of it filled in. `wishes` are those of its selection, by name."""

    label: str
    description: str
    exact: bool
    max_remove: str
    paths: tuple[str, ...]
    wishes: dict[str, Any]


def combinations(document: Mapping[str, Any], wishes: Sequence[str], path: str) -> list[Combination]:
    """Every combination of a matrix that was read from `path`, the last axis first to change; `wishes` are the names
    that its selection may have. InputFileError with the key that is wrong."""
    _known(document, _TOP, "", path)
    selection = _table(document, "selection", path)
    _known(selection, wishes, "selection.", path)
    label = _typed(document, "label", str, "", path)
    if not label.strip():
        raise InputFileError("label: is missing; name the collections, as 'T1-{decade}'", path=path)
    description = _typed(document, "description", str, "", path)
    exact, max_remove = _typed(document, "exact", bool, False, path), _typed(document, "max_remove", str, "", path)
    paths = _typed(document, "paths", list, [], path)
    out: dict[str, Combination] = {}
    for values in _every(_axes(_table(document, "axes", path), path), path):
        one = Combination(
            label=_filled(label, values, "label", path).strip(),
            description=_filled(description, values, "description", path),
            exact=exact,
            max_remove=max_remove,
            paths=tuple(_filled(text, values, "paths", path) for text in paths),
            wishes={name: _filled(wish, values, f"selection.{name}", path) for name, wish in selection.items()},
        )
        if one.label in out:
            raise InputFileError(f"label: two combinations are called {one.label!r}; put every axis in it", path=path)
        out[one.label] = one
    return list(out.values())


def _known(held: Mapping[str, Any], names: Sequence[str], where: str, path: str) -> None:
    for name in held:
        if name not in names:
            raise InputFileError(f"{where}{name}: there is no such key{near(name, tuple(names))}", path=path)


def _table(document: Mapping[str, Any], name: str, path: str) -> dict[str, Any]:
    if name not in document:
        raise InputFileError(f"[{name}]: is missing", path=path)
    held: dict[str, Any] = _typed(document, name, dict, {}, path)
    return held


def _typed(document: Mapping[str, Any], name: str, kind: type[Any], default: Any, path: str) -> Any:
    value = document.get(name, default)
    if not isinstance(value, kind):
        words = {str: "a text", bool: "true or false", list: "a list", dict: "a table"}
        raise InputFileError(f"{name}: must be {words[kind]}", path=path)
    return value


# --- axes -------------------------------------------------------------------------------------------------------------


def _axes(tables: Mapping[str, Any], path: str) -> list[list[Values]]:
    """Of each axis its values by name."""
    out: list[list[Values]] = []
    taken: dict[str, str] = {}
    for axis, held in tables.items():
        if not isinstance(held, list) or not held:
            raise InputFileError(f"axes.{axis}: must be a list of values, or [[axes.{axis}]] tables", path=path)
        rows: list[Values] = [row if isinstance(row, dict) else {axis: row} for row in held]
        for at, row in enumerate(rows, start=1):
            if row.keys() != rows[0].keys():
                other = min(row.keys() ^ rows[0].keys())
                raise InputFileError(f"axes.{axis}, number {at}: {other!r} is not in all of them", path=path)
            for name, value in row.items():
                if isinstance(value, bool) or not isinstance(value, str | int | float):
                    raise InputFileError(f"axes.{axis}, number {at}: {name} must be a text or a number", path=path)
        for name in rows[0]:
            if name in taken:
                raise InputFileError(f"axes.{axis}: {name} is in axes.{taken[name]} too", path=path)
            taken[name] = axis
        out.append(rows)
    return out


def _every(axes: Sequence[Sequence[Values]], path: str) -> Iterator[Values]:
    count = 1
    for axis in axes:
        count *= len(axis)
    if count > MOST:
        raise InputFileError(f"axes: {count:,} combinations; a file may have {MOST}", path=path)
    for rows in itertools.product(*axes):
        yield {name: value for row in rows for name, value in row.items()}


# --- templates --------------------------------------------------------------------------------------------------------


def _filled(wish: Any, values: Values, key: str, path: str) -> Any:
    """A wish with its values; whatever is no text stays as it is."""
    if isinstance(wish, list):
        return [_filled(one, values, key, path) for one in wish]
    if not isinstance(wish, str):
        return wish
    out = []
    for piece in _PARTS.split(wish):
        if piece in ("{{", "}}"):
            out.append(piece[0])
        elif piece in ("{", "}"):
            raise InputFileError(f"{key}: {wish!r} has a single {piece}; write {piece * 2} for it", path=path)
        else:
            out.append(_value(piece[1:-1], values, key, path) if piece.startswith("{") else piece)
    return "".join(out)


def _value(field: str, values: Values, key: str, path: str) -> str:
    found = _FIELD.match(field)
    if found is None:
        raise InputFileError(f"{key}: {{{field}}} is not {{name}}, {{name*10}} or {{name*10+5}}", path=path)
    name, factor, sign, more = found.groups()
    if name not in values:
        raise InputFileError(f"{key}: no axis gives {{{name}}}{near(name, tuple(values))}", path=path)
    value = values[name]
    if factor is None and more is None:
        return str(value)
    if not isinstance(value, int):
        raise InputFileError(f"{key}: {{{field}}}: {value!r} is no whole number", path=path)
    return str(value * int(factor or 1) + int(f"{sign or '+'}{more or 0}"))
