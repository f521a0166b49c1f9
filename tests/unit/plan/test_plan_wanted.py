"""Rows of one subject to its containers: unions, disagreements, files, ages."""

from __future__ import annotations

from typing import Any

import pytest
from spreadsheets import below, days, judged, one, plan, seconds, tree_of

from fwsync.plan.row import Row
from fwsync.plan.wanted import Verdict, Wanted, judge

HEADERS = {"subject.sex": "Geschlecht", "session.age": "Alter", "subject.info.x": "x", "acquisition.file": "Datei"}


def row(line: int, labels: str, *fields: dict[str, Any]) -> Row:
    names = tuple(labels.split("/"))
    return Row(line, names, tuple(fields[at] if at < len(fields) else {} for at in range(len(names))))


def judge_rows(*rows: Row) -> Verdict:
    return judge(sorted(rows, key=lambda one: (one.labels, one.line)), HEADERS)


def messages(verdict: Verdict) -> dict[int, str]:
    assert len({error.line for error in verdict.errors}) == len(verdict.errors)
    return {error.line: f"{error.column}: {error.message}" for error in verdict.errors}


def file(name: str, source: str = "") -> dict[str, Any]:
    return {"source": source or f"/d/{name}", "name": name, "size": 1, "mtime_ns": 1}


# --- unions -------------------------------------------------------------------------------------------------------


def test_fields_are_the_union_over_good_rows() -> None:
    verdict = judge_rows(
        row(4, "s/v/a", {"sex": "male"}, {"age": 1}, {"timestamp": "t"}),
        row(2, "s/v/b", {"firstname": "B"}, {"weight": 2.0}),
        row(3, "s/w", {"sex": "male"}),
        row(9, "s", {"cohort": "Control"}),
    )
    assert verdict == Verdict(
        [
            Wanted(0, "s", {"cohort": "Control", "sex": "male", "firstname": "B"}, 2),
            Wanted(1, "v", {"age": 1, "weight": 2.0}, 2),
            Wanted(2, "a", {"timestamp": "t"}, 4),
            Wanted(2, "b", {}, 2),
            Wanted(1, "w", {}, 3),
        ],
        [],
    )


def test_equal_rows_count_once_and_it_is_counted() -> None:
    same = [row(line, "s/v/a", {"sex": "male"}) for line in (2, 3, 7)]
    verdict = judge_rows(*same, row(8, "s/v/a", {"sex": "male", "firstname": "x"}), row(9, "s/v/b"))
    assert verdict.repeated == 2
    assert [(w.depth, w.label, w.line) for w in verdict.wanted] == [(0, "s", 2), (1, "v", 2), (2, "a", 2), (2, "b", 9)]


def test_tags_notes_and_files_add_up() -> None:
    verdict = judge_rows(
        row(2, "s", {"tags": ["b"], "notes": ["n"], "files": [file("b")]}),
        row(3, "s", {"tags": ["a", "b"], "notes": ["m"], "files": [file("a"), file("b")]}),
    )
    assert verdict.errors == []
    assert verdict.wanted[0].fields == {"tags": ["a", "b"], "notes": ["m", "n"], "files": [file("a"), file("b")]}


def test_the_same_label_below_two_sessions_is_two_containers() -> None:
    verdict = judge_rows(row(2, "s/v/a", {}, {}, {"timestamp": "1"}), row(3, "s/w/a", {}, {}, {"timestamp": "2"}))
    assert verdict.errors == []
    assert [(w.depth, w.label) for w in verdict.wanted] == [(0, "s"), (1, "v"), (2, "a"), (1, "w"), (2, "a")]


# --- disagreements ------------------------------------------------------------------------------------------------


def test_rows_that_disagree_name_each_other_and_contribute_nothing() -> None:
    verdict = judge_rows(
        row(2, "s/v/a", {"sex": "male", "firstname": "x"}),
        row(3, "s/v/b", {"sex": "female"}),
        row(5, "s/w/a", {"sex": "male"}),
        row(6, "s/v/c"),
    )
    assert messages(verdict) == {
        2: "Geschlecht: line 3 gives subject 's' another sex",
        3: "Geschlecht: lines 2, 5 give subject 's' another sex",
        5: "Geschlecht: line 3 gives subject 's' another sex",
    }
    assert [(w.depth, w.label, w.fields, w.line) for w in verdict.wanted] == [
        (0, "s", {}, 6),
        (1, "v", {}, 6),
        (2, "c", {}, 6),
    ]


@pytest.mark.parametrize(
    ("labels", "fields", "level"),
    [("s/v", ({}, {"age": 1}), "session"), ("s/v/a", ({}, {}, {"timestamp": "2019-10-03T15:32:00Z"}), "acquisition")],
)
def test_sessions_and_acquisitions_are_told_how_to_be_told_apart(
    labels: str, fields: tuple[dict[str, Any], ...], level: str
) -> None:
    other = (*fields[:-1], {next(iter(fields[-1])): "2020-10-03T15:32:00Z"})
    verdict = judge_rows(row(2, labels, *fields), row(3, labels, *other))
    assert set(messages(verdict)) == {2, 3}
    assert all(
        message.endswith(f"tell the {level}s apart by --{level}-label '{{column}}'")
        for message in messages(verdict).values()
    )
    assert verdict.wanted == []


def test_many_lines_are_cut_short() -> None:
    verdict = judge_rows(row(2, "s", {"sex": "male"}), *[row(n, "s", {"sex": "female"}) for n in range(3, 12)])
    assert messages(verdict)[2] == "Geschlecht: lines 3, 4, 5, 6, 7, ... give subject 's' another sex"
    assert messages(verdict)[11] == "Geschlecht: line 2 gives subject 's' another sex"


def test_a_row_in_two_disagreements_is_one_error() -> None:
    verdict = judge_rows(
        row(2, "s/v", {"sex": "male"}, {"age": 1}),
        row(3, "s/v", {"sex": "female"}, {"age": 2}),
        row(4, "s/v", {}, {"age": 2}),
    )
    assert sorted(messages(verdict)) == [2, 3, 4]
    assert verdict.wanted == []


def test_what_the_platform_keeps_alike_is_no_disagreement() -> None:
    verdict = judge_rows(
        row(2, "s/v", {}, {"timestamp": "2019-10-03T15:32:00+02:00"}),
        row(3, "s/v", {}, {"timestamp": "2019-10-03T13:32:00Z"}),
    )
    assert verdict.errors == []
    assert judge_rows(row(2, "s", {"info.x": 1}), row(3, "s", {"info.x": True})).wanted == []


def test_two_files_with_one_name_are_a_disagreement() -> None:
    verdict = judge_rows(
        row(2, "s/v/a", {}, {}, {"files": [file("a", "/d/1/a")]}),
        row(3, "s/v/a", {}, {}, {"files": [file("a", "/d/2/a")]}),
    )
    assert messages(verdict)[2].startswith("Datei: line 3 gives acquisition 'a' another file a; tell the acquisitions")


# --- the whole way ------------------------------------------------------------------------------------------------


def test_the_earliest_day_of_a_session_gives_its_age() -> None:
    found = judged(
        "Subject ID,DOB,session,acquisition,scan date\n"
        "s,2000-01-01,v,b,2010-01-03 10:00\n"
        "s,2000-01-01,v,a,2010-01-02 10:00\n"
        "s,2000-01-01,w,a,2011-01-01 10:00\n"
    )
    assert found.errors == []
    tree = tree_of(plan(found.wanted))
    assert (tree[("s", "v")], tree[("s", "w")]) == ({"age": days(3654)}, {"age": days(4018)})


def test_an_age_that_is_told_wins_over_one_that_is_worked_out() -> None:
    found = judged("Subject ID,DOB,age,scan date\ns,2000-01-01,9,2010-01-03 10:00\ns,2000-01-01,,2010-01-03 10:00\n")
    assert found.errors == []
    assert tree_of(plan(found.wanted))[("s", "Session1")] == {"age": seconds(9)}


def test_a_row_in_error_gives_nothing_to_its_parents() -> None:
    found = judged("Subject ID,FirstName,session,age\ns,Lisa,v,-3\ns,,w,3\n")
    assert [(error.line, error.column) for error in found.errors] == [(2, "age")]
    assert tree_of(plan(found.wanted)) == below(("s", "w", "Struct_T1"), {}, {"age": seconds(3)})


def test_a_disagreement_names_the_column_as_it_is_written() -> None:
    found = judged("Subject ID;Alter;subject.info.IQ\ns;3;1\ns;4;1\nt;;1\nt;;2\n")
    assert {error.line: error.column for error in found.errors} == {
        2: "Alter",
        3: "Alter",
        4: "subject.info.IQ",
        5: "subject.info.IQ",
    }
    assert all("--session-label '{column}'" in error.message for error in found.errors if error.column == "Alter")
    assert tree_of(plan(found.wanted)) == {}


def test_missing_labels_end_the_row_where_the_column_is_qualified() -> None:
    found = judged("subject.label,session.label,acquisition.label,session.age\ns,,,\nt,v,,3\n")
    assert found.errors == []
    assert tree_of(plan(found.wanted)) == below(("s",)) | below(("t", "v"), {}, {"age": seconds(3)})


@pytest.mark.parametrize(
    ("column", "cell", "level"),
    [
        ("session.age", "3", "session"),
        ("session.timestamp", "2019-10-03 10:00", "session"),
        ("acquisition.label", "T1", "session"),
        ("acquisition.timestamp", "2019-10-03 10:00", "session"),
        ("acquisition.tags", "a", "session"),
        ("acquisition.file", "a.nii", "session"),
        ("acquisition.info.x:str", " ", "session"),
    ],
)
def test_what_has_no_container_to_go_to_is_a_row_error(column: str, cell: str, level: str) -> None:
    header = ["subject.label", "session.label", *({"acquisition.label", column} - {"session.label"})]
    cells = {"subject.label": "s", column: cell}
    found = judged("\n".join((",".join(header), ",".join(cells.get(name, "") for name in header))))
    assert found.wanted == []
    assert [(error.column, error.message) for error in found.errors] == [
        (column, f"is given, but the row has no {level} label")
    ]


def test_missing_labels_have_a_default_where_the_column_is_an_everyday_one() -> None:
    found = judged("Subject ID,session,acquisition\ns,,\nt,v,NA\n")
    assert tree_of(plan(found.wanted)) == one("s") | below(("t", "v", "Struct_T1"))
