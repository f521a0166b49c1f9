"""Cells that we write: no spreadsheet takes one for a formula, and reading them again gives the same text."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fwsync.csvtext import escaped, unescaped


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("", ""),
        ("s1", "s1"),
        ("=1+1", "'=1+1"),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+1-2", "'+1-2"),
        ("-x", "'-x"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("-5", "-5"),
        ("+5,5", "+5,5"),
        ("-1.5e-3", "-1.5e-3"),
        ("-", "'-"),
        ("'=1", "''=1"),
        ("'x", "'x"),
        ("O'Hara", "O'Hara"),
    ],
)
def test_what_is_written(cell: str, written: str) -> None:
    assert escaped(cell) == written
    assert unescaped(written) == cell


@given(st.text(st.sampled_from("'=+-@\t\r15.,e x|") | st.characters(), max_size=12))
@example("''-5")
@example("-5\n")
def test_any_cell_comes_back_and_is_no_formula(cell: str) -> None:
    written = escaped(cell)
    assert unescaped(written) == cell
    harmless = written[:1] not in tuple("=@\t\r") and (
        written[:1] not in tuple("+-") or not written[1:].strip("0123456789.,eE+-")
    )
    assert harmless
