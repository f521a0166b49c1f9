"""A table of text as records: encodings, dialects, lines. What the cells mean is decided elsewhere.

Works on any seekable binary file, reads it in pieces, and holds one record at a time.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from fwsync.errors import InputFileError
from fwsync.plan.fields import STRONG, WEAK, plain

Record = tuple[int, list[str]]
"""The line on which a record begins (from 1), and its cells as they are."""

MOST_FIELD = 64 * 1024 * 1024
"""A cell beyond this is a quote that was left open, and ends the reading."""

_PIECE = 1 << 20
_DELIMITERS = ",;\t|"
_EMPTY = "is empty; the first line must name the columns"
_BINARY = (
    (b"\x1f\x8b", "gzip-compressed"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"PK\x03\x04", "a damaged Excel workbook, or a zip archive"),
)


class Sheet(msgspec.Struct):
    """A table that was opened: its header, and its records, which can be read once.

    `notes` are lines for a person. `encoding` and `delimiter` are what was found or given; `bom` whether the file
    began with a byte order mark.
    """

    path: str
    header: list[str]
    header_line: int
    records: Iterator[Record]
    notes: list[str] = []
    delimiter: str = ","
    encoding: str = "utf-8"
    bom: bool = False


def open_text(file: BinaryIO, path: str, *, delimiter: str = "", encoding: str = "") -> Sheet:
    """The table in a text file; `path` is what messages call it.

    InputFileError when the file can't be used at all: empty, binary, or not decodable (line and byte are named).
    """
    found, notes = _encoding(file, path, encoding)
    bom = file.read(4).startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=found, newline="")
    if encoding and text.read(1) != "\ufeff":
        text.seek(0)
    delimiter, skipped = _dialect(text, delimiter)
    records = _records(text, path, delimiter, skipped)
    line, header = next(records, (0, []))
    if not header:
        raise InputFileError(_EMPTY, path=path)
    if any("\x00" in cell for cell in header):
        raise InputFileError("holds null bytes: it is not a text table; save it as CSV", path=path, line=line)
    return Sheet(path, header, line, records, notes, delimiter, found, bom)


# --- encodings ----------------------------------------------------------------------------------------------------


def _encoding(file: BinaryIO, path: str, given: str) -> tuple[str, list[str]]:
    """The encoding, after the whole file was proved to decode in it."""
    head = file.read(4096)
    file.seek(0)
    if not head:
        raise InputFileError(_EMPTY, path=path)
    for magic, what in _BINARY:
        if head.startswith(magic):
            raise InputFileError(f"is {what}, not a table; save it as CSV or .xlsx", path=path)
    if given:
        _prove(file, path, given)
        return given, []
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        _prove(file, path, "utf-16")
        return "utf-16", []
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if len(head) > 3 and zeros.count(0) > 0.7 * len(zeros):
            _prove(file, path, name)
            return name, []
    first = _first_bad_byte(file, "utf-8-sig")
    if first is None:
        return "utf-8-sig", []
    if _first_bad_byte(file, "cp1252") is not None:
        _prove(file, path, "cp1252", "neither UTF-8 nor Windows-1252")
    sample = _sample(file, first)
    return "cp1252", [f"is not UTF-8; read as Windows-1252 (e.g. {sample!r}); if that looks wrong, give --encoding"]


def _first_bad_byte(file: BinaryIO, encoding: str) -> int | None:
    """The offset of the first byte that does not decode, or None. LookupError for an unknown encoding."""
    decoder = codecs.getincrementaldecoder(encoding)()
    file.seek(0)
    offset = 0
    try:
        while piece := file.read(_PIECE):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(piece)
            except UnicodeDecodeError as error:
                return max(offset - pending + error.start, 0)
            offset += len(piece)
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return max(offset - 1, 0)
    finally:
        file.seek(0)
    return None


def _prove(file: BinaryIO, path: str, encoding: str, known: str = "") -> None:
    try:
        "".encode(encoding)  # refuses what is no encoding of text, such as zlib
        bad = _first_bad_byte(file, encoding)
    except (LookupError, UnicodeError):
        raise InputFileError(f"unknown encoding {encoding!r}; try utf-8, cp1252 or latin-1", path=path) from None
    if bad is None:
        return
    line = 1
    while (left := bad - file.tell()) > 0:
        line += file.read(min(left, _PIECE)).count(b"\n")
    byte = file.read(1)[:1].hex()
    what = known or f"not {encoding}"
    raise InputFileError(f"byte {bad} (0x{byte}) is {what}; give --encoding", path=path, line=line)


def _sample(file: BinaryIO, near: int) -> str:
    """The cell around a byte, as Windows-1252."""
    begin = max(near - 200, 0)
    file.seek(begin)
    text = file.read(400).decode("cp1252", "replace")
    file.seek(0)
    at = near - begin
    left = re.split(r"[\r\n,;\t|\"]", text[:at])[-1]
    right = re.split(r"[\r\n,;\t|\"]", text[at:])[0]
    return (left + right).strip()[:60]


# --- dialects -----------------------------------------------------------------------------------------------------


def _dialect(text: io.TextIOWrapper, given: str) -> tuple[str, int]:
    """The delimiter, and how many lines a leading `sep=` took; leaves `text` at the header."""
    start = text.tell()
    first = text.readline()
    named = re.match(r"(?i)\ufeff?\"?sep=(.)\"?\s*\Z", first.rstrip("\r\n")) if len(first) < 12 else None
    skipped = 1 if named else 0
    if named:
        start = text.tell()
        first = text.readline()
    tried = 0
    while first and not first.strip() and tried < 1000:
        first, tried = text.readline(), tried + 1
    text.seek(start)
    if given:
        return {"tab": "\t", "\\t": "\t"}.get(given, given[:1]), skipped
    if named and named.group(1) != '"':
        return named.group(1), skipped
    return max(_DELIMITERS, key=lambda char: _fits(first, char)), skipped


def _fits(header: str, delimiter: str) -> tuple[int, int]:
    """How well a header line reads with a delimiter: columns that are known, then columns at all."""
    try:
        cells = next(csv.reader([header], delimiter=delimiter), [])
    except csv.Error:
        return (0, 0)
    known = sum(plain(cell) in STRONG or plain(cell) in WEAK for cell in cells)
    return (known, len(cells))


# --- records ------------------------------------------------------------------------------------------------------


def _records(text: io.TextIOWrapper, path: str, delimiter: str, skipped: int) -> Iterator[Record]:
    """Records with the line on which each begins; blank ones are passed over."""
    csv.field_size_limit(MOST_FIELD)
    held: list[str] = []  # the lines of the record that is being read
    last: list[str] = []

    def lines() -> Iterator[str]:
        for line in text:
            held.append(line)
            yield line

    reader = csv.reader(lines(), delimiter=delimiter)
    begin = 1 + skipped
    while True:
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise InputFileError(f"is not valid CSV: {error}{_QUOTE}", path=path, line=begin) from error
        if record is None:
            break
        if len(held) > 1 and (wrong := _wrong_quote(held, delimiter)):
            raise InputFileError(f"{wrong}{_QUOTE}", path=path, line=begin)
        if any(record) and any(map(str.strip, record)):
            yield begin, record
        last[:] = held
        held.clear()
        last_begin, begin = begin, reader.line_num + skipped + 1
    if last and _wrong_quote(last, delimiter) == _OPEN:
        raise InputFileError(f"{_OPEN}{_QUOTE}", path=path, line=last_begin)


_OPEN = "has a cell that begins here and never ends"
_QUOTE = "; a quote is left open, or the delimiter is wrong"


def _wrong_quote(lines: list[str], delimiter: str) -> str:
    """What is wrong with the quotes of a record, which the csv module forgives unless it is told to be strict.

    One that is left open ends at the next quote of the file, some lines below: what lies between would be one cell.
    """
    try:
        for _ in csv.reader(lines, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        return _OPEN if "end of data" in str(error) else "has a cell that begins here and ends in the midst of another"
    return ""
