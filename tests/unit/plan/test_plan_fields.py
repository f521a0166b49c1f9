"""Field paths, their types, and the spellings by which they are known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan.fields import (
    AGE_UNITS,
    LEVELS,
    ROW_WIDE,
    SPELLINGS,
    STRONG,
    TYPES,
    WEAK,
    Field,
    info_key,
    names_of,
    parse_field,
    plain,
)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("subject.sex", Field("subject", "sex")),
        (" session.age ", Field("session", "age")),
        ("session.age:months", Field("session", "age", type="months")),
        ("subject.info.site", Field("subject", "info", "site")),
        ("subject.info.code:str", Field("subject", "info", "code", "str")),
        ("subject.info.a b/c", Field("subject", "info", "a b/c")),
        ("subject.info.a.b$c", Field("subject", "info", "a_b-c")),
        ("subject.info.a:b", Field("subject", "info", "a:b")),
        ("subject.info.a:str:int", Field("subject", "info", "a:str", "int")),
        ("acquisition.file", Field("acquisition", "file")),
        ("acquisition.file.classification.Intent", Field("acquisition", "file.classification", "Intent")),
        ("acquisition.file.info.te:float", Field("acquisition", "file.info", "te", "float")),
        ("subject.label:str", Field("subject", "label", type="str")),
        ("session.tags:json", Field("session", "tags", type="json")),
        ("timezone", Field("", "timezone")),
        ("date_of_birth", Field("", "date_of_birth")),
        ("ignore", Field("", "ignore")),
    ],
)
def test_paths(text: str, field: Field) -> None:
    assert parse_field(text) == field


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("subject.fistname", "did you mean subject.firstname"),
        ("subject.age", "did you mean session.age"),
        ("sex", "did you mean subject.sex"),
        ("subject.info.", "is no field"),
        ("subject.info", "is no field"),
        ("acquisition.age", "is no field"),
        ("acquisition.weight", "session.weight"),
        ("project.label", "is no field"),
        ("", "docs/reference/csv.md"),
        ("zzzzzz", "docs/reference/csv.md"),
        ("subject.sex:int", "can't be read as int"),
        ("session.age:int", "it can be years, months, weeks, days, seconds"),
        ("subject.info.a:years", "it can be str, int, float, bool, json"),
        ("subject.firstname:json", "it can be str"),
        ("timezone:str", "can't be read as str"),
    ],
)
def test_what_is_no_field_says_what_is_near(text: str, part: str) -> None:
    with pytest.raises(ValueError, match=r"is no field|can't be read") as caught:
        parse_field(text)
    assert part in str(caught.value)


KEYS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(str.strip)
FIELDS = st.one_of(
    st.sampled_from([f"{level}.{name}" for level in LEVELS for name in names_of(level)] + list(ROW_WIDE)),
    st.builds(
        lambda level, kind, key, told: f"{level}.{kind}.{key}{told}",
        st.sampled_from(LEVELS),
        st.sampled_from(["info", "file.info"]),
        KEYS,
        st.sampled_from(["", *(f":{kind}" for kind in TYPES)]),
    ),
    st.builds("{}.file.classification.{}".format, st.sampled_from(LEVELS), KEYS).filter(
        lambda path: path.rpartition(":")[2] not in (*TYPES, *AGE_UNITS)
    ),
    st.sampled_from([f"session.age:{unit}" for unit in AGE_UNITS]),
)


@given(FIELDS)
def test_a_path_reads_back(text: str) -> None:
    try:
        field = parse_field(text)
    except ValueError:
        assert text.rpartition(":")[2] in AGE_UNITS, "an info key that ends as an age does is refused, nothing else"
        return
    path = field.path + (f":{field.type}" if field.type else "")
    assert parse_field(path) == field
    if field.name == "info":
        assert info_key(field.key) == field.key, "what the platform would rewrite is rewritten at once"


@given(st.text(max_size=30))
def test_any_text_is_a_field_or_a_value_error(text: str) -> None:
    try:
        field = parse_field(text)
    except ValueError as error:
        assert str(error)
    else:
        assert field.level in (*LEVELS, "")


def test_every_spelling_means_a_field_and_just_one() -> None:
    meanings: dict[str, set[str]] = {}
    for spelling in SPELLINGS:
        parse_field(spelling.path)
        for word in (*spelling.strong, *spelling.weak):
            meanings.setdefault(plain(word), set()).add(spelling.path)
    assert {word: paths for word, paths in meanings.items() if len(paths) > 1} == {}
    assert not set(STRONG) & set(WEAK)


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("Subject ID", "subject.label"),
        ("subject_id", "subject.label"),
        ("participant_id", "subject.label"),
        ("PatientID", "subject.label"),
        ("Sex", "subject.sex"),
        ("gender", "subject.sex"),
        ("Age", "session.age"),
        ("AGE (YEARS)", "session.age:years"),
        ("DOB", "subject.date_of_birth"),
        ("Scan Date", "acquisition.date"),
        ("time of scan", "acquisition.time"),
        ("Patient's Birth Date", "subject.date_of_birth"),
        ("Patient’s Age", "session.age"),
        ("PATIENTEN\u00adNUMMER", "subject.label"),
        ("Date\xa0d’examen", "acquisition.date"),
        ("Pre\u0301nom", "subject.firstname"),
        ("\u200bSubject ID", "subject.label"),
        ("Gewicht [kg]", "session.weight"),
        ("StudyDate", "session.date"),
        ("redcap_event_name", "session.label"),
    ],
)
def test_headers_as_people_write_them(header: str, path: str) -> None:
    assert STRONG[plain(header)] == path


@pytest.mark.parametrize("word", ["record_id", "ID", "MRN", "code", "StudyID", "Datum", "date", "SeriesDate", "scan"])
def test_weak_spellings_yield(word: str) -> None:
    assert plain(word) in WEAK
    assert plain(word) not in STRONG
