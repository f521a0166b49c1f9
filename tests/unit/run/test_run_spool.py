"""The spool: what goes in comes out, in the order of Python's tuples, whatever the labels; and nothing is left behind."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fwsync.errors import DiskFullError, TargetError
from fwsync.plan.importing import Held
from fwsync.plan.row import Row, RowError
from fwsync.plan.wanted import Verdict, Wanted, judge
from fwsync.run import spool as spools
from fwsync.run.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path) as opened:
        yield opened


def row(line: int, *labels: str, **fields: Any) -> Row:
    return Row(line, labels, (fields, *({} for _ in labels[1:])))


# --- the table ----------------------------------------------------------------------------------------------------


def test_records_come_back_in_their_order_and_are_shown_once(spool: Spool) -> None:
    records = [(line, [f"s{line}", "a\x00b", "ünï", ""]) for line in range(2, 1700)]
    seen: list[Any] = []
    assert spool.add_raw(iter(records), seen.append) == len(records)
    assert seen == records
    assert [(line, cells) for line, cells in spool.raw()] == records
    assert list(spool.raw()) == list(spool.raw()), "it can be read again"


def test_an_error_while_reading_leaves_nothing_half_kept(spool: Spool) -> None:
    def broken() -> Iterator[Any]:
        yield from [(2, ["a"])] * 600
        raise ValueError("the table is damaged from here on")

    with pytest.raises(ValueError, match="damaged"):
        spool.add_raw(broken())
    assert list(spool.raw()) == []
    assert spool.add_raw([(2, ["a"])]) == 1


def test_errors_by_line_with_their_records(spool: Spool) -> None:
    spool.add_raw([(2, ["a"]), (3, ["b"]), (5, ["c"]), (9, ["d"])])
    spool.add_errors([RowError(9, "x", "m9"), RowError(3, "x", "m3")])
    spool.add_error(RowError(5, "", "m5"))
    assert [error.line for error in spool.errors()] == [3, 5, 9]
    assert [(tuple(record), error.message) for record, error in spool.rejected_records()] == [
        ((3, ["b"]), "m3"),
        ((5, ["c"]), "m5"),
        ((9, ["d"]), "m9"),
    ]


def test_an_error_may_be_kept_while_rows_are_added(spool: Spool) -> None:
    def rows() -> Iterator[Row]:
        yield row(2, "a")
        spool.add_error(RowError(3, "x", "m"))
        yield row(4, "b")

    assert spool.add_rows(rows()) >= 2
    assert [error.line for error in spool.errors()] == [3]
    assert [[one.line for one in rows] for rows in spool.subjects()] == [[2], [4]]


def test_rows_of_one_subject_lie_together_with_labels_of_their_own_depth(spool: Spool) -> None:
    spool.add_rows([row(5, "b", "v", "x"), row(4, "a", "v"), row(3, "b"), row(2, "a", "v", "y", sex="male")])
    assert [[(one.line, one.labels) for one in rows] for rows in spool.subjects()] == [
        [(4, ("a", "v")), (2, ("a", "v", "y"))],
        [(3, ("b",)), (5, ("b", "v", "x"))],
    ]
    assert next(spool.subjects())[1].fields == ({"sex": "male"}, {}, {})


def test_judged_rows_become_wanted_and_errors_and_the_names_of_their_fields(spool: Spool) -> None:
    spool.add_rows(
        [
            row(2, "b", "v", sex="male"),
            row(3, "b", "v", sex="female"),
            Row(4, ("a", "v"), ({"info.x": 1}, {"~age": 5})),
            row(5, "c"),
        ]
    )
    verdicts: list[Verdict] = []
    spool.judged(lambda rows: judge(rows, {}), verdicts.append)
    assert len(verdicts) == 3
    assert [(one.depth, one.label, one.line) for one in spool.wanted()] == [(0, "a", 4), (1, "v", 4), (0, "c", 5)]
    assert next(iter(spool.wanted())) == Wanted(0, "a", {"info.x": 1}, 4)
    assert [error.line for error in spool.errors()] == [2, 3]
    assert spool.names == ({"info.x"}, {"~age", "age"}, set())
    assert (list(spool.subject_labels()), spool.subject_count()) == (["a", "c"], 2)
    assert list(spool.subjects()) == []


# --- what the site has --------------------------------------------------------------------------------------------


def held(depth: int, ident: str, parent: str, label: str, created: str = "", **values: Any) -> tuple[Any, ...]:
    return depth, ident, parent, label, created, values


def test_held_comes_depth_first_and_of_equals_the_oldest_first(spool: Spool) -> None:
    spool.add_held(
        [
            held(2, "a1", "e1", "T1"),
            held(1, "e1", "s1", "v", sex="x"),
            held(0, "s2", "p", "A", "2020-01-02"),
            held(0, "s1", "p", "A", "2020-01-01"),
            held(1, "e0", "s2", "v", "2021"),
            held(2, "lost", "nowhere", "T1"),
            held(1, "lost too", "nowhere", "v"),
            held(0, "s0", "p", "A", "2020-01-02"),
        ]
    )
    spool.index_held()
    assert list(spool.held()) == [
        Held(("A",), "s1", "p", {}),
        Held(("A",), "s0", "p", {}),
        Held(("A",), "s2", "p", {}),
        Held(("A", "v"), "e1", "s1", {"sex": "x"}),
        Held(("A", "v"), "e0", "s2", {}),
        Held(("A", "v", "T1"), "a1", "e1", {}),
    ]


def test_ids_of_the_wanted_subjects_that_are_there(spool: Spool) -> None:
    spool.add_wanted([[Wanted(0, "a", {}, 2), Wanted(1, "v", {}, 2)], [], [Wanted(0, "c", {}, 3)]])
    spool.add_held([held(0, "1", "p", "a"), held(0, "2", "p", "b"), held(0, "3", "p", "a"), held(1, "4", "1", "c")])
    assert sorted(spool.held_ids()) == ["1", "3"]
    assert spool.subject_count() == 2


def test_numbers_that_have_zeros_on_the_site(spool: Spool) -> None:
    labels = ["007", "7", "0", "000", "01a", "0012", "x07"]
    spool.add_held([held(0, label, "p", label) for label in labels] + [held(1, "e", "007", "009")])
    assert {label: spool.padded(label) for label in ("7", "12", "0", "9", "1a", "")} == {
        "7": "007",
        "12": "0012",
        "0": None,
        "9": None,
        "1a": None,
        "": None,
    }


# --- the order of labels ------------------------------------------------------------------------------------------

LABEL = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=4),
    st.text(st.sampled_from("aAbB/ \x00\ufffd\U0001f600é\u00e9Z0~"), min_size=1, max_size=3),
    st.builds(lambda text, times: text * times, st.sampled_from(["x", "é", "😀"]), st.integers(100, 3000)),
)
LABELS = st.lists(LABEL, min_size=1, max_size=3).map(tuple)


@given(labels=st.lists(LABELS, max_size=12))
@example(labels=[("a",), ("a\x00",), ("a\x00b", "v"), ("a", "v"), ("\uffff",), ("\U00010000",), ("a/b",), ("a", "b")])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_come_in_the_order_of_tuples(labels: list[tuple[str, ...]], tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.add_rows([row(line, *one) for line, one in enumerate(labels, 2)])
        found = [(one.labels, one.line) for rows in spool.subjects() for one in rows]
        assert found == sorted((one, line) for line, one in enumerate(labels, 2))
        subjects = [rows[0].labels[0] for rows in spool.subjects()]
        assert subjects == sorted({one[0] for one in labels})


@given(labels=st.lists(LABELS, max_size=10))
@example(labels=[("a\x00",), ("a", "v"), ("\uffff",), ("\U00010000", "x"), ("a/b", "c"), ("a", "b/c")])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_held_comes_in_the_order_of_tuples(labels: list[tuple[str, ...]], tmp_path: Path) -> None:
    every = {one[: depth + 1] for one in labels for depth in range(len(one))}
    ids = {one: f"id{number}" for number, one in enumerate(sorted(every, key=hash))}
    with Spool(tmp_path) as spool:
        spool.add_held([held(len(one) - 1, ids[one], ids.get(one[:-1], "p"), one[-1]) for one in every])
        spool.index_held()
        assert [(one.labels, one.id) for one in spool.held()] == [(one, ids[one]) for one in sorted(every)]
        assert all(one.parent_id == ids.get(one.labels[:-1], "p") for one in spool.held())


# --- on disk ------------------------------------------------------------------------------------------------------


def test_it_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        folder = spool.folder
        assert folder.parent == tmp_path / "spool"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert not folder.exists()


def test_it_is_gone_after_an_error_too(tmp_path: Path) -> None:
    def failing() -> None:
        with Spool(tmp_path) as spool:
            spool.add_raw([(2, ["x"])])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing()
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_killed_runs_left_is_swept_and_what_others_use_is_not(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"fw-{dead.pid}-x", f"fw-{os.getppid()}-x", "fw-notes-x", "other"):
        (tmp_path / "spool" / name).mkdir(parents=True)
        (tmp_path / "spool" / name / "file").write_text("x")
    with Spool(tmp_path) as spool:
        names = {path.name for path in (tmp_path / "spool").iterdir()}
    assert names == {f"fw-{os.getppid()}-x", "fw-notes-x", "other", spool.folder.name}


@pytest.mark.parametrize(
    ("message", "kind"),
    [("database or disk is full", DiskFullError), ("attempt to write a readonly database", TargetError)],
)
def test_a_disk_that_can_not_be_written(spool: Spool, message: str, kind: type[Exception]) -> None:
    def rows() -> Iterator[tuple[Any, ...]]:
        yield (1, "a", "b")
        raise sqlite3.OperationalError(message)

    with pytest.raises(kind, match=message) as caught:
        spool._fill(spools._ADD_ERROR, rows())
    assert str(spool.folder) in str(caught.value)
    assert list(spool.errors()) == []
