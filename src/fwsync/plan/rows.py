"""Records to rows with typed values. What is wrong with a row is a RowError, not an end."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from fwsync.csvtext import unescaped
from fwsync.errors import InputFileError
from fwsync.plan import values
from fwsync.plan.columns import Columns
from fwsync.plan.facts import Facts
from fwsync.plan.fields import LEVELS, Field, is_text
from fwsync.plan.row import LEAST_OF_AGES, CellError, FindFiles, Noticed, Row, RowError, Values, key_of
from fwsync.plan.row_files import FileColumns
from fwsync.plan.row_times import RowOptions, RowTimes
from fwsync.plan.table import Record
from fwsync.plan.templates import Template

MOST_CELL = 1_000_000
"""Characters of a cell beyond which its row is refused: no field of the platform is meant for more."""


FAILED_FORMULAS = frozenset({"#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"})
"""What Excel writes where a formula failed; `#N/A` is left out, as people mean it."""


class RowReader:
    """Reads the records of one table."""

    def __init__(
        self,
        columns: Columns,
        facts: Facts,
        options: RowOptions,
        path: str,
        find_files: FindFiles | None = None,
    ) -> None:
        """InputFileError for a required field without a column, or a zone that does not exist."""
        self._columns, self._facts, self._options, self._path = columns, facts, options, path
        self._find_files = find_files
        self.noticed = Noticed()
        self._width = len(columns.header)
        self._exact = {at for at, field in columns.fields if field.type == "str"}
        self._used = {at for at, _ in columns.fields} | {at for t in columns.labels if t for at in t.columns()}
        self._labels = self._label_readers()
        self._plain: list[tuple[int, int, str, Callable[[str], Any], Callable[[str], bool], bool]] = []
        for at, field in columns.fields:
            if (convert := self._converter(at, field)) is not None:
                exact = field.type == "str"
                missing = operator.not_ if exact else _missing(field)
                self._plain.append((at, LEVELS.index(field.level), key_of(field), convert, missing, exact))
        self._times = RowTimes(columns, facts, options, path)
        self._files = [FileColumns(columns, facts, level) for level in LEVELS[: columns.depth]]
        self._files = [of_level for of_level in self._files if of_level.at is not None]
        self._require = _required(options.require, columns, path)

    def read(self, record: Record) -> Row | RowError:
        """One record."""
        line, cells = record
        if len(cells) != self._width:
            if wrong := self._wrong_width(line, cells):
                return wrong
            cells = [*cells[: self._width], *[""] * (self._width - len(cells))]
        joined = "".join(cells)
        if (not joined.isprintable() or len(joined) > MOST_CELL) and (wrong := self._unusable(line, cells)):
            return wrong
        if "#" in joined and (wrong := self._failed_formula(line, cells)):
            return wrong
        if "'" in joined:
            cells = list(map(unescaped, cells))
        try:
            labels, fields = self._values(line, cells, list(map(str.strip, cells)))
        except CellError as error:
            return RowError(line, self._columns.name(error.at), str(error))
        for path, level, key, at in self._require:
            given = level < len(labels) and (key in fields[level] or (key == "age" and LEAST_OF_AGES in fields[level]))
            if not given and (key != "label" or values.is_missing_text(cells[at].strip())):
                return RowError(line, self._columns.name(at), f"is empty, and --require wants {path}")
        return Row(line, labels, fields)

    def _values(
        self, line: int, cells: Sequence[str], stripped: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[Values, ...]]:
        """The labels and values of a row. CellError for what can't be read."""
        labels = []
        for label in self._labels:
            found = label(stripped, cells)
            if not found:
                break
            labels.append(found)
        if len(labels) < len(self._labels):
            self._nothing_below(len(labels), cells, stripped)
        fields: tuple[Values, ...] = tuple([{} for _ in labels])
        for at, level, key, convert, missing, exact in self._plain:
            cell = cells[at] if exact else stripped[at]
            if missing(cell):
                continue
            try:
                fields[level][key] = convert(cell)
            except ValueError as error:
                raise CellError(at, str(error)) from None
        self._times.read(line, stripped, fields, self.noticed)
        for files in self._files:
            files.read(stripped, fields, self._find_files)
        return tuple(labels), fields

    def _nothing_below(self, depth: int, cells: Sequence[str], stripped: Sequence[str]) -> None:
        """A row that ends above a level must not give anything of it. A zone by itself says nothing."""
        for at, field in self._columns.fields:
            if field.level not in LEVELS[depth:] or field.name == "timezone" or field.name.startswith("file."):
                continue
            if not (_missing(field)(stripped[at]) if field.type != "str" else not cells[at]):
                raise CellError(at, f"is given, but the row has no {LEVELS[depth]} label")

    def _wrong_width(self, line: int, cells: list[str]) -> RowError | None:
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._width :]):
            message = f"has {len(cells)} cells, the header has {self._width}; is a delimiter or quote wrong?"
            return RowError(line, self._columns.name(self._width - 1), message)
        return None

    def _unusable(self, line: int, cells: list[str]) -> RowError | None:
        labels = {at for at, field in self._columns.fields if field.name == "label"}
        labels |= {at for template in self._columns.labels if template for at in template.columns()}
        for at, cell in enumerate(cells):
            if at not in self._used:
                continue
            if len(cell) > MOST_CELL:
                return RowError(
                    line, self._columns.name(at), f"has {len(cell):,} characters; at most {MOST_CELL:,} are taken"
                )
            pattern = CONTROL_IN_LABEL if at in labels else CONTROL
            if found := pattern.search(cell if at in self._exact else cell.strip()):
                return RowError(line, self._columns.name(at), f"holds a control character ({found.group()!r})")
        return None

    def _failed_formula(self, line: int, cells: list[str]) -> RowError | None:
        for at, cell in enumerate(cells):
            if at in self._used and at not in self._exact and cell.strip() in FAILED_FORMULAS:
                return RowError(line, self._columns.name(at), f"holds {cell.strip()}: a formula failed there")
        return None

    # --- readers, made once ---------------------------------------------------------------------------------------

    def _label_readers(self) -> list[LabelReader]:
        """For each level what gives the label from stripped cells and cells; empty: the row ends above it."""
        out: list[LabelReader] = []
        own = {field.level: (at, field) for at, field in self._columns.fields if field.name == "label"}
        for depth, level in enumerate(LEVELS[: self._columns.depth]):
            template = self._columns.labels[depth]
            if level in own:
                at, field = own[level]
                fallback = template.fill([]) if template is not None and not self._columns.optional[depth] else ""
                out.append(_from_column(at, fallback, needed=level == "subject", exact=field.type == "str"))
            elif template is not None:
                out.append(_from_template(template, level))
        return out

    def _converter(self, at: int, field: Field) -> Callable[[str], Any] | None:
        """What turns a cell into a value, or None for fields that are read together with others."""
        days = self._options.days_per_year
        match field.name:
            case "sex":
                beside = self._facts.sex_beside_h
                return lru_cache(1024)(lambda cell: values.sex(cell, beside_h=beside))
            case "age":
                unit = field.type or "years"
                return lru_cache(4096)(lambda cell: values.age_seconds(cell, days, unit))
            case "weight":
                return values.weight
            case "tags" | "notes":
                return lambda cell: values.texts(cell, json=field.type == "json", split=field.name == "tags")
            case "info":
                kind = field.type or self._facts.types.get(at, "str")
                return lambda cell: values.info_value(cell, kind)
        return str if is_text(field) else None


# Surrogates by themselves are no characters: some encodings decode to them, and no request can carry them.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
CONTROL_IN_LABEL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def _missing(field: Field) -> Callable[[str], bool]:
    if field.name == "info" and field.type == "json":
        return lambda cell: cell != "null" and values.is_missing_text(cell)  # null is a value there
    in_text = is_text(field) or field.name in ("tags", "notes", "info", "label", "file")
    return values.is_missing_text if in_text else values.is_missing


LabelReader = Callable[[Sequence[str], Sequence[str]], str]


def _from_template(template: Template, level: str) -> LabelReader:
    columns = template.columns()
    if template.is_fixed:
        fixed = template.fill([])
        return lambda _stripped, _cells: fixed

    def label(stripped: Sequence[str], _cells: Sequence[str]) -> str:
        for at in columns:
            if values.is_missing_text(stripped[at]):
                raise CellError(at, f"is empty; the label of the {level} needs it")
        return template.fill(stripped).strip()

    return label


def _from_column(at: int, fallback: str, *, needed: bool, exact: bool) -> LabelReader:
    def label(stripped: Sequence[str], cells: Sequence[str]) -> str:
        cell = cells[at] if exact else stripped[at]
        if cell and (exact or not values.is_missing_text(cell)):
            return cell
        if needed:
            what = f"{cell!r} stands for no value" if cell else "is empty"
            raise CellError(at, f"{what}; a row needs its subject")
        return fallback

    return label


# --- required fields ----------------------------------------------------------------------------------------------


def _required(names: Sequence[str], columns: Columns, path: str) -> list[tuple[str, int, str, int]]:
    """(field path, depth, key, column) for each field that every row must give."""
    out = []
    for name in names:
        found = _named(name.strip(), columns)
        if found is None:
            raise InputFileError(f"has no column for {name!r}, which --require wants", path=path)
        out.append(found)
    return out


def _named(name: str, columns: Columns) -> tuple[str, int, str, int] | None:
    times = {"date", "time"}
    for at, field in columns.fields:
        if (
            field.path == name
            or field.name == name
            or (field.is_time and name in ("timestamp", f"{field.level}.timestamp"))
        ):
            key = "timestamp" if field.name in times else "files" if field.name == "file" else key_of(field)
            if field.level:
                return field.path, LEVELS.index(field.level), key, at
    born = next((at for at, field in columns.fields if field.name == "date_of_birth"), None)
    if name in ("age", "session.age") and born is not None and columns.depth > 1:
        return "session.age", 1, "age", born
    return None
