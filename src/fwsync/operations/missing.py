"""`fwsync report missing`: which sessions or subjects of a selection lack which acquisitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import groupby

import msgspec

from fwsync.client.api import Flywheel
from fwsync.errors import UsageError
from fwsync.events import Reporter, SilentReporter
from fwsync.operations.projects import near
from fwsync.operations.selected import Asked, Found, Selected, leads_to_file, path_of
from fwsync.operations.selections import read_lines
from fwsync.plan.candidates import Candidate
from fwsync.report.missing import By, Expectations, Expected, Unit, usual
from fwsync.report.missing import missing as table_of
from fwsync.report.table import Table
from fwsync.selection import split_path

DEEPEST = {"subject": 3, "session": 4}
"""Parts of the path of a unit."""
MOST_NAMES = 2000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What should be there: patterns over labels of acquisitions, a file of these (one a line), `ACQUISITION:FILE`
    patterns, and the labels that at least `auto` percent of all have."""

    labels: tuple[str, ...] = ()
    labels_from: str = ""
    files: tuple[str, ...] = ()
    auto: float | None = None

    def read(self) -> list[Expected]:
        """All but the automatic ones. UsageError for none at all, and for what can't be read."""
        if self.auto is not None and not 0 < self.auto <= 100:
            raise UsageError(f"--expect-auto {self.auto:g}: is a percentage, more than 0 and at most 100")
        labels = (*self.labels, *(read_lines(self.labels_from, "label", "T1w") if self.labels_from else ()))
        found = [Expected(label) for label in labels if label]
        for text in self.files:
            label, mark, name = text.rpartition(":")
            if not (mark and label and name):
                raise UsageError(f"--expect-file {text}: write ACQUISITION:FILE, such as 'T1w:*.nii.gz'")
            found.append(Expected(label, name))
        if not found and self.auto is None:
            raise UsageError("what should be there? say it by --expect LABEL, --expect-from FILE or --expect-auto")
        return found


async def missing(
    fw: Flywheel, asked: Asked, wanted: Wanted, *, by: By = "session", reporter: Reporter | None = None
) -> Table:
    """What the sessions (or subjects) of a selection lack. Wishes about acquisitions and files say what counts as being
    there; wishes about the levels above say of whom it is asked.

    UsageError for a selection that matches nothing, and where nothing is expected.
    """
    selection, expected = asked.selection, wanted.read()
    for path in selection.paths:
        if len(split_path(path)) > DEEPEST[by] or leads_to_file(path):
            raise UsageError(f"{path}: is below a {by}; name projects, subjects or sessions to look at")
    of_files = Expectations(expected)
    held: dict[str, int] = {}

    def look(one: Candidate) -> None:
        if (unit := one.above.get(by)) and (scan := one.above.get("acquisition")) and "analysis" not in one.above:
            held[unit.id] = held.get(unit.id, 0) | of_files.of_file(scan.label, one.entry.name)

    selected = Selected(
        selection, ("subject", "session", "acquisition"), file=look if of_files.names_files else None, unit=by
    )
    (reporter or SilentReporter()).phase("reading subjects, sessions and acquisitions")
    await selected.gather(fw, asked)
    if wanted.auto is not None:
        named = {one.label for one in expected if not one.file}
        usually = _usual(selected, by, wanted.auto, alone=not expected)
        expected += [one for one in usually if one.label not in named]
    # The bits of what was expected before stay where they are: what is usual comes after.
    expectations = Expectations(expected)
    units = list(_units(selected, expectations, held, by, only_with_any=bool(selection.collection)))
    if not units and any(selected.of("acquisition")) and not asked.allow_empty:
        raise UsageError(f"no {by} is selected, but only what is below; --allow-empty accepts nothing")
    table = table_of(units, expectations, by, title=f"Missing acquisitions in {selected.place}")
    table.notes += [*_nowhere(selected, expectations, units), *selected.notes]
    return table


def _units(
    selected: Selected, expectations: Expectations, held: dict[str, int], by: By, *, only_with_any: bool
) -> Iterator[Unit]:
    there: dict[str, tuple[int, int]] = {}
    for ident, scans in _scans(selected, by):
        bits, count = held.get(ident, 0), 0
        for label in scans:
            bits |= expectations.of_acquisition(label)
            count += 1
        there[ident] = bits, count
    found: Iterable[Found] = selected.of(by)
    if by == "session":
        found = merge(found, _without_session(selected), key=_place)
    for one in found:
        names = {level: held.label for level, held in one.above.items()}
        bits, count = there.get(one.above[by].id, (0, 0)) if by in one.above else (0, 0)
        if count or not only_with_any:
            session = names.get("session") if by == "session" else None
            yield Unit(path_of(one.above["project"]), names.get("subject"), session, bits, count)


def _without_session(selected: Selected) -> Iterator[Found]:
    has = {found.above["subject"].id for found in selected.of("session") if "subject" in found.above}
    return (found for found in selected.of("subject") if found.above["subject"].id not in has)


def _place(found: Found) -> list[tuple[str, str]]:
    return [(path_of(one) if one.kind == "project" else one.label, one.id) for one in found.above.values()]


def _scans(selected: Selected, by: By) -> Iterator[tuple[str, Iterator[str]]]:
    """The labels of the acquisitions of each unit that has any."""
    found = (one for one in selected.of("acquisition") if by in one.above)
    for ident, some in groupby(found, key=lambda one: one.above[by].id):
        yield ident, (one.above["acquisition"].label for one in some)


def _usual(selected: Selected, by: By, percent: float, *, alone: bool) -> list[Expected]:
    """The labels that most units have; a unit without any acquisition counts too."""
    scans = {ident: frozenset(labels) for ident, labels in _scans(selected, by)}
    bare = (frozenset[str]() for found in selected.of(by) if found.above[by].id not in scans)
    common, counts = usual((*scans.values(), *bare), percent)
    if not common and alone and counts:
        label, count = counts.most_common(1)[0]
        raise UsageError(
            f"--expect-auto {percent:g}: no label is on so many {by}s; the commonest, {label}, is on {count:,} of them"
        )
    return common


def _nowhere(selected: Selected, expectations: Expectations, units: Sequence[Unit]) -> Iterator[str]:
    """Lines about what nobody has: perhaps it is misspelt."""
    anybody = 0
    for unit in units:
        anybody |= unit.there
    if not units or not (nobody := expectations.lacking(anybody)):
        return
    names: dict[str, None] = {}
    for found in selected.of("acquisition"):
        if len(names) >= MOST_NAMES:
            break
        names[found.above["acquisition"].label] = None
    for text in nobody:
        yield f"{text} is nowhere{'' if ':' in text else near(text, names)}"
