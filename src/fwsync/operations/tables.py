"""A table, wherever it lies, to what its rows ask for: opened, understood, read and judged, all before any write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TypeVar

import anyio.from_thread
import anyio.to_thread
import msgspec

from fwsync.client import transfer
from fwsync.client.api import Flywheel
from fwsync.config import ImportSettings
from fwsync.errors import UsageError
from fwsync.model import FileEntry
from fwsync.operations.projects import find_container
from fwsync.plan import workbook
from fwsync.plan.columns import Choices, Columns, resolve
from fwsync.plan.dates import check_format
from fwsync.plan.facts import Facts, Gatherer
from fwsync.plan.fields import LEVELS
from fwsync.plan.row import FindFiles, Row, RowError
from fwsync.plan.row_times import RowOptions
from fwsync.plan.rows import RowReader
from fwsync.plan.table import Record, Sheet, open_text
from fwsync.plan.timestamps import Reading
from fwsync.plan.wanted import Verdict, judge
from fwsync.run.source import CopySink, file_finder, take
from fwsync.run.spool import Spool
from fwsync.work import FetchFile

T = TypeVar("T")

REMOTE = "fw://"

MANY = 50_000
"""Rows beyond which reading takes long enough to tell how far it is."""


class Opened(msgspec.Struct):
    """A table with the meaning of its columns; its records can be read once."""

    sheet: Sheet
    columns: Columns


class Table(msgspec.Struct):
    """A table whose rows were all read and judged; what they ask for is in the spool.

    `items` and `bytes` count what will be planned; `rows` the rows, `rejected` those in error.
    """

    sheet: Sheet
    columns: Columns
    rows: int = 0
    rejected: int = 0
    items: int = 0
    bytes: int = 0
    warnings: list[str] = []


async def open_table(fw: Flywheel | None, source: str, settings: ImportSettings, spool: Spool) -> Opened:
    """Open `source`: a path, `-` for standard input, or `fw://group/project/.../file` of a file on the site."""
    if source.startswith(REMOTE):
        if fw is None:
            raise UsageError(f"{source}: lies on a site; this needs an API key")
        copy = await _fetched(fw, source, spool.folder)
    else:
        copy = await anyio.to_thread.run_sync(take, source, spool.folder)
    return await anyio.to_thread.run_sync(opened_copy, copy, source, settings)


async def _fetched(fw: Flywheel, source: str, folder: Path) -> Path:
    node = await find_container(fw, source.removeprefix(REMOTE))
    entry = node.document
    if not isinstance(entry, FileEntry):
        raise UsageError(f"{source}: is a {node.container_type}, not a file")
    parent = entry.parent_ref
    if parent is None:
        raise UsageError(f"{source}: the site does not tell where this file lies; download it, and import the copy")
    copy = folder / "remote"
    sink = CopySink(copy)
    try:
        wanted = FetchFile(
            container_type=parent.type,
            container_id=parent.id,
            name=entry.name,
            path="remote",
            version=entry.version,
            size=entry.size,
            hash=entry.hash,
        )
        await transfer.fetch(fw.session, wanted, sink)
    finally:
        sink.close()
    return await anyio.to_thread.run_sync(take, str(copy), folder)


def opened_copy(copy: Path, source: str, settings: ImportSettings) -> Opened:
    """A local file as a table; `source` is what messages call it."""
    file = copy.open("rb")
    if workbook.is_workbook(file):
        sheet = workbook.open_workbook(file, source, sheet=settings.sheet)
    else:
        sheet = open_text(file, source, delimiter=settings.delimiter, encoding=settings.encoding)
    columns = resolve(sheet.header, choices(settings), source, line=sheet.header_line, tab=sheet.delimiter == "\t")
    return Opened(sheet, columns)


def choices(settings: ImportSettings) -> Choices:
    """What the settings say about columns."""
    return Choices(
        maps=pairs(settings.maps),
        config_maps=settings.mapping,
        extra=settings.extra,
        subject_label=settings.subject_label,
        session_label=settings.session_label,
        acquisition_label=settings.acquisition_label,
        deepest=settings.deepest,
        used=(settings.site_column,) if settings.site_zones else (),
    )


def pairs(maps: tuple[str, ...]) -> dict[str, str]:
    """`column=field` texts as a dict; UsageError for one without `=`. A column's name may hold `=`, a field not."""
    out = {}
    for text in maps:
        column, equals, field = text.rpartition("=")
        if not equals or not column.strip():
            raise UsageError(f"--map {text}: write it as 'column=field', e.g. --map 'MRN=subject.label'")
        out[column.strip()] = field
    return out


def reading(settings: ImportSettings) -> Reading:
    """What the settings say about times; UsageError for a date format that can't be one."""
    for form in settings.date_formats:
        try:
            check_format(form)
        except ValueError as error:
            raise UsageError(f"--date-format: {error}") from None
    return Reading(
        zone=settings.timezone,
        formats=settings.date_formats,
        order=settings.day_order,
        dst=settings.dst,
        site_zones=settings.site_zones,
    )


async def judge_table(
    opened: Opened,
    source: str,
    settings: ImportSettings,
    spool: Spool,
    *,
    limit: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Table:
    """Read and judge every row (or the first `limit`); `tell` is told of phases that take long. InputFileError for
    what is wrong with the file as a whole."""

    def aloud(text: str) -> None:
        anyio.from_thread.run_sync(tell, text)

    return await anyio.to_thread.run_sync(_judged, opened, source, settings, spool, limit, aloud)


def _judged(
    opened: Opened,
    source: str,
    settings: ImportSettings,
    spool: Spool,
    limit: int | None,
    tell: Callable[[str], None],
) -> Table:
    sheet, columns = opened.sheet, opened.columns
    table = Table(sheet, columns, warnings=[f"{source} {note}" for note in sheet.notes] + columns.notes)
    gatherer = Gatherer(columns)
    times = reading(settings)
    table.rows = spool.add_raw(islice(sheet.records, limit), gatherer.see)
    facts = gatherer.facts(times, source)
    if table.rows > MANY:
        tell(f"checking {table.rows:,} rows")
    options = RowOptions(
        reading=times,
        days_per_year=settings.days_per_year,
        require=settings.require,
        site_column=settings.site_column,
        now=datetime.now(UTC),
    )
    reader = RowReader(columns, facts, options, source, _finder(source, settings))
    spool.add_rows(good_rows(reader, spool, table))
    repeated = 0

    def count(verdict: Verdict) -> None:
        nonlocal repeated
        repeated += verdict.repeated
        table.rejected += len(verdict.errors)
        table.items += len(verdict.wanted)
        for one in verdict.wanted:
            if "files" in one.fields:
                table.items += len(one.fields["files"])
                table.bytes += sum(file["size"] for file in one.fields["files"])

    if table.rows > MANY:
        tell("comparing rows with each other")
    headers = {field.path: columns.name(at) for at, field in columns.fields}
    spool.judged(lambda rows: judge(rows, headers), count)
    table.items += table.rejected
    table.warnings += reader.noticed.warnings()
    if repeated:
        table.warnings.append(f"rows that repeat an earlier row word for word count once: {repeated:,}")
    return table


def good_rows(reader: RowReader, spool: Spool, table: Table) -> Iterator[Row]:
    """The good rows of the spool's records; the others go to its errors, and are counted in `table.rejected`."""
    for record in spool.raw():
        one = reader.read(record)
        if isinstance(one, Row):
            yield one
        else:
            table.rejected += 1
            spool.add_error(one)


def _finder(source: str, settings: ImportSettings) -> FindFiles | None:
    if settings.files_from:
        return file_finder(Path(settings.files_from).expanduser())
    if source == "-" or source.startswith(REMOTE):
        return None
    return file_finder(Path(source).expanduser().parent)


class Explained(msgspec.Struct):
    """One column of a table: its header, the field that it becomes (empty: none), its type, and sample values."""

    column: str
    field: str
    type: str
    samples: list[str]


async def explain(
    fw: Flywheel | None, source: str, settings: ImportSettings, spool: Spool
) -> tuple[list[Explained], list[str]]:
    """What each column of a table would become, with the notes that an import would give."""
    opened = await open_table(fw, source, settings, spool)

    def work() -> tuple[list[Explained], list[str]]:
        columns = opened.columns
        gatherer = Gatherer(columns)
        samples: list[list[str]] = [[] for _ in columns.header]

        def see(record: Record) -> None:
            gatherer.see(record)
            for held, cell in zip(samples, record[1], strict=False):
                if len(held) < 3 and (text := cell.strip()) and text not in held:
                    held.append(text)

        spool.add_raw(opened.sheet.records, see)
        facts = gatherer.facts(reading(settings), source)
        notes = [f"{source} {note}" for note in opened.sheet.notes] + columns.notes
        return _explained(columns, facts, samples), notes

    return await anyio.to_thread.run_sync(work)


def _explained(columns: Columns, facts: Facts, samples: list[list[str]]) -> list[Explained]:
    by_position = dict(columns.fields)
    out = []
    for at, held in enumerate(samples):
        field = by_position.get(at)
        kind = ""
        if field is not None:
            dates = facts.dates.get(at)
            told = ("serial days" if dates.serial else dates.order) if dates else ""
            kind = (
                field.type or facts.types.get(at, "") or _KINDS.get(field.name, "text") + (f", {told}" if told else "")
            )
        out.append(Explained(columns.name(at), field.path if field else "", kind, held))
    for depth, level in enumerate(LEVELS[: columns.depth]):
        template = columns.labels[depth]
        if template is not None and columns.position(level, "label") is None:
            parts = [part if isinstance(part, str) else f"{{{columns.name(part)}}}" for part in template.parts]
            out.append(Explained("", f"{level}.label", "text", ["".join(parts)]))
    return out


_KINDS = {
    "sex": "sex",
    "age": "years",
    "weight": "kg",
    "date_of_birth": "date",
    "timestamp": "time",
    "date": "date",
    "time": "time of day",
    "timezone": "zone",
    "tags": "list",
    "notes": "list",
    "file": "file",
}


def strict_line(source: str, table: Table, first: RowError) -> str:
    """The one line of an import that was to send nothing if any row was wrong."""
    return (
        f"{source}: {table.rejected:,} rows are wrong and nothing was sent (--strict); the first:"
        f" line {first.line}, {first.column}: {first.message}"
    )
