"""Cells to values in the platform's stored form, and which cells say nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan import values
from fwsync.plan.stored import differences, same_form
from fwsync.plan.values import InfoColumn, age_seconds, info_value, number, sex, texts, weight

YEAR = 365.25 * 86400


# --- nothing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell", ["", "NA", "na", "n/a", "N/A", "NULL", "null", "None", "NaN", "nan", "-", "--", "#N/A"]
)
def test_cells_that_say_nothing(cell: str) -> None:
    assert values.is_missing(cell)
    assert values.is_missing_text(cell)


@pytest.mark.parametrize("cell", ["0", "no", "unknown", "n", "NAN1", "?", "false", "/"])
def test_cells_that_say_something(cell: str) -> None:
    assert not values.is_missing(cell)
    assert not values.is_missing_text(cell)


@pytest.mark.parametrize("cell", ["Na", "Null", "Nan", "."])
def test_names_that_only_look_like_nothing(cell: str) -> None:
    assert values.is_missing(cell)
    assert not values.is_missing_text(cell)


# --- sex ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "cells"),
    [
        ("male", "m M male MALE Male mann männlich homme hombre maschio man homem masculin masculino varón"),
        ("female", "f F female Female w weiblich Frau femme FÉMININ feminin mujer femmina vrouw mulher femenino"),
        ("other", "o O other divers"),
        ("unknown", "u U unknown unbekannt"),
    ],
)
def test_sexes(term: str, cells: str) -> None:
    assert {sex(cell) for cell in cells.split()} == {term}
    assert sex(f" {cells.split(maxsplit=1)[0]} ") == term


def test_accents_of_their_own() -> None:
    assert sex("fe\u0301minin") == "female"


@pytest.mark.parametrize("cell", ["x", "1", "2", "0", "mf", "m/f", "H", "girl", "d", "?", "V"])
def test_what_is_no_known_sex(cell: str) -> None:
    with pytest.raises(ValueError, match="is no known sex; use male, female, other or unknown"):
        sex(cell)


def test_h_and_m_are_never_guessed() -> None:
    for cell in ("M", "m", "H", "h", "V"):
        with pytest.raises(ValueError, match="hombre, var"):
            sex(cell, beside_h=True)
    assert sex("F", beside_h=True) == "female"
    assert sex("mujer", beside_h=True) == "female"


# --- age ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("34", 34 * YEAR),
        ("34.0", 34 * YEAR),
        ("34,5", 34.5 * YEAR),
        ("0", 0),
        (" 34 y ", 34 * YEAR),
        ("34y", 34 * YEAR),
        ("34 years", 34 * YEAR),
        ("034Y", 34 * YEAR),
        ("018M", 1.5 * YEAR),
        ("010W", 70 * 86400),
        ("003D", 3 * 86400),
        ("P34Y", 34 * YEAR),
        ("P1Y6M", 1.5 * YEAR),
        ("18 mo", 1.5 * YEAR),
        ("18 months", 1.5 * YEAR),
        ("3w", 21 * 86400),
        ("10 d", 864000),
        ("1 year 3 months", 1.25 * YEAR),
        ("1 year, 3 months", 1.25 * YEAR),
        ("1 Jahr und 3 Monate", 1.25 * YEAR),
        ("2 ans et 6 mois", 2.5 * YEAR),
        ("34 Jahre", 34 * YEAR),
        ("34 años", 34 * YEAR),
        ("34 anni", 34 * YEAR),
        ("34 jaar", 34 * YEAR),
        ("2 Wochen", 14 * 86400),
        ("0.5", 0.5 * YEAR),
        (".5", 0.5 * YEAR),
        ("1.5 yrs.", 1.5 * YEAR),
        ("130", 130 * YEAR),
    ],
)
def test_ages(cell: str, expected: float) -> None:
    found = age_seconds(cell, 365.25)
    assert type(found) is int
    assert found == round(expected)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("years", YEAR * 12), ("months", YEAR), ("weeks", 84 * 86400), ("days", 12 * 86400), ("seconds", 12)],
)
def test_the_unit_of_a_bare_number(unit: str, expected: float) -> None:
    assert age_seconds("12", 365.25, unit) == round(expected)
    assert age_seconds("3w", 365.25, unit) == 21 * 86400


def test_a_year_may_have_365_days() -> None:
    assert age_seconds("34", 365) == 34 * 365 * 86400


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("-3", "is a negative age"),
        ("-0,1", "is a negative age"),
        ("131", "is an age over 130 years"),
        ("130.1", "is an age over 130 years"),
        ("1572 mo", "over 130"),
        ("1e400", "too large"),
        ("old", "is no age"),
        ("34 x", "is no age"),
        ("34 35", "is no age"),
        ("3 years 2 years", "is no age"),
        ("-3 y", "is no age"),
        ("P", "is no age"),
        ("PT3H", "is no age"),
        ("30-40", "is no age"),
        ("89+", "is no age"),
        ("inf", "is no age"),
        ("1985-03-04", "is no age"),
    ],
)
def test_ages_that_can_not_be(cell: str, part: str) -> None:
    with pytest.raises(ValueError, match=r"age|number") as caught:
        age_seconds(cell, 365.25)
    assert part in str(caught.value)


@given(st.floats(0, 130), st.sampled_from([".", ","]))
def test_a_year_reads_back_as_the_sdk_reads_it(years: float, point: str) -> None:
    found = age_seconds(f"{years:.6f}".replace(".", point), 365.25)
    assert math.isclose(found / YEAR, years, abs_tol=1e-6)


# --- numbers, weights ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value"), [("1", 1.0), ("-1.5", -1.5), ("+2,25", 2.25), ("1e3", 1000.0), ("1,", 1.0), (",5", 0.5)]
)
def test_numbers(cell: str, value: float) -> None:
    assert number(cell) == value


@pytest.mark.parametrize("cell", ["", "x", "1.234,5", "1,234.5", "1 000", "inf", "nan", "1e999", "0x10", "1_000"])
def test_what_is_no_number(cell: str) -> None:
    with pytest.raises(ValueError, match="number"):
        number(cell)


@pytest.mark.parametrize(("cell", "value"), [("81.5", 81.5), ("81,5 kg", 81.5), ("60KG", 60.0), ("3.2 kgs.", 3.2)])
def test_weights(cell: str, value: float) -> None:
    assert weight(cell) == value


@pytest.mark.parametrize("cell", ["0", "-1", "1001", "150 lbs", "heavy", "kg"])
def test_weights_that_can_not_be(cell: str) -> None:
    with pytest.raises(ValueError, match=r"no weight in kilograms|no number"):
        weight(cell)


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "json", "split", "found"),
    [
        ("b; a,b |c", False, True, ["a", "b", "c"]),
        ("one; two", False, False, ["one; two"]),
        ('["b;c", "a"]', True, True, ["a", "b;c"]),
        (";;", False, True, []),
        ("[]", True, False, []),
    ],
)
def test_lists(cell: str, json: bool, split: bool, found: list[str]) -> None:
    assert texts(cell, json=json, split=split) == found


@pytest.mark.parametrize("cell", ["a", "[1]", '{"a": 1}', "[" * 1000])
def test_lists_that_are_none(cell: str) -> None:
    with pytest.raises(ValueError, match="is no JSON list of texts"):
        texts(cell, json=True, split=False)


# --- info ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "2", "-3", "0"], "int"),
        (["1", "2.5"], "float"),
        (["1,5", "2"], "float"),
        (["1,234"], "str"),
        (["1,234", "0,5"], "float"),
        (["1,234", "2.5"], "str"),
        (["true", "FALSE"], "bool"),
        (["true", "1"], "str"),
        (["1", "x"], "str"),
        (["007"], "str"),
        (["007", "8"], "str"),
        (["1e5"], "str"),
        (["12E3"], "str"),
        (["1e+5"], "float"),
        (["1e-5"], "float"),
        (["+5"], "str"),
        (["12345678901234567890"], "str"),
        (["123456789012345678"], "int"),
        (["1."], "float"),
        ([".5"], "float"),
        (["yes", "no"], "str"),
        (["2019-10-03"], "str"),
        ([], "str"),
    ],
)
def test_types_of_whole_columns(cells: list[str], kind: str) -> None:
    column = InfoColumn()
    for cell in cells:
        column.see(cell)
    assert column.type == kind
    for cell in cells:
        info_value(cell, kind)


@given(
    st.lists(st.text(st.sampled_from("0123456789.,eE+-truefals "), min_size=1, max_size=6), max_size=6), st.randoms()
)
def test_every_cell_of_a_column_reads_as_its_type(cells: list[str], chance: object) -> None:
    column, shuffled = InfoColumn(), InfoColumn()
    for cell in cells:
        column.see(cell)
    chance.shuffle(mixed := list(cells))  # type: ignore[attr-defined]
    for cell in mixed:
        shuffled.see(cell)
    assert column.type == shuffled.type
    kinds = {"int": int, "float": float, "bool": bool, "str": str}
    for cell in cells:
        assert type(info_value(cell, column.type)) is kinds[column.type]


@pytest.mark.parametrize(
    ("cell", "kind", "value"),
    [
        ("007", "int", 7),
        ("+5", "int", 5),
        ("1,5", "float", 1.5),
        ("7", "float", 7.0),
        ("yes", "bool", True),
        ("0", "bool", False),
        ("N", "bool", False),
        ("1", "str", "1"),
        (" NA ", "str", " NA "),
        ('{"a": [1, null]}', "json", {"a": [1, None]}),
    ],
)
def test_info_as_it_was_asked_for(cell: str, kind: str, value: object) -> None:
    found = info_value(cell, kind)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("cell", "kind", "part"),
    [
        ("1.5", "int", "no whole number"),
        ("12345678901234567890", "int", "no whole number"),
        ("x", "float", "no number"),
        ("maybe", "bool", "neither true nor false"),
        ("{", "json", "no JSON"),
        ("NaN", "json", "no JSON"),
        ("1e999", "json", "no JSON"),
        ("18446744073709551616", "json", "no JSON"),
        ("[" * 50_000, "json", "no JSON"),
        ('"\\ud800"', "json", "no JSON"),
    ],
)
def test_info_that_can_not_be(cell: str, kind: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        info_value(cell, kind)


# --- comparing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "one", "other", "same"),
    [
        ("age", 100, 100.0, True),
        ("age", 100, 101, False),
        ("timestamp", "2019-10-03T15:32:00+02:00", "2019-10-03T13:32:00.000Z", True),
        ("timestamp", "2019-10-03T15:32:00.0004+00:00", "2019-10-03T15:32:00+00:00", True),
        ("timestamp", "2019-10-03T15:32:00+02:00", "2019-10-03T15:32:00+00:00", False),
        ("date_of_birth", "1985-03-04", "1985-03-04T00:00:00+00:00", True),
        ("info.x", 1, True, False),
        ("info.x", 1, 1.0, True),
        ("info.x", "1", 1, False),
        ("info.x", None, 0, False),
        ("sex", "male", None, False),
    ],
)
def test_one_form_for_sending_and_comparing(field: str, one: object, other: object, same: bool) -> None:
    assert same_form(field, one, other) == same
    assert (differences({field: one}, {field: other}) == []) == same


def test_tags_and_notes_are_added_never_taken_away() -> None:
    assert differences({"tags": ["a"]}, {"tags": ["a", "b"]}) == []
    (change,) = differences({"tags": ["a", "c"], "files": [1]}, {"tags": ["a", "b"]})
    assert (change.field, change.new) == ("tags", ["c"])
    assert str(differences({"sex": "male"}, {})[0]) == "sex unset > male"
    assert len(str(differences({"info.x": "y" * 500}, {})[0])) < 100
