"""Which of the acquisitions that everybody should have are not there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from fwsync.report.table import Cell, Column, Table
from fwsync.selection import matches

By = Literal["subject", "session"]


class Expected(NamedTuple):
    """What should be there: an acquisition whose label matches `label` (is `label`, where `exact`), with a file whose
    name matches `file` where that is given."""

    label: str
    file: str = ""
    exact: bool = False

    @property
    def text(self) -> str:
        """As a person writes it."""
        return f"{self.label}:{self.file}" if self.file else self.label

    def fits(self, label: str) -> bool:
        """Whether an acquisition of this label is meant."""
        return label == self.label if self.exact else matches(self.label, label)


class Expectations:
    """All that should be there. What is there of it is a number whose bits stand for them in their order, so that a
    hundred thousand sessions need little memory."""

    def __init__(self, expected: Sequence[Expected]) -> None:
        self.expected = tuple(dict.fromkeys(expected))
        self.of_acquisition = lru_cache(maxsize=10_000)(self._of_acquisition)

    @property
    def names_files(self) -> bool:
        """Whether files have to be looked at."""
        return any(one.file for one in self.expected)

    def _of_acquisition(self, label: str) -> int:
        return self._bits(one.fits(label) and not one.file for one in self.expected)

    def of_file(self, label: str, name: str) -> int:
        """What a file on an acquisition of this label is."""
        return self._bits(bool(one.file) and one.fits(label) and matches(one.file, name) for one in self.expected)

    def _bits(self, held: Iterable[bool]) -> int:
        return sum(1 << number for number, there in enumerate(held) if there)

    def lacking(self, there: int) -> list[str]:
        """What is not there."""
        return [one.text for number, one in enumerate(self.expected) if not there >> number & 1]


class Unit(NamedTuple):
    """A subject or session, or a subject without any session: labels, what is there, and of how many acquisitions."""

    project: str
    subject: str | None
    session: str | None
    there: int
    acquisitions: int


def missing(
    units: Iterable[Unit], expectations: Expectations, by: By = "session", title: str = "Missing acquisitions"
) -> Table:
    """A row for each thing that a unit lacks, in the order of the units and of what is expected."""
    rows: list[tuple[Cell, ...]] = []
    lacked: Counter[str] = Counter()
    whole = parts = bare = empty = 0
    for unit in units:
        lacking = expectations.lacking(unit.there)
        lacked.update(lacking)
        whole += not lacking
        parts += bool(lacking)
        bare += not unit.acquisitions
        empty += by == "session" and unit.session is None
        place = (unit.project, unit.subject) if by == "subject" else (unit.project, unit.subject, unit.session)
        rows += [(*place, text) for text in lacking]
    facts: dict[str, Cell] = {f"{by}s": whole + parts - empty}
    if by == "session":
        facts["subjects without any session"] = empty
    facts |= {"complete": whole, "incomplete": parts, "without any acquisition": bare, "missing": len(rows)}
    for one in expectations.expected:
        facts[f"missing {one.text}"] = lacked[one.text]
    levels = ("project", "subject") if by == "subject" else ("project", "subject", "session")
    columns = tuple(Column(name) for name in (*levels, "missing"))
    return Table(name="missing", title=title, columns=columns, rows=rows, facts=facts)


def usual(labels: Iterable[Iterable[str]], percent: float) -> tuple[list[Expected], Counter[str]]:
    """The labels that at least so many percent of the units have, the commonest first, and how many have each.

    `labels` are those of the acquisitions of each unit.
    """
    held: Counter[str] = Counter()
    units = 0
    for some in labels:
        units += 1
        held.update(set(some))
    common = sorted(held.items(), key=lambda one: (-one[1], one[0]))
    return [Expected(label, exact=True) for label, count in common if count * 100 >= percent * units], held
