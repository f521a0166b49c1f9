"""Rows to a plan: natural keys, unions, clashes, and a second plan that has nothing to do."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import InputFileError
from fwsync.model import Acquisition, Session, Subject
from fwsync.plan import values
from fwsync.plan.importing import Existing, ImportOptions, judge, plan_import
from fwsync.plan.stored import differences
from fwsync.plan.table import read_table
from fwsync.run.order import Order
from fwsync.work import Entry, Outcome, WorkItem

OPTIONS = ImportOptions(project_id="p", project_path="lab/study")
HEAD = "Subject ID,FirstName,sex,age,time of scan,session,acquisition\n"


def plan(text: str, existing: Existing | None = None, options: ImportOptions = OPTIONS) -> list[Entry]:
    judged = judge(read_table(text.encode(), "t.csv"), options, "t.csv")
    return list(plan_import(judged, existing or Existing(), options))


def everyone(entries: list[Entry]) -> dict[str, WorkItem]:
    return {one.key: one for entry in entries if isinstance(entry, WorkItem) for one in entry.everyone()}


def test_a_row_becomes_one_item_with_two_riders() -> None:
    (item,) = plan(HEAD + "s1,Lisa,F,34,2019-10-03T15:32,,\n")
    assert isinstance(item, WorkItem)
    assert [one.kind for one in item.everyone()] == ["create.subject", "create.session", "create.acquisition"]
    subject, session, scan = (one.payload for one in item.everyone())
    assert subject.fields == {"firstname": "Lisa", "sex": "female"}
    assert session.fields == {"age": 34 * 31_557_600}
    assert scan.fields == {"timestamp": "2019-10-03T15:32:00+00:00", "timezone": "UTC"}
    assert scan.lineage == ("s1", "Session1")


def test_shared_parents_are_made_once_and_come_first() -> None:
    entries = plan(HEAD + "s1,,,,,v1,a\ns1,,,,,v1,b\ns1,,,,,v2,a\ns2,,,,,v1,a\n")
    keys = [one.key for entry in entries for one in entry.everyone()]  # type: ignore[union-attr]
    assert len(keys) == len(set(keys)) == 2 + 3 + 4
    order = Order()
    for entry in entries:
        assert isinstance(entry, WorkItem)
        decided = order.offer(entry)
        assert not isinstance(decided, list), "a parent was not in the plan before its child"


def test_rows_that_disagree_are_all_errors_and_name_each_other() -> None:
    entries = plan(HEAD + "s1,Lisa,F,34,,,\ns1,Maggie,F,34,,,\ns2,Bart,M,,,,\n")
    rejected = {e.target: e.reason for e in entries if isinstance(e, Outcome)}
    assert set(rejected) == {"line 2", "line 3"}
    assert "line 3" in rejected["line 2"]
    assert "subject 's1'" in rejected["line 2"]
    assert set(everyone(entries)) == {"subject:s2", "session:s2/Session1", "acquisition:s2/Session1/Struct_T1"}


def test_equal_rows_count_once() -> None:
    text = HEAD + "s1,Lisa,F,34,,,\ns1,Lisa,F,34,,,\n"
    judged = judge(read_table(text.encode(), "t.csv"), OPTIONS, "t.csv")
    assert any("1 rows repeat" in warning for warning in judged.warnings)
    assert len(plan(text)) == 1


def test_bad_values_reject_their_row_alone() -> None:
    entries = plan(HEAD + "s1,,X,,,,\ns2,,,-3,,,\ns3,,,200,,,\n,,,,,v,a\ns5,,,,,,\n")
    assert [e.target for e in entries if isinstance(e, Outcome)] == ["line 2", "line 3", "line 4", "line 5"]
    assert "subject:s5" in everyone(entries)


def test_an_ambiguous_column_is_an_error_of_the_file() -> None:
    with pytest.raises(InputFileError, match="--month-first or --day-first"):
        plan(HEAD + "s1,,,,01/02/2019 10:00,,\n")


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [("34", 34 * 31_557_600), ("34,5", round(34.5 * 31_557_600)), ("034Y", 34 * 31_557_600), ("18 mo", 47_336_400),
     ("3w", 3 * 7 * 86400), ("10 d", 864000), ("P34Y", 34 * 31_557_600)],
)  # fmt: skip
def test_ages(cell: str, seconds: int) -> None:
    assert values.age_seconds(cell, 365.25) == seconds


def site_after(entries: list[Entry]) -> Existing:
    """A site on which the plan was carried out."""
    existing, ids = Existing(), {}
    for key, item in everyone(entries).items():
        new = item.payload
        ident = ids[key] = f"id-{len(ids)}"
        kinds: dict[str, Any] = {"subject": Subject, "session": Session, "acquisition": Acquisition}
        above = ":".join(
            ("session" if new.level == "acquisition" else "subject", key.split(":", 1)[1].rpartition("/")[0])
        )
        parent = "p" if new.level == "subject" else ids[above]
        existing.add(new.level, parent, kinds[new.level](id=ident, label=new.label, **new.fields))
    return existing


plain = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"], exclude_characters=',"')
label = st.text(plain, min_size=1, max_size=4)
row = st.tuples(
    st.sampled_from(["a", "b", "c/d", "%2F"]) | label,
    st.sampled_from(["", "F", "M"]),
    st.sampled_from(["", "v1", "v/2"]),
)


@given(rows=st.lists(row, max_size=12), seed=st.integers(0, 9))
def test_a_plan_carried_out_leaves_nothing_to_do_and_order_does_not_matter(
    rows: list[tuple[str, str, str]], seed: int
) -> None:
    lines = [f"{subject},,{sex},,,{session}," for subject, sex, session in rows]
    entries = plan(HEAD + "\n".join(lines))
    again = plan(HEAD + "\n".join(lines), site_after(entries))
    assert not everyone(again)
    shuffled = list(lines)
    random.Random(seed).shuffle(shuffled)
    other = everyone(plan(HEAD + "\n".join(shuffled)))
    assert {key: item.payload.fields for key, item in other.items()} == {
        key: item.payload.fields for key, item in everyone(entries).items()
    }


def test_differences_compare_what_the_platform_stores() -> None:
    held = Acquisition(id="x", timestamp="2019-10-03T13:32:00.000000+00:00", timezone="Europe/Zurich")
    assert differences({"timestamp": "2019-10-03T15:32:00+02:00", "timezone": "Europe/Zurich"}, held) == []
    assert differences({"timestamp": "2019-10-03T15:33:00+02:00"}, held) != []
    assert differences({"age": 100}, Session(id="x", age=100.0)) == []


def test_existing_containers_that_differ_are_kept_and_reported() -> None:
    existing = Existing()
    existing.add("subject", "p", Subject(id="s", label="s1", sex="male"))
    (kept, item) = plan(HEAD + "s1,,F,,,,\n", existing)
    assert isinstance(kept, Outcome)
    assert (kept.state, kept.ref) == ("skipped", "s")
    assert "sex male > female" in kept.reason
    assert isinstance(item, WorkItem)
    assert (item.payload.parent_id, item.parent) == ("s", None)


def test_of_several_with_one_key_the_oldest_is_taken() -> None:
    existing = Existing()
    for ident, created in (("new", "2020-01-02"), ("old", "2020-01-01"), ("newer", "2020-01-03")):
        existing.add("subject", "p", Subject(id=ident, label="s1", created=created))
    found = existing.find("subject", "p", "s1")
    assert found is not None
    assert found.id == "old"
    assert "more than once" in existing.warnings()[0]
