"""Has a gear run on each container? One row a container, told by the runs on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from fwsync.report.table import Cell, Column, Table
from fwsync.selection import LEVELS

By = Literal["project", "subject", "session", "acquisition"]
StateOf = Literal["latest", "latest-complete"]

GOING_ON = frozenset({"pending", "scheduled", "running"})
NEVER, UNKNOWN = "never ran", "unknown"
_WORST_FIRST = ("failed", "cancelled", UNKNOWN, "running", "scheduled", "pending", "complete")


class GearRun(NamedTuple):
    """One run of a gear. `on` is the id of the container that it ran on; `created` is ISO 8601 text, empty where the
    site does not tell; `label` and `id` are those of its analysis, or of its job where it makes none."""

    on: str
    created: str
    id: str
    state: str = UNKNOWN
    version: str = ""
    label: str = ""


class Standing(NamedTuple):
    """How a gear stands with one container: the run that tells (None: it never ran), how many runs there are, how many
    of them are complete, and whether there is a complete one on everything that it ran on."""

    run: GearRun | None
    runs: int = 0
    complete: int = 0
    succeeded: bool = False

    @property
    def state(self) -> str:
        """The state of the run that tells."""
        return self.run.state if self.run else NEVER


def standing(runs: Iterable[GearRun], state_of: StateOf = "latest") -> Standing:
    """The newest run tells (of several at one moment the one with the last id), or the newest that is complete, where
    there is one. Where the runs are on several containers below, each has its own newest run, and the least good of
    these tells."""
    by_container: dict[str, list[GearRun]] = {}
    for run in sorted(runs, key=lambda run: (run.created, run.id)):
        by_container.setdefault(run.on, []).append(run)
    if not by_container:
        return Standing(None)
    told = [_telling(some, state_of) for some in by_container.values()]
    every = [run for some in by_container.values() for run in some]
    complete = sum(run.state == "complete" for run in every)
    succeeded = all(any(run.state == "complete" for run in some) for some in by_container.values())
    newest_first = sorted(told, key=lambda run: (run.created, run.id), reverse=True)
    worst = min(newest_first, key=lambda run: _rank(run.state))
    return Standing(worst, len(every), complete, succeeded)


def _telling(runs: Sequence[GearRun], state_of: StateOf) -> GearRun:
    if state_of == "latest-complete":
        return next((run for run in reversed(runs) if run.state == "complete"), runs[-1])
    return runs[-1]


def _rank(state: str) -> int:
    return _WORST_FIRST.index(state) if state in _WORST_FIRST else _WORST_FIRST.index(UNKNOWN)


def gear_status_table(
    level: By, containers: Iterable[tuple[Mapping[str, str], Standing]], title: str, notes: Iterable[str] = ()
) -> Table:
    """A row for each container of a level. `containers` are their labels by level from the project down,
    and how the gear stands with them."""
    levels = LEVELS[: LEVELS.index(level) + 1]
    columns = (
        *(Column(name) for name in levels), Column("ran", "yes"), Column("state"), Column("created"), Column("version"),
        Column("analysis"), Column("id"), Column("runs", "integer"), Column("complete", "integer"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    states: Counter[str] = Counter()
    lacking = 0
    for labels, held in containers:
        run = held.run
        told = (run.created, run.version, run.label, run.id) if run else ("", "", "", "")
        above = (labels.get(name) for name in levels)
        rows.append((*above, run is not None, held.state, *(text or None for text in told), held.runs, held.complete))
        states["running" if held.state in GOING_ON else held.state] += 1
        lacking += not held.succeeded
    facts: dict[str, Cell] = {f"{level}s": len(rows)}
    for state in ("complete", "failed", "running", NEVER, *sorted(states)):
        if state not in facts:
            facts[state] = states[state]
    facts["without a complete run"] = lacking
    return Table(name="gear-status", title=title, columns=columns, rows=rows, facts=facts, notes=list(notes))


def csv_name(gear: str, moment: str) -> str:
    """The name of the report's file: `GEAR_RunReport_TIME.csv`, the gear's name without what no file name holds."""
    plain = "".join(char if char.isalnum() or char in "-_." else "_" for char in gear)
    return f"{plain}_RunReport_{moment}.csv"
