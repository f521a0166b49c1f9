"""Bytes to records: encodings, dialects, lines, and what can't be read at all."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import InputFileError
from fwsync.plan import table
from fwsync.plan.table import Sheet, open_text

TEXT = "Subject ID,FirstName\n007,Zoë\n"
EXPECTED = (["Subject ID", "FirstName"], [["007", "Zoë"]])


def opened(data: bytes | str, **given: str) -> Sheet:
    return open_text(io.BytesIO(data.encode() if isinstance(data, str) else data), "t.csv", **given)


def cells(data: bytes | str, **given: str) -> tuple[list[str], list[list[str]]]:
    sheet = opened(data, **given)
    return sheet.header, [record for _, record in sheet.records]


def refused(data: bytes | str, **given: str) -> InputFileError:
    with pytest.raises(InputFileError) as caught:
        cells(data, **given)
    assert caught.value.path == "t.csv"
    return caught.value


# --- encodings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings_that_are_found(encoding: str) -> None:
    assert cells(TEXT.encode(encoding)) == EXPECTED


@pytest.mark.parametrize("encoding", ["latin-1", "mac-roman", "cp850", "utf-8", "utf-16", "utf-8-sig", "cp437"])
def test_encodings_by_hand(encoding: str) -> None:
    assert cells(TEXT.encode(encoding), encoding=encoding) == EXPECTED


def test_a_mark_goes_away_whatever_was_said() -> None:
    assert cells(TEXT.encode("utf-8-sig"), encoding="utf-8") == EXPECTED
    assert opened(TEXT.encode("utf-8-sig")).bom
    assert not opened(TEXT).bom


def test_windows_1252_is_said_with_a_sample() -> None:
    (note,) = opened("Subject ID;FirstName\ns1;Zoë Groß\n".encode("cp1252")).notes
    assert "read as Windows-1252 (e.g. 'Zoë Groß')" in note
    assert "--encoding" in note


def test_the_sample_is_found_far_into_the_file() -> None:
    data = b"Subject ID;FirstName\n" + b"s1;Lisa\n" * 400_000 + "s2;Jörg\n".encode("cp1252")
    sheet = opened(data)
    assert "'Jörg'" in sheet.notes[0]
    assert sum(1 for _ in sheet.records) == 400_001


@pytest.mark.parametrize(
    ("data", "given", "line", "part"),
    [
        (b"a\nb\n\x81\n", "", 3, "byte 4 (0x81) is neither UTF-8 nor Windows-1252"),
        (b"a\n\xff\n", "utf-8", 2, "byte 2 (0xff) is not utf-8"),
        (b"a\xc3", "utf-8", 1, "byte 1 (0xc3) is not utf-8"),
        (b"a\n" * 600_000 + b"\xe9", "ascii", 600_001, "byte 1200000 (0xe9)"),
        (b"a", "utf8mb4", None, "unknown encoding 'utf8mb4'"),
        (b"a", "rot13", None, "unknown encoding 'rot13'"),
        (b"a", "zlib", None, "unknown encoding 'zlib'"),
        (b"\xff\xfea\x00b", "", 1, "is not utf-16"),
    ],
)
def test_bytes_that_do_not_decode(data: bytes, given: str, line: int | None, part: str) -> None:
    error = refused(data, encoding=given)
    assert part in str(error)
    assert error.line_number == line


@pytest.mark.parametrize("cut", range(8))
def test_a_character_across_two_pieces(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "_PIECE", 5)
    data = b"x" * cut + ",é€😀\n".encode()
    assert cells(data)[0] == ["x" * cut, "é€😀"]
    bad = refused(data + b"\xf0\x9f\x81\xfe", encoding="utf-8")
    assert f"byte {len(data)} (0xf0)" in str(bad)


# --- dialects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        ("a,b\n", ","),
        ("a;b\n", ";"),
        ("a\tb\n", "\t"),
        ("a|b\n", "|"),
        ("sep=;\na;b\n", ";"),
        ("sep=|\r\na|b\r\n", "|"),
        ("SEP=\t\na\tb\n", "\t"),
        ('"sep=;"\na;b\n', ";"),
        ("\ufeffsep=;\na;b\n", ";"),
        ("\n\na;b\n", ";"),
        ("Subject ID;sex;x,y,z,w\n", ";"),
        ('"a;b;c",b\n', ","),
        ("a\n", ","),
    ],
)
def test_delimiters(data: str, delimiter: str) -> None:
    assert opened(data).delimiter == delimiter


@pytest.mark.parametrize(("given", "data"), [("tab", "a\tb;c"), ("\\t", "a\tb;c"), (";", "a;b,c,d"), ("#", "a#b")])
def test_delimiters_by_hand(given: str, data: str) -> None:
    assert len(opened(data, delimiter=given).header) == 2


def test_records_by_the_line_on_which_they_begin() -> None:
    sheet = opened('sep=,\n\nSubject ID,x\n\ns1,"two\nlines"\r\n , \ns2,"a ""b"""\n\n')
    assert sheet.header_line == 3
    assert list(sheet.records) == [(5, ["s1", "two\nlines"]), (8, ["s2", 'a "b"'])]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_line_ends(newline: str) -> None:
    sheet = opened(f"a,b{newline}1,2{newline}{newline}3,4")
    assert list(sheet.records) == [(2, ["1", "2"]), (4, ["3", "4"])]


# --- what can't be read -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "line", "part"),
    [
        (b"", None, "is empty"),
        (b"\n \n,,\n", None, "is empty"),
        (b"\xef\xbb\xbf", None, "is empty"),
        (b"%PDF-1.7", None, "a PDF"),
        (b"\x89PNG\r\n", None, "a PNG picture"),
        (b"\x1f\x8b\x08", None, "gzip-compressed"),
        (b"PK\x03\x04....", None, "a damaged Excel workbook, or a zip archive"),
        (b"a,b\x00\n1,2\n", 1, "null bytes"),
        (b'a,b\n"1,2\n3,4\n', 2, "has a cell that begins here and never ends"),
        (b'a,b\n1,2\n3,"4', 3, "has a cell that begins here and never ends"),
        (b'a,b\n1,"2\n3,"4"\n', 2, "ends in the midst of another"),
        (b'"a,b\n1,2\n', 1, "never ends"),
    ],
)
def test_files_that_can_not_be_used(data: bytes, line: int | None, part: str) -> None:
    error = refused(data)
    assert part in str(error)
    assert error.line_number == line


def test_a_quote_left_open_over_a_large_file_ends_the_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST_FIELD", 1000)
    error = refused(b'a,b\n1,2\n3,"4\n' + b"5,6\n" * 1000)
    assert error.line_number == 3
    assert "a quote is left open" in str(error)


def test_sloppy_quotes_within_a_line_are_forgiven() -> None:
    assert cells('a,b\n"s1"x,5" tall\n"s2" ,say "hi"\n')[1] == [["s1x", '5" tall'], ["s2 ", 'say "hi"']]


# --- any table ----------------------------------------------------------------------------------------------------

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)


@given(
    st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_what_a_csv_writer_writes_reads_back(rows: list[list[str]], delimiter: str, encoding: str, end: str) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(
        [["Subject ID", "sex"], *rows]
    )
    header, records = cells(out.getvalue().encode(encoding), encoding="" if encoding != "utf-16" else encoding)
    assert header == ["Subject ID", "sex"]
    assert records == [row for row in rows if any(map(str.strip, row))]
