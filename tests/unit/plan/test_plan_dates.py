"""Dates as they are written: what a column proves, every form that is read, and every refusal."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan.dates import (
    DateColumn,
    DateFacts,
    check_format,
    date_only,
    is_time_of_day,
    moment,
    time_of_day,
)

DAY_FIRST = DateFacts(order="day-first")
MONTH_FIRST = DateFacts(order="month-first")
SERIAL = DateFacts(serial=True)
NOTHING = DateFacts()


def facts_of(*cells: str, **told: object) -> DateFacts:
    column = DateColumn()
    for line, cell in enumerate(cells, 2):
        column.see(cell, line)
    return column.facts(**told)  # type: ignore[arg-type]


def at(hour: int = 15, minute: int = 32, second: int = 0, micro: int = 0, offset: float | None = None) -> datetime:
    zone = None if offset is None else timezone(timedelta(hours=offset))
    return datetime(2019, 10, 3, hour, minute, second, micro, zone)


WITH_A_TIME = [
    ("3/10/2019 15:32", at()),
    ("03.10.2019 15:32:01.5", at(second=1, micro=500_000)),
    ("03.10.2019 15:32:01,25", at(second=1, micro=250_000)),
    ("03-10-2019 3:32 PM", at()),
    ("03/10/2019 3:32pm", at()),
    ("03/10/2019 3:32 p. m.", at()),
    ("03/10/2019 12:05 AM", at(0, 5)),
    ("03/10/2019 12:05 PM", at(12, 5)),
    ("03/10/2019, 15:32:00", at()),
    ("03.10.2019 15:32 Uhr", at()),
    ("03/10/2019 15h32", at()),
    ("03/10/2019 1532", at()),
    ("2019-10-03T15:32", at()),
    ("2019-10-03 15:32:00", at()),
    ("2019-10-03t15:32:00", at()),
    ("2019-10-03T15:32:00Z", at(offset=0)),
    ("2019-10-03 15:32:00 UTC", at(offset=0)),
    ("2019-10-03T15:32:00+02:00", at(offset=2)),
    ("2019-10-03 15:32:00+02", at(offset=2)),
    ("2019-10-03T15:32:00-0330", at(offset=-3.5)),
    ("2019-10-03T15:32:00.1234567", at(micro=123_456)),
    ("2019-10-03T15:32:00.123456789+05:30", at(micro=123_456, offset=5.5)),
    ("2019-10-03T00:00", at(0, 0)),
    ("2019/10/03 15:32", at()),
    ("2019.10.3 15:32", at()),
    ("2019-10-3 9:32", at(9)),
    ("2019年10月3日 15:32", at()),
    ("2019年10月03日15:32", at()),
    ("03 Oct 2019 15:32", at()),
    ("Oct 3, 2019 3:32 PM", at()),
    ("03OCT2019:15:32:00", at()),
    ("20191003153200", at()),
    ("20191003153200.000", at()),
    ("201910031532", at()),
    ("20191003 1532", at()),
    ("20191003 153200.250", at(micro=250_000)),
    ("20191003 15:32", at()),
    ("20191003T153200Z", at(offset=0)),
    ("20191003153200.5+0200", at(micro=500_000, offset=2)),
    ("20191003153200-0500", at(offset=-5)),
    ("  2019-10-03 \u00a0 15:32\t", at()),
    ("03/10/2019\u00a015:32", at()),
    ("03/10/2019 3:32\u202fPM", at()),
    ("\ufeff\u200e2019-10-03 15:32", at()),
]

DATES = [
    "3/10/2019", "03.10.2019", "03-10-2019", "2019-10-03", "2019-10-3", "2019/10/03", "2019.10.3", "20191003",
    "2019年10月3日", "3-Oct-2019", "03-OCT-2019", "3 Oct. 2019", "Oct 3, 2019", "October 3 2019", "Oct. 3rd, 2019",
    "Oct-03-2019", "3rd October 2019", "3. Oktober 2019", "3.Okt.2019", "3 octobre 2019", "3 oct. 2019",
    "3 de octubre de 2019", "3 ottobre 2019", "3 ott 2019", "3 oktober 2019", "3 de outubro de 2019", "3/out/2019",
    "03OCT2019", " 3   Oct \u00a02019 ",
]  # fmt: skip


@pytest.mark.parametrize(("cell", "expected"), WITH_A_TIME)
def test_a_date_with_a_time_of_day(cell: str, expected: datetime) -> None:
    made = moment(cell, DAY_FIRST)
    assert made.value == expected
    assert made.value.utcoffset() == expected.utcoffset()
    assert made.has_time


@pytest.mark.parametrize("cell", DATES)
def test_a_date_alone(cell: str) -> None:
    made = moment(cell, DAY_FIRST)
    assert (made.value, made.has_time) == (datetime(2019, 10, 3), False)
    assert date_only(cell, DAY_FIRST) == date(2019, 10, 3)


@pytest.mark.parametrize(
    ("names", "month"),
    [
        ("January Januar Jänner janvier janv enero ene gennaio gen januari janeiro", 1),
        ("February Februar février févr fevrier febrero febbraio februari fevereiro fev", 2),
        ("March März Mär mrz mars marzo maart mrt março mar", 3),
        ("April avril avr abril abr aprile apr", 4),
        ("May Mai mayo maggio mag mei maio", 5),
        ("June Juni juin junio giugno giu junho jun", 6),
        ("July Juli juillet juil julio luglio lug julho jul", 7),
        ("August août agosto ago augustus aug", 8),
        ("September septembre septiembre settembre set setembro sept sep", 9),
        ("October Oktober octobre octubre ottobre ott outubro out okt oct", 10),
        ("November novembre noviembre novembro nov", 11),
        ("December Dezember décembre déc diciembre dic dicembre dezembro dez", 12),
    ],
)
def test_month_names_of_seven_languages(names: str, month: int) -> None:
    for name in names.split():
        for cell in (f"3 {name} 2019", f"03-{name.upper()}-2019", f"{name}. 3, 2019"):
            assert moment(cell, NOTHING).value == datetime(2019, month, 3), cell


@pytest.mark.parametrize("accented", ["3 fe\u0301vrier 2019", "3 f\u00e9vrier 2019", "3 FE\u0301VRIER 2019"])
def test_accents_may_be_composed_or_not(accented: str) -> None:
    assert moment(accented, NOTHING).value == datetime(2019, 2, 3)


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("31/02/2019", "no date that exists"),
        ("13/13/2019", "no date that exists"),
        ("45/03/2019", "no date that exists"),
        ("2019-13-01", "no date that exists"),
        ("00/05/2019", "no date that exists"),
        ("20190229", "no date that exists"),
        ("31 Feb 2019", "no date that exists"),
        ("2019-10-03 24:61", "no time of day that exists"),
        ("2019-10-03 15:60", "no time of day that exists"),
        ("2019-10-03 15:32:60", "no time of day that exists"),
        ("2019-10-03 24:00", "hour 24; write 00:00 of the next day"),
        ("2019-10-03T24:00:00", "hour 24"),
        ("2019-10-03 15:32 PM", "AM or PM"),
        ("2019-10-03 0:32 AM", "AM or PM"),
        ("2019-10-03T15:32+15:00", "offset outside"),
        ("2019-10-03T15:32-12:30", "offset outside"),
        ("2019-10-03T15:32+01:75", "offset outside"),
        ("2019-10-03T15:32:00+01:00:30", "--date-format"),
        ("03/10/19 15:32", "two digits.*--date-format"),
        ("3-Oct-19", "two digits.*--date-format"),
        ("Oct 3, 19", "two digits.*--date-format"),
        ("03/10/1019", "outside the years 1850 to 2100"),
        ("1849-12-31", "outside the years"),
        ("2101-01-01", "outside the years"),
        ("0000-00-00", "outside the years"),
        ("10/23/2019", "does not fit the day-first order"),
        ("43741", "day number of Excel in a column that has other forms"),
        ("43741,647222", "day number of Excel in a column that has other forms"),
        ("0.6472", "time of day without its date"),
        ("15:32", "time of day without its date"),
        ("1985", "year without month and day"),
        ("3 Foo 2019", "--date-format"),
        ("before 3 Oct 2019", "--date-format"),
        ("Oct 2019", "--date-format"),
        ("2019-10", "--date-format"),
        ("2019-W40-4", "--date-format"),
        ("10/03.2019", "--date-format"),
        ("2019-10-03T", "--date-format"),
        ("2019-10-03 15", "--date-format"),
        ("2019-10-03 15:32 CET", "--date-format"),
        ("2019-10-03 (?)", "--date-format"),
        ("2019-10-035", "--date-format"),
        ("1570116720", "--date-format"),
        ("yesterday", "--date-format"),
        ("", "--date-format"),
        ("１０/03/2019", "--date-format"),
    ],
)
def test_what_can_t_be_read_says_why(cell: str, part: str) -> None:
    with pytest.raises(ValueError, match=part) as caught:
        moment(cell, DAY_FIRST)
    assert str(caught.value).startswith(repr(cell))


def test_a_long_cell_is_not_repeated_in_full() -> None:
    with pytest.raises(ValueError, match=r"\.\.\.") as caught:
        moment("x" * 100_000, NOTHING)
    assert len(str(caught.value)) < 250


# What a column proves


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["10/03/2019", "09/23/2019 12:02"], DateFacts(order="month-first", month_line=3, either_line=2, either=1, count=2)),
        (["10.03.2019", "23.09.2019 12:02"], DateFacts(order="day-first", day_line=3, either_line=2, either=1, count=2)),
        (["10/03/2019", "01/02/2019"], DateFacts(ambiguous=True, either_line=2, either=2, count=2)),
        (["05/05/2019 15:32"], DateFacts(count=1)),
        (["45/03/2019", "0/13/2019", "13/13/2019"], DateFacts(count=3)),
        (["23/09/19"], DateFacts(count=1)),
        (["2019-01-02", "3 Oct 2019"], DateFacts(count=2)),
        (["13/01/2019", "14/01/2019", "01/13/2019"], DateFacts(order="day-first", mixed=True, day_line=2, month_line=4, count=3)),
        (["13/01/2019", "01/13/2019"], DateFacts(mixed=True, day_line=2, month_line=3, count=2)),
        (["43741", "43741.647222", "43741,647222", " 61 ", "109574.99"], DateFacts(serial=True, count=5)),
        (["43741", "2019-10-03"], DateFacts(count=2)),
        (["43741", "60"], DateFacts(count=2)),
        (["43741", "109575"], DateFacts(count=2)),
        (["43741.6472220000x"], DateFacts(count=1)),
        (["1985", "1990.0"], DateFacts(count=2)),
        (["0.5"], DateFacts(count=1)),
        (["20191003"], DateFacts(count=1)),
        ([" \u00a013/01/2019"], DateFacts(order="day-first", day_line=2, count=1)),
        ([], DateFacts()),
    ],
)  # fmt: skip
def test_the_whole_column_decides(cells: list[str], expected: DateFacts) -> None:
    assert facts_of(*cells) == expected


def test_what_a_person_says_settles_it() -> None:
    both = ("13/01/2019", "01/13/2019", "01/02/2019")
    told = facts_of(*both, order="month-first")
    assert (told.order, told.ambiguous, told.mixed) == ("month-first", False, False)
    told = facts_of("01/02/2019", formats=("%d/%m/%Y",))
    assert (told.order, told.ambiguous, told.mixed) == ("", False, False)
    assert facts_of("43741", order="day-first").serial
    assert not facts_of("43741", formats=("%d/%m/%Y",)).serial


_CELLS = st.one_of(
    st.sampled_from(
        ["10/03/2019", "13/03/2019 10:00", "03/13/2019", "5/5/2019", "43741", "43741.5", "x", "2019-10-03"]
    ),
    st.text(alphabet="0123456789/.-: ", max_size=12),
)


@given(st.data(), st.lists(_CELLS, max_size=12))
def test_facts_do_not_depend_on_the_order_of_cells(data: st.DataObject, cells: list[str]) -> None:
    lines = list(enumerate(cells, 2))
    forward, shuffled = DateColumn(), DateColumn()
    for line, cell in lines:
        forward.see(cell, line)
    for line, cell in data.draw(st.permutations(lines)):
        shuffled.see(cell, line)
    assert forward.facts() == shuffled.facts()


@given(st.lists(_CELLS, min_size=1, max_size=6))
def test_a_serial_column_is_one_whose_every_cell_is_serial(cells: list[str]) -> None:
    alone = [facts_of(cell).serial for cell in cells]
    assert facts_of(*cells).serial == all(alone)
    if all(alone):
        for cell in cells:
            try:
                moment(cell, SERIAL)
            except ValueError as error:
                assert "outside the years" in str(error)


def test_a_mixed_column_reads_only_what_is_sure() -> None:
    facts = facts_of("13/01/2019", "14/01/2019", "01/13/2019", "01/02/2019")
    assert moment("13/01/2019", facts).value == datetime(2019, 1, 13)
    assert moment("05/05/2019", facts).value == datetime(2019, 5, 5)
    assert moment("2019-01-02", facts).value == datetime(2019, 1, 2)
    for cell in ("01/13/2019", "01/02/2019"):
        with pytest.raises(
            ValueError, match=r"line 2, month-first in line 4.*--day-first, --month-first or --date-format"
        ):
            moment(cell, facts)


def test_a_tie_has_no_majority() -> None:
    facts = facts_of("13/01/2019", "01/13/2019")
    for cell in ("13/01/2019", "01/13/2019", "01/02/2019"):
        with pytest.raises(ValueError, match="line 2, month-first in line 3"):
            moment(cell, facts)


def test_without_an_order_only_sure_cells_are_read() -> None:
    facts = facts_of("10/03/2019", "01/02/2019")
    assert moment("13/01/2019", facts).value == datetime(2019, 1, 13)
    with pytest.raises(ValueError, match="could be day-first or month-first"):
        moment("10/03/2019", facts)


@given(st.dates(date(1850, 1, 1), date(2100, 12, 31)), st.sampled_from("/.-"))
def test_both_orders_read_back(day: date, mark: str) -> None:
    assert date_only(f"{day.day}{mark}{day.month}{mark}{day.year}", DAY_FIRST) == day
    assert date_only(f"{day.month}{mark}{day.day}{mark}{day.year}", MONTH_FIRST) == day


# Excel's day numbers


@pytest.mark.parametrize(
    ("cell", "expected", "has_time"),
    [
        ("43741", datetime(2019, 10, 3), False),
        ("43741.0", datetime(2019, 10, 3), False),
        ("43741.647222", datetime(2019, 10, 3, 15, 32), True),
        ("43741,647222", datetime(2019, 10, 3, 15, 32), True),
        ("43741.9999999", datetime(2019, 10, 4), True),
        ("61", datetime(1900, 3, 1), False),
        ("73415.5", datetime(2100, 12, 31, 12), True),
    ],
)
def test_day_numbers(cell: str, expected: datetime, has_time: bool) -> None:
    made = moment(cell, SERIAL)
    assert (made.value, made.has_time) == (expected, has_time)


@pytest.mark.parametrize(
    ("cell", "part"), [("60", "no day number"), ("2019-10-03", "no day number"), ("73416", "outside the years")]
)
def test_what_is_no_day_number(cell: str, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        moment(cell, SERIAL)


@given(st.datetimes(datetime(1905, 10, 1), datetime(2100, 12, 31)))
def test_day_numbers_read_back_to_the_second(local: datetime) -> None:
    local = local.replace(microsecond=0)
    serial = f"{(local - datetime(1899, 12, 30)) / timedelta(days=1):.8f}"
    assert moment(serial, facts_of(serial)).value == local


# Formats that a person gives


def test_formats_are_tried_in_turn_and_nothing_else_is_read() -> None:
    formats = ("%d/%m/%y %H:%M", "%d/%m/%y")
    made = moment(" 03/10/19\u00a0 15:32 ", NOTHING, formats)
    assert (made.value, made.has_time) == (at(), True)
    made = moment("03/10/19", NOTHING, formats)
    assert (made.value, made.has_time) == (datetime(2019, 10, 3), False)
    with pytest.raises(ValueError, match="none of the formats %d/%m/%y %H:%M, %d/%m/%y"):
        moment("2019-10-03T15:32", NOTHING, formats)


def test_a_format_may_hold_an_offset_but_no_odd_one() -> None:
    form = ("%Y %m %d %H.%M %z",)
    assert moment("2019 10 03 15.32 +0200", NOTHING, form).value == at(offset=2)
    for offset in ("+01:00:30", "+1900"):
        with pytest.raises(ValueError, match="offset outside"):
            moment(f"2019 10 03 15.32 {offset}", NOTHING, form)
    with pytest.raises(ValueError, match="outside the years"):
        moment("0019 10 03", NOTHING, ("%Y %m %d",))


@pytest.mark.parametrize(
    ("form", "has_time"),
    [("%d.%m.%Y", False), ("%d.%m.%Y %H:%M", True), ("%m/%d/%y %I:%M %p", True), ("%Y%j", False), ("%d.%m.%Y %%H", False)],
)  # fmt: skip
def test_formats_that_hold_a_date(form: str, has_time: bool) -> None:
    assert check_format(form) is has_time


@pytest.mark.parametrize("form", ["%d/%m", "%H:%M", "%Y-%m", "%Q", "%Y-%m-%d %Y", "%", "", "DD.MM.YYYY", "%F", "%Y-%m-%d %H:%M %Z"])  # fmt: skip
def test_formats_that_do_not(form: str) -> None:
    with pytest.raises(ValueError, match="the date format"):
        check_format(form)
    with pytest.raises(ValueError, match=r"^'2019-10-03' .*the date format"):
        moment("2019-10-03", NOTHING, (form,))


# Times of day, dates of birth


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("15:32", time(15, 32)),
        ("15:32:00", time(15, 32)),
        ("15:32:00.250", time(15, 32, 0, 250_000)),
        ("9:05", time(9, 5)),
        ("3:32 PM", time(15, 32)),
        ("3:32 p.m.", time(15, 32)),
        ("12:00 am", time(0)),
        ("15h32", time(15, 32)),
        ("15 h 32", time(15, 32)),
        ("15:32 Uhr", time(15, 32)),
        ("153200", time(15, 32)),
        ("153200.000", time(15, 32)),
        ("153200.1234567", time(15, 32, 0, 123_456)),
        ("1532", time(15, 32)),
        ("0.6472222", time(15, 32)),
        ("0,6472222", time(15, 32)),
        ("0.6472", time(15, 31, 58)),
        ("0.0", time(0)),
        ("0.999999999", time(23, 59, 59)),
        (" 15:32\u00a0", time(15, 32)),
    ],
)
def test_times_of_day(cell: str, expected: time) -> None:
    assert time_of_day(cell) == expected
    assert is_time_of_day(cell)


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("24:00", "hour 24"),
        ("240000", "hour 24"),
        ("24:61", "no time of day that exists"),
        ("25:00", "no time of day that exists"),
        ("156000", "no time of day that exists"),
        ("13:00 PM", "AM or PM"),
        ("08:00-09:00", "more than a time of day"),
        ("15:32Z", "more than a time of day"),
        ("0", "write it as 15:32"),
        ("1.5", "write it as 15:32"),
        ("15.32", "write it as 15:32"),
        ("932", "write it as 15:32"),
        ("15", "write it as 15:32"),
        ("noon", "write it as 15:32"),
        ("2019-10-03 15:32", "write it as 15:32"),
        ("", "write it as 15:32"),
    ],
)
def test_what_is_no_time_of_day(cell: str, part: str) -> None:
    with pytest.raises(ValueError, match=part) as caught:
        time_of_day(cell)
    assert str(caught.value).startswith(repr(cell))
    assert not is_time_of_day(cell)


@pytest.mark.parametrize(
    "cell", ["1985-03-04", "1985-03-04 00:00:00", "04/03/1985 0:00", "04/03/1985 17:45", "1985-03-04T23:30:00-05:00"]
)
def test_a_date_of_birth_drops_the_time(cell: str) -> None:
    assert date_only(cell, DAY_FIRST) == date(1985, 3, 4)


def test_a_date_of_birth_may_be_a_day_number_or_have_a_format() -> None:
    assert date_only("31110", SERIAL) == date(1985, 3, 4)
    assert date_only("040385", NOTHING, ("%d%m%y",)) == date(1985, 3, 4)
    with pytest.raises(ValueError, match="no date that exists"):
        date_only("31/02/1985", DAY_FIRST)


# Any text at all

_NEAR_DATES = st.text(alphabet="0123456789/.-:,+ TZtz年月日hOctapmé\u00a0\u0301²٣", max_size=26)
_FACTS = st.builds(
    DateFacts, order=st.sampled_from(["", "day-first", "month-first"]), mixed=st.booleans(), serial=st.booleans()
)
_GLUED = st.builds(lambda one, other: one + other, st.sampled_from([cell for cell, _ in WITH_A_TIME]), _NEAR_DATES)


@given(st.one_of(st.text(), _NEAR_DATES, _GLUED), _FACTS, st.sampled_from([(), ("%d/%m/%y",), ("%Y-%m-%d %z", "%c")]))
def test_any_text_is_read_or_refused(cell: str, facts: DateFacts, formats: tuple[str, ...]) -> None:
    DateColumn().see(cell, 2)
    try:
        made = moment(cell, facts, formats)
    except ValueError as error:
        assert str(error).startswith("'") or str(error).startswith('"')
    else:
        assert 1850 <= made.value.year <= 2100
        offset = made.value.utcoffset() or timedelta()
        assert not offset % timedelta(minutes=1)
    if is_time_of_day(cell):
        assert time_of_day(cell).tzinfo is None


@given(st.text(alphabet="%YmdHIMSpzZjUGVuwabc /%", max_size=10))
def test_any_format_is_usable_or_refused(form: str) -> None:
    try:
        check_format(form)
    except ValueError as error:
        assert "the date format" in str(error)
