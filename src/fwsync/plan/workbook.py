"""A sheet of a workbook (.xlsx, .xls, .ods) as records of text, as if it had been saved as CSV in ISO forms.

Two readers share the work. calamine is quick, keeps the whole sheet in memory, and tells neither number formats nor a
failed formula from an empty cell; so large sheets, and workbooks that show numbers with leading zeros by a format
(`000` shows 7 as 007) or hold `#REF!` and the like, go through openpyxl, which streams and tells both, at a seventh of
the speed.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
import struct
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Any, BinaryIO

from fwsync.errors import InputFileError
from fwsync.plan.table import Record, Sheet

MOST_IN_MEMORY = 64 * 1024 * 1024
"""Bytes of a sheet's XML beyond which it is streamed: some 200,000 rows of six columns."""

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_PADDED = re.compile(r"0{2,}\Z")
_PADDED_FORMAT = re.compile(rb'formatCode="0{2,}"')
_FAILED = re.compile(rb"<v>#(?:REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)</v>")
_UNSAVED = re.compile(rb"</f>(?:<v ?/>|<v></v>|</c>)")
_NEVER_WORKED_OUT = (
    "holds formulas without a value, which count as empty cells: open it in a spreadsheet program, save it, and import"
    " it again"
)


def is_workbook(file: BinaryIO) -> bool:
    """Whether a file looks like a workbook; leaves it at its beginning."""
    head = file.read(8)
    file.seek(0)
    if head.startswith(_OLE):
        return True
    if not head.startswith(_ZIP):
        return False
    try:
        names = set(zipfile.ZipFile(file).namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, OSError, struct.error):
        return False  # a damaged archive
    finally:
        file.seek(0)
    return bool(names & {"xl/workbook.xml", "xl/workbook.bin", "content.xml"})


def open_workbook(file: BinaryIO, path: str, *, sheet: str = "") -> Sheet:
    """The first sheet that is not hidden and not empty, or the one named `sheet`.

    InputFileError for a damaged or protected workbook, an unknown sheet, or one without a header.
    """
    try:
        must_stream, unsaved = _looked(file)
        names, chosen, rows = _streamed(file, sheet) if must_stream else _at_once(file, sheet)
    except InputFileError as error:
        raise InputFileError(str(error).removeprefix(": "), path=path) from error.__cause__
    except Exception as error:
        # Both readers raise errors of many kinds on a damaged file.
        hint = "a damaged or password-protected workbook, or none; save it anew, or as CSV"
        raise InputFileError(f"can't be read ({hint})", path=path) from error
    records = _records(rows, path)
    line, header = next(records, (0, []))
    if not header:
        raise InputFileError(f"sheet {chosen!r} is empty; its first row must name the columns", path=path)
    others = [name for name in names if name != chosen]
    notes = [f"sheet {chosen!r} was read; there is {', '.join(map(repr, others[:3]))} too (--sheet)"] if others else []
    notes += [_NEVER_WORKED_OUT] if unsaved else []
    return Sheet(path, header, line, records, notes, ",", "workbook")


def _at_once(file: BinaryIO, wanted: str) -> tuple[list[str], str, Iterable[list[str]]]:
    import python_calamine  # noqa: PLC0415 - loaded for workbooks alone

    book = python_calamine.CalamineWorkbook.from_filelike(file)
    shown = [
        meta.name
        for meta in book.sheets_metadata
        if meta.visible == python_calamine.SheetVisibleEnum.Visible
        and meta.typ == python_calamine.SheetTypeEnum.WorkSheet
    ]
    names = shown or book.sheet_names
    for name in _candidates(names, book.sheet_names, wanted):
        sheet = book.get_sheet_by_name(name)
        if sheet.total_height or wanted:
            break
    blank = [[""]] * (sheet.start or (0, 0))[0]
    return names, name, itertools.chain(blank, (list(map(_text, row)) for row in sheet.to_python()))


def _candidates(shown: list[str], everyone: list[str], wanted: str) -> list[str]:
    if wanted:
        if wanted not in everyone:
            raise InputFileError(f"has no sheet {wanted!r}; there is {', '.join(everyone[:10])}", path="")
        return [wanted]
    return shown


def _looked(file: BinaryIO) -> tuple[bool, bool]:
    """Whether a workbook must be streamed, and whether it has formulas that no program has worked out."""
    try:
        if not zipfile.is_zipfile(file):
            return False, False
        with zipfile.ZipFile(file) as archive:
            sheets = [i for i in archive.infolist() if "worksheets/" in i.filename and i.filename.endswith(".xml")]
            styles = archive.read("xl/styles.xml") if "xl/styles.xml" in archive.namelist() else b""
            stream = bool(_PADDED_FORMAT.search(styles)) or any(i.file_size > MOST_IN_MEMORY for i in sheets)
            unsaved = False
            for sheet in sheets:
                with archive.open(sheet) as xml:
                    for piece in _pieces(xml):
                        stream = stream or bool(_FAILED.search(piece))
                        unsaved = unsaved or bool(_UNSAVED.search(piece))
            return stream, unsaved
    finally:
        file.seek(0)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """A file in pieces that overlap, so that nothing short is cut in two."""
    end = b""
    while piece := file.read(1 << 20):
        yield end + piece
        end = piece[-32:]


def _streamed(file: BinaryIO, wanted: str) -> tuple[list[str], str, Iterator[list[str]]]:
    import openpyxl  # noqa: PLC0415 - loaded for workbooks alone: 100 ms

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about styles and extensions that don't concern us
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    shown = [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible"] or book.sheetnames
    for name in _candidates(shown, book.sheetnames, wanted):
        sheet: Any = book[name]
        sheet.reset_dimensions()  # some writers leave wrong ones
        if wanted or any(cell.value is not None for row in sheet.iter_rows() for cell in row):
            break

    def rows() -> Iterator[list[str]]:
        for row in sheet.iter_rows():
            yield [_padded(cell) if type(cell.value) is int else _text(cell.value) for cell in row]

    return shown, name, rows()


def _padded(cell: Any) -> str:
    shown = cell.number_format
    text = str(cell.value)
    return text.zfill(len(shown)) if _PADDED.match(shown) and cell.value >= 0 else text


def _records(rows: Iterable[list[str]], path: str) -> Iterator[Record]:
    """Rows that are not blank, by their number in the sheet."""
    try:
        for line, row in enumerate(rows, start=1):
            if any(row) and any(map(str.strip, row)):
                yield line, row
    except InputFileError:
        raise
    except Exception as error:
        raise InputFileError("the workbook is damaged from here on; save it anew, or as CSV", path=path) from error


def _text(value: Any) -> str:
    """A cell's value as text: whole numbers without a point, times in ISO form, `#N/A` as nothing."""
    if isinstance(value, str):
        return "" if value == "#N/A" else value
    if value is None:
        return ""
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float:
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, dt.datetime):
        moment = _rounded(value)
        # Both readers must agree on a day without a time, and only one of them tells it from midnight.
        return moment.isoformat() if moment.time() != dt.time() else moment.date().isoformat()
    return value.isoformat() if isinstance(value, (dt.date, dt.time)) else str(value)


def _rounded(moment: dt.datetime) -> dt.datetime:
    """To the millisecond, and to the second where it is that close: days are stored as floats and come back off."""
    ms = round(moment.microsecond / 1000)
    if ms <= 1 or ms >= 999:
        return moment.replace(microsecond=0) + dt.timedelta(seconds=ms // 999)
    return moment.replace(microsecond=ms * 1000)
