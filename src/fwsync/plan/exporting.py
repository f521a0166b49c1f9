"""What a project holds, to the table that import reads.

The promise: what is imported from the table into an empty project makes the same table again, byte for byte. So
everything is written in the form in which import keeps it, and what import would refuse is left out and counted.

One row an acquisition; a session without acquisitions and a subject without sessions have a row of their own. Works on
a stream of containers, depth first and by labels, and holds nothing but the path down to where the stream is.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from fwsync.csvtext import escaped
from fwsync.model import Container
from fwsync.plan import values
from fwsync.plan.dates import YEARS
from fwsync.plan.fields import LEVELS, Field, Level, info_key, is_text
from fwsync.plan.importing import Held
from fwsync.plan.rows import CONTROL, CONTROL_IN_LABEL, FAILED_FORMULAS, MOST_CELL
from fwsync.plan.table import open_text
from fwsync.plan.timestamps import zone_named

FIELDS: tuple[tuple[str, ...], ...] = (
    (
        "firstname", "lastname", "sex", "date_of_birth", "cohort", "race", "ethnicity", "species", "strain", "type",
    ),
    ("age", "weight", "operator", "timestamp", "timezone"),
    ("timestamp", "timezone"),
)  # fmt: skip
"""The fields of each level in the order of their columns, between the label and tags and info."""

LOST = "~lost"
"""Among a container's cells: the names of fields that import would not read back."""

NO_LABEL = "\x00"
"""Stands for the label of a container without one, which no table can name."""

Cells = dict[str, Any]
"""Field to the text of its cell; `info.KEY` to a pair of kind and text."""


# --- one container ------------------------------------------------------------------------------------------------


def label_of(container: Container) -> str:
    """A container's label; `code` is the older name of a subject's."""
    return container.label or getattr(container, "code", None) or NO_LABEL


def cells_of(depth: int, container: Container, today: date) -> Cells:
    """What a table can say of a container. `today` tells which dates of birth are in the future."""
    out: Cells = {}
    lost = []
    for name in FIELDS[depth]:
        value = getattr(container, name, None)
        if value is None or value == "":
            continue
        try:
            out[name] = _cell(depth, name, value, container, today)
        except (ValueError, OverflowError):
            lost.append(name)
    tags = {tag for tag in container.tags or () if tag and tag == tag.strip()}
    if len(tags) < len(set(container.tags or ())):
        lost.append("tags")
    if tags:
        out["tags"] = _json(sorted(tags))
    for key, value in (container.info or {}).items():
        if (told := _info(key, value)) is not None:
            out[f"info.{key}"] = told
        else:
            lost.append(f"info.{key}")
    if lost:
        out[LOST] = lost
    return out


def _cell(depth: int, name: str, value: Any, container: Container, today: date) -> str:
    """A field's cell; ValueError for a value that import would refuse."""
    match name:
        case "sex":
            return values.sex(value)
        case "date_of_birth":
            return _birth(value, today)
        case "age":
            if not 0 <= value < values.MOST_YEARS * 365.25 * values.SECONDS_PER_DAY:
                raise ValueError(value)
            return str(int(value))
        case "weight":
            return repr(values.weight(repr(float(value)))).removesuffix(".0")
        case "timestamp":
            return timestamp_cell(value, getattr(container, "timezone", None) or "")
        case "timezone":
            return zone_named(value).zone or ""
    if not is_text(Field(LEVELS[depth], name)) or CONTROL.search(value) or len(value) > MOST_CELL:
        raise ValueError(value)
    return str(value)


def _birth(value: str, today: date) -> str:
    born = date.fromisoformat(value[:10])
    if born > today or born.year not in YEARS:
        raise ValueError(value)
    return born.isoformat()


def timestamp_cell(value: str, zone: str) -> str:
    """A stored time as the local time of its zone, with offset; as it is stored where the zone is not known, and in UTC
    where the zone had no standard time. ValueError for what import would refuse."""
    stored = datetime.fromisoformat(value)
    stored = stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored
    try:
        local = stored.astimezone(zone_named(zone)) if zone else stored
    except ValueError:
        local = stored
    if not _is_standard(local):
        local = stored.astimezone(UTC)
    if local.year not in YEARS:
        raise ValueError(value)
    return local.isoformat(timespec="milliseconds" if local.microsecond >= 1000 else "seconds")


def _is_standard(moment: datetime) -> bool:
    apart = moment.utcoffset()
    if apart is None or apart % timedelta(minutes=1) or not timedelta(hours=-12) <= apart <= timedelta(hours=14):
        return False
    return moment.tzname() not in ("LMT", "-00")


def info_cell(value: Any) -> tuple[str, str]:
    """The kind of a value of `info` (a type that a header can give) and its cell."""
    match value:
        case bool():
            return "bool", "true" if value else "false"
        case int() if abs(value) < 10**18:
            return "int", str(value)
        case float():
            return "float", repr(value)
        case str() if value and not CONTROL.search(value):
            return "str", value
    return "json", _json(value)


def _json(value: Any) -> str:
    text = msgspec.json.encode(value, order="sorted").decode()
    # Import takes no control characters, whatever they are in. Here they can only be inside of texts.
    return text if text.isprintable() else CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _info(key: str, value: Any) -> tuple[str, str] | None:
    """Kind and cell of a key of `info`; None if import would refuse the key or the value."""
    if not key.strip() or key != info_key(key) or CONTROL.search(key) or len(key) > MOST_CELL:
        return None
    try:
        kind, text = info_cell(value)
        if kind == "json":
            values.info_value(text, kind)
    except (ValueError, OverflowError, RecursionError):
        return None
    # A text stands in quotes if other values of its column make it JSON.
    size = len(_json(text)) if kind == "str" and len(text) > MOST_CELL // 2 else len(text)
    return (kind, text) if size <= MOST_CELL else None


# --- which containers ---------------------------------------------------------------------------------------------


REFUSED = "labels that import would refuse, left out"
DOUBLE = "labels that are there more than once under one parent, of which only the oldest is written"
UNREADABLE = "values that import would refuse, left empty"


class Losses(msgspec.Struct):
    """What the table can't hold: how many of each, with an example. `below` are containers below those."""

    counts: dict[str, int] = {}
    examples: dict[str, str] = {}
    below: int = 0

    def see(self, what: str, example: str) -> None:
        """Count one."""
        self.counts[what] = self.counts.get(what, 0) + 1
        self.examples.setdefault(what, example if len(example) <= 200 else example[:197] + "...")

    @property
    def left_out(self) -> int:
        """How many containers are not in the table."""
        return self.counts.get(REFUSED, 0) + self.counts.get(DOUBLE, 0) + self.below

    def warnings(self) -> list[str]:
        """One line for each kind."""
        out = [f"{what}: {count:,} (e.g. {self.examples[what]})" for what, count in self.counts.items()]
        if self.below:
            out.append(f"left out with the containers that they are in: {self.below:,}")
        return out


def kept(held: Iterable[Held], project_id: str, losses: Losses) -> Iterator[Held]:
    """The containers that a table can name: not those whose label import would refuse, nor younger ones with the label
    of an older, nor what is below these. `held` is depth first, by labels, of equals the oldest first."""
    ids = [project_id]  # of the project, and of the containers down to where the stream is
    path: list[str] = []
    for one in held:
        depth, label = len(one.labels) - 1, one.labels[-1]
        if len(ids) <= depth or one.parent_id != ids[depth]:
            losses.below += 1
            continue
        if len(path) > depth and path[depth] == label:
            losses.see(DOUBLE, _shown(one))
            continue
        del ids[depth + 1 :], path[depth:]
        if not label.strip() or CONTROL_IN_LABEL.search(label) or len(label) > MOST_CELL:
            losses.see(REFUSED, _shown(one))
            continue
        ids.append(one.id)
        path.append(label)
        for name in one.values.get(LOST, ()):
            losses.see(UNREADABLE, f"{name} of {_shown(one)}")
        yield one


def _shown(one: Held) -> str:
    labels = ["" if label == NO_LABEL else label for label in one.labels]
    return f"{LEVELS[len(labels) - 1]} {'/'.join(labels)!r}"


# --- the columns --------------------------------------------------------------------------------------------------


class Column(msgspec.Struct, frozen=True):
    """One column: its field within its level, and the type in its header, if any."""

    level: Level
    name: str
    type: str = ""

    @property
    def header(self) -> str:
        """As import reads it."""
        return f"{self.level}.{self.name}" + (f":{self.type}" if self.type else "")

    def text(self, cells: Mapping[str, Any]) -> str:
        """The cell of a container in this column."""
        found = cells.get(self.name, "")
        if isinstance(found, str):
            return found
        kind, text = found
        return _json(text) if self.type == "json" and kind == "str" else text


class Survey:
    """Takes in every container once, and tells which columns a table of them needs."""

    def __init__(self) -> None:
        self._kinds: tuple[dict[str, set[str]], ...] = tuple({"label": set()} for _ in LEVELS)

    def see(self, one: Held) -> None:
        """Take in one container."""
        depth = len(one.labels) - 1
        kinds = self._kinds[depth]
        kinds["label"].add(_kind_of_text(one.labels[-1]))
        for name, cell in one.values.items():
            if name != LOST:
                kinds.setdefault(name, set()).add(_kind_of_text(cell) if isinstance(cell, str) else cell[0])

    def columns(self) -> tuple[tuple[Column, ...], ...]:
        """The columns of each level, in their order: the label always, others where any container has a value."""
        if "date_of_birth" in self._kinds[0]:
            # Else import would work ages out of it, for sessions that have none.
            self._kinds[1].setdefault("age", set())
        return tuple(self._of(depth) for depth in range(len(LEVELS)))

    def _of(self, depth: int) -> tuple[Column, ...]:
        level, kinds = LEVELS[depth], self._kinds[depth]
        info = sorted(name for name in kinds if name.startswith("info."))
        names = [name for name in ("label", *FIELDS[depth], "tags", *info) if name in kinds]
        return tuple(Column(level, name, _type(level, name, kinds[name])) for name in names)


def _kind_of_text(cell: str) -> str:
    """`str` for a text that does not survive a plain reading."""
    plain = cell == cell.strip() and not values.is_missing_text(cell) and cell not in FAILED_FORMULAS
    return "" if plain else "str"


def _type(level: Level, name: str, kinds: set[str]) -> str:
    if name.startswith("info."):
        return next(iter(kinds)) if len(kinds) == 1 else "json"
    if name == "label" or is_text(Field(level, name)):
        return "str" if "str" in kinds else ""
    return {"age": "seconds", "tags": "json"}.get(name, "")


# --- the text -----------------------------------------------------------------------------------------------------

_NEEDS_QUOTES = re.compile('[",\r\n]')


def _csv(cell: str) -> str:
    cell = escaped(cell)
    return f'"{cell.replace(chr(34), chr(34) * 2)}"' if _NEEDS_QUOTES.search(cell) else cell


def header_line(columns: tuple[tuple[Column, ...], ...]) -> str:
    """The first line of the table. Where the names themselves would make readers take another delimiter for the right
    one, a line `sep=,` comes before it."""
    line = ",".join(_csv(column.header) for level in columns for column in level) + "\n"
    return line if open_text(io.BytesIO(line.encode()), "").delimiter == "," else f"sep=,\n{line}"


def row_lines(containers: Iterable[Held], columns: tuple[tuple[Column, ...], ...]) -> Iterator[str]:
    """The rows, one for each container that has none below it. What is above it is told in every row."""
    empty = [",".join("" for _ in level) for level in columns]
    path: list[str] = []
    for one in containers:
        depth = len(one.labels) - 1
        if path and depth < len(path):
            yield ",".join((*path, *empty[len(path) :])) + "\n"
        del path[depth:]
        cells = {**one.values, "label": one.labels[-1]}
        path.append(",".join([_csv(column.text(cells)) for column in columns[depth]]))
    if path:
        yield ",".join((*path, *empty[len(path) :])) + "\n"
