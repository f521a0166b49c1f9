"""Local times in a column to aware timestamps: formats, day and month order, zones, DST gaps and folds."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal

import msgspec
import pytz
from pytz.tzinfo import BaseTzInfo

Order = Literal["", "day-first", "month-first"]

_NUMERIC = re.compile(
    r"(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})(?:[ T]+(\d{1,2}):(\d\d)(?::(\d\d)(\.\d{1,6})?)?\s*([ap]m)?)?\Z",
    re.IGNORECASE,
)
_DICOM = re.compile(r"(\d{4})(\d\d)(\d\d)(?:[ T]?(\d\d)(\d\d)(\d\d)?(\.\d{1,6})?)?\Z")
_ISO = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
YEARS = range(1900, 2101)


class Stamp(msgspec.Struct, frozen=True):
    """A timestamp in stored form: ISO 8601 with offset, and the zone's name where one was applied."""

    text: str
    zone: str | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a column's times. `order` settles day and month; `dst` settles folds and gaps."""

    zone: str = "UTC"
    formats: tuple[str, ...] = ()
    order: Order = ""
    dst: tuple[str, ...] = ()


def zone_named(name: str) -> BaseTzInfo:
    """The pytz zone of this name; ValueError with near names for an unknown one."""
    found = _zone(name.strip())
    if found is None:
        known = {zone.casefold(): zone for zone in pytz.all_timezones}
        cities = {zone.rsplit("/", 1)[-1].casefold(): zone for zone in pytz.all_timezones}
        close = difflib.get_close_matches(name.strip().casefold(), [*known, *cities], n=3, cutoff=0.6)
        near = list(dict.fromkeys(known.get(word) or cities[word] for word in close))
        hint = f"; did you mean {' or '.join(near[:2])}?" if near else "; use a name such as Europe/Zurich"
        raise ValueError(f"{name!r} is no known time zone{hint}")
    return found


@lru_cache(maxsize=1024)
def _zone(name: str) -> BaseTzInfo | None:
    try:
        return pytz.timezone(name)
    except (pytz.UnknownTimeZoneError, UnicodeEncodeError, ValueError, AttributeError):
        return None


def order_of(cells: Iterable[str]) -> Order | None:
    """Which of day and month comes first in a whole column of `a/b/yyyy`.

    Empty text: no cell has that form. None: every such cell could be either, which is an error for the file.
    A column that proves both is taken by the majority; the cells of the minority then fail one by one.
    """
    day = month = either = 0
    for cell in cells:
        if (found := _NUMERIC.match(cell)) is None:
            continue
        first, second = int(found.group(1)), int(found.group(2))
        if first > 12 >= second:
            day += 1
        elif second > 12 >= first:
            month += 1
        elif first != second:
            either += 1
    if day or month:
        return "day-first" if day > month else "month-first"
    return None if either else ""


def stamp(cell: str, reading: Reading, order: Order, zone: str | None = None) -> Stamp:
    """The timestamp in a cell; ValueError with a message for a person.

    `order` is the column's, `zone` the row's own zone if it has one. A time that carries an offset keeps its instant.
    """
    local = _parse(cell.strip(), reading.formats, order)
    if local.tzinfo is not None:
        return Stamp(_text(local), None)
    name = zone or reading.zone
    return Stamp(_text(_localized(local, zone_named(name), reading.dst)), zone_named(name).zone)


def _text(moment: datetime) -> str:
    # The platform keeps milliseconds: more would differ on every read back.
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def _parse(cell: str, formats: Sequence[str], order: Order) -> datetime:
    for form in formats:
        try:
            return _sane(datetime.strptime(cell, form), cell)  # noqa: DTZ007 - the zone comes next
        except ValueError:
            continue
    if formats:
        raise ValueError(f"{cell!r} has none of the formats {', '.join(formats)}")
    if (found := _NUMERIC.match(cell)) is not None:
        return _from_numbers(found, order, cell)
    if (found := _DICOM.match(cell)) is not None:
        parts = found.groups()
        return _made([int(part or 0) for part in parts[:6]], parts[6], parts[3], cell)
    if _ISO.match(cell):
        moment = _iso(cell)
        if moment is not None and len(cell) <= 10:
            raise ValueError(_no_time(cell))
        if moment is not None:
            return _sane(moment, cell)
    raise ValueError(
        f"{cell!r} is no date and time that is known; give its form by --date-format, e.g. '%d.%m.%Y %H:%M'"
    )


def _iso(cell: str) -> datetime | None:
    try:
        return datetime.fromisoformat(cell)
    except ValueError:
        return None


def _no_time(cell: str) -> str:
    return f"{cell!r} has no time of day; add one, or give --date-format for a date alone (midnight is then meant)"


def _from_numbers(found: re.Match[str], order: Order, cell: str) -> datetime:
    first, second, year_text, hour, minute, second_text, fraction, half = found.groups()
    day, month = (int(first), int(second)) if order == "day-first" else (int(second), int(first))
    if len(year_text) == 2:
        raise ValueError(f"{cell!r} has a year of two digits; write all four, or give --date-format")
    hours = int(hour) if hour else 0
    if half:
        if not 1 <= hours <= 12:
            raise ValueError(f"{cell!r} is no time of day")
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    if not 1 <= month <= 12 and 1 <= day <= 12:
        raise ValueError(f"{cell!r} does not fit the {order or 'month-first'} order of the column")
    return _made([int(year_text), month, day, hours, int(minute or 0), int(second_text or 0)], fraction, hour, cell)


def _made(numbers: list[int], fraction: str | None, hour: str | None, cell: str) -> datetime:
    if hour is None:
        raise ValueError(_no_time(cell))
    try:
        micro = round(float(fraction or 0) * 1_000_000)
        moment = datetime(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], min(micro, 999_999))  # noqa: DTZ001
    except ValueError as error:
        raise ValueError(f"{cell!r} is no valid date and time ({error})") from None
    return _sane(moment, cell)


def _sane(moment: datetime, cell: str) -> datetime:
    if moment.year not in YEARS:
        raise ValueError(f"{cell!r} is outside the years {YEARS.start} to {YEARS.stop - 1}")
    return moment


def _localized(local: datetime, zone: BaseTzInfo, dst: Sequence[str]) -> datetime:
    """Local time in a zone. A gap or a fold is refused unless `dst` says how to settle it."""
    # `localize` costs 9 us; offsets change at most once an hour, so the zone and the hour decide.
    offset = _offset(zone, local.replace(minute=0, second=0, microsecond=0))
    if offset is not None:
        return local.replace(tzinfo=offset)
    try:
        return zone.localize(local, is_dst=None)
    except pytz.NonExistentTimeError:
        if "shift-forward" in dst:
            return zone.normalize(zone.localize(local, is_dst=False))
        raise ValueError(
            f"{local:%Y-%m-%d %H:%M} does not exist in {zone.zone}: clocks went forward;"
            " settle it by --dst shift-forward"
        ) from None
    except pytz.AmbiguousTimeError:
        early, late = (zone.localize(local, is_dst=flag) for flag in (True, False))
        early, late = sorted((early, late))
        if "earlier" in dst:
            return early
        if "later" in dst:
            return late
        raise ValueError(
            f"{local:%Y-%m-%d %H:%M} happened twice in {zone.zone}, at {early:%z} and {late:%z}: clocks went back;"
            " settle it by --dst earlier or --dst later"
        ) from None


@lru_cache(maxsize=65536)
def _offset(zone: BaseTzInfo, hour: datetime) -> tzinfo | None:
    """The zone's offset if it is the same, and unambiguous, over the whole hour; else None."""
    found = set()
    for minutes in (0, 15, 30, 45, 60):
        try:
            found.add(
                zone.localize(hour + timedelta(minutes=minutes, seconds=-(minutes == 60)), is_dst=None).utcoffset()
            )
        except pytz.InvalidTimeError:
            return None
    offset = found.pop()
    if found or offset is None or offset.total_seconds() % 60:
        return None  # an offset with seconds has no ISO form; localize and its caller deal with it
    return pytz.FixedOffset(int(offset.total_seconds()) // 60)
