"""Tables as they are printed for people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fwsync.cli.tables import WIDEST, lines
from fwsync.report.table import Cell, Column, Table

cells = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=200))


@given(st.lists(st.tuples(cells, st.text(max_size=200)), max_size=6))
def test_columns_line_up_and_no_cell_takes_the_terminal(rows: list[tuple[Cell, str]]) -> None:
    table = Table(name="t", title="T", columns=(Column("first"), Column("last")), rows=list(rows))
    told = list(lines(table, quiet=True))
    if not rows:
        assert told == ["no rows"]
        return
    assert len(told) == 1 + len(rows)
    assert all(line.isprintable() for line in told)
    assert all(cell_len(line) <= 2 * WIDEST + 2 for line in told)


def test_numbers_stand_to_the_right_and_facts_above() -> None:
    columns = (Column("name"), Column("files", "integer"), Column("bytes", "bytes"), Column("ok", "yes"))
    rows: list[tuple[Cell, ...]] = [("日本", 12_000, 1_500_000, True), ("a", None, 10, False)]
    table = Table(name="t", title="Title", columns=columns, rows=rows, facts={"mean": 34.25, "none": None})
    assert list(lines(table)) == [
        "Title",
        "  mean  34.25",
        "  none  -",
        "",
        "name   files   bytes  ok",
        "日本  12,000  1.5 MB  yes",
        "a          -    10 B  no",
    ]
