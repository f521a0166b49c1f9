"""The report on quality: what is told of each file, and the sums."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.report.quality import Measured, Place, cell_of, measure, metrics_of, quality_table
from fwsync.report.rules import MRIQC, parse_rule

T1, BOLD = {"Measurement": ["T1"]}, {"Measurement": ["T2*"]}
METRICS = metrics_of((), MRIQC)


def judged(classification: Any, info: Any, subject: str = "s", name: str = "f") -> Measured:
    labels = {"project": "p", "subject": subject, "session": "x", "acquisition": "a"}
    return measure(Place(labels, name), classification, info, METRICS, MRIQC)


def test_flags_doubts_and_what_is_lacking() -> None:
    fine = judged(BOLD, {"snr": 2.0, "fd_mean": 0.1})
    assert (fine.flags, fine.doubtful, fine.lacking, fine.judged) == ((), (), (), True)
    bad = judged(BOLD, {"snr": 0.5, "fd_mean": 3})
    assert bad.flags == ("LOW_SNR", "HIGH_FD")
    half = judged(BOLD, {"snr": 0.5, "fd_mean": "n/a"})
    assert (half.flags, half.doubtful, half.lacking) == (("LOW_SNR",), ("HIGH_FD",), ("fd_mean",))
    assert half.values == (0.5, "n/a", None)
    none = judged(T1, None)
    assert (none.flags, none.doubtful, none.lacking) == ((), ("LOW_SNR",), ("snr_total",))
    other = judged({"Measurement": ["Diffusion"]}, {"snr": 0.1})
    assert (other.flags, other.judged, other.values) == ((), False, (0.1, None, None))


def test_a_flag_that_two_rules_give_is_one_and_is_no_doubt_where_one_of_them_holds() -> None:
    rules = (parse_rule("BAD: a < 1"), parse_rule("BAD: b < 1"))
    one = measure(Place({}, "f"), None, {"a": 0}, ("a", "b"), rules)
    assert (one.flags, one.doubtful, one.lacking) == (("BAD",), (), ("b",))


def test_the_table_and_its_facts() -> None:
    files = [
        judged(T1, {"snr_total": 9}, "s2"),
        judged(BOLD, {"snr": 0.5}, "s1", "g"),
        judged(BOLD, {"snr": 0.5, "fd_mean": 3}, "s1", "f"),
        judged({}, {}, "s3"),
    ]
    table = quality_table(files, METRICS, MRIQC, "Quality", ["a note"])
    assert [column.name for column in table.columns] == [
        "project", "subject", "session", "acquisition", "file", "measurement", "snr", "fd_mean", "snr_total", "flags",
        "no_value",
    ]  # fmt: skip
    assert table.rows == [
        ("p", "s1", "x", "a", "f", "T2*", 0.5, 3, None, "LOW_SNR HIGH_FD", None),
        ("p", "s1", "x", "a", "g", "T2*", 0.5, None, None, "LOW_SNR", "fd_mean"),
        ("p", "s2", "x", "a", "f", "T1", None, None, 9, None, None),
        ("p", "s3", "x", "a", "f", None, None, None, None, None, None),
    ]
    assert table.facts == {
        "files": 4, "flagged": 2, "LOW_SNR": 2, "HIGH_FD": 1, "without a value": 1, "no rule is about": 1,
    }  # fmt: skip
    assert table.notes == ["a note"]
    assert quality_table([], ("x",), (), "Quality").facts == {"files": 0}


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (1, 1), (1.5, 1.5), ("x", "x"), (None, None), (True, True), (math.nan, "nan"), (math.inf, "inf"),
        ([1, "a"], '[1, "a"]'), ({"a": None}, '{"a": null}'),
    ],
)  # fmt: skip
def test_cells(value: Any, cell: Any) -> None:
    assert cell_of(value) == cell


@given(st.recursive(st.none() | st.floats() | st.text(), lambda b: st.lists(b) | st.dictionaries(st.text(), b)))
def test_any_value_is_a_short_cell(value: Any) -> None:
    cell = cell_of(value)
    assert cell is None or isinstance(cell, str | int | float)
    assert len(str(cell)) <= 200
    assert not isinstance(cell, float) or math.isfinite(cell)
