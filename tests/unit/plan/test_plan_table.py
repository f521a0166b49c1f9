"""Tables: encodings, dialects, headers. No bytes raise anything but a clear error."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fwsync.errors import FwsyncError, InputFileError
from fwsync.plan.table import read_table


def cells(text: str | bytes, **options: str) -> list[dict[str, str]]:
    raw = text.encode() if isinstance(text, str) else text
    return [row.cells for row in read_table(raw, "t.csv", **options).rows]


EXPECTED = [{"subject.label": "007", "subject.sex": "female"}]


@pytest.mark.parametrize(
    "raw",
    [
        "Subject ID,sex\n007,female\n".encode("utf-8-sig"),
        "Subject ID,sex\n007,female\n".encode("utf-16"),
        "Subject ID,sex\n007,female\n".encode("utf-16-le"),
        b"Subject ID;sex\r\n007;female\r\n",
        b"Subject ID\tsex\n007\tfemale\n",
        b"sep=|\nSubject ID|sex\n007|female\n",
        b"\n\nsubject_id,Gender\n\n007,female\n\n",
        b'"participant-id","SEX"\n"007","female",,\n',
    ],
)
def test_every_form_of_one_table(raw: bytes) -> None:
    assert cells(raw) == EXPECTED


def test_windows_1252_is_said() -> None:
    table = read_table("Subject ID,FirstName\ns1,Zoë\n".encode("cp1252"), "t.csv")
    assert table.rows[0].cells["subject.firstname"] == "Zoë"
    assert any("Windows-1252" in warning and "Zoë" in warning for warning in table.warnings)


def test_lines_are_those_of_the_file() -> None:
    table = read_table(b'Subject ID,FirstName\n\ns1,"two\nlines"\ns2,x\n', "t.csv")
    assert [row.line for row in table.rows] == [3, 5]


def test_missing_cells_are_left_out_and_unknown_columns_named() -> None:
    table = read_table(b"Subject ID,sex,age,colour\ns1,NA,n/a,red\ns2,-,,blue\n", "t.csv")
    assert [row.cells for row in table.rows] == [{"subject.label": "s1"}, {"subject.label": "s2"}]
    assert "colour" in table.warnings[0]


def test_a_row_with_too_many_cells_is_an_error_of_that_row() -> None:
    table = read_table(b"Subject ID,sex\ns1,female,oops\ns2,male\n", "t.csv")
    assert [(e.line, e.column) for e in table.errors] == [(2, "sex")]
    assert len(table.rows) == 1


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"Subject ID,subject\n1,2\n", "both mean"),
        (b"Subjekt,sex\n1,2\n", "(is it 'Subjekt'?)"),
        (b"a,b\n1,2\n", "its columns are: a, b"),
        (b"%PDF-1.7", "a PDF"),
        (b"Subject ID\n\x81\x8d\n", "line 2"),
    ],
)
def test_unusable_files_are_one_line(raw: bytes, part: str) -> None:
    with pytest.raises(InputFileError) as caught:
        read_table(raw, "t.csv")
    assert part in caught.value.line
    assert "t.csv" in caught.value.line


@given(
    st.one_of(
        st.binary(max_size=300), st.text(max_size=200).map(lambda t: f"Subject ID,age\n{t}".encode("utf-8", "replace"))
    )
)
@example(b"Subject ID\n\x00")
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    try:
        table = read_table(raw, "t.csv")
    except FwsyncError as error:
        assert error.line
    else:
        assert all("subject.label" in table.columns for _ in table.rows)
