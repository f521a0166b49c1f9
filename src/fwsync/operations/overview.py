"""`fwsync report overview`: the containers of a selection to a table."""

from __future__ import annotations

from collections.abc import Iterator

from fwsync.client.api import Flywheel
from fwsync.events import Reporter, SilentReporter
from fwsync.operations.selected import Asked, Selected, path_of
from fwsync.plan.candidates import Candidate
from fwsync.report.overview import By, Files, Place
from fwsync.report.overview import overview as table_of
from fwsync.report.table import Table
from fwsync.selection import LEVELS


async def overview(
    fw: Flywheel, asked: Asked, *, by: By = "acquisition", files: bool = False, reporter: Reporter | None = None
) -> Table:
    """What there is in a selection, and with `files` the numbers and sizes of files. UsageError for a selection that
    matches nothing."""
    counted = Files()
    levels = LEVELS[: LEVELS.index(by) + 1]

    def count(one: Candidate) -> None:
        lowest = [held for level in levels if (held := one.above.get(level))][-1]
        counted.add(lowest.id, one.entry.type, one.entry.size)

    selected = Selected(asked.selection, LEVELS, file=count if files else None)
    (reporter or SilentReporter()).phase("reading subjects, sessions and acquisitions")
    await selected.gather(fw, asked)
    places = {level: _places(selected, level) for level in LEVELS}
    table = table_of(places, by, counted if files else None, title=f"Overview of {selected.place}")
    table.notes += selected.notes
    return table


def _places(selected: Selected, level: str) -> Iterator[Place]:
    """The containers of a level, in order, as they are asked for."""
    for found in selected.of(level):
        chain = [found.above.get(one) for one in LEVELS[1 : LEVELS.index(level) + 1]]
        project = found.above["project"]
        yield Place(
            (path_of(project), *(one.label if one else None for one in chain)),
            (project.id, *(one.id if one else None for one in chain)),
        )
