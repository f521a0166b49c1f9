"""A header, and what a person said of it, to the meaning of each column."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import InputFileError
from fwsync.plan.columns import Choices, Columns, resolve
from fwsync.plan.templates import Template


def of(header: str, path: str = "t.csv", *, tab: bool = False, **said: Any) -> Columns:
    return resolve([name.strip(" ") for name in header.split(",")], Choices(**said), path, line=3, tab=tab)


def meaning(columns: Columns) -> dict[str, str]:
    return {columns.name(at): field.path + (f":{field.type}" if field.type else "") for at, field in columns.fields}


def refused(header: str, path: str = "t.csv", **said: Any) -> str:
    with pytest.raises(InputFileError) as caught:
        of(header, path, **said)
    assert caught.value.path == path
    return str(caught.value)


# --- spellings ----------------------------------------------------------------------------------------------------


def test_a_strong_spelling_wins_over_a_weak_one() -> None:
    columns = of("ID,Subject ID,code,scan,acquisition")
    assert meaning(columns) == {"Subject ID": "subject.label", "acquisition": "acquisition.label"}
    assert columns.ignored == ["ID", "code", "scan"]
    assert "ID, code, scan" in columns.notes[0]


def test_a_weak_spelling_will_do_and_the_first_of_two() -> None:
    columns = of("MRN,code,date")
    assert meaning(columns) == {"MRN": "subject.label", "date": "acquisition.timestamp"}
    assert columns.ignored == ["code"]


def test_two_strong_ones_are_an_error_unless_one_is_mapped() -> None:
    message = refused("Subject ID,sex,gender")
    assert "'sex' and 'gender' both mean subject.sex" in message
    assert "line 3" in message
    columns = of("Subject ID,sex,gender", maps={"gender": "subject.info.gender"})
    assert meaning(columns) == {"Subject ID": "subject.label", "sex": "subject.sex", "gender": "subject.info.gender"}


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("scan date", {"scan date": "acquisition.timestamp"}),
        ("time of scan", {"time of scan": "acquisition.timestamp"}),
        ("scan date,scan time", {"scan date": "acquisition.date", "scan time": "acquisition.time"}),
        ("scan date,scan time,scan datetime", {"scan datetime": "acquisition.timestamp"}),
        ("StudyDate,StudyTime", {"StudyDate": "session.date", "StudyTime": "session.time"}),
        (
            "StudyDate,AcquisitionTime",
            {"StudyDate": "session.timestamp", "AcquisitionTime": "acquisition.timestamp"},
        ),
        ("SeriesDate,AcquisitionDate", {"AcquisitionDate": "acquisition.timestamp"}),
        ("SeriesDate", {"SeriesDate": "acquisition.timestamp"}),
    ],
)
def test_dates_and_times(header: str, found: dict[str, str]) -> None:
    assert meaning(of(f"subject,{header}")) == {"subject": "subject.label", **found}


def test_qualified_headers_win_and_are_checked() -> None:
    columns = of("subject.label,Subject ID,subject.info.iq:int,session.age:months,age")
    assert meaning(columns) == {
        "subject.label": "subject.label",
        "subject.info.iq:int": "subject.info.iq:int",
        "session.age:months": "session.age:months",
    }
    assert columns.ignored == ["Subject ID", "age"]
    assert "did you mean subject.firstname" in refused("subject.label,subject.fistname")
    assert "both become subject.info.a_b" in refused("subject.label,subject.info.a.b,subject.info.a_b")


def test_no_subject_names_what_is_there_and_what_is_near() -> None:
    assert "its columns are: age, sex" in refused("age,sex")
    assert "is it 'Subjekt'? then --map 'Subjekt'=subject.label" in refused("Subjekt,sex")


def test_headers_of_a_file_that_we_wrote_lose_their_apostrophe() -> None:
    columns = of("Subject ID,'=x,'+y", extra="info")
    assert meaning(columns) == {"Subject ID": "subject.label", "=x": "subject.info.=x", "+y": "subject.info.+y"}


# --- what a person said -------------------------------------------------------------------------------------------


def test_a_flag_wins_over_the_configuration_which_need_not_fit() -> None:
    columns = of(
        "subject,site,nr",
        maps={"site": "session.info.site"},
        config_maps={"site": "subject.info.site", "nr": "subject.info.nr:str", "elsewhere": "subject.sex"},
    )
    assert meaning(columns) == {
        "subject": "subject.label",
        "site": "session.info.site",
        "nr": "subject.info.nr:str",
    }


def test_a_map_takes_a_column_away_from_its_spelling() -> None:
    columns = of("Subject ID,MRN,sex", maps={"MRN": "subject.label", "sex": "ignore"})
    assert meaning(columns) == {"MRN": "subject.label"}
    assert columns.ignored == ["Subject ID"]
    assert meaning(of("Subject ID,sex", maps={"sex": "-"})) == {"Subject ID": "subject.label"}


def test_a_map_finds_its_column_as_people_write_it() -> None:
    assert (
        meaning(of("Subject ID,Remarks (MR)", maps={"remarks_mr": "session.notes"}))["Remarks (MR)"] == "session.notes"
    )
    assert "has no column 'chrt', which --map names; did you mean 'Chart'?" in refused(
        "Subject ID,Chart", maps={"chrt": "subject.sex"}
    )
    assert "[import.mapping] Chart=subject.xes" in refused("Subject ID,Chart", config_maps={"Chart": "subject.xes"})


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        ("ignore", {}),
        ("info", {"IQ.total": "subject.info.IQ_total", "site": "subject.info.site"}),
        ("subject.info", {"IQ.total": "subject.info.IQ_total", "site": "subject.info.site"}),
        ("session.info", {"IQ.total": "session.info.IQ_total", "site": "session.info.site"}),
        ("acquisition.info", {"IQ.total": "acquisition.info.IQ_total", "site": "acquisition.info.site"}),
    ],
)
def test_unknown_columns(extra: str, found: dict[str, str]) -> None:
    columns = of("Subject ID,IQ.total,,site", extra=extra)
    assert meaning(columns) == {"Subject ID": "subject.label", **found}
    assert columns.ignored == ([] if found else ["IQ.total", "site"])


def test_unknown_columns_as_an_error_but_for_those_that_serve() -> None:
    assert "columns without a known field: 'colour'" in refused("Subject ID,colour", extra="error")
    columns = of("Center,Nr,site,error", extra="error", subject_label="{Center}-{Nr}", used=("site",))
    assert columns.ignored == []
    assert columns.labels[0] == Template((0, "-", 1))


def test_two_unknown_columns_that_become_one_key_are_an_error() -> None:
    assert "both become subject.info.a_b" in refused("Subject ID,a.b,a_b", extra="info")


# --- labels and depth ---------------------------------------------------------------------------------------------


def test_labels_where_nothing_tells() -> None:
    columns = of("Subject ID")
    assert (columns.depth, columns.optional) == (3, (False, False, False))
    assert columns.labels == (None, Template(("Session1",)), Template(("Struct_T1",)))


def test_a_template_takes_the_place_of_a_column() -> None:
    columns = of("Subject ID,session,visit no", session_label="{session}-{Visit No}")
    assert columns.labels[1] == Template((1, "-", 2))
    assert meaning(columns) == {"Subject ID": "subject.label"}
    assert columns.ignored == []


def test_a_fixed_label_is_for_rows_whose_cell_is_empty() -> None:
    columns = of("Subject ID,session,session.label", maps={"session": "-"}, session_label="S")
    assert columns.labels[1] == Template(("S",))
    assert columns.optional == (False, True, False)


@pytest.mark.parametrize(
    ("label", "part"),
    [
        ("{vist}", "has no column 'vist'; there is visit"),
        ("{visit", "a single {; write {{ for it"),
        ("visit}", "a single }; write }} for it"),
        ("{}", "has no column ''"),
    ],
)
def test_templates_that_can_not_be(label: str, part: str) -> None:
    assert part in refused("Subject ID,visit", session_label=label)


def test_a_template_fills() -> None:
    template = Template.parse("{{{a}}}-{B b}", ["a", "b_B"], "t.csv", 1)
    assert template.fill(["x", "y"]) == "{x}-y"
    assert not template.is_fixed
    assert Template.parse("T1", [], "t.csv", 1).is_fixed


@given(st.text(max_size=20), st.lists(st.text(max_size=5), max_size=3))
def test_any_template_is_filled_or_an_error_of_the_file(text: str, header: list[str]) -> None:
    try:
        template = Template.parse(text, header, "t.csv", 1)
    except InputFileError:
        return
    assert isinstance(template.fill(["x"] * len(header)), str)
    assert template.is_fixed == (not template.columns())


def test_deepest_leaves_what_is_below_out_and_says_it() -> None:
    columns = of("Subject ID,sex,age,scan date", deepest="subject")
    assert (columns.depth, meaning(columns)) == (1, {"Subject ID": "subject.label", "sex": "subject.sex"})
    assert columns.notes == ["no sessions are made, so these columns are not used: age, scan date"]


# --- BIDS ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "path", "tab", "depth", "age"),
    [
        ("participant_id,age", "participants.tsv", True, 1, "subject.info.age"),
        ("participant_id,age", "/data/bids/participants.tsv.gz", True, 1, "subject.info.age"),
        ("participant_id,age", "other.tsv", True, 1, "subject.info.age"),
        ("participant_id,age", "other.csv", False, 3, "session.age"),
        ("participant_id,session_id,age", "sessions.tsv", True, 2, "session.age"),
        ("session_id,age", "sub-01/sub-01_sessions.tsv", True, 2, "session.age"),
        ("session_id,age", "sub-01/sessions.tsv", True, 2, "session.age"),
        ("participant_id,session_id,acquisition,age", "sessions.tsv", True, 3, "session.age"),
        ("Subject ID,age", "participants.tsv", True, 3, "session.age"),
    ],
)
def test_bids_tables(header: str, path: str, tab: bool, depth: int, age: str) -> None:
    columns = of(header, path, tab=tab)
    assert columns.depth == depth
    assert meaning(columns)["age"] == age


def test_a_sessions_table_takes_its_subject_from_its_name() -> None:
    columns = of("session_id,acq_time", "x/sub-09/sub-01_sessions.tsv", tab=True)
    assert columns.labels[0] == Template(("sub-01",))
    assert meaning(columns) == {"session_id": "session.label", "acq_time": "session.timestamp"}
    assert "has no subject column" in refused("session_id,acq_time", "sessions.tsv", tab=True)


def resolve_any(header: list[str], said: dict[str, Any]) -> Columns | None:
    try:
        return resolve(header, Choices(**said), "t.csv")
    except InputFileError as error:
        assert error.path == "t.csv"
        return None


NAMES = st.sampled_from(["Subject ID", "sex", "age", "date", "session", "subject.info.a", "subject.", "error", "", "x"])


@given(
    st.lists(NAMES | st.text(max_size=8), max_size=8),
    st.fixed_dictionaries(
        {},
        optional={
            "extra": st.sampled_from(["ignore", "info", "error", "acquisition.info"]),
            "session_label": st.text(max_size=5),
            "deepest": st.sampled_from(["subject", "session"]),
            "maps": st.dictionaries(NAMES, st.sampled_from(["subject.sex", "x", "-", "subject.label"]), max_size=2),
        },
    ),
)
def test_any_header_has_a_meaning_or_is_an_error_of_the_file(header: list[str], said: dict[str, Any]) -> None:
    columns = resolve_any(header, said)
    if columns is None:
        return
    assert len({field.path for _, field in columns.fields}) == len(columns.fields), "one column a field"
    assert all(0 <= at < len(header) for at, _ in columns.fields)
    assert 1 <= columns.depth <= 3
