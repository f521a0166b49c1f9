"""Who is in a study: a row for each subject, or for each of its sessions, and what they are together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

from fwsync.report.table import Cell, Column, Table
from fwsync.selection import AGE_UNITS

By = Literal["subject", "session"]


class Visit(NamedTuple):
    """A session: its label, the subject's age in seconds, when it was (Unix seconds; None: not told), when it was made,
    its id, and the values of further columns."""

    label: str
    age: float | None
    when: float | None
    created: str
    id: str
    further: tuple[Cell, ...] = ()


class Person(NamedTuple):
    """A subject with its sessions."""

    project: str
    label: str
    sex: str | None
    visits: Sequence[Visit]
    further: tuple[Cell, ...] = ()


class Further(NamedTuple):
    """Names of further columns, of subjects and of sessions."""

    subject: tuple[str, ...] = ()
    session: tuple[str, ...] = ()


NONE_FURTHER: Final = Further()


def demographics(
    people: Iterable[Person], by: By = "subject", further: Further = NONE_FURTHER, title: str = "Demographics"
) -> Table:
    """A row for each subject, with the age at its first session, or for each session. Ages are in years.

    A subject without any session has a row all the same. The mean and standard deviation (of the population) are those
    of the column of ages; percentages are of subjects.
    """
    rows: list[tuple[Cell, ...]] = []
    sexes: Counter[str] = Counter()
    sessions = 0
    for person in people:
        sexes[person.sex or "unknown"] += 1
        visits = in_order(person.visits)
        sessions += len(visits)
        rows += _of_person(person, visits, by, len(further.session))
    ages = [age for row in rows if (age := row[AGE]) is not None]
    facts: dict[str, Cell] = {"subjects": sexes.total(), "sessions": sessions, **_ages([float(age) for age in ages])}
    facts["without age"] = len(rows) - len(ages)
    for sex in dict.fromkeys(("female", "male", *sorted(sexes))):
        facts[f"sex {sex}"] = sexes[sex]
        facts[f"percent {sex}"] = sexes[sex] / sexes.total() * 100 if sexes else None
    own = (Column("sessions", "integer"),) if by == "subject" else (Column("session"),)
    columns = (
        Column("project"), Column("subject"), Column("sex"), Column("age", "number"), *own,
        *(Column(name) for name in (*further.subject, *further.session)),
    )  # fmt: skip
    return Table(name="demographics", title=title, columns=columns, rows=rows, facts=facts)


AGE: Final = 3
"""The column of ages in years."""


def years(seconds: float | None) -> float | None:
    """An age as the SDK's `age_years` tells it: none where it is 0 or not told."""
    return seconds / AGE_UNITS["y"] if seconds else None


def in_order(visits: Iterable[Visit]) -> list[Visit]:
    """By time; those without one come last, as they were made."""
    return sorted(visits, key=lambda one: (one.when is None, one.when or 0.0, one.created, one.id))


def _of_person(person: Person, visits: list[Visit], by: By, more: int) -> Iterable[tuple[Cell, ...]]:
    about = (person.project, person.label, person.sex)
    first = visits[0] if visits else None
    if by == "session" and visits:
        return [(*about, years(one.age), one.label, *person.further, *one.further) for one in visits]
    of_first = first.further if first else (None,) * more
    own = len(visits) if by == "subject" else None
    return [(*about, years(first.age) if first else None, own, *person.further, *of_first)]


def _ages(ages: Sequence[float]) -> dict[str, Cell]:
    if not ages:
        return {"mean age": None, "std of age": None}
    mean = _sum(ages) / len(ages)
    return {"mean age": mean, "std of age": math.sqrt(_sum((age - mean) * (age - mean) for age in ages) / len(ages))}


def _sum(values: Iterable[float]) -> float:
    """Exactly; what is too large for that (nobody says that ages are sane) is infinite."""
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return math.inf
