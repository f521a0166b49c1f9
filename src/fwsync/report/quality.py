"""Values about quality that gears left in the info of files, judged by rules: one row a file."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fwsync.report.rules import Rule, value_at
from fwsync.report.table import Cell, Column, Table
from fwsync.selection import LEVELS

LONGEST_CELL = 200


class Place(NamedTuple):
    """A file: the labels above it by level, its name, when it was made, its id."""

    labels: Mapping[str, str]
    name: str
    created: str = ""
    id: str = ""


class Measured(NamedTuple):
    """A judged file: the values of the metrics, the flags of rules that hold, those of rules that lack a value
    (`doubtful`) and the metrics that they lack. `judged` is False where no rule is about such a file."""

    place: Place
    measurement: str
    values: tuple[Cell, ...]
    flags: tuple[str, ...]
    doubtful: tuple[str, ...]
    lacking: tuple[str, ...]
    judged: bool

    @property
    def age(self) -> tuple[str, str]:
        """What orders files of one container; the greatest is the newest."""
        return self.place.created, self.place.id


def metrics_of(metrics: Sequence[str], rules: Sequence[Rule]) -> tuple[str, ...]:
    """The columns: the metrics that are asked for, then those of the rules."""
    return tuple(dict.fromkeys((*metrics, *(rule.metric for rule in rules))))


def measure(
    place: Place,
    classification: Mapping[str, Any] | None,
    info: Mapping[str, Any] | None,
    metrics: Sequence[str],
    rules: Sequence[Rule],
) -> Measured:
    """Judge a file."""
    ours = [rule for rule in rules if rule.applies(classification)]
    verdicts = [(rule, rule.verdict(info)) for rule in ours]
    flags = tuple(dict.fromkeys(rule.flag for rule, held in verdicts if held))
    unknown = [rule for rule, held in verdicts if held is None]
    held = (classification or {}).get("Measurement")
    return Measured(
        place=place,
        measurement=", ".join(map(str, held)) if isinstance(held, list) else str(held or ""),
        values=tuple(cell_of(value_at(info, metric)) for metric in metrics),
        flags=flags,
        doubtful=tuple(dict.fromkeys(rule.flag for rule in unknown if rule.flag not in flags)),
        lacking=tuple(dict.fromkeys(rule.metric for rule in unknown)),
        judged=bool(ours),
    )


def cell_of(value: Any) -> Cell:
    """A value of custom info as a cell; what is no plain value as JSON, cut where it is long."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value[:LONGEST_CELL]
    if value is None or isinstance(value, int | float):
        return value
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 3] + "..."


def quality_table(
    files: Iterable[Measured], metrics: Sequence[str], rules: Sequence[Rule], title: str, notes: Iterable[str] = ()
) -> Table:
    """The report, in the order of the labels."""
    columns = (
        *(Column(level) for level in LEVELS), Column("file"), Column("measurement"),
        *(Column(metric, "number") for metric in metrics), Column("flags"), Column("no_value"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    counts = Counter(dict.fromkeys((rule.flag for rule in rules), 0))
    flagged = lacking = unjudged = 0
    for one in sorted(files, key=lambda one: (*(one.place.labels.get(level, "") for level in LEVELS), one.place.name)):
        labels = (one.place.labels.get(level) for level in LEVELS)
        told = (" ".join(one.flags) or None, " ".join(one.lacking) or None)
        rows.append((*labels, one.place.name, one.measurement or None, *one.values, *told))
        counts.update(one.flags)
        flagged += bool(one.flags)
        lacking += bool(one.lacking)
        unjudged += not one.judged
    facts: dict[str, Cell] = {"files": len(rows)}
    if rules:
        facts |= {"flagged": flagged, **dict(counts), "without a value": lacking, "no rule is about": unjudged}
    return Table(name="qc", title=title, columns=columns, rows=rows, facts=facts, notes=list(notes))
