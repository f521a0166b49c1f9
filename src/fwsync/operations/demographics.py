"""`fwsync report demographics`: subjects and sessions of a selection to a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import UsageError
from fwsync.events import Reporter, SilentReporter
from fwsync.model import Container, Session, Subject, instant
from fwsync.operations.projects import near
from fwsync.operations.selected import Asked, Selected, path_of
from fwsync.report.demographics import By, Further, Person, Visit
from fwsync.report.demographics import demographics as table_of
from fwsync.report.table import Cell, Table

KINDS: dict[str, type[Container]] = {"subject": Subject, "session": Session}
NOT_TOLD = ("files", "analyses", "info", "info_exists", "parents", "notes", "subject")
"""Fields of which no cell is made."""


async def demographics(
    fw: Flywheel, asked: Asked, *, by: By = "subject", columns: Sequence[str] = (), reporter: Reporter | None = None
) -> Table:
    """Who is in a selection; `columns` are further fields, such as `subject.info.handedness` or `session.weight`.

    UsageError for a column that there is not, and for a selection that matches nothing.
    """
    further = _columns(columns)
    withheld: Counter[str] = Counter()
    info = _of_info(columns)
    selected = Selected(asked.selection, ("subject", "session"), _keeper(further, withheld), info=info)
    (reporter or SilentReporter()).phase("reading subjects and sessions")
    await selected.gather(fw, asked)
    visits: dict[str, list[Visit]] = {}
    for found in selected.of("session"):
        subject, own, (age, when, created, *more) = found.above.get("subject"), found.above["session"], found.kept
        one = Visit(own.label, age, when, created, own.id, tuple(more))
        visits.setdefault(subject.id if subject else "", []).append(one)
    people = []
    for found in selected.of("subject"):
        subject, (sex, *more) = found.above["subject"], found.kept
        place = path_of(found.above["project"])
        people.append(Person(place, subject.label, sex, visits.pop(subject.id, ()), tuple(more)))
    table = table_of(people, by, further, title=f"Demographics of {selected.place}")
    if lost := sum(map(len, visits.values())):
        table.notes.append(f"{lost:,} sessions are of no subject that the site lists, and in no row")
    for level, count in (+withheld).items() if info else ():
        table.notes.append(f"{count:,} {level}s have custom information that the listings of this site leave out")
    table.notes += selected.notes
    return table


def _columns(names: Sequence[str]) -> Further:
    out: dict[str, list[str]] = {"subject": [], "session": []}
    for name in dict.fromkeys(names):
        level, _, field = name.partition(".")
        if level not in KINDS or not field:
            raise UsageError(f"--column {name}: write subject.FIELD or session.FIELD, such as subject.info.handedness")
        known = [one for one in KINDS[level].__struct_fields__ if one not in NOT_TOLD]
        if field not in known and not (field.startswith("info.") and field != "info."):
            raise UsageError(f"--column {name}: {level}s have no such field{near(field, [*known, 'info.KEY'])}")
        out[level].append(name)
    return Further(tuple(out["subject"]), tuple(out["session"]))


def _of_info(columns: Sequence[str]) -> bool:
    return any(name.split(".")[1:2] == ["info"] for name in columns)


def _keeper(further: Further, withheld: Counter[str]) -> Callable[[Container, str], Any]:
    """What to remember of a container, as one small tuple; how many come without the info that they have is counted."""
    of_subject = [name.split(".")[1:] for name in further.subject]
    of_session = [name.split(".")[1:] for name in further.session]

    def keep(container: Container, level: str) -> Any:
        withheld[level] += bool(container.info_exists and container.info is None and level in KINDS)
        if isinstance(container, Subject):
            return (container.sex or None, *(_cell(container, path) for path in of_subject))
        if isinstance(container, Session):
            moment = instant(container.timestamp)
            when = moment.timestamp() if moment else None
            return (container.age, when, container.created or "", *(_cell(container, path) for path in of_session))
        return None

    return keep


def _cell(container: Container, path: Sequence[str]) -> Cell:
    """A field as a cell: lists of texts by commas, other lists and objects as JSON."""
    value: Any = getattr(container, path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value) or None
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    cell: Cell = value
    return cell
