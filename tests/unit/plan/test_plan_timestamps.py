"""Local times: formats, order of day and month, DST gaps and folds, and every zone there is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import pytz
from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan.timestamps import Reading, order_of, stamp, zone_named

ZURICH = Reading(zone="Europe/Zurich")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("10/03/2019 15:32", "2019-10-03T15:32:00+02:00"),
        ("1/3/2019 3:32 PM", "2019-01-03T15:32:00+01:00"),
        ("2019-10-03T15:32", "2019-10-03T15:32:00+02:00"),
        ("2019-10-03 15:32:01.5", "2019-10-03T15:32:01.500+02:00"),
        ("2019-10-03T15:32:00Z", "2019-10-03T15:32:00+00:00"),
        ("20191003153200", "2019-10-03T15:32:00+02:00"),
        ("20191003 153200.250", "2019-10-03T15:32:00.250+02:00"),
    ],
)
def test_known_forms(cell: str, expected: str) -> None:
    assert stamp(cell, ZURICH, "month-first").text == expected


def test_the_zone_s_own_name_is_kept_and_offsets_are_never_lmt() -> None:
    made = stamp("01/02/2019 10:00", ZURICH, "day-first")
    assert (made.text, made.zone) == ("2019-02-01T10:00:00+01:00", "Europe/Zurich")
    assert stamp("2019-10-03T15:32:00+05:30", ZURICH, "").zone is None


@pytest.mark.parametrize(
    ("cells", "order"),
    [
        (["10/03/2019 15:32", "09/23/2019 12:02"], "month-first"),
        (["10/03/2019 15:32", "23/09/2019 12:02"], "day-first"),
        (["10/03/2019 15:32", "01/02/2019 12:02"], None),
        (["05/05/2019 15:32"], ""),
        (["2019-01-02 10:00"], ""),
        ([], ""),
    ],
)
def test_the_whole_column_decides_the_order(cells: list[str], order: str | None) -> None:
    assert order_of(cells) == order


@pytest.mark.parametrize(
    ("cell", "part"),
    [
        ("03/31/2019 02:30", "does not exist in Europe/Zurich"),
        ("10/27/2019 02:30", "happened twice in Europe/Zurich, at +0200 and +0100"),
        ("2019-10-03", "no time of day"),
        ("10/03/19 15:32", "two digits"),
        ("13/13/2019 15:32", "no valid date"),
        ("23/10/2019 15:32", "does not fit the month-first order"),
        ("10/03/1019 15:32", "outside the years"),
        ("yesterday", "--date-format"),
    ],
)
def test_what_can_t_be_read_says_why(cell: str, part: str) -> None:
    with pytest.raises(ValueError, match=part.replace("+", r"\+")):
        stamp(cell, ZURICH, "month-first")


def test_gaps_and_folds_are_settled_only_when_told() -> None:
    gap, fold = "03/31/2019 02:30", "10/27/2019 02:30"
    settled = {
        how: stamp(cell, Reading(zone="Europe/Zurich", dst=(how,)), "month-first").text
        for how, cell in (("shift-forward", gap), ("earlier", fold), ("later", fold))
    }
    assert settled == {
        "shift-forward": "2019-03-31T03:30:00+02:00",
        "earlier": "2019-10-27T02:30:00+02:00",
        "later": "2019-10-27T02:30:00+01:00",
    }


def test_an_unknown_zone_names_near_ones() -> None:
    with pytest.raises(ValueError, match="Europe/Zurich"):
        zone_named("Europe/Zurch")
    with pytest.raises(ValueError, match="Europe/Zurich"):
        zone_named("zurich")


@given(
    zone=st.sampled_from(pytz.all_timezones),
    moment=st.datetimes(datetime(1990, 1, 1), datetime(2030, 12, 31)),
)
def test_every_zone_round_trips_or_is_refused(zone: str, moment: datetime) -> None:
    local = moment.replace(microsecond=0)
    try:
        made = stamp(local.isoformat(), Reading(zone=zone), "")
    except ValueError as error:
        assert "exist" in str(error) or "twice" in str(error)
        return
    read = datetime.fromisoformat(made.text)
    assert read.astimezone(pytz.timezone(zone)).replace(tzinfo=None) == local
    assert read.utcoffset() is not None
    assert abs(read.astimezone(UTC) - local.replace(tzinfo=UTC)) <= timedelta(hours=16)
