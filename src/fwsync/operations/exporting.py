"""`fwsync export`: a project's containers as the table that import reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import anyio
import anyio.to_thread
import msgspec

from fwsync.client.api import Flywheel
from fwsync.client.nouns import Noun
from fwsync.errors import UsageError
from fwsync.events import Reporter, SilentReporter
from fwsync.model import Reference, parent_of
from fwsync.operations.projects import find_project, project_path
from fwsync.plan.exporting import Column, Losses, Survey, cells_of, header_line, kept, label_of, row_lines
from fwsync.plan.importing import Held
from fwsync.run import output
from fwsync.run.spool import Spool

BATCH = 1000
OTHER_FORMATS = (".xlsx", ".xls", ".gz", ".tsv")


class Exported(msgspec.Struct, kw_only=True):
    """What an export wrote. `warnings` tell what the table can't hold; `changed` is False when the file was as it would
    have been written."""

    project: str
    subjects: int = 0
    sessions: int = 0
    acquisitions: int = 0
    rows: int = 0
    changed: bool = True
    warnings: list[str] = []

    @property
    def exit_code(self) -> int:
        """3 when something of the project is not in the table."""
        return 3 if self.warnings else 0


async def export_project(
    fw: Flywheel,
    project: str,
    to: Path | BinaryIO,
    *,
    state_folder: Path,
    force: bool = False,
    reporter: Reporter | None = None,
) -> Exported:
    """Write the subjects, sessions and acquisitions of a project (`group/label`) to a file, or to an open stream.

    Nothing is written before the whole project was read. A file that exists with other content is UsageError unless
    `force`. The table is put together in a spool in `state_folder`, so that memory does not grow with the project.
    """
    reporter = reporter or SilentReporter()
    target = _checked(to) if isinstance(to, Path) else to
    found = await find_project(fw, project)
    out = Exported(project=project_path(found))
    with Spool(state_folder) as spool:
        reporter.phase(f"reading {out.project}")
        taken = await _Reader(fw, found.id, spool).everything()
        reporter.phase(f"writing {sum(taken):,} containers")
        seen = await anyio.to_thread.run_sync(_write, spool, found.id, target, force, out)
    if (unseen := sum(taken) - seen) > 0:
        out.warnings.append(f"the project changed while it was read, and {unseen:,} containers are missing; try again")
    return out


class _Reader:
    """Reads a project into the spool, its three levels at the same time."""

    def __init__(self, fw: Flywheel, project_id: str, spool: Spool) -> None:
        self._project, self._spool = Reference(type="project", id=project_id), spool
        self._nouns: tuple[Noun[Any], ...] = (fw.subjects, fw.sessions, fw.acquisitions)
        # A date of birth is in the future once it is so everywhere on earth: import sees it that way too.
        self._today = datetime.now(UTC).astimezone(timezone(timedelta(hours=14))).date()
        self._taken = [0, 0, 0]

    async def everything(self) -> list[int]:
        """How many containers there are of each level."""
        async with anyio.create_task_group() as group:
            for depth in range(3):
                group.start_soon(self._take, depth)
        self._spool.index_held()
        return self._taken

    async def _take(self, depth: int) -> None:
        noun = self._nouns[depth]
        batch = []
        async for container in noun.iter(parent=self._project, files=False, info=True):
            if container.info_exists and not container.info:
                container = await noun.get(container.id)  # a site whose listings leave info out
            above = self._project.id if depth == 0 else parent_of(container)
            cells = cells_of(depth, container, self._today)
            batch.append((depth, container.id, above, label_of(container), container.created or "", cells))
            if len(batch) >= BATCH:
                self._spool.add_held(batch)
                self._taken[depth] += len(batch)
                batch = []
        self._spool.add_held(batch)
        self._taken[depth] += len(batch)


# --- writing ------------------------------------------------------------------------------------------------------


def _checked(path: Path) -> Path:
    """Where to write, after what can be told at once was told; a link leads to the file that is replaced."""
    if path.name.lower().endswith(OTHER_FORMATS):
        raise UsageError(f"{path}: export writes plain CSV; name it {path.name.split('.')[0] or 'subjects'}.csv")
    return output.place(path)


def _write(spool: Spool, project_id: str, to: Path | BinaryIO, force: bool, out: Exported) -> int:
    """Two passes over the spool: first which columns there are and of which types, then the rows. How many containers
    the spool gave: one whose parent is missing is not among them."""
    losses, survey = Losses(), Survey()
    counts = [0, 0, 0]
    for one in kept(spool.held(), project_id, losses):
        survey.see(one)
        counts[len(one.labels) - 1] += 1
    out.subjects, out.sessions, out.acquisitions = counts
    out.warnings += losses.warnings()
    columns = survey.columns()

    def containers() -> Iterator[Held]:
        return kept(spool.held(), project_id, Losses())

    if isinstance(to, Path):
        out.changed = output.write(to, _pieces(containers(), columns, out), force=force)
    else:
        to.writelines(_pieces(containers(), columns, out))
        to.flush()
    return sum(counts) + losses.left_out


def _pieces(containers: Iterable[Held], columns: tuple[tuple[Column, ...], ...], out: Exported) -> Iterator[bytes]:
    yield header_line(columns).encode()
    lines = row_lines(containers, columns)
    while batch := list(islice(lines, BATCH)):
        out.rows += len(batch)
        yield "".join(batch).encode()
