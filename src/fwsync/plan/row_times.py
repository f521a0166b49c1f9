"""The timestamps of a row, and the age that a date of birth gives."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, timezone

import msgspec

from fwsync.errors import InputFileError
from fwsync.plan import dates, timestamps, values
from fwsync.plan.columns import Columns
from fwsync.plan.facts import Facts
from fwsync.plan.fields import LEVELS, plain
from fwsync.plan.row import LEAST_OF_AGES, CellError, Noticed, Values
from fwsync.plan.timestamps import Reading


class RowOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are read.

    `require` are fields that every row must give. `site_column` tells the site whose zone `reading.site_zones` names.
    `now` is the time of the run: later times are warned of.
    """

    reading: Reading = Reading()
    days_per_year: float = 365.25
    require: tuple[str, ...] = ()
    site_column: str = "site"
    now: datetime | None = None


class RowTimes:
    """The timestamps of a row, and the age that a date of birth gives."""

    def __init__(self, columns: Columns, facts: Facts, options: RowOptions, path: str) -> None:
        self._facts, self._reading, self._now = facts, options.reading, options.now
        self._dst = options.reading.dst
        self._levels = [
            (depth, at)
            for depth, level in enumerate(LEVELS[: columns.depth])
            if (
                at := {
                    f.name: at for at, f in columns.fields if f.level == level and (f.is_time or f.name == "timezone")
                }
            )
        ]
        self._zone_at = next((at for at, field in columns.fields if field.path == "timezone"), None)
        self._site_at = _site_column(columns, options) if options.reading.site_zones else None
        births = [(at, f) for at, f in columns.fields if f.name == "date_of_birth"]
        self._birth_at = births[0][0] if births else None
        # A zone that is the same for all rows lets days and times of day be remembered, see `_Composed`. Of several
        # formats the time of day may tell which one the day is in.
        told_by_row = self._zone_at is not None or self._site_at is not None or len(options.reading.formats) > 1
        self._composed = {} if told_by_row else {depth: _Composed() for depth, at in self._levels if len(at) == 1}
        self._birth_sent = bool(births and births[0][1].level)
        # The table of an export tells every age: where its column is empty, there is none to work out.
        self._ages = all(columns.header[at].strip() != "session.age:seconds" for at, _ in columns.fields)
        if options.reading.zone:
            try:
                timestamps.zone_named(options.reading.zone)
            except ValueError as error:
                raise InputFileError(f"{error}; set it by --timezone", path=path) from None

    def read(self, line: int, cells: Sequence[str], fields: tuple[Values, ...], noticed: Noticed) -> None:
        """Add times (and an age) to `fields`."""
        days: list[date] = []
        for depth, at in self._levels:
            if depth >= len(fields):
                continue
            composed = self._composed.get(depth)
            known = composed.find(cells[at["timestamp"]]) if composed is not None and "timestamp" in at else None
            if known is None:
                self._level(line, cells, at, fields[depth], days, noticed, composed)
            else:
                fields[depth]["timestamp"], fields[depth]["timezone"], day = known
                days.append(day)
        if self._birth_at is not None:
            self._birth(line, cells, fields, days, noticed)

    def _level(
        self,
        line: int,
        cells: Sequence[str],
        at: Mapping[str, int],
        into: Values,
        days: list[date],
        noticed: Noticed,
        composed: _Composed | None,
    ) -> None:
        named = self._cell(cells, at.get("timezone"))
        if named:
            try:
                into["timezone"] = timestamps.zone_named(named).zone
            except ValueError as error:
                raise CellError(at["timezone"], str(error)) from None
        where = at.get("timestamp", at.get("date", at.get("time", 0)))
        try:
            moment = self._moment(cells, at)
            if moment is None:
                return
            zone, own = self._zone(cells, named)
            stamp = timestamps.stamp(moment, zone, self._dst, named=own)
        except CellError:
            raise
        except ValueError as error:
            raise CellError(where, str(error)) from None
        into["timestamp"] = stamp.text
        if stamp.zone:
            into["timezone"] = stamp.zone
        if not moment.has_time:
            noticed.see(f"dates without a time of day count as midnight in {stamp.zone}", line)
        days.append(moment.value.date())
        late = self._now is not None and moment.value.year >= self._now.year
        if late and self._now is not None and datetime.fromisoformat(stamp.text) > self._now:
            noticed.see("times in the future", line)
        if composed is not None and not late and "timestamp" in at:
            composed.learn(cells[at["timestamp"]], moment, stamp)

    def _moment(self, cells: Sequence[str], at: Mapping[str, int]) -> dates.Moment | None:
        """The timestamp's cell, or a date and a time put together."""
        formats = self._reading.formats
        if "timestamp" in at:
            cell = self._cell(cells, at["timestamp"])
            return dates.moment(cell, self._facts.dates[at["timestamp"]], formats) if cell else None
        day_at, time_at = at.get("date"), at.get("time")
        day, time = self._cell(cells, day_at), self._cell(cells, time_at)
        if not time or time_at is None:
            return dates.moment(day, self._facts.dates[day_at], formats) if day and day_at is not None else None
        if not dates.is_time_of_day(time):
            return self._whole_in_time(cells, time, time_at, day, day_at)
        if not day or day_at is None:
            raise CellError(time_at, f"{time!r} is a time of day without its date")
        try:
            clock = dates.time_of_day(time)
        except ValueError as error:
            raise CellError(time_at, str(error)) from None
        found = dates.moment(day, self._facts.dates[day_at], formats)
        if found.has_time and found.value.time() not in (clock, datetime.min.time()):
            raise CellError(day_at, f"{day!r} has another time of day than {time!r}")
        value = datetime.combine(found.value.date(), clock, tzinfo=found.value.tzinfo)
        return dates.Moment(value, True)

    def _whole_in_time(
        self, cells: Sequence[str], time: str, time_at: int, day: str, day_at: int | None
    ) -> dates.Moment:
        """A column of times that holds whole timestamps; the date beside it must agree."""
        try:
            found = dates.moment(time, self._facts.dates[time_at], self._reading.formats)
        except ValueError as error:
            raise CellError(time_at, str(error)) from None
        if day and day_at is not None:
            beside = dates.moment(day, self._facts.dates[day_at], self._reading.formats)
            if beside.value.date() != found.value.date():
                raise CellError(day_at, f"{day!r} is another day than {time!r}")
        return found

    def _zone(self, cells: Sequence[str], named: str) -> tuple[str, str]:
        """The zone that applies, and the row's own: its level's cell, its row's, its site's, the file's."""
        if named:
            return named, named
        if own := self._cell(cells, self._zone_at):
            try:
                return own, timestamps.zone_named(own).zone or own
            except ValueError as error:
                raise CellError(self._zone_at or 0, str(error)) from None
        if site := self._cell(cells, self._site_at):
            zones = self._reading.site_zones
            zone = zones.get(site) or {name.casefold(): zone for name, zone in zones.items()}.get(site.casefold())
            if zone is None:
                raise CellError(
                    self._site_at or 0,
                    f"{site!r} has no zone in [import.site_zones]; there is {', '.join(list(zones)[:8])}",
                )
            return zone, ""
        return self._reading.zone, ""

    @staticmethod
    def _cell(cells: Sequence[str], at: int | None) -> str:
        return "" if at is None or values.is_missing(cells[at]) else cells[at]

    def _birth(
        self, line: int, cells: Sequence[str], fields: tuple[Values, ...], days: list[date], noticed: Noticed
    ) -> None:
        at = self._birth_at or 0
        if not (cell := self._cell(cells, self._birth_at)):
            return
        try:
            born = dates.date_only(cell, self._facts.dates[at], self._reading.formats)
        except ValueError as error:
            raise CellError(at, str(error)) from None
        if self._birth_sent:
            fields[0]["date_of_birth"] = born.isoformat()
        if self._now is not None and born > self._now.astimezone(timezone(timedelta(hours=14))).date():
            raise CellError(at, f"{cell!r} is a date of birth in the future")
        if not days or len(fields) < 2 or not self._ages:
            return
        day = min(days)
        if day < born:
            noticed.see("scans before the date of birth, whose age is left unset", line)
            return
        seconds = (day - born).days * values.SECONDS_PER_DAY
        if "age" in fields[1]:
            return
        if seconds > values.MOST_YEARS * 366 * values.SECONDS_PER_DAY:
            raise CellError(at, f"{cell!r} makes an age over {values.MOST_YEARS} years at the scan of {day}")
        fields[1][LEAST_OF_AGES] = seconds


def _site_column(columns: Columns, options: RowOptions) -> int | None:
    wanted = plain(options.site_column)
    return next((at for at, name in enumerate(columns.header) if plain(name) == wanted), None)


class _Composed:
    """Remembers days and times of day by how they are written: most columns repeat both, and a timestamp is then put
    together from two texts. Only for one zone, and only days whose offset does not change."""

    _DAY = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}\Z", re.ASCII)
    _CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?\Z", re.ASCII)
    _MOST = 100_000

    def __init__(self) -> None:
        self._days: dict[str, tuple[str, str, date]] = {}
        self._clocks: dict[str, str] = {}
        self._zone = ""

    def find(self, cell: str) -> tuple[str, str, date] | None:
        """The timestamp's text, its zone and its day, if both parts are known."""
        day, _, clock = cell.partition("T" if "T" in cell else " ")
        known, time = self._days.get(day), self._clocks.get(clock)
        return None if known is None or time is None else (f"{known[0]}T{time}{known[1]}", self._zone, known[2])

    def learn(self, cell: str, moment: dates.Moment, stamp: timestamps.Stamp) -> None:
        """Remember the parts of a cell that was read."""
        day, _, clock = cell.partition("T" if "T" in cell else " ")
        if not (self._DAY.match(day) and self._CLOCK.match(clock)) or moment.value.tzinfo or not stamp.zone:
            return
        offset = timestamps.offset_of_day(stamp.zone, moment.value.date())
        if offset is not None and len(self._days) < self._MOST:
            self._zone = stamp.zone
            self._days[day] = (moment.value.date().isoformat(), offset, moment.value.date())
            self._clocks[clock] = moment.value.time().isoformat()
