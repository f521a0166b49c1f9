"""A table of text as rows: encodings, dialects, header mapping. What is wrong with a row is a RowError, not an end."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from fwsync.errors import InputFileError

FIELDS: dict[str, tuple[str, ...]] = {
    "subject.label": (
        "subject id", "subject", "subject label", "subject code", "subjectid", "participant id", "participant",
        "patient id", "patientid", "sub", "sub id", "label", "id", "code",
    ),
    "subject.firstname": ("firstname", "first name", "given name", "forename"),
    "subject.lastname": ("lastname", "last name", "surname", "family name"),
    "subject.sex": ("sex", "gender", "patient sex"),
    "session.age": ("age", "age at scan", "age at session", "patient age", "age years", "age in years"),
    "session.label": ("session", "session id", "session label", "ses", "visit"),
    "acquisition.label": ("acquisition", "acquisition id", "acquisition label", "scan", "series description"),
    "acquisition.timestamp": (
        "time of scan", "scan time", "scan date", "scan datetime", "date of scan", "timestamp", "acquisition time",
        "acquisition date", "acquisition timestamp", "acq time", "datetime", "date",
    ),
    "acquisition.timezone": ("timezone", "time zone", "tz"),
}  # fmt: skip
"""Field to the spellings of its column that are known, compared without case, blanks, `_`, `-` and `.`."""

NEEDED = "subject.label"
MOST_CELL = 1_000_000
_DELIMITERS = ",;\t|"
_BINARY = ((b"PK\x03\x04", "an Excel workbook or zip archive"), (b"\x1f\x8b", "gzip-compressed"), (b"%PDF", "a PDF"))


class Row(msgspec.Struct, frozen=True):
    """One good row: the line where it begins (from 1) and its cells by field; missing cells are left out."""

    line: int
    cells: dict[str, str]


class RowError(msgspec.Struct, frozen=True):
    """What is wrong with one row: line, the column's header, and a message for a person."""

    line: int
    column: str
    message: str


class Table(msgspec.Struct, frozen=True):
    """A whole table. `columns` maps field to the header that gave it."""

    rows: list[Row]
    errors: list[RowError]
    columns: dict[str, str]
    warnings: tuple[str, ...] = ()


def read_table(raw: bytes, path: str, *, delimiter: str = "", encoding: str = "") -> Table:
    """The table in `raw`. InputFileError when the file as a whole can't be used: empty, binary, without the subject
    column, or not decodable."""
    text, notes = _decode(raw, path, encoding)
    delimiter, text, skipped = _dialect(text, delimiter)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = _records(reader, path, skipped)
    header_line, header = next(lines, (0, []))
    if not any(cell.strip() for cell in header):
        raise InputFileError("is empty; the first line must name the columns", path=path)
    columns, ignored = _columns(header, path, header_line)
    if ignored:
        notes.append(f"columns without a known field are ignored: {', '.join(ignored)}")
    names = {field: header[position].strip() for field, position in columns.items()}
    rows: list[Row] = []
    errors: list[RowError] = []
    for line, record in lines:
        if any(cell.strip() for cell in record):
            one = _row(line, record, header, columns)
            (rows if isinstance(one, Row) else errors).append(one)  # type: ignore[arg-type]
    return Table(rows=rows, errors=errors, columns=names, warnings=tuple(notes))


def _decode(raw: bytes, path: str, encoding: str) -> tuple[str, list[str]]:
    if not raw.strip():
        raise InputFileError("is empty; the first line must name the columns", path=path)
    for magic, what in _BINARY:
        if raw.startswith(magic):
            raise InputFileError(f"is {what}, not a text table; save it as CSV", path=path)
    if encoding:
        return _decoded(raw, path, encoding), []
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _decoded(raw, path, "utf-16"), []
    head = raw[:4096]
    for name, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if len(head) > 3 and zeros.count(0) > 0.7 * len(zeros):
            return _decoded(raw, path, name), []
    if b"\x00" in raw:
        line = raw[: raw.index(b"\x00")].count(b"\n") + 1
        raise InputFileError("holds null bytes: it is not a text table; save it as CSV", path=path, line=line)
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        text = _decoded(raw, path, "cp1252", fallback_of=error)
        sample = text.splitlines()[raw[: error.start].count(b"\n")].strip()[:60]
        return text, [f"is not UTF-8; read as Windows-1252 (e.g. {sample!r}); if that looks wrong, give --encoding"]


def _decoded(raw: bytes, path: str, encoding: str, fallback_of: UnicodeDecodeError | None = None) -> str:
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except LookupError as error:
        raise InputFileError(f"unknown encoding {encoding!r}; try utf-8, cp1252 or latin-1", path=path) from error
    except UnicodeDecodeError as error:
        at = error if fallback_of is None else fallback_of
        line = raw[: at.start].count(b"\n") + 1
        known = "UTF-8 nor Windows-1252" if fallback_of else encoding
        message = f"byte {at.start} (0x{raw[at.start]:02x}) is not {'neither ' if fallback_of else ''}{known} text"
        raise InputFileError(
            message.replace("not neither", "neither") + "; give --encoding", path=path, line=line
        ) from error


def _dialect(text: str, delimiter: str) -> tuple[str, str, int]:
    """The delimiter, the text without a leading `sep=` line, and how many lines that took."""
    found = re.match(r"(?i)sep=(.)\r?\n", text)
    skipped = 1 if found else 0
    if found:
        text = text[found.end() :]
    if delimiter:
        return {"tab": "\t", "\\t": "\t"}.get(delimiter, delimiter[:1]), text, skipped
    if found:
        return found.group(1), text, skipped
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    best = max(_DELIMITERS, key=unquoted.count)
    return (best if best in unquoted else ","), text, skipped


def _records(reader: Iterator[list[str]], path: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """Records with the line on which each begins; blank lines are passed over."""
    csv.field_size_limit(MOST_CELL)
    begin = 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InputFileError(f"is not valid CSV: {error}", path=path, line=begin + skipped) from error
        if record:
            yield begin + skipped, record
        begin = reader.line_num + 1  # type: ignore[attr-defined]


def plain(name: str) -> str:
    """A header for comparison: no case, no blanks, no `_`, `-`, `.`."""
    return re.sub(r"[\s_.\-]+", "", name).casefold()


_KNOWN: Mapping[str, str] = {plain(name): field for field, names in FIELDS.items() for name in (field, *names)}


def _columns(header: Sequence[str], path: str, line: int) -> tuple[dict[str, int], list[str]]:
    columns: dict[str, int] = {}
    ignored: list[str] = []
    for position, name in enumerate(header):
        field = _KNOWN.get(plain(name))
        if field is None:
            if name.strip():
                ignored.append(name.strip())
        elif field in columns:
            first = header[columns[field]].strip()
            raise InputFileError(
                f"columns {first!r} and {name.strip()!r} both mean {field}; rename one", path=path, line=line
            )
        else:
            columns[field] = position
    if NEEDED not in columns:
        seen = ", ".join(name.strip() for name in header if name.strip())[:200]
        near = _near(header)
        raise InputFileError(
            f"has no subject column such as 'Subject ID'{near}; its columns are: {seen}", path=path, line=line
        )
    return columns, ignored


def _near(header: Sequence[str]) -> str:
    known = [plain(name) for name in FIELDS[NEEDED]]
    close = [name.strip() for name in header if difflib.get_close_matches(plain(name), known, n=1, cutoff=0.75)]
    return f" (is it {close[0]!r}?)" if close else ""


_MISSING = frozenset({"", "na", "n/a", "null", "none", "-", "nan"})


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.casefold() in _MISSING


def _row(line: int, record: list[str], header: Sequence[str], columns: Mapping[str, int]) -> Row | RowError:
    extra = [cell for cell in record[len(header) :] if cell.strip()]
    if extra:
        message = f"has {len(record)} cells, the header has {len(header)}; is a delimiter or quote wrong?"
        return RowError(line, header[-1].strip(), message)
    cells: dict[str, str] = {}
    for field, position in columns.items():
        cell = record[position].strip() if position < len(record) else ""
        if any(ord(c) < 32 and (field.endswith(".label") or c not in "\t\r\n") for c in cell):
            return RowError(line, header[position].strip(), "holds a control character")
        if field.endswith(".label"):
            if cell:
                cells[field] = cell
        elif not is_missing(cell):
            cells[field] = cell
    return Row(line, cells)
