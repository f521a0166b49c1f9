"""Rows to the containers that they ask for: one container a natural key, its fields the union over its good rows.

Works on the rows of one subject at a time, which lie together once rows are sorted by their labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from fwsync.plan.fields import LEVELS
from fwsync.plan.row import LEAST_OF_AGES, Row, RowError, Values
from fwsync.plan.stored import same_form

ADD_UP = frozenset({"tags", "notes", "files"})
MOST_LINES = 5


class Wanted(msgspec.Struct, frozen=True, array_like=True):
    """One container that the table asks for. `depth` is 0 for a subject, 1 for a session, 2 for an acquisition; what is
    above it is the last one of each lesser depth before it. `line` is that of its first row. `was` is what a plan file
    says of it: `create`, `equal`, or how it differs."""

    depth: int
    label: str
    fields: Values
    line: int
    was: str = ""


class Verdict(msgspec.Struct):
    """What the rows of one subject come to: containers depth first, errors, and how many rows repeat another."""

    wanted: list[Wanted]
    errors: list[RowError]
    repeated: int = 0


def judge(rows: Sequence[Row], headers: dict[str, str]) -> Verdict:
    """The containers of one subject's rows, which are sorted by labels and then by line.

    Rows that disagree on a field are all errors, each naming the others' lines; they contribute nothing. `headers`
    maps `level.field` to the column's header, for messages.
    """
    if len(rows) == 1:  # the usual case, by a short way
        (row,) = rows
        return Verdict(
            [Wanted(depth, row.labels[depth], values, row.line) for depth, values in enumerate(row.fields)], []
        )
    wrong = _disagreements(rows, headers)
    errors = list(wrong.values())
    if wrong:
        rows = [row for row in rows if row.line not in wrong]
    out: list[Wanted] = []
    repeated = start = 0
    while start < len(rows):
        end = start + 1
        while end < len(rows) and rows[end].labels == rows[start].labels:
            end += 1
        repeated += _repeated(rows[start:end])
        _add(out, rows[start:end])
        start = end
    return Verdict(out, errors, repeated)


def _add(out: list[Wanted], rows: Sequence[Row]) -> None:
    """Add what rows with the same labels ask for. `out` holds the subject's containers so far."""
    labels, line = rows[0].labels, rows[0].line
    path: list[int] = []
    for depth, label in enumerate(labels):
        at = _last(out, depth, path[-1] if path else -1)
        if at < 0 or out[at].label != label:
            out.append(Wanted(depth, label, {}, line))
            at = len(out) - 1
        path.append(at)
    for row in rows:
        for at, fields in zip(path, row.fields, strict=True):
            if fields:
                _unite(out[at].fields, fields)
    for at in path:
        if line < out[at].line:
            out[at] = msgspec.structs.replace(out[at], line=line)


def _last(out: list[Wanted], depth: int, above: int) -> int:
    """Where the newest container of a depth is, if it is below the container at `above`."""
    for at in range(len(out) - 1, above, -1):
        if out[at].depth == depth:
            return at
        if out[at].depth < depth:
            break
    return -1


def _unite(into: Values, fields: Values) -> None:
    for name, value in fields.items():
        if name == LEAST_OF_AGES:
            into[name] = min(value, into.get(name, value))
        elif name == "files":
            held = {file["name"]: file for file in (*into.get(name, ()), *value)}
            into[name] = [held[key] for key in sorted(held)]
        elif name in ADD_UP:
            into[name] = sorted({*into.get(name, ()), *value})
        else:
            into.setdefault(name, value)


def _repeated(rows: Sequence[Row]) -> int:
    if len(rows) < 2:
        return 0
    return len(rows) - len({msgspec.msgpack.encode(row.fields) for row in rows})


# --- disagreements ------------------------------------------------------------------------------------------------

_Lines = dict[Any, list[int]]


def _disagreements(rows: Sequence[Row], headers: dict[str, str]) -> dict[int, RowError]:
    """By line, the rows that give one field of one container different values."""
    seen: dict[tuple[tuple[str, ...], str], Any] = {}
    split: set[tuple[tuple[str, ...], str]] = set()
    for row in rows:
        for depth, fields in enumerate(row.fields):
            labels = row.labels[: depth + 1]
            for name, value in fields.items():
                if name in ADD_UP or name == LEAST_OF_AGES:
                    if name == "files":
                        _split_files(seen, split, labels, value)
                    continue
                key = (labels, name)
                if key not in seen:
                    seen[key] = value
                elif not same_form(name, seen[key], value):
                    split.add(key)
    if not split:
        return {}
    out: dict[int, RowError] = {}
    for labels, name in sorted(split):
        out.update(_lines_of(rows, labels, name, headers, known=out))
    return out


def _split_files(seen: dict[Any, Any], split: set[Any], labels: tuple[str, ...], files: list[dict[str, Any]]) -> None:
    """Two files with one name on one container would be two versions of one file, by chance of order."""
    for file in files:
        key = (labels, f"file {file['name']}")
        if seen.setdefault(key, file) != file:
            split.add(key)


def _lines_of(
    rows: Sequence[Row], labels: tuple[str, ...], name: str, headers: dict[str, str], *, known: dict[int, RowError]
) -> dict[int, RowError]:
    depth = len(labels) - 1
    by_value: list[tuple[Any, list[int]]] = []
    for row in rows:
        value = _value(row, depth, name) if row.labels[: depth + 1] == labels else None
        if value is None:
            continue
        for held, lines in by_value:
            if same_form(name, held, value):
                lines.append(row.line)
                break
        else:
            by_value.append((value, [row.line]))
    level = LEVELS[depth]
    field = name.removeprefix("info.")
    hint = f"; tell the {level}s apart by --{level}-label '{{column}}'" if depth else ""
    column = headers.get(f"{level}.{name}") or headers.get(f"{level}.{name.partition(' ')[0]}") or name
    out: dict[int, RowError] = {}
    for value, lines in by_value:
        others = sorted(line for other, held in by_value if other is not value for line in held)
        named = ", ".join(map(str, others[:MOST_LINES])) + (", ..." if len(others) > MOST_LINES else "")
        verb = "gives" if len(others) == 1 else "give"
        message = f"line{'s' if len(others) > 1 else ''} {named} {verb} {level} {labels[-1]!r} another {field}{hint}"
        out.update({line: RowError(line, column, message) for line in lines if line not in known})
    return out


def _value(row: Row, depth: int, name: str) -> Any:
    if name.startswith("file "):
        return next((f for f in row.fields[depth].get("files", ()) if f["name"] == name[5:]), None)
    return row.fields[depth].get(name)
