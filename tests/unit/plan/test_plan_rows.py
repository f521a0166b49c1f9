"""Tables of every kind to containers and row errors: the corpus, the way of the product."""

from __future__ import annotations

import io
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spreadsheets import CASES, Case, items, judged, plan, site_after, take, tree_of

from fwsync.errors import InputFileError
from fwsync.run.order import Order
from fwsync.work import Outcome, WorkItem


def typed(tree: object) -> str:
    """For comparison: 1, 1.0 and True are three values."""
    return json.dumps([[list(k), v] for k, v in sorted(tree.items())], indent=1, sort_keys=True)  # type: ignore[attr-defined]


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 75
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if not case.fails], ids=lambda case: case.name)
async def test_a_table_becomes_what_it_must(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.bytes)
    taken = await take(path, tmp_path / "state", **case.settings)
    assert typed(taken.tree) == typed(case.tree)
    assert [(e.line, e.column) for e in taken.errors] == [(line, column) for line, column, _ in case.wrong]
    for error, (_, _, part) in zip(taken.errors, case.wrong, strict=True):
        assert part in error.message
    said = "\n".join(taken.warnings)
    assert [part for part in case.says if part not in said] == [], said
    # The numbers that were promised, and an order that the executor takes.
    assert taken.table.items == sum(len(e.everyone()) if isinstance(e, WorkItem) else 1 for e in taken.entries)
    assert taken.table.rejected == len(case.wrong)
    order = Order()
    for entry in taken.entries:
        assert isinstance(entry, Outcome) or not isinstance(order.offer(entry), list)
    # A site that has it all leaves nothing to do.
    again = await take(path, tmp_path / "state", site_after(taken.entries), **case.settings)
    assert tree_of(again.entries) == {}
    assert {e.state for e in again.entries if isinstance(e, Outcome)} <= {"unchanged", "rejected"}
    assert len(again.entries) == taken.table.items


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.name)
async def test_a_file_that_can_not_be_used_is_one_line(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.bytes)
    with pytest.raises(InputFileError) as caught:
        await take(path, tmp_path / "state", **case.settings)
    assert case.fails in caught.value.line
    assert caught.value.line.startswith(str(path))


# --- files --------------------------------------------------------------------------------------------------------


async def test_files_come_with_what_the_columns_say_of_them(tmp_path: Path) -> None:
    (tmp_path / "s1").mkdir()
    for name, size in (("s1/T1.nii", 5), ("s1/T1.json", 7), ("consent.pdf", 11)):
        (tmp_path / name).write_bytes(b"x" * size)
    path = tmp_path / "subjects.csv"
    path.write_text(
        "Subject ID,subject.file,acquisition.file,acquisition.file.type,acquisition.file.modality,"
        "acquisition.file.classification,acquisition.file.classification.Features,acquisition.file.info.te:float\n"
        's1,consent.pdf,s1/*,nifti,MR,"Intent=Structural; Measurement=T2,T1",Derived,"2,5"\n'
        "s2,,NA,dicom,,,,\n"
        "s3,none.pdf,,,,,,\n"
        "s4,../secret,,,,,,\n"
        "s5,,s1/T1.nii,,,structural,,\n"
        "s6,,s1/T1.nii,,,,,long\n"
    )
    taken = await take(path, tmp_path / "state")
    assert {labels: fields.get("files") for labels, fields in taken.tree.items() if labels[0] == "s1"} == {
        ("s1",): ["consent.pdf"],
        ("s1", "Session1"): None,
        ("s1", "Session1", "Struct_T1"): ["T1.json", "T1.nii"],
    }
    assert ("s2", "Session1", "Struct_T1") in taken.tree
    assert [(error.line, error.column, error.message.rpartition("' ")[2][:12]) for error in taken.errors] == [
        (4, "subject.file", "'none.pdf': "),
        (5, "subject.file", "is outside o"),
        (6, "acquisition.file.classification", "is no classi"),
        (7, "acquisition.file.info.te:float", "is no number"),
    ]
    sent = [item.payload for item in items(taken.entries) if item.kind == "upload.file"]
    assert sent[0].metadata == {}
    assert sent[1].metadata == {
        "type": "nifti",
        "modality": "MR",
        "classification": {"Intent": ["Structural"], "Measurement": ["T1", "T2"], "Features": ["Derived"]},
        "info": {"te": 2.5},
    }
    assert (taken.table.bytes, taken.table.items) == (23, len(items(taken.entries)) + 4)


async def test_files_of_a_table_without_a_folder_need_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"x")
    there = str(tmp_path)
    for said, wrong in (
        ({}, [(2, "subject.file")]),
        ({"files_from": there}, []),
        ({"files_from": there, "require": ["subject.file"]}, []),
    ):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Subject ID,subject.file\ns1,a.pdf\n")))
        taken = await take(Path("-"), tmp_path / "state", **said)
        assert [(error.line, error.column) for error in taken.errors] == wrong


# --- what is required ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("require", "header", "row", "wrong"),
    [
        ("age", "age", "3", None),
        ("age", "age", "", "is empty, and --require wants session.age"),
        ("session.age", "age", "NA", "is empty, and --require wants session.age"),
        ("age", "DOB,scan date", "2000-01-01,2010-01-01 10:00", None),
        ("age", "DOB,scan date", "2000-01-01,", "is empty, and --require wants session.age"),
        ("timestamp", "scan date,scan time", "2010-01-01,10:00", None),
        ("timestamp", "scan date,scan time", ",", "is empty, and --require wants acquisition.date"),
        ("acquisition.timestamp", "scan datetime", "", "is empty, and --require wants acquisition.timestamp"),
        ("sex", "sex", "F", None),
        ("subject.info.x", "subject.info.x", "", "is empty, and --require wants subject.info.x"),
        ("tags", "session.tags", "a", None),
        ("session.label", "session.label", "v", None),
        ("session.label", "session", "v", None),
        ("session.label", "session", "NA", "is empty, and --require wants session.label"),
        ("session.label", "session.label", "", "is empty, and --require wants session.label"),
        ("subject.file", "subject.file", "", "is empty, and --require wants subject.file"),
    ],
)
def test_required_fields(require: str, header: str, row: str, wrong: str | None) -> None:
    found = judged(f"Subject ID,{header}\ns1,{row}\n", require=[require])
    assert [error.message for error in found.errors] == ([wrong] if wrong else [])


def test_a_required_field_without_a_column_is_an_error_of_the_file() -> None:
    with pytest.raises(InputFileError, match="has no column for 'weight', which --require wants"):
        judged("Subject ID,age\ns1,3\n", require=["weight"])


def test_a_zone_that_does_not_exist_is_an_error_of_the_file() -> None:
    with pytest.raises(InputFileError, match=r"did you mean Europe/Zurich.*--timezone"):
        judged("Subject ID,scan datetime\ns1,2019-10-03 10:00\n", timezone="Europe/Zurch")


# --- dates and times of one row -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("2019-10-23,15:32", "2019-10-23T15:32:00+02:00"),
        ("2019-10-23,153200.5", "2019-10-23T15:32:00.500+02:00"),
        ("2019-10-23,0.5", "2019-10-23T12:00:00+02:00"),
        ("2019-10-23 00:00:00,15:32", "2019-10-23T15:32:00+02:00"),
        ("2019-10-23 15:32,15:32", "2019-10-23T15:32:00+02:00"),
        ("2019-10-23 15:32,", "2019-10-23T15:32:00+02:00"),
        (",2019-10-23 15:32", "2019-10-23T15:32:00+02:00"),
        ("2019-10-23,2019-10-23 15:32", "2019-10-23T15:32:00+02:00"),
        ("2019-10-23 15:00,15:32", "has another time of day"),
        ("2019-10-24,2019-10-23 15:32", "is another day than"),
        (",15:32", "is a time of day without its date"),
        ("2019-10-23,25:00", "is a time of day without its date|no time of day|is no date"),
    ],
)
def test_a_date_and_a_time_put_together(row: str, expected: str) -> None:
    found = judged(f"Subject ID,scan date,scan time\ns1,{row}\n", timezone="Europe/Zurich")
    if found.errors:
        assert any(part in found.errors[0].message for part in expected.split("|"))
        assert found.wanted == []
    else:
        assert tree_of(plan(found.wanted))[("s1", "Session1", "Struct_T1")]["timestamp"] == expected


LOCAL = st.datetimes(datetime(2015, 1, 1), datetime(2024, 12, 31)).map(lambda t: t.replace(second=0, microsecond=0))


@given(
    st.lists(LOCAL, min_size=1, max_size=20), st.sampled_from(["Europe/Zurich", "Australia/Lord_Howe", "Asia/Kolkata"])
)
def test_times_that_repeat_their_day_or_clock_read_as_each_alone(times: list[datetime], zone: str) -> None:
    """Days and times of day are remembered: every pair of them must come out as it does in a table of its own."""
    cells = [f"{day:%Y-%m-%d} {clock:%H:%M}" for day in times[:5] for clock in times[:5]]
    together = judged(
        "Subject ID,scan datetime\n" + "".join(f"s{n},{cell}\n" for n, cell in enumerate(cells)), timezone=zone
    )
    tree = tree_of(plan(together.wanted))
    wrong = {error.line: error.message for error in together.errors}
    for number, cell in enumerate(cells):
        alone = judged(f"Subject ID,scan datetime\ns{number},{cell}\n", timezone=zone)
        assert [error.message for error in alone.errors] == [one for line, one in wrong.items() if line == number + 2]
        labels = (f"s{number}", "Session1", "Struct_T1")
        assert tree_of(plan(alone.wanted)).get(labels) == tree.get(labels)
