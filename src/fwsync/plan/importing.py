"""Rows and what the site already has, to a plan of containers to create.

The natural key decides: a subject by its label in the project, a session by its label in the subject, an acquisition
by its label in the session. A container's fields are the union over its good rows; rows that disagree are all errors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from fwsync.errors import InputFileError
from fwsync.model import Container
from fwsync.plan import timestamps, values
from fwsync.plan.stored import differences, stored_form
from fwsync.plan.table import Row, RowError, Table
from fwsync.work import Entry, NewContainer, Outcome, WorkItem

Level = Literal["subject", "session", "acquisition"]
LEVELS: tuple[Level, ...] = ("subject", "session", "acquisition")


class ImportOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are read and where they go."""

    project_id: str
    project_path: str
    reading: timestamps.Reading = timestamps.Reading()
    session_label: str = "Session1"
    acquisition_label: str = "Struct_T1"
    days_per_year: float = 365.25


class Wanted(msgspec.Struct):
    """One container that the table asks for, with those below it by label."""

    label: str
    fields: dict[str, Any] = {}
    below: dict[str, Wanted] = {}


class Judged(msgspec.Struct):
    """A table, read and checked: what it asks for by subject label, and what is wrong with it."""

    subjects: dict[str, Wanted]
    rejected: list[RowError]
    rows: int
    warnings: list[str]


class _Read(msgspec.Struct):
    """One row with typed values: labels and fields by level."""

    line: int
    labels: tuple[str, str, str]
    fields: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


def judge(table: Table, options: ImportOptions, path: str) -> Judged:
    """Every row's values, and the containers that the good rows ask for.

    Raises InputFileError for what is wrong with the file as a whole: a zone that does not exist, or a date column in
    which day and month can't be told apart.
    """
    order = _order(table, options, path)
    try:
        timestamps.zone_named(options.reading.zone)
    except ValueError as error:
        raise InputFileError(f"{error}; set it by --timezone", path=path) from None
    errors = list(table.errors)
    rows: list[_Read] = []
    for row in table.rows:
        one = _read(row, table.columns, options, order)
        (rows if isinstance(one, _Read) else errors).append(one)  # type: ignore[arg-type]
    clashes = _clashes(rows, table.columns)
    errors += clashes.values()
    good = [row for row in rows if row.line not in clashes]
    warnings = list(table.warnings)
    repeated = len(good) - len({(row.labels, _frozen(row.fields)) for row in good})
    if repeated:
        warnings.append(f"{repeated:,} rows repeat an earlier row word for word and count once")
    errors.sort(key=lambda error: error.line)
    return Judged(_union(good), errors, len(table.rows) + len(table.errors), warnings)


def _order(table: Table, options: ImportOptions, path: str) -> timestamps.Order:
    if options.reading.order or options.reading.formats:
        return options.reading.order
    cells = [row.cells["acquisition.timestamp"] for row in table.rows if "acquisition.timestamp" in row.cells]
    order = timestamps.order_of(cells)
    if order is None:
        column = table.columns["acquisition.timestamp"]
        raise InputFileError(
            f"day and month can't be told apart in any of the {len(cells)} dates; say --month-first or --day-first,"
            " or set [import] date_formats",
            path=path,
            column=column,
        )
    return order


def _read(row: Row, columns: dict[str, str], options: ImportOptions, order: timestamps.Order) -> _Read | RowError:
    cells = row.cells
    subject: dict[str, Any] = {}
    session: dict[str, Any] = {}
    acquisition: dict[str, Any] = {}
    if "subject.label" not in cells:
        return RowError(row.line, columns["subject.label"], "is empty; a row needs its subject")
    field = ""
    try:
        for field in ("subject.firstname", "subject.lastname"):
            if field in cells:
                subject[field.split(".")[1]] = cells[field]
        if (field := "subject.sex") in cells:
            subject["sex"] = values.sex(cells[field])
        if (field := "session.age") in cells:
            session["age"] = values.age_seconds(cells[field], options.days_per_year)
        if (field := "acquisition.timezone") in cells:
            timestamps.zone_named(cells[field])
        if (field := "acquisition.timestamp") in cells:
            stamp = timestamps.stamp(cells[field], options.reading, order, cells.get("acquisition.timezone"))
            acquisition["timestamp"] = stamp.text
            if stamp.zone:
                acquisition["timezone"] = stamp.zone
    except ValueError as error:
        return RowError(row.line, columns[field], str(error))
    labels = (
        cells["subject.label"],
        cells.get("session.label", options.session_label),
        cells.get("acquisition.label", options.acquisition_label),
    )
    return _Read(row.line, labels, (subject, session, acquisition))


def _clashes(rows: list[_Read], columns: dict[str, str]) -> dict[int, RowError]:
    """The rows that give one field of one container different values, each naming the others' lines."""
    seen: dict[tuple[tuple[str, ...], str], dict[Any, list[int]]] = {}
    for row in rows:
        for depth in range(len(LEVELS)):
            for name, value in row.fields[depth].items():
                held = seen.setdefault((row.labels[: depth + 1], name), {})
                held.setdefault(stored_form(name, value), []).append(row.line)
    out: dict[int, RowError] = {}
    for (labels, name), by_value in seen.items():
        if len(by_value) < 2:
            continue
        level = LEVELS[len(labels) - 1]
        lines = sorted(line for held in by_value.values() for line in held)
        hint = f"; tell them apart by a column for the {level} label" if level != "subject" else ""
        for line in lines:
            others = ", ".join(str(other) for other in lines if other != line and not _same(by_value, line, other))
            message = f"line {others} gives {level} {labels[-1]!r} another {name}{hint}"
            out.setdefault(line, RowError(line, columns.get(f"{level}.{name}", name), message))
    return out


def _same(by_value: dict[Any, list[int]], one: int, other: int) -> bool:
    return any(one in lines and other in lines for lines in by_value.values())


def _frozen(fields: Iterable[dict[str, Any]]) -> tuple[tuple[tuple[str, Any], ...], ...]:
    return tuple(tuple(sorted(level.items())) for level in fields)


def _union(rows: list[_Read]) -> dict[str, Wanted]:
    subjects: dict[str, Wanted] = {}
    for row in rows:
        held = subjects
        for label, fields in zip(row.labels, row.fields, strict=True):
            wanted = held.setdefault(label, Wanted(label))
            wanted.fields.update(fields)
            held = wanted.below
    return subjects


class Existing:
    """What the project already holds of what the table names, by natural key; of several, the oldest."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str, str], Container] = {}
        self.doubles: Counter[tuple[str, str, str]] = Counter()

    def add(self, level: Level, parent_id: str, container: Container) -> None:
        """Take in one container from a listing."""
        names = {container.label, getattr(container, "code", None)} - {None, ""}
        for name in names:
            key = (level, parent_id, str(name))
            held = self._held.get(key)
            if held is not None and held.id != container.id:
                self.doubles[key] += 1
            if held is None or _age(container) < _age(held):
                self._held[key] = container

    def find(self, level: Level, parent_id: str, label: str) -> Container | None:
        """The container with this natural key, or None."""
        return self._held.get((level, parent_id, label))

    def warnings(self) -> list[str]:
        """One line if the site holds several containers with one key among those asked for."""
        if not self.doubles:
            return []
        (level, _, label), _ = self.doubles.most_common(1)[0]
        return [
            f"the site holds {len(self.doubles):,} labels more than once (e.g. {level} {label!r}); the oldest is taken"
        ]


def _age(container: Container) -> tuple[str, str]:
    return (container.created or "", container.id)


def key_of(*labels: str) -> str:
    """The key of a container's item: the same in every run, unambiguous for any labels."""
    level = LEVELS[len(labels) - 1]
    return f"{level}:" + "/".join(quote(label, safe=" ") for label in labels)


def plan_import(judged: Judged, existing: Existing, options: ImportOptions) -> Iterator[Entry]:
    """The entries of the plan, depth first: rejected rows, containers that are there, containers to create."""
    for error in judged.rejected:
        yield Outcome(
            key=f"row:{error.line}",
            kind="row",
            state="rejected",
            target=f"line {error.line}",
            reason=f"{error.column}: {error.message}",
            attempts=0,
        )
    for wanted in judged.subjects.values():
        yield from _subtree(wanted, (), options.project_id, True, existing, options)


def _subtree(
    wanted: Wanted,
    above: tuple[str, ...],
    parent_id: str,
    parent_exists: bool,
    existing: Existing,
    options: ImportOptions,
) -> Iterator[Entry]:
    labels = (*above, wanted.label)
    level = LEVELS[len(above)]
    held = existing.find(level, parent_id, wanted.label) if parent_exists else None
    if held is None:
        item, rest = _new(wanted, above, parent_id if parent_exists else None, options)
        yield item
        yield from rest
        return
    changes = differences(wanted.fields, held)
    yield Outcome(
        key=key_of(*labels),
        kind=f"create.{level}",
        state="skipped" if changes else "unchanged",
        target="/".join((options.project_path, *labels)),
        reason=f"{EXISTS_OTHERWISE}: {', '.join(changes)}" if changes else "",
        ref=held.id,
        attempts=0,
    )
    for below in wanted.below.values():
        yield from _subtree(below, labels, held.id, True, existing, options)


EXISTS_OTHERWISE = "exists with other values"


def _new(
    wanted: Wanted, above: tuple[str, ...], parent_id: str | None, options: ImportOptions
) -> tuple[WorkItem, Iterator[Entry]]:
    """The item that creates a container, its first descendants riding along, and the entries for the others."""
    riders: list[WorkItem] = []
    chain = [(wanted, above)]
    while chain[-1][0].below:
        first = next(iter(chain[-1][0].below.values()))
        chain.append((first, (*chain[-1][1], chain[-1][0].label)))
    for below, labels in chain[1:]:
        riders.append(_item(below, labels, None, options))
    item = _item(wanted, above, parent_id, options, tuple(riders))

    def rest() -> Iterator[Entry]:
        # Deepest first: after the item, whose last rider is the deepest, the plan goes on where it stopped.
        for node, labels in reversed(chain):
            for below in list(node.below.values())[1:]:
                another, more = _new(below, (*labels, node.label), None, options)
                yield another
                yield from more

    return item, rest()


def _item(
    wanted: Wanted,
    above: tuple[str, ...],
    parent_id: str | None,
    options: ImportOptions,
    riders: tuple[WorkItem, ...] = (),
) -> WorkItem:
    level = LEVELS[len(above)]
    return WorkItem(
        kind=f"create.{level}",
        key=key_of(*above, wanted.label),
        target="/".join((options.project_path, *above, wanted.label)),
        payload=NewContainer(
            level=level,
            label=wanted.label,
            project_id=options.project_id,
            fields=dict(wanted.fields),
            parent_id=parent_id,
            lineage=above,
        ),
        parent=key_of(*above) if above and parent_id is None else None,
        riders=riders,
    )
