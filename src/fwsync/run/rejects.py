"""The rows that an import did not take, as a CSV: the same columns and `error`, ready to be corrected and imported."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import anyio.to_thread

from fwsync.csvtext import escaped
from fwsync.plan.columns import ERROR_COLUMN
from fwsync.plan.row import RowError
from fwsync.plan.table import Record, Sheet
from fwsync.run.journal import Journal
from fwsync.run.tree import disk_errors

MOST_NUMBERED = 1000


def default_path(source: str) -> Path:
    """`subjects.csv` has its rejects beside it in `subjects.rejects.csv`; what is no local file has them here."""
    if source == "-":
        return Path("stdin.rejects.csv")
    name = source.rsplit("/", 1)[-1] if "://" in source else source
    path = Path(name).expanduser()
    stem = path.name.removesuffix(".gz")
    return path.with_name(f"{Path(stem).stem}.rejects.csv")


async def write_rejects(
    journal: Journal, path: Path, sheet: Sheet, rejected: Iterable[tuple[Record, RowError]]
) -> Path:
    """Write the rejected records; where to. A file that someone edited since is kept, and another name taken."""
    path = await _free(journal, path)
    digest = await anyio.to_thread.run_sync(_write, path, sheet, rejected)
    await journal.wrote(str(path.resolve()), digest)
    return path


async def _free(journal: Journal, path: Path) -> Path:
    """`path`, or the first numbered one beside it that does not exist or is as fwsync wrote it."""
    for number in range(1, MOST_NUMBERED):
        tried = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        if not os.path.lexists(tried):
            return tried
        known = await journal.written(str(tried.resolve()))
        if known is not None and tried.is_file() and known == _digest(tried.read_bytes()):
            return tried
    return path.with_name(f"{path.stem}-{os.getpid()}{path.suffix}")


def _write(path: Path, sheet: Sheet, rejected: Iterable[tuple[Record, RowError]]) -> str:
    """Through a partial file, so that a crash leaves the old one or the new one."""
    has_error = bool(sheet.header) and sheet.header[-1].strip() == ERROR_COLUMN
    header = sheet.header if has_error else [*sheet.header, ERROR_COLUMN]
    width = len(header) - 1
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk_errors(path):
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        encoding = "utf-8-sig" if sheet.bom else "utf-8"
        with os.fdopen(descriptor, "w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=sheet.delimiter)
            writer.writerow(map(escaped, header))
            for (_, cells), error in rejected:
                where = f"{error.column}: " if error.column else ""
                kept = [*cells[:width], *[""] * (width - len(cells))]
                rest = [cell for cell in cells[width:] if cell.strip()] if not has_error else []
                beyond = f" (beyond the header: {', '.join(rest)})" if rest else ""
                writer.writerow([*map(escaped, kept), escaped(f"line {error.line}, {where}{error.message}{beyond}")])
            file.flush()
            os.fsync(file.fileno())
        digest = _digest(partial.read_bytes())
        partial.replace(path)
    return digest


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
