"""Structs as pandas frames."""

from __future__ import annotations

import sys
from collections import Counter

import pandas as pd
import pytest

from fwsync.errors import UsageError
from fwsync.frames import columns_of, frame
from fwsync.model import Parents, Session, Subject
from fwsync.run.journal import RunRecord
from fwsync.work import Outcome, Summary, WorkItem


def test_nested_structs_become_columns_with_a_dot() -> None:
    held = [
        Subject(id="a", label="sub-1", sex="female", parents=Parents(project="p"), info={"k": [1]}),
        Subject(id="b", label="sub-2", created="2024-05-01T08:00:00+02:00"),
    ]
    made = frame(held)
    assert list(made["label"]) == ["sub-1", "sub-2"]
    assert made["parents.project"][0] == "p"
    assert pd.isna(made["parents.project"][1])
    assert made["info"][0] == {"k": [1]}
    assert made["created"][1] == pd.Timestamp("2024-05-01T06:00Z")
    assert pd.isna(made["created"][0])
    assert list(made.columns) == columns_of(Subject)


def test_no_rows_have_the_columns_all_the_same() -> None:
    assert list(frame([], Session).columns) == columns_of(Session)
    assert frame([], Session)["timestamp"].dtype.kind == "M"
    assert frame([]).empty


def test_entries_of_a_dry_run_share_a_frame() -> None:
    held = [
        WorkItem(kind="download.file", key="1", target="a", bytes=3),
        Outcome(key="2", kind="download.file", state="unchanged", target="b"),
    ]
    made = frame(held)
    assert list(made["target"]) == ["a", "b"]
    assert made["state"][1] == "unchanged"
    assert pd.isna(made["state"][0])


def test_runs_have_times() -> None:
    record = RunRecord(id="r", command="mirror", arguments={}, site="s", started=1_700_000_000.0)
    made = frame([record])
    assert made["started"][0] == pd.Timestamp(1_700_000_000, unit="s", tz="UTC")
    assert pd.isna(made["ended"][0])


def test_a_summary_is_counts_by_kind_and_state() -> None:
    summary = Summary()
    for state in ("done", "done", "failed"):
        summary.add(Outcome(key=state, kind="upload.file", state=state))
    made = summary.to_pandas()
    assert made.loc["upload.file"].to_dict() == {
        "done": 2, "unchanged": 0, "skipped": 0, "failed": 1, "stopped": 0, "rejected": 0,
    }  # fmt: skip
    would = Summary(dry_run=True, would=Counter({"create.subject": 4})).to_pandas()
    assert would.loc["create.subject", "to do"] == 4


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match=r"pip install 'fwsync\[pandas\]'"):
        frame([])
