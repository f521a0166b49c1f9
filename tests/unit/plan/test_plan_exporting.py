"""What a project holds, to a table, and back: the same values, and the same bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
import pytest
import pytz
from hypothesis import given, settings
from hypothesis import strategies as st

from fwsync.model import Acquisition, Session, Subject, instant
from fwsync.plan.columns import Choices, resolve
from fwsync.plan.exporting import (
    LOST,
    NO_LABEL,
    Losses,
    Survey,
    cells_of,
    header_line,
    info_cell,
    kept,
    label_of,
    row_lines,
    timestamp_cell,
)
from fwsync.plan.facts import Gatherer
from fwsync.plan.fields import info_key
from fwsync.plan.importing import Held
from fwsync.plan.row import Row
from fwsync.plan.row_times import RowOptions
from fwsync.plan.rows import CONTROL, CONTROL_IN_LABEL, FAILED_FORMULAS, MOST_CELL, RowReader
from fwsync.plan.table import open_text
from fwsync.plan.timestamps import Reading
from fwsync.plan.wanted import Wanted, judge

KINDS = (Subject, Session, Acquisition)
TODAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MS = timedelta(milliseconds=1)

Made = tuple[tuple[str, ...], dict[str, Any]]
"""A container: its labels from the subject down, and its fields as the site has them."""


# --- a site, an export and an import, all in memory ---------------------------------------------------------------


def held_of(project: Iterable[Made]) -> list[Held]:
    """What the spool gives of a project, ids being the labels."""
    out = []
    for labels, fields in project:
        depth = len(labels) - 1
        container = msgspec.convert({"_id": "x", "label": labels[-1], **fields}, KINDS[depth])
        above = ident_of(labels[:-1]) if depth else "project"
        out.append(Held(labels, ident_of(labels), above, cells_of(depth, container, TODAY)))
    return sorted(out, key=lambda one: (*one.labels, "", "", "")[:3])


def ident_of(labels: tuple[str, ...]) -> str:
    return repr(labels)


def table_of(held: list[Held], losses: Losses | None = None) -> str:
    survey = Survey()
    for one in kept(held, "project", losses or Losses()):
        survey.see(one)
    columns = survey.columns()
    return header_line(columns) + "".join(row_lines(kept(held, "project", Losses()), columns))


def read_back(text: str) -> list[Wanted]:
    """What import wants of a table. No row may be in error."""
    reading = Reading(zone="Europe/Zurich")  # the zone of the import is no zone of what was exported
    sheet = open_text(io.BytesIO(text.encode()), "table.csv")
    columns = resolve(sheet.header, Choices(), "table.csv", line=sheet.header_line)
    gatherer = Gatherer(columns)
    records = list(sheet.records)
    for record in records:
        gatherer.see(record)
    reader = RowReader(columns, gatherer.facts(reading, "table.csv"), RowOptions(reading=reading, now=NOW), "table.csv")
    rows = [reader.read(record) for record in records]
    good = [row for row in rows if isinstance(row, Row)]
    assert good == rows
    out: list[Wanted] = []
    for _, of_subject in groupby(sorted(good, key=lambda row: row.labels), key=lambda row: row.labels[0]):
        verdict = judge(list(of_subject), {})
        assert not verdict.errors
        out += verdict.wanted
    return out


def as_made(wanted: Iterable[Wanted]) -> Iterator[Made]:
    """What a site holds after it was given what is wanted."""
    labels: list[str] = []
    for one in wanted:
        del labels[one.depth :]
        labels.append(one.label)
        fields = {name: value for name, value in one.fields.items() if not name.startswith("info.")}
        if info := {name[5:]: value for name, value in one.fields.items() if name.startswith("info.")}:
            fields["info"] = info
        if "timestamp" in fields:
            fields["timestamp"] = in_utc(fields["timestamp"]).isoformat()
        yield tuple(labels), fields


def in_utc(text: str) -> datetime:
    found = instant(text)
    assert found is not None
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


# --- strategies ---------------------------------------------------------------------------------------------------

HOSTILE = [
    "NA", "null", "None", "-", "n/a", "#N/A", "=cmd|' /C calc'!A0", "'=x", "''", "'", "+5", "-5", "-", "--x", "@a",
    "\t=1", "007", "1", "1.0", "true", " blank ", "a,b", 'say "hi"', "a/b", "a;b", "sep=;", "error", "é", "e\u0301",
    "\u00a0x", "\u200bx", "#REF!", " #REF! ", "1e5", "2019-10-03", "<id:5>", "{x}", "Session1", "\\", "x" * 300, "…",
]  # fmt: skip
characters = st.characters(exclude_categories=["Cs"])
texts = st.one_of(st.sampled_from(HOSTILE), st.text(characters, min_size=1, max_size=8))
labels = texts.filter(lambda text: bool(text.strip()) and not CONTROL_IN_LABEL.search(text))
good_texts = texts.filter(lambda text: not CONTROL.search(text))
lines = st.sampled_from(["a\nb", "a\r\nb", "\n", " \r", "a\tb", "\x85x"])
integers = st.integers(-(2**63), 2**64 - 1)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts.map(info_key), inner, max_size=3)),
    max_leaves=4,
)
keys = st.one_of(
    st.sampled_from(["code", "a:b", "x:str", "label", " padded ", "a,b", "a;b;c;d;e;f;g", "a\tb", "a\nb", 'q"q', "=k"]),
    good_texts.map(info_key).filter(lambda key: bool(key.strip())),
)
infos = st.one_of(
    st.dictionaries(keys, json_values, max_size=4),
    st.fixed_dictionaries({}, optional={
        "i": integers, "f": st.floats(allow_nan=False, allow_infinity=False), "b": st.booleans(),
        "s": good_texts, "n": st.integers(-5, 5) | st.just(1.0), "e": st.sampled_from(["", "x"]),
    }),
)  # fmt: skip
zones = st.sampled_from(pytz.all_timezones)
moments = st.datetimes(datetime(1850, 1, 3), datetime(2100, 12, 29), timezones=st.just(UTC)).map(
    lambda moment: moment.isoformat()
)
tags = st.lists(texts.map(str.strip).filter(bool), max_size=3)
common = {"tags": tags, "info": infos}
timed = {"timestamp": moments, "timezone": zones}
people = st.fixed_dictionaries({}, optional={
    **dict.fromkeys(("firstname", "lastname", "cohort", "race", "species", "type"), good_texts | lines),
    "sex": st.sampled_from(["male", "female", "other", "unknown"]),
    "date_of_birth": st.dates(date(1850, 1, 1), date(2026, 11, 24)).map(lambda day: f"{day}T00:00:00+00:00"),
    **common,
})  # fmt: skip
visits = st.fixed_dictionaries({}, optional={
    "age": st.integers(0, 4_102_000_000), "operator": good_texts | lines,
    "weight": st.floats(0, 1000, exclude_min=True), **timed, **common,
})  # fmt: skip
scans = st.fixed_dictionaries({}, optional={**timed, **common})


@st.composite
def projects(draw: st.DrawFn) -> list[Made]:
    out: list[Made] = []
    for subject in draw(st.lists(labels, max_size=4, unique=True)):
        out.append(((subject,), draw(people)))
        for session in draw(st.lists(labels, max_size=2, unique=True)):
            out.append(((subject, session), draw(visits)))
            out += [((subject, session, scan), draw(scans)) for scan in draw(st.lists(labels, max_size=2, unique=True))]
    return out


def told(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields in the form in which both sides are compared, types and all."""
    out: dict[str, Any] = {}
    for name, value in fields.items():
        if name == "timestamp":
            out[name] = in_utc(value)
        elif name == "date_of_birth":
            out[name] = value[:10]
        elif name == "tags":
            out[name] = sorted(set(value))
        elif name == "info":
            out[name] = {key: repr(_sorted(one)) for key, one in value.items()}
        elif name == "weight":
            out[name] = float(value)
        else:
            out[name] = value
    return {name: value for name, value in out.items() if value or value == 0}


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


@settings(max_examples=400, deadline=None)
@given(projects())
def test_what_is_exported_reads_back_as_the_same_values_and_exports_as_the_same_bytes(project: list[Made]) -> None:
    losses = Losses()
    text = table_of(held_of(project), losses)
    assert losses.warnings() == []
    again = list(as_made(read_back(text)))
    assert {place: told(fields) for place, fields in again} == {place: told(fields) for place, fields in project}
    assert table_of(held_of(again)) == text


# --- single facts -------------------------------------------------------------------------------------------------


def test_columns_are_in_order_and_only_those_with_a_value() -> None:
    project: list[Made] = [
        (("b",), {"info": {"z": 1, "a": "1"}, "sex": "female", "firstname": "Lisa", "tags": ["t"]}),
        (("b", "v1"), {"timestamp": "2019-10-03T13:32:00.120000+00:00", "timezone": "Europe/Zurich", "age": 86400}),
        (("b", "v1", "T1"), {"info": {"x": 1.5}}),
        (("b", "v1", "T2"), {}),
        (("b", "v2"), {}),
        (("a",), {}),
    ]
    assert table_of(held_of(project)).splitlines() == [
        (
            "subject.label,subject.firstname,subject.sex,subject.tags:json,subject.info.a:str,subject.info.z:int,"
            "session.label,session.age:seconds,session.timestamp,session.timezone,"
            "acquisition.label,acquisition.info.x:float"
        ),
        "a,,,,,,,,,,,",
        'b,Lisa,female,"[""t""]",1,1,v1,86400,2019-10-03T15:32:00.120+02:00,Europe/Zurich,T1,1.5',
        'b,Lisa,female,"[""t""]",1,1,v1,86400,2019-10-03T15:32:00.120+02:00,Europe/Zurich,T2,',
        'b,Lisa,female,"[""t""]",1,1,v2,,,,,',
    ]


def test_an_empty_project_is_a_header_that_reads_as_nothing() -> None:
    assert table_of([]) == "subject.label,session.label,acquisition.label\n"
    assert read_back(table_of([])) == []


def test_a_label_that_a_plain_reading_would_change_makes_its_column_exact() -> None:
    assert table_of(held_of([(("007",), {}), (("8",), {})])).splitlines()[0].startswith("subject.label,")
    for label in ("NA", " x", "-", *FAILED_FORMULAS):
        assert table_of(held_of([((label,), {})])).startswith("subject.label:str,"), label


def test_formulas_are_escaped_and_come_back() -> None:
    text = table_of(held_of([(("=cmd|x",), {"firstname": "@me", "info": {"f": "+1+1", "n": -5}})]))
    assert text.splitlines()[1] == "'=cmd|x,'@me,'+1+1,-5,,"
    assert read_back(text)[0].fields == {"firstname": "@me", "info.f": "+1+1", "info.n": -5}


@pytest.mark.parametrize(
    ("given_values", "kind"),
    [
        (["1", "NA"], "str"),
        ([1, -(10**17)], "int"),
        ([1.0, 1e300], "float"),
        ([True, False], "bool"),
        ([1, 1.0], "json"),
        ([1, True], "json"),
        (["1", 1], "json"),
        (["x", ""], "json"),
        (["x", None], "json"),
        ([None], "json"),
        ([{"a": [1]}], "json"),
        ([10**18], "json"),
        ([2**64 - 1], "json"),
        (["\x01"], "json"),
    ],
)
def test_the_type_of_an_info_column_keeps_every_value(given_values: list[Any], kind: str) -> None:
    project: list[Made] = [((f"s{n}",), {"info": {"k": value}}) for n, value in enumerate(given_values)]
    text = table_of(held_of(project))
    assert text.splitlines()[0].split(",")[1] == f"subject.info.k:{kind}"
    assert [repr(one.fields["info.k"]) for one in read_back(text)] == [repr(value) for value in given_values]


def test_an_age_that_is_not_there_is_not_worked_out_from_the_date_of_birth() -> None:
    time = "2020-01-01T00:00:00+00:00"
    project: list[Made] = [(("s",), {"date_of_birth": "1990-01-01"}), (("s", "v"), {"timestamp": time})]
    text = table_of(held_of(project))
    assert "session.age:seconds" in text
    assert "age" not in str(read_back(text)[1].fields)


def test_an_info_key_that_would_hide_the_delimiter_is_announced() -> None:
    project: list[Made] = [((" s ", " v ", " a "), {"info": {"sex;age;dob;site;code;label": 1}})]
    whole: list[Made] = [((" s ",), {}), ((" s ", " v "), {}), *project]
    text = table_of(held_of(whole))
    assert text.startswith("sep=,\n")
    assert read_back(text)[2].fields == {"info.sex;age;dob;site;code;label": 1}


def test_info_takes_the_narrowest_kind() -> None:
    assert info_cell(True) == ("bool", "true")
    assert info_cell(3) == ("int", "3")
    assert info_cell(3.0) == ("float", "3.0")
    assert info_cell("3") == ("str", "3")
    assert info_cell({"b": 1, "a": None}) == ("json", '{"a":null,"b":1}')
    assert info_cell("\x85\x7f") == ("json", '"\x85\\u007f"')


# --- times --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "zone", "cell"),
    [
        ("2019-10-03T13:32:00+00:00", "Europe/Zurich", "2019-10-03T15:32:00+02:00"),
        ("2019-10-03T13:32:00.120Z", "Asia/Kathmandu", "2019-10-03T19:17:00.120+05:45"),
        ("2019-10-27T01:30:00+00:00", "Europe/Zurich", "2019-10-27T02:30:00+01:00"),
        ("2019-10-27T00:30:00+00:00", "Europe/Zurich", "2019-10-27T02:30:00+02:00"),
        ("2019-10-03T13:32:00-07:00", "", "2019-10-03T13:32:00-07:00"),
        ("2019-10-03T13:32:00", "", "2019-10-03T13:32:00+00:00"),
        ("2019-10-03T13:32:00.000999+00:00", "", "2019-10-03T13:32:00+00:00"),
        ("2019-10-03T13:32:00+00:00", "Mars/Phobos", "2019-10-03T13:32:00+00:00"),
        ("1850-02-03T13:32:00+00:00", "Europe/Zurich", "1850-02-03T13:32:00+00:00"),
        ("2019-10-03T13:32:00+00:00:30", "", "2019-10-03T13:31:30+00:00"),
    ],
)
def test_a_time_is_written_in_its_zone(stored: str, zone: str, cell: str) -> None:
    assert timestamp_cell(stored, zone) == cell


@given(moments, zones)
def test_the_local_mean_time_of_a_zone_never_appears(stored: str, zone: str) -> None:
    cell = timestamp_cell(stored, zone)
    assert instant(cell) == in_utc(stored)
    assert len(cell.partition("T")[2].replace("-", "+").rpartition("+")[2]) == 5


# --- what a table can't hold --------------------------------------------------------------------------------------


def test_labels_that_import_refuses_are_left_out_with_what_is_below() -> None:
    project: list[Made] = [
        (("a\nb",), {}), (("a\nb", "v"), {}), (("a\nb", "v", "x"), {}),
        ((NO_LABEL,), {}), (("  ",), {}), (("s",), {}), (("s", "\x7f"), {}), (("s", "\x7f", "x"), {}), (("s", "w"), {}),
    ]  # fmt: skip
    losses = Losses()
    text = table_of(held_of(project), losses)
    assert text.splitlines()[1:] == ["s,w,"]
    assert sum(losses.counts.values()) == 4
    assert losses.below == 3
    assert "(e.g. subject '')" in losses.warnings()[0]


def test_of_a_label_that_is_there_twice_the_oldest_is_written() -> None:
    held = [
        Held(("s",), "1", "project", {"sex": "male"}),
        Held(("s",), "2", "project", {"sex": "female"}),
        Held(("s", "v"), "11", "1", {}),
        Held(("s", "v"), "21", "2", {}),
        Held(("s", "v"), "12", "1", {}),
        Held(("s", "v", "x"), "121", "12", {}),
        Held(("s", "v", "x"), "111", "11", {}),
        Held(("s", "v", "x"), "112", "11", {}),
        Held(("s", "w"), "22", "2", {}),
        Held(("t",), "3", "project", {}),
    ]
    losses = Losses()
    text = table_of(held, losses)
    assert text.splitlines()[1:] == ["s,male,v,x", "t,,,"]
    assert losses.counts == {next(iter(losses.counts)): 3}
    assert losses.below == 3
    assert losses.warnings()[0].endswith("only the oldest is written: 3 (e.g. subject 's')")


@pytest.mark.parametrize(
    ("depth", "fields", "lost"),
    [
        (0, {"firstname": "a\x00"}, ["firstname"]),
        (0, {"firstname": "x" * (MOST_CELL + 1)}, ["firstname"]),
        (0, {"sex": "robot"}, ["sex"]),
        (0, {"date_of_birth": "2027-01-01"}, ["date_of_birth"]),
        (0, {"date_of_birth": "1234-01-01"}, ["date_of_birth"]),
        (0, {"date_of_birth": "soon"}, ["date_of_birth"]),
        (0, {"tags": ["ok", " x"]}, ["tags"]),
        (0, {"info": {"a.b": 1, " ": 2, "ok": 3}}, ["info.a.b", "info. "]),
        (0, {"info": {"long": "x" * (MOST_CELL + 1)}}, ["info.long"]),
        (0, {"info": {"huge": 10**40, "deep": [-(10**40)]}}, ["info.huge", "info.deep"]),
        (0, {"info": {"long": '"' * (MOST_CELL - 1)}}, ["info.long"]),
        (1, {"age": -1}, ["age"]),
        (1, {"age": 10**12}, ["age"]),
        (1, {"weight": 0.0}, ["weight"]),
        (1, {"weight": 5000.0}, ["weight"]),
        (1, {"timestamp": "now"}, ["timestamp"]),
        (1, {"timestamp": "1492-10-12T00:00:00Z"}, ["timestamp"]),
        (2, {"timezone": "Mars/Phobos"}, ["timezone"]),
        (2, {"timestamp": "0001-01-01T00:00:00Z", "timezone": "America/New_York"}, ["timestamp"]),
    ],
)
def test_a_value_that_import_would_refuse_is_left_empty_and_counted(
    depth: int, fields: dict[str, Any], lost: list[str]
) -> None:
    place = ("s", "v", "x")[: depth + 1]
    whole: list[Made] = [(place[:n], {}) for n in range(1, depth + 1)]
    held = held_of([*whole, (place, fields)])
    assert held[-1].values[LOST] == lost
    losses = Losses()
    text = table_of(held, losses)
    assert sum(losses.counts.values()) == len(lost)
    assert f"{lost[0]} of " in losses.warnings()[0]
    assert len(read_back(text)) == depth + 1


def test_names_that_the_platform_spells_otherwise_are_written_as_import_writes_them() -> None:
    subject = Subject(id="1", code="s", sex="F", date_of_birth="1990-01-02T00:00:00.000Z")
    assert label_of(subject) == "s"
    assert cells_of(0, subject, TODAY) == {"sex": "female", "date_of_birth": "1990-01-02"}
    session = Session(id="2", label="v", weight=70.0, age=math.nextafter(1, 2), timezone="europe/zurich")
    assert cells_of(1, session, TODAY) == {"weight": "70", "age": "1", "timezone": "Europe/Zurich"}
    assert label_of(Session(id="3")) == NO_LABEL


def test_the_losses_of_what_is_left_out_are_not_told() -> None:
    losses = Losses()
    assert table_of(held_of([(("\n",), {"sex": "robot", "info": {"k": 1}})]), losses).count("\n") == 1
    assert len(losses.warnings()) == 1
