"""Local times to instants: zones, DST gaps and folds, what is kept in the platform's form, and every zone there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan.dates import DateFacts, Moment, moment
from fwsync.plan.timestamps import Reading, localized, stamp, zone_named

ZURICH = "Europe/Zurich"


def stamped(cell: str, zone: str = ZURICH, *dst: str) -> str:
    return stamp(moment(cell, DateFacts()), zone, dst).text


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2019-10-03 15:32", "2019-10-03T15:32:00+02:00"),
        ("2019-01-03 15:32", "2019-01-03T15:32:00+01:00"),
        ("2019-10-03 15:32:01.5", "2019-10-03T15:32:01.500+02:00"),
        ("2019-10-03 15:32:01.123999", "2019-10-03T15:32:01.123+02:00"),
        ("2019-10-03 15:32:01.000999", "2019-10-03T15:32:01+02:00"),
        ("2019-10-03", "2019-10-03T00:00:00+02:00"),
        ("2019-10-03T15:32:00Z", "2019-10-03T15:32:00+00:00"),
        ("2019-10-03T15:32:00.25-03:30", "2019-10-03T15:32:00.250-03:30"),
    ],
)
def test_the_stored_form(cell: str, expected: str) -> None:
    assert stamped(cell) == expected


def test_the_zone_s_own_name_is_kept() -> None:
    noon = Moment(datetime(2019, 2, 1, 12), has_time=True)
    assert stamp(noon, "europe/zurich").zone == ZURICH
    assert stamp(noon, " Europe/Zurich ").zone == ZURICH


def test_an_offset_keeps_its_instant_and_takes_the_row_s_zone_for_a_name_only() -> None:
    read = moment("2019-10-03T15:32:00+05:30", DateFacts())
    assert stamp(read, ZURICH).zone is None
    named = stamp(read, ZURICH, named="asia/kolkata")
    assert (named.text, named.zone) == ("2019-10-03T15:32:00+05:30", "Asia/Kolkata")
    with pytest.raises(ValueError, match="no known time zone"):
        stamp(read, ZURICH, named="Nowhere/Town")


def test_without_a_zone_times_are_utc_and_a_date_alone_is_refused() -> None:
    made = stamp(moment("2019-10-03 00:00", DateFacts()), "")
    assert (made.text, made.zone) == ("2019-10-03T00:00:00+00:00", "UTC")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message follows
        stamp(moment("03 Oct 2019", DateFacts()), "")
    assert str(caught.value) == (
        "'2019-10-03' has no time of day, and no time zone was given for its midnight; give --timezone, or add the time"
    )


# zone, the first minute that does not exist, what it is shifted to
GAPS = [
    (ZURICH, "2019-03-31 02:00", "2019-03-31T03:00:00+02:00"),
    (ZURICH, "2019-03-31 02:59:59.5", "2019-03-31T03:59:59.500+02:00"),
    ("America/New_York", "2019-03-10 02:30", "2019-03-10T03:30:00-04:00"),
    ("Australia/Lord_Howe", "2019-10-06 02:15", "2019-10-06T02:45:00+11:00"),
    ("America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"),
    ("America/Santiago", "2019-09-08 00:30", "2019-09-08T01:30:00-03:00"),
    ("Asia/Beirut", "2019-03-31", "2019-03-31T01:00:00+03:00"),
    ("Europe/Dublin", "2019-03-31 01:30", "2019-03-31T02:30:00+01:00"),
    ("Pacific/Apia", "2011-12-30 12:00", "2011-12-31T12:00:00+14:00"),
    ("Asia/Kathmandu", "1986-01-01 00:07", "1986-01-01T00:22:00+05:45"),
]

# zone, a time that happened twice, its first and its second instant
FOLDS = [
    (ZURICH, "2019-10-27 02:00", "2019-10-27T02:00:00+02:00", "2019-10-27T02:00:00+01:00"),
    (ZURICH, "2019-10-27 02:59:59", "2019-10-27T02:59:59+02:00", "2019-10-27T02:59:59+01:00"),
    ("America/New_York", "2019-11-03 01:30", "2019-11-03T01:30:00-04:00", "2019-11-03T01:30:00-05:00"),
    ("Australia/Lord_Howe", "2019-04-07 01:45", "2019-04-07T01:45:00+11:00", "2019-04-07T01:45:00+10:30"),
    ("America/Havana", "2019-11-03", "2019-11-03T00:00:00-04:00", "2019-11-03T00:00:00-05:00"),
    ("America/Sao_Paulo", "2019-02-16 23:30", "2019-02-16T23:30:00-02:00", "2019-02-16T23:30:00-03:00"),
    ("Europe/Dublin", "2019-10-27 01:30", "2019-10-27T01:30:00+01:00", "2019-10-27T01:30:00+00:00"),
    ("Europe/Moscow", "2014-10-26 01:30", "2014-10-26T01:30:00+04:00", "2014-10-26T01:30:00+03:00"),
    ("Asia/Pyongyang", "2015-08-14 23:45", "2015-08-14T23:45:00+09:00", "2015-08-14T23:45:00+08:30"),
]

# the last moment before a change and the first after it: never refused
EDGES = [
    (ZURICH, "2019-03-31 01:59:59", "2019-03-31T01:59:59+01:00"),
    (ZURICH, "2019-03-31 03:00", "2019-03-31T03:00:00+02:00"),
    (ZURICH, "2019-03-31 12:00", "2019-03-31T12:00:00+02:00"),
    (ZURICH, "2019-10-27 01:59:59", "2019-10-27T01:59:59+02:00"),
    (ZURICH, "2019-10-27 03:00", "2019-10-27T03:00:00+01:00"),
    ("Australia/Lord_Howe", "2019-10-06 02:30", "2019-10-06T02:30:00+11:00"),
    ("Australia/Lord_Howe", "2019-04-07 01:29:59", "2019-04-07T01:29:59+11:00"),
    ("Asia/Kathmandu", "1985-12-31 23:59:59", "1985-12-31T23:59:59+05:30"),
    ("Asia/Kathmandu", "1986-01-01 00:15", "1986-01-01T00:15:00+05:45"),
    ("America/Havana", "2019-11-03 01:00", "2019-11-03T01:00:00-05:00"),
]


@pytest.mark.parametrize(("zone", "cell", "shifted"), GAPS)
def test_a_gap_is_refused_or_shifted(zone: str, cell: str, shifted: str) -> None:
    for dst in ((), ("earlier",), ("later",)):
        with pytest.raises(ValueError, match=f"does not exist in {zone}.*--dst shift-forward"):
            stamped(cell, zone, *dst)
    assert stamped(cell, zone, "shift-forward") == shifted
    assert stamped(cell, zone, "earlier", "shift-forward") == shifted


@pytest.mark.parametrize(("zone", "cell", "early", "late"), FOLDS)
def test_a_fold_is_refused_or_settled(zone: str, cell: str, early: str, late: str) -> None:
    for dst in ((), ("shift-forward",)):
        with pytest.raises(ValueError, match=f"happened twice in {zone}, at .* --dst earlier or --dst later"):
            stamped(cell, zone, *dst)
    assert stamped(cell, zone, "earlier") == early
    assert stamped(cell, zone, "shift-forward", "later") == late
    assert datetime.fromisoformat(early) < datetime.fromisoformat(late)


@pytest.mark.parametrize(("zone", "cell", "expected"), EDGES)
def test_beside_a_change_nothing_is_refused(zone: str, cell: str, expected: str) -> None:
    assert stamped(cell, zone) == expected


@pytest.mark.parametrize(
    ("zone", "cell"),
    [
        (ZURICH, "1890-01-01 12:00"),
        ("Africa/Lagos", "1903-01-01"),  # local mean time again after its first change
        ("Africa/Monrovia", "1890-06-01 12:00"),
        ("Antarctica/Troll", "1999-06-01 12:00"),
    ],
)
@pytest.mark.parametrize("dst", [(), ("earlier", "shift-forward")])
def test_a_time_before_there_was_a_standard_is_refused(zone: str, cell: str, dst: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=f"{zone} had no standard time at {cell[:10]}"):
        stamped(cell, zone, *dst)


def test_the_first_standard_time_is_read() -> None:
    # Lagos went back to its mean time of +00:14 in 1908, and left it for good for +00:30 in 1914.
    assert stamped("1914-06-01", "Africa/Lagos") == "1914-06-01T00:00:00+00:30"
    with pytest.raises(ValueError, match="no standard time"):
        stamped("1910-06-01", "Africa/Lagos")


def test_an_unknown_zone_names_near_ones() -> None:
    for name in ("Europe/Zurch", "zurich"):
        with pytest.raises(ValueError, match="Europe/Zurich"):
            zone_named(name)


@given(st.text())
def test_any_zone_name_is_known_or_refused(name: str) -> None:
    try:
        assert zone_named(name).zone in pytz.all_timezones
    except ValueError as error:
        assert "no known time zone" in str(error)


def test_a_reading_says_nothing_of_itself() -> None:
    assert Reading() == Reading(zone="", formats=(), order="", dst=(), site_zones={})


@given(
    zone=st.sampled_from(pytz.all_timezones),
    local=st.datetimes(datetime(1990, 1, 1), datetime(2030, 12, 31)),
)
def test_every_zone_round_trips_or_is_refused(zone: str, local: datetime) -> None:
    local = local.replace(microsecond=0)
    try:
        made = stamp(Moment(local, has_time=True), zone)
    except ValueError as error:
        assert any(part in str(error) for part in ("does not exist", "happened twice", "no standard time"))
        return
    read = datetime.fromisoformat(made.text)
    assert read.astimezone(pytz.timezone(zone)).replace(tzinfo=None) == local
    assert abs(read.astimezone(UTC) - local.replace(tzinfo=UTC)) <= timedelta(hours=16)


@given(data=st.data(), zone=st.sampled_from(["Europe/Zurich", "Africa/Casablanca", "Asia/Gaza", "America/Caracas"]))
def test_the_cached_answer_is_what_pytz_says_around_each_change(data: st.DataObject, zone: str) -> None:
    there = pytz.timezone(zone)
    changes = [utc for utc in there._utc_transition_times if 1970 <= utc.year <= 2030]  # type: ignore[attr-defined]
    minutes = data.draw(st.integers(-300, 300))
    local = there.fromutc(data.draw(st.sampled_from(changes))).replace(tzinfo=None) + timedelta(minutes=minutes)
    try:
        expected = there.localize(local, is_dst=None)
    except pytz.InvalidTimeError:
        with pytest.raises(ValueError, match="--dst"):
            localized(local, there)
    else:
        made = localized(local, there)
        assert (made, made.utcoffset()) == (expected, expected.utcoffset())
