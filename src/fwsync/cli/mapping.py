"""`fwsync import --explain-mapping`: what each column of a table becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import click
import msgspec

from fwsync.cli.options import Common
from fwsync.cli.progress import printable
from fwsync.operations.tables import REMOTE, Explained, explain
from fwsync.run.spool import Spool

if TYPE_CHECKING:
    from fwsync.client.api import Flywheel
    from fwsync.config import Settings


def show_mapping(common: Common, settings: Settings, source: str) -> int:
    """Print the columns; nothing is sent. Only a table that lies on a site needs a key."""

    async def work(fw: Flywheel | None) -> tuple[list[Explained], list[str]]:
        with Spool(settings.state_folder) as spool:
            return await explain(fw, source, settings.importing, spool)

    if source.startswith(REMOTE):
        from fwsync.cli.start import run_reading

        columns, notes = run_reading(common, settings, work)
    else:
        columns, notes = anyio.run(work, None)
    if common.json:
        for column in columns:
            click.echo(msgspec.json.encode(column))
        return 0
    for line in lines(columns, notes):
        click.echo(printable(line))
    return 0


def lines(columns: list[Explained], notes: list[str]) -> list[str]:
    """The columns as an aligned table: column, field, type, samples."""
    rows = [("column", "becomes", "read as", "for example")]
    rows += [
        (
            column.column or "(no column)",
            column.field or "nothing",
            column.type or "-",
            ", ".join(repr(text[:30]) for text in column.samples) or "-",
        )
        for column in columns
    ]
    widths = [max(len(row[at]) for row in rows) for at in range(3)]
    out = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
    return [*out, *(f"note: {note}" for note in notes)]
