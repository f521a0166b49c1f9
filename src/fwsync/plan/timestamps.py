"""Local times to instants with an offset: zones, DST gaps and folds, and the form in which the platform keeps them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache

import msgspec
import pytz
from pytz.tzinfo import BaseTzInfo

from fwsync.plan.dates import Moment, Order

__all__ = ["Order", "Reading", "Stamp", "localized", "stamp", "zone_named"]

# Names that the zone database gives to times without a standard: local mean time, and "nobody lived there yet".
_NO_STANDARD = ("LMT", "-00")


class Stamp(msgspec.Struct, frozen=True):
    """A timestamp in stored form: ISO 8601 with offset, and the zone's name where one is known."""

    text: str
    zone: str | None


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How to read a column's times: what a person said about them.

    `order` settles day and month, `formats` the whole form; `dst` settles folds and gaps. `site_zones` gives a zone by
    the name of an imaging site. An empty `zone` means UTC, and that a date alone has no midnight and is refused.
    """

    zone: str = ""
    formats: tuple[str, ...] = ()
    order: Order = ""
    dst: tuple[str, ...] = ()
    site_zones: dict[str, str] = {}


def zone_named(name: str) -> BaseTzInfo:
    """The pytz zone of this name; ValueError with near names for an unknown one."""
    found = _zone(name.strip())
    if found is None:
        raise ValueError(f"{name!r} is no known time zone{_near(name.strip())}")
    return found


@lru_cache(maxsize=1024)
def _zone(name: str) -> BaseTzInfo | None:
    try:
        return pytz.timezone(name)
    except (pytz.UnknownTimeZoneError, ValueError, AttributeError):
        return None


@lru_cache(maxsize=1024)  # it takes milliseconds, and one wrong name comes in every row
def _near(name: str) -> str:
    # Not those such as Etc/GMT+2: it is two hours west of Greenwich, where people write +2 for east.
    zones = [zone for zone in pytz.all_timezones if not zone.startswith("Etc/")]
    known = {zone.casefold(): zone for zone in zones}
    cities = {zone.rsplit("/", 1)[-1].casefold(): zone for zone in zones}
    close = difflib.get_close_matches(name.casefold(), [*known, *cities], n=3, cutoff=0.6)
    near = list(dict.fromkeys(known.get(word) or cities[word] for word in close))
    return f"; did you mean {' or '.join(near[:2])}?" if near else "; use a name such as Europe/Zurich"


def stamp(moment: Moment, zone: str, dst: Sequence[str] = (), *, named: str = "") -> Stamp:
    """The timestamp of a moment in the zone that applies; ValueError with a message for a person.

    A moment with an offset keeps its instant, whatever `zone` says; its zone is `named`, the row's own, if there is
    one. An empty `zone` means that none was given. A date alone is midnight in its zone.
    """
    local = moment.value
    if local.tzinfo is not None:
        return Stamp(_text(local), zone_named(named).zone if named else None)
    if not zone and not moment.has_time:
        raise ValueError(
            f"'{local:%Y-%m-%d}' has no time of day, and no time zone was given for its midnight;"
            " give --timezone, or add the time"
        )
    place = zone_named(zone or "UTC")
    return Stamp(_text(localized(local, place, dst)), place.zone)


def _text(moment: datetime) -> str:
    if not moment.microsecond:
        return moment.isoformat()  # half the time of naming the precision
    # The platform keeps milliseconds: more would differ on every read back.
    return moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds")


def localized(local: datetime, zone: BaseTzInfo, dst: Sequence[str] = ()) -> datetime:
    """A naive local time as an aware one with a fixed offset of whole minutes.

    ValueError for a time in a gap or a fold unless `dst` holds `shift-forward`, or `earlier` or `later`, and for a time
    at which the zone had no standard time.
    """
    # `localize` costs 9 us; the zone and the day decide, and on the few days with a change the hour.
    day = local.toordinal()
    offset = _offset(zone, day) or _offset(zone, day, local.hour)
    if offset is not None:
        return local.replace(tzinfo=offset)
    found = _settled(local, zone, dst)
    offset = _standard(found)
    if offset is None:
        raise ValueError(
            f"{zone.zone} had no standard time at {local:%Y-%m-%d %H:%M}; correct the date, or give the time its offset"
        )
    return found.replace(tzinfo=offset)


def offset_of_day(zone: str, day: date) -> str | None:
    """The offset of a zone, such as `+02:00`, if it is one and the same over a whole day; else None."""
    offset = _offset(zone_named(zone), day.toordinal())
    return None if offset is None else datetime.combine(day, time(), tzinfo=offset).isoformat()[19:]


@lru_cache(maxsize=65536)
def _offset(zone: BaseTzInfo, day: int, hour: int | None = None) -> timezone | None:
    """The zone's offset if it is the same, unambiguous and a standard one over the day, or over its hour; else None."""
    start = datetime.fromordinal(day) + timedelta(hours=hour or 0)
    span = timedelta(days=1) if hour is None else timedelta(hours=1)
    found = set()
    for quarters in range(5):
        local = start + span * quarters / 4 - timedelta(seconds=quarters == 4)
        try:
            found.add(_standard(zone.localize(local, is_dst=None)))
        except pytz.InvalidTimeError:
            return None
    return found.pop() if len(found) == 1 else None


def _standard(moment: datetime) -> timezone | None:
    """The offset as the standard library's, whose arithmetic is quick; None if it is none of a standard time."""
    apart = moment.utcoffset()
    if apart is None or apart % timedelta(minutes=1) or moment.tzname() in _NO_STANDARD:
        return None
    return timezone(apart)


def _settled(local: datetime, zone: BaseTzInfo, dst: Sequence[str]) -> datetime:
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
        early, late = sorted(zone.localize(local, is_dst=flag) for flag in (True, False))
        if "earlier" in dst:
            return early
        if "later" in dst:
            return late
        raise ValueError(
            f"{local:%Y-%m-%d %H:%M} happened twice in {zone.zone}, at {early:%z} and {late:%z}: clocks went back;"
            " settle it by --dst earlier or --dst later"
        ) from None
