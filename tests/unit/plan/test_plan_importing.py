"""Wanted and existing containers to a plan; and over any table: nothing raises, a second plan has nothing to do, and
the order of rows does not matter."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from spreadsheets import CASES, Judged, book, judged, one, plan, planner, seconds, site_after, tree_of

from fwsync.errors import InputFileError
from fwsync.plan.importing import Held, sendable
from fwsync.plan.stored import stored_form
from fwsync.plan.wanted import Wanted
from fwsync.run.order import Order
from fwsync.work import ChangeContainer, Entry, Outcome, SendFile, WorkItem

S1 = Held(("s1",), "id-s1", "p", {"sex": "male", "firstname": "Bart", "tags": ["a"], "info.x": 1})


def want(depth: int, label: str, was: str = "", line: int = 2, **fields: Any) -> Wanted:
    return Wanted(depth, label, {name.replace("__", "."): value for name, value in fields.items()}, line, was)


def file(name: str, size: int = 5) -> dict[str, Any]:
    return {"source": f"/data/{name}", "name": name, "size": size, "mtime_ns": 7}


def take_in_order(entries: list[Entry]) -> None:
    """The executor's own check: a parent that is not yet there would come back as skipped."""
    order = Order()
    for entry in entries:
        if isinstance(entry, WorkItem):
            assert not isinstance(order.offer(entry), list), entry.key


# --- new containers -----------------------------------------------------------------------------------------------


def test_one_row_is_one_item_with_two_riders() -> None:
    (item,) = plan([want(0, "s1", sex="female"), want(1, "v"), want(2, "T1", timestamp="2019-10-03T15:32:00Z")])
    assert isinstance(item, WorkItem)
    assert [one.kind for one in item.everyone()] == ["create.subject", "create.session", "create.acquisition"]
    assert [one.parent for one in item.everyone()] == [None, "subject:s1", "session:s1/v"]
    assert [one.payload.parent_id for one in item.everyone()] == ["p", None, None]
    assert [one.payload.lineage for one in item.everyone()] == [(), ("s1",), ("s1", "v")]
    assert item.riders[1].target == "lab/study/s1/v/T1"
    assert item.payload.fields == {"sex": "female"}


def test_shared_parents_come_once_and_first() -> None:
    entries = plan(
        [want(0, "s1"), want(1, "v1"), want(2, "a"), want(2, "b"), want(1, "v2"), want(2, "a"), want(0, "s2")]
    )
    assert [[one.key for one in entry.everyone()] for entry in entries] == [  # type: ignore[union-attr]
        ["subject:s1", "session:s1/v1", "acquisition:s1/v1/a"],
        ["acquisition:s1/v1/b"],
        ["session:s1/v2", "acquisition:s1/v2/a"],
        ["subject:s2"],
    ]
    take_in_order(entries)


def test_files_follow_their_container_and_hold_riders_back() -> None:
    wanted = [want(0, "s1", files=[file("a")]), want(1, "v", files=[file("b"), file("c/d")]), want(2, "T1")]
    entries = plan(wanted)
    take_in_order(entries)
    assert [entry.key for entry in entries] == [
        "subject:s1",
        "subject:s1:file:a",
        "session:s1/v",
        "session:s1/v:file:b",
        "session:s1/v:file:c%2Fd",
        "acquisition:s1/v/T1",
    ]
    assert all(not entry.riders for entry in entries)  # type: ignore[union-attr]
    send = entries[1].payload  # type: ignore[union-attr]
    assert isinstance(send, SendFile)
    assert (send.container_type, send.container_id, send.source, send.size) == ("subject", "", "/data/a", 5)


def test_tag_and_note_mark_what_is_created() -> None:
    (item,) = plan([want(0, "s1", tags=["b"], notes=["n"])], tag="fw", note="by fwsync")
    assert isinstance(item, WorkItem)
    assert (item.payload.tags, item.payload.notes) == (("b", "fw"), ("n", "by fwsync"))


def test_info_is_nested_and_an_age_worked_out_takes_the_place_of_none() -> None:
    document, tags, notes = sendable({"info.a.b": 1, "info.c": None, "~age": 5, "tags": ["t"], "files": [file("a")]})
    assert document == {"info": {"a.b": 1, "c": None}, "age": 5}
    assert (tags, notes) == (("t",), ())
    assert sendable({"~age": 5, "age": 7})[0] == {"age": 7}


LABELS = st.lists(
    st.text(st.sampled_from("a/%2F .~:") | st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=3
)


@given(LABELS, LABELS)
@example(["a/b"], ["a", "b"])
@example(["a%2Fb"], ["a/b"])
@example(["a:file:b"], ["a"])
def test_keys_tell_any_labels_apart(some: list[str], others: list[str]) -> None:
    def key(labels: list[str]) -> str:
        (item,) = plan([want(depth, label) for depth, label in enumerate(labels)])
        assert isinstance(item, WorkItem)
        return item.everyone()[-1].key

    assert (key(some) == key(others)) == (some == others)


# --- existing containers ------------------------------------------------------------------------------------------


def test_equal_containers_need_nothing() -> None:
    (kept,) = plan([want(0, "s1", sex="male", tags=["a"], info__x=1)], [S1])
    assert isinstance(kept, Outcome)
    assert (kept.state, kept.ref, kept.kind, kept.line) == ("unchanged", "id-s1", "create.subject", 2)


@pytest.mark.parametrize(("on_conflict", "state"), [("skip", "skipped"), ("error", "failed")])
def test_other_values_are_reported_old_and_new(on_conflict: str, state: str) -> None:
    (kept,) = plan([want(0, "s1", sex="female", firstname="Bart", info__y=2)], [S1], on_conflict=on_conflict)
    assert isinstance(kept, Outcome)
    assert kept.state == state
    assert "sex male > female" in kept.reason
    assert "info.y unset > 2" in kept.reason
    assert "Bart" not in kept.reason


def test_an_update_changes_the_named_fields_alone() -> None:
    wanted = [want(0, "s1", sex="female", firstname="Bart", info__x=1, info__y=2, tags=["a", "b"])]
    (item,) = plan(wanted, [S1], on_conflict="update")
    assert isinstance(item, WorkItem)
    assert (item.kind, item.parent) == ("update.subject", None)
    assert item.payload == ChangeContainer(
        level="subject", id="id-s1", fields={"sex": "female"}, info={"y": 2}, tags=("b",)
    )


def test_a_new_child_of_what_exists_names_it_by_id() -> None:
    kept, item = plan([want(0, "s1"), want(1, "v")], [S1])
    assert isinstance(kept, Outcome)
    assert isinstance(item, WorkItem)
    assert (item.payload.parent_id, item.parent, item.payload.lineage) == ("id-s1", None, ("s1",))


def test_what_a_run_before_began_is_finished() -> None:
    (item,) = plan([want(0, "s1", sex="female")], [S1], begun=["subject:s1"])
    assert isinstance(item, WorkItem)
    assert (item.kind, item.payload.existing_id) == ("create.subject", "id-s1")


def test_of_doubles_the_oldest_is_taken_with_its_children_alone() -> None:
    site = [
        Held(("s1",), "old", "p", {}),
        Held(("s1",), "new", "p", {}),
        Held(("s1", "v"), "of-new", "new", {}),
        Held(("s1", "v"), "of-old", "old", {}),
        Held(("s1", "v"), "of-old-2", "old", {}),
    ]
    made = planner([want(0, "s1"), want(1, "v"), want(1, "w")], site)
    subject, session, new = made.entries()
    assert isinstance(subject, Outcome)
    assert isinstance(session, Outcome)
    assert isinstance(new, WorkItem)
    assert (subject.ref, session.ref, new.payload.parent_id) == ("old", "of-old", "old")
    assert made.warnings() == ["labels that the site holds more than once: 2 (e.g. subject 's1'); the oldest is taken"]
    list(made.entries())
    assert "more than once: 2 " in made.warnings()[0], "reading a plan again must not count twice"


def test_a_number_beside_one_with_zeros_is_warned_of() -> None:
    made = planner([want(0, "7"), want(0, "8"), want(0, "x")], padded={"7": "007", "x": "0x"}.get)
    assert len(list(made.entries())) == 3
    assert made.warnings() == [
        "subjects that look like existing ones without their leading zeros: 1 (e.g. '7' beside '007')"
    ]


def test_a_plan_that_the_site_has_moved_away_from() -> None:
    wanted = [want(0, "s1", was="create", sex="female"), want(0, "s2", was="equal"), want(0, "s3", was="create")]
    made = planner(wanted, [S1], on_conflict="update")
    changed, s2, s3 = made.entries()
    assert isinstance(changed, Outcome)
    assert changed.state == "failed"
    assert "changed since the plan was made, plan again" in changed.reason
    assert isinstance(s2, WorkItem)
    assert isinstance(s3, WorkItem)
    (said,) = made.warnings()
    assert "2 containers (e.g. lab/study/s1 was 'create', is 'differs: sex male > female')" in said


def test_a_plan_that_still_holds_is_carried_out() -> None:
    made = planner([want(0, "s1", was="differs: sex male > female", sex="female")], [S1], on_conflict="update")
    (item,) = made.entries()
    assert isinstance(item, WorkItem)
    assert item.kind == "update.subject"
    assert made.warnings() == []


def test_files_of_what_exists_tell_what_is_held() -> None:
    site = [Held(("s1",), "id-s1", "p", {"files": {"a": (5, "v0-sha384-x", "f1", 1)}})]
    _, held, new = plan([want(0, "s1", files=[file("a"), file("b")])], site, on_conflict="error")
    assert isinstance(held, WorkItem)
    assert isinstance(new, WorkItem)
    assert (held.payload.held_size, held.payload.held_hash, held.payload.held_id) == (5, "v0-sha384-x", "f1")
    assert (held.payload.container_id, held.parent, held.payload.on_conflict) == ("id-s1", None, "error")
    assert new.payload.held_id is None


def test_what_the_platform_rewrites_is_no_difference() -> None:
    site = [
        Held(("s1",), "id-s1", "p", {"date_of_birth": "1985-03-04T00:00:00.000Z"}),
        Held(("s1", "v"), "id-v", "id-s1", {"age": 100.0, "timestamp": "2019-10-03T13:32:00.000000+00:00"}),
    ]
    wanted = [want(0, "s1", date_of_birth="1985-03-04"), want(1, "v", timestamp="2019-10-03T15:32:00+02:00")]
    wanted[1].fields["~age"] = 100
    assert [entry.state for entry in plan(wanted, site)] == ["unchanged", "unchanged"]  # type: ignore[union-attr]


# --- any table ----------------------------------------------------------------------------------------------------

CELLS = st.sampled_from(
    ["", "NA", "s1", "s2", "007", "7", "a/b", "F", "m", "x", "34", "-3", "131", "3,5", "18 mo", "P34Y", "1e5", "true", "false",
     "2019-10-03", "2019-10-03 15:32", "23/10/2019 10:00", "03/04/2019", "43741", "43741.5", "153200", "15:32", "1985-03-04",
     "2019-03-31 02:30", "2019-10-27T02:30", "Europe/Zurich", "Nowhere", "=1+1", "'=x", "a;b", '["x"]', "#REF!", "1.5", "1,234"]
)  # fmt: skip
TEXT = st.text(max_size=6)
LIKELY = {
    "Subject ID": ["s1", "s2", "a/b", "s1", "7"],
    "sex": ["F", "m", "", "F", "F"],
    "age": ["34", "3,5", "18 mo", ""],
    "DOB": ["1985-03-04", "2010-12-31", ""],
    "scan datetime": ["2019-10-03 15:32", "2019-10-03T13:32Z", "2019-10-04 08:00", "2019-03-31 02:30", ""],
    "Scan Date": ["2019-10-03", "2019-10-04", "2019-10-03"],
    "Scan Time": ["15:32", "153200.5", "9:05 PM"],
    "session": ["v1", "v2", "", "NA"],
    "acquisition": ["T1", "T2", "T1", ""],
    "visit date": ["23/10/2019 10:00", "01/02/2019 10:00"],
    "visit time": ["10:00", ""],
    "timezone": ["Europe/Zurich", "", "UTC"],
    "weight": ["81,5", "60 kg", ""],
    "FirstName": ["Lisa", "Bart", "", "Lisa"],
    "subject.info.a": ["1", "2", "1", "x", "", "true", "1.5"],
    "session.info.b:json": ["[1]", "null", "{}", "1", "1.0"],
    "subject.info.c:float": ["1", "1.0", "2,5", ""],
    "session.tags": ["a;b", "b", ""],
    "acquisition.notes": ["a note", "another", ""],
    "session.label": ["v1", "v2", ""],
    "acquisition.label": ["T1", "T2", ""],
    "session.timezone": ["Asia/Tokyo", ""],
    "session.age:months": ["12", "18 mo"],
    "x": ["1", "2", "", "1"],
    "error": ["line 2", ""],
    "acquisition.info.n:int": ["1", "007", ""],
}
HEADERS = st.sampled_from(list(LIKELY)[1:])
SAID = st.fixed_dictionaries(
    {},
    optional={
        "timezone": st.sampled_from(["Europe/Zurich", "UTC", "America/New_York"]),
        "extra": st.sampled_from(["ignore", "info", "session.info"]),
        "day_order": st.sampled_from(["day-first", "month-first"]),
        "dst": st.sampled_from([["earlier"], ["later", "shift-forward"]]),
        "session_label": st.sampled_from(["{x}", "v1", "{{"]),
        "deepest": st.sampled_from(["subject", "session"]),
        "require": st.sampled_from([["age"], ["timestamp"]]),
        "date_formats": st.sampled_from([["%d/%m/%Y %H:%M", "%Y-%m-%d"]]),
    },
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Mostly tables that a person could send, with some cells, headers and rows that nobody should."""
    header = ["Subject ID", *draw(st.lists(HEADERS, max_size=6, unique=True))]
    if draw(st.integers(0, 9)) == 0:
        header = draw(st.lists(HEADERS | TEXT, max_size=6, unique=True))
    wild = draw(st.sampled_from([0, 0, 0, 1, 5]))  # of ten cells
    rows = []
    for _ in range(draw(st.integers(0, 8))):
        row = [
            draw(CELLS | TEXT) if draw(st.integers(0, 9)) < wild else draw(st.sampled_from(LIKELY.get(name, ["", "x"])))
            for name in header
        ]
        rows.append(
            row if draw(st.integers(0, 19)) else row[: draw(st.integers(0, 4))] + ["x"] * draw(st.integers(0, 9))
        )
    return [header, *rows]


def as_csv(table: list[list[str]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
    return out.getvalue().encode("utf-8", "replace")


def read(data: bytes, said: dict[str, Any], file: str = "t.csv") -> Judged | None:
    """The table, or None where the file as a whole is refused, which is one clear line."""
    try:
        return judged(data, file, **said)
    except InputFileError as error:
        assert error.line.startswith(file)
        assert "\n" not in error.line
        return None


@given(
    st.binary(max_size=300)
    | st.text(max_size=200).map(lambda text: f"Subject ID,age\n{text}".encode("utf-8", "replace"))
    | st.text(max_size=100).map(lambda text: ("Subject ID\tage\n" + text).encode("utf-16", "replace")),
    st.sampled_from(["", "utf-8", "latin-1", "cp1252", "utf-16", "utf-7", "ascii"]),
    st.sampled_from(["t.csv", "participants.tsv", "sub-1_sessions.tsv"]),
)
@example(b"Subject ID\n\x00", "", "t.csv")
@example(b"participant_id\nx\n+2AA-\n", "utf-7", "t.csv")
@example(b'sep="\nSubject ID"sex\n1"F\n', "", "t.csv")
@example(b'Subject ID,age\n"s1', "", "t.csv")
def test_no_bytes_raise_anything_but_an_error_of_the_file(data: bytes, encoding: str, file: str) -> None:
    found = read(data, {"encoding": encoding}, file)
    if found is not None:
        take_in_order(plan(found.wanted))


@given(tables(), SAID, st.sampled_from([",", ";", "\t", "|"]))
def test_any_table_is_planned_and_a_second_plan_is_empty(
    table: list[list[str]], said: dict[str, Any], delimiter: str
) -> None:
    found = read(as_csv(table, delimiter), said)
    if found is None:
        return
    assert len({error.line for error in found.errors}) == len(found.errors), "a row is in error once"
    entries = plan(found.wanted)
    take_in_order(entries)
    again = plan(found.wanted, site_after(entries))
    assert [entry for entry in again if not isinstance(entry, Outcome) or entry.state != "unchanged"] == []
    assert len(again) == len(found.wanted)


@given(tables(), SAID, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table: list[list[str]], said: dict[str, Any], chance: random.Random) -> None:
    found = read(as_csv(table), said)
    shuffled = table[1:]
    chance.shuffle(shuffled)
    other = read(as_csv([table[0], *shuffled]), said)
    assert (found is None) == (other is None)
    if found is None or other is None:
        return
    assert stored(found.wanted) == stored(other.wanted)
    assert sorted((e.column, e.message[:20]) for e in found.errors if "line" not in e.message) == sorted(
        (e.column, e.message[:20]) for e in other.errors if "line" not in e.message
    )
    assert len(found.errors) == len(other.errors)
    assert found.repeated == other.repeated


def stored(wanted: list[Wanted]) -> dict[tuple[str, ...], dict[str, Any]]:
    tree = tree_of(plan(wanted))
    return {k: {name: stored_form(name, value) for name, value in fields.items()} for k, fields in tree.items()}


@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=4), st.sampled_from([None, "000"]))
def test_a_damaged_workbook_is_an_error_of_the_file(at: int, noise: bytes, form: str | None) -> None:
    data = bytearray(book(("Subject ID", "age"), ("s1", 3), (7, 4), formats={"A": form} if form else {})())
    at %= len(data)
    data[at : at + len(noise)] = noise
    read(bytes(data), {}, "t.xlsx")


def test_the_corpus_as_a_whole_in_memory() -> None:
    """The quick way of the property tests is the way of the product."""
    same = [c for c in CASES if not c.fails and not c.settings and "now" not in c.name]
    assert len(same) > 30
    for case in same:
        assert tree_of(plan(judged(case.bytes, case.file).wanted)) == case.tree, case.name


def test_a_row_of_each_kind() -> None:
    found = judged("Subject ID,sex,age\ns1,F,3\ns2,X,\n")
    assert tree_of(plan(found.wanted)) == one("s1", {"sex": "female"}, {"age": seconds(3)})
    assert [(error.line, error.column) for error in found.errors] == [(3, "sex")]
