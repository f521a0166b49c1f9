"""Sheets of workbooks as records of text: both readers alike, and what can't be read."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable

import openpyxl
import pytest
from spreadsheets import book

from fwsync.errors import InputFileError
from fwsync.plan import workbook
from fwsync.plan.table import Sheet
from fwsync.plan.workbook import is_workbook, open_workbook


def opened(make: Callable[[], bytes], sheet: str = "") -> Sheet:
    return open_workbook(io.BytesIO(make()), "t.xlsx", sheet=sheet)


@pytest.fixture(params=["calamine", "openpyxl"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test that takes it is run by both readers."""
    if request.param == "openpyxl":
        monkeypatch.setattr(workbook, "MOST_IN_MEMORY", 0)
    return str(request.param)


def test_both_readers_are_used(reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "_streamed" if reader == "calamine" else "_at_once"
    monkeypatch.setattr(workbook, other, lambda *_: pytest.fail("the other reader was called"))
    assert opened(book(("a",), ("b",))).header == ["a"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "007"),
        (" a ", " a "),
        (7, "7"),
        (7.0, "7"),
        (-3, "-3"),
        (34.5, "34.5"),
        (0.1, "0.1"),
        (123456789012, "123456789012"),
        (1e-7, "1e-07"),
        (True, "true"),
        (False, "false"),
        (dt.date(2019, 10, 3), "2019-10-03"),
        (dt.datetime(2019, 10, 3, 15, 32), "2019-10-03T15:32:00"),
        (dt.datetime(2019, 10, 3, 15, 32, 1), "2019-10-03T15:32:01"),
        (dt.datetime(2019, 10, 3), "2019-10-03"),
        (dt.datetime(2019, 10, 3, 23, 59, 59), "2019-10-03T23:59:59"),
        (dt.time(15, 32), "15:32:00"),
        (None, ""),
        ("#N/A", ""),
        ("=1+1", ""),
    ],
)
def test_cells(reader: str, value: object, text: str) -> None:
    sheet = opened(book(("Subject ID", "x"), ("s1", value)))
    ((line, cells),) = sheet.records
    assert (line, [*cells, ""][:2]) == (2, ["s1", text])


def test_lines_are_rows_of_the_sheet_and_blank_ones_are_passed_over(reader: str) -> None:
    sheet = opened(book((), (), ("a", "b"), (), ("1", None), (" ", None), (None, "2")))
    assert (sheet.header_line, sheet.header) == (3, ["a", "b"])
    assert [(line, [*cells, ""][:2]) for line, cells in sheet.records] == [(5, ["1", ""]), (7, ["", "2"])]


def test_the_first_sheet_that_is_shown_and_not_empty(reader: str) -> None:
    def sheets(book: openpyxl.Workbook) -> None:
        book.worksheets[0].sheet_state = "hidden"
        book.create_sheet("empty")
        late = book.create_sheet("late")
        for row in ([], [], ["a"], ["b"]):
            late.append(row)
        book.create_sheet("more").append(["c"])

    sheet = opened(book(("hidden",), change=sheets))
    assert (sheet.header, list(sheet.records)) == (["a"], [(4, ["b"])])
    assert sheet.notes == ["sheet 'late' was read; there is 'empty', 'more' too (--sheet)"]
    assert opened(book(("hidden",), change=sheets), "Sheet").header == ["hidden"]
    assert opened(book(("hidden",), change=sheets), "more").header == ["c"]


def test_a_sheet_that_is_asked_for_may_be_wrong_or_empty(reader: str) -> None:
    with pytest.raises(InputFileError, match=r"^t.xlsx: has no sheet 'x'; there is Sheet, empty$"):
        opened(book(("a",), change=lambda book: book.create_sheet("empty")), "x")
    with pytest.raises(InputFileError, match="sheet 'empty' is empty"):
        opened(book(("a",), change=lambda book: book.create_sheet("empty")), "empty")
    with pytest.raises(InputFileError, match="sheet 'Sheet' is empty"):
        opened(book())


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        ("000", 7, "007"),
        ("00000", 123, "00123"),
        ("000", 1234, "1234"),
        ("000", -7, "-7"),
        ("0", 7, "7"),
        ("000", 7.5, "7.5"),
    ],
)
def test_zeros_that_a_format_shows(form: str, value: float, text: str) -> None:
    sheet = opened(book(("Subject ID",), (value,), formats={"A2": form}))
    assert list(sheet.records) == [(2, [text])]


@pytest.mark.parametrize("error", ["#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"])
def test_failed_formulas_are_not_empty_cells(error: str) -> None:
    assert list(opened(book(("a", "b"), ("x", error))).records) == [(2, ["x", error])]


def test_formulas_that_were_never_worked_out_are_said(reader: str) -> None:
    assert any("formulas without a value" in note for note in opened(book(("a", "b"), ("x", "=A1"))).notes)
    assert opened(book(("a", "b"), ("x", "y"))).notes == []


def test_what_is_cut_in_two_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = list(workbook._pieces(io.BytesIO(b"x" * ((1 << 20) - 3) + b"<v>#REF!</v>")))
    assert len(pieces) == 2
    assert b"<v>#REF!</v>" in pieces[1]


# --- what can't be read -------------------------------------------------------------------------------------------


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "is_one"),
    [
        (b"", False),
        (b"Subject ID\n", False),
        (b"PK\x03\x04 and nothing", False),
        (zipped(readme_txt=b"x"), False),
        (zipped(xl__workbook_xml=b"x"), True),
        (zipped(content_xml=b"x"), True),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", True),
    ],
    ids=["empty", "text", "no zip", "other zip", "xlsx", "ods", "xls"],
)
def test_what_looks_like_a_workbook(data: bytes, is_one: bool) -> None:
    file = io.BytesIO(data)
    assert is_workbook(file) == is_one
    assert file.tell() == 0


@pytest.mark.parametrize(
    "data",
    [
        zipped(xl__workbook_xml=b"x"),
        zipped(content_xml=b"<broken"),
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    ],
    ids=["xlsx", "ods", "xls", "short xls"],
)
def test_damaged_or_protected_workbooks(data: bytes) -> None:
    with pytest.raises(InputFileError, match="damaged or password-protected"):
        open_workbook(io.BytesIO(data), "t.xlsx")


def test_a_zip_version_that_nobody_reads_is_no_workbook() -> None:
    data = bytearray(book(("a",))())
    at = data.index(b"PK\x01\x02")
    data[at + 6] = 0xFF
    assert not is_workbook(io.BytesIO(bytes(data)))


def test_damage_further_down_is_told_when_it_is_met(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook, "MOST_IN_MEMORY", 0)
    data = zipfile.ZipFile(io.BytesIO(book(("a",), *[(f"row {n}",) for n in range(2000)])()))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in data.namelist():
            body = data.read(name)
            archive.writestr(name, body[: len(body) // 2] if "sheet1" in name else body)
    with pytest.raises(InputFileError, match="damaged"):
        list(open_workbook(io.BytesIO(out.getvalue()), "t.xlsx").records)


@pytest.mark.parametrize(
    ("micro", "text"),
    [(999_600, "15:32:01"), (400, "15:32:00"), (1_400, "15:32:00"), (250_400, "15:32:00.250000"), (0, "15:32:00")],
)
def test_days_kept_as_floats_come_back_to_the_second(micro: int, text: str) -> None:
    assert workbook._text(dt.datetime(2019, 10, 3, 15, 32, 0, micro)) == f"2019-10-03T{text}"
