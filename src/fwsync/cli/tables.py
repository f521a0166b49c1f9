"""How a report is printed or written: for people, as CSV or TSV, or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from fwsync.cli.options import Common, bundled
from fwsync.cli.progress import printable
from fwsync.errors import UsageError
from fwsync.report.table import Cell, Column, Form, Table
from fwsync.work import human

F = TypeVar("F", bound=Callable[..., Any])
DELIMITERS = {"csv": ",", "tsv": "\t"}
WIDEST = 60
"""Columns of a terminal that one cell may take."""

TO_THE_RIGHT: tuple[Form, ...] = ("integer", "number", "percent", "bytes")

_FLAGS = (
    click.option("--format", "form", type=click.Choice(["table", "csv", "tsv"]),
                 help="For people (default), or for programs; --json is one object a row."),
    click.option("-o", "--out", metavar="FILE", help="Write CSV or TSV (as the name ends) to FILE."),
    click.option("--force", is_flag=True, help="Overwrite FILE if it exists with other content."),
)  # fmt: skip


class Tabling(msgspec.Struct, frozen=True, kw_only=True):
    """The values of these flags."""

    form: str | None = None
    out: str | None = None
    force: bool = False


def tabling(command: F) -> F:
    """Add the flags of commands that end in a table; the command gets them as one `Tabling` named `tabling`."""
    return bundled(command, "tabling", Tabling, _FLAGS)


def prepare(common: Common, how: Tabling) -> None:
    """Refuse before the work begins what could not be written at its end."""
    from fwsync.run import output

    if how.out is None and how.force:
        raise UsageError("--force: is for a file; name it by --out")
    if how.out is not None:
        if Path(how.out).suffix.lower() not in (".csv", ".tsv"):
            raise UsageError(f"{how.out}: name it .csv or .tsv")
        if how.form is not None:
            raise UsageError(f"--format: the name {how.out} says it")
        output.place(Path(how.out))
    if common.json and how.form is not None:
        raise UsageError("--json and --format: choose one of them")


def show(common: Common, how: Tabling, table: Table) -> None:
    """Print the table, or write it to a file. What tells of the table goes to standard error where standard output is
    for a program."""
    if how.out is not None:
        _write(common, how, table, how.out)
    elif common.json:
        for record in table.records():
            click.echo(msgspec.json.encode(record))
        click.echo(msgspec.json.encode(_about(table)))
        return
    elif how.form in DELIMITERS:
        sys.stdout.writelines(table.csv_lines(DELIMITERS[how.form]))
    else:
        for line in lines(table, quiet=common.quiet):
            click.echo(line)
    if not common.json and not common.quiet:
        for note in table.notes:
            click.echo(f"fwsync: note: {printable(note)}", err=True)


def lines(table: Table, *, quiet: bool = False) -> Iterator[str]:
    """The table for people: its title and facts, then the rows below the names of the columns."""
    if not quiet:
        yield printable(table.title)
        width = max((len(name) for name in table.facts), default=0)
        for name, value in table.facts.items():
            yield f"  {printable(name):<{width}}  {printable(_plain(value))}"
        yield ""
    if not table.rows:
        yield "no rows"
        return
    texts = [[_clipped(printable(_shown(cell, column))) for cell, column in zip(row, table.columns, strict=True)]
             for row in table.rows]  # fmt: skip
    names = [column.name for column in table.columns]
    widths = [max(_width(text) for text in column) for column in zip(names, *texts, strict=True)]
    for row in (names, *texts):
        yield _row(row, widths, table.columns).rstrip()


def _row(texts: list[str], widths: list[int], columns: tuple[Column, ...]) -> str:
    out = []
    for text, width, column in zip(texts, widths, columns, strict=True):
        gap = " " * (width - _width(text))
        out.append(gap + text if column.form in TO_THE_RIGHT else text + gap)
    return "  ".join(out)


def _width(text: str) -> int:
    """Columns of a terminal: labels may be in Chinese."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _clipped(text: str) -> str:
    """One long label must not push all other columns out of sight, nor a tab; CSV and JSON hold them whole."""
    text = text.replace("\t", " ")
    if _width(text) <= WIDEST:
        return text
    most = next(n for n in range(WIDEST, 0, -1) if _width(text[:n]) < WIDEST)
    return text[:most] + "\u2026"


def _shown(cell: Cell, column: Column) -> str:
    if cell is None:
        return "-"
    if column.form == "yes":
        return "yes" if cell else "no"
    if isinstance(cell, str):
        return cell
    if column.form == "percent":
        return f"{cell:.0%}"
    if column.form == "bytes":
        return human(int(cell))
    return _plain(cell)


def _plain(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) and abs(value) < 10_000 else str(value)


def _write(common: Common, how: Tabling, table: Table, out: str) -> None:
    from fwsync.run import output

    delimiter = DELIMITERS[Path(out).suffix.lower().removeprefix(".")]
    pieces = (line.encode() for line in table.csv_lines(delimiter))
    changed = output.write(output.place(Path(out)), pieces, force=how.force)
    if common.json:
        click.echo(msgspec.json.encode({**_about(table), "to": out, "changed": changed}))
    elif not common.quiet:
        same = "" if changed else ", which was the same already"
        click.echo(f"fwsync: {table.name}: {len(table.rows):,} rows in {out}{same}", err=True)


def _about(table: Table) -> dict[str, Any]:
    return {
        "event": "table", "name": table.name, "title": table.title, "rows": len(table.rows), "facts": table.facts,
        "notes": table.notes,
    }  # fmt: skip
