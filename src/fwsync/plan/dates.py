"""Cells of one column to dates and times as they are written: no zones yet, those are `plan/timestamps.py`.

The column as a whole is seen first (`DateColumn`), because one cell can't tell whether 10/03/2019 is in March or in
October, nor whether 43741 is a day number of Excel. What it proves (`DateFacts`) then reads each cell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Literal

import msgspec

Order = Literal["", "day-first", "month-first"]

YEARS = range(1850, 2101)
SERIALS = range(61, 109_575)
"""Excel's day numbers: up to 60 they are off by one, as Excel has a 29 February 1900; the last is in 2199."""

_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - day numbers are local
_DAY = 86_400
_UNKNOWN = "is no date that is known; give its form by --date-format, e.g. '%d.%m.%Y %H:%M'"
_TWO_DIGITS = "has a year of two digits; write all four, or give --date-format, e.g. '%d/%m/%y'"
_OUTSIDE = f"is outside the years {YEARS.start} to {YEARS.stop - 1}"
_NO_OFFSET = "has an offset outside -12:00 to +14:00, or one with seconds"

_NUMERIC = re.compile(r"(\d{1,2})([/.\-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)", re.ASCII)
_YEAR_FIRST = re.compile(r"(\d{4})([/.\-])(\d{1,2})\2(\d{1,2})(?!\d)", re.ASCII)
_DICOM = re.compile(r"(\d{4})()(\d\d)(\d\d)(?=\Z|\D|\d{4}(?:\d\d)?(?!\d))", re.ASCII)
_CHARACTERS = re.compile(r"(\d{4})()年 ?(\d{1,2})月 ?(\d{1,2})日", re.ASCII)
_DAY_NAME = re.compile(
    r"([0-9]{1,2})(?:st|nd|rd|th|er|º)?\.?[ /\-]?(?:de )?([^\W\d_]+)\.?[ /\-]?(?:de )?([0-9]{4}|[0-9]{2})(?!\d)",
    re.IGNORECASE,
)
_NAME_DAY = re.compile(
    r"([^\W\d_]+)\.?[ /\-]?([0-9]{1,2})(?:st|nd|rd|th)?(?:, ?|[ /.\-])([0-9]{4}|[0-9]{2})(?!\d)", re.IGNORECASE
)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)\Z", re.ASCII)
_SERIAL = re.compile(r"([1-9]\d{1,5})(?:[.,](\d+))?\Z", re.ASCII)
_FRACTION = re.compile(r"0[.,](\d+)\Z", re.ASCII)

_OFFSET = r"(?: ?(Z|UTC|GMT|[+\-]\d\d(?::?\d\d)?))?\Z"
_CLOCK = re.compile(
    r"(\d{1,2})(?::| ?h ?)(\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?([ap])\.? ?m\.?| ?(?:uhr|h))?" + _OFFSET,
    re.ASCII | re.IGNORECASE,
)
_COMPACT = re.compile(r"(\d\d)(\d\d)(?:(\d\d)(?:\.(\d+))?)?()" + _OFFSET, re.ASCII | re.IGNORECASE)

# English, German, French, Spanish, Italian, Dutch, Portuguese, without accents. No word means two months.
_NAMES = (
    "jan january januar janner janv janvier ene enero gen gennaio januari janeiro",
    "feb february februar feber fev fevr fevrier febrero febbraio februari fevereiro",
    "mar march marz maerz mrz mars marzo mrt maart marco",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio mei maio",
    "jun june juni juin junio giu giugno junho",
    "jul july juli juil juillet julio lug luglio julho",
    "aug august aout aou ago agosto augustus",
    "sep sept september septembre septiembre setiembre set settembre setembro",
    "oct october okt oktober octobre octubre ott ottobre out outubro",
    "nov november novembre noviembre novembro",
    "dec december dez dezember decembre dic diciembre dicembre dezembro",
)
_MONTHS = {word: number for number, words in enumerate(_NAMES, 1) for word in words.split()}

# What spreadsheets and web pages leave in a copied date: marks of writing direction, zero-width characters.
_INVISIBLE = dict.fromkeys([0x200B, 0x200E, 0x200F, 0x202A, 0x202C, 0x2060, 0xFEFF])

_DAY_FIRST, _MONTH_FIRST, _EITHER, _SERIAL_LIKE, _OTHER = range(5)


class Moment(msgspec.Struct, frozen=True):
    """A date with its time of day, naive unless the cell carries an offset; midnight if it has no time."""

    value: datetime
    has_time: bool


class DateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole column tells about its cells.

    `order` is empty if nothing in the column needs one. `ambiguous`: there are cells such as 10/03/2019 and nothing
    tells how to read them, which is an error of the file. `mixed`: some cells prove one order and some the other;
    `order` is then the majority's, empty for a tie. `serial`: every cell is a day number of Excel. The lines are the
    first ones that prove day-first, prove month-first, or could be either; 0 for none.
    """

    order: Order = ""
    ambiguous: bool = False
    mixed: bool = False
    serial: bool = False
    day_line: int = 0
    month_line: int = 0
    either_line: int = 0
    either: int = 0
    count: int = 0


class DateColumn:
    """Statistics over a column of dates, in constant memory: `see` each cell that is not missing, then ask `facts`."""

    def __init__(self) -> None:
        self._counts = [0] * 5
        self._lines = [0] * 5

    def see(self, cell: str, line: int) -> None:
        """Take in one cell. Never fails: what is no date is told by `moment`, row by row."""
        if not cell.isascii():
            cell = _clean(cell)
        cell = cell.strip()
        kind = _kind(cell[:10])
        if kind == _SERIAL_LIKE and _serial(cell) is None:
            kind = _OTHER
        if not self._counts[kind] or line < self._lines[kind]:
            self._lines[kind] = line
        self._counts[kind] += 1

    def facts(self, *, order: Order = "", formats: Sequence[str] = ()) -> DateFacts:
        """What the cells prove; `order` and `formats` are what a person said, which settles it."""
        day, month, either, serial, _ = self._counts
        count = sum(self._counts)
        found: Order = "" if day == month else "day-first" if day > month else "month-first"
        told = bool(order or formats)
        return DateFacts(
            order=order if told else found,
            ambiguous=not told and either > 0 and not day and not month,
            mixed=not told and day > 0 and month > 0,
            serial=not formats and 0 < serial == count,
            day_line=self._lines[_DAY_FIRST],
            month_line=self._lines[_MONTH_FIRST],
            either_line=self._lines[_EITHER],
            either=either,
            count=count,
        )


@lru_cache(maxsize=8192)
def _kind(head: str) -> int:
    """The kind of a cell by its first ten characters, which hold all of a/b/yyyy and repeat from row to row."""
    if (found := _NUMERIC.match(head)) is not None and len(found[4]) == 4:
        first, second = int(found[1]), int(found[3])
        if proof := _proof(first, second):
            return _DAY_FIRST if proof == "day-first" else _MONTH_FIRST
        return _EITHER if _could_be_either(first, second) else _OTHER
    return _SERIAL_LIKE if _SERIAL.match(head) else _OTHER


def _proof(first: int, second: int) -> Order:
    if 12 < first <= 31 and 1 <= second <= 12:
        return "day-first"
    return "month-first" if 12 < second <= 31 and 1 <= first <= 12 else ""


def _could_be_either(first: int, second: int) -> bool:
    return first != second and 1 <= first <= 12 and 1 <= second <= 12


def moment(cell: str, facts: DateFacts, formats: Sequence[str] = ()) -> Moment:
    """The date and time in a cell of the column that `facts` are about; ValueError with a message for a person.

    `formats` are strptime forms, tried in turn; when there are any, nothing else is read.
    """
    try:
        return _moment(_clean(cell), facts, formats)
    except ValueError as error:
        raise ValueError(f"{_shown(cell)} {error}") from None


def date_only(cell: str, facts: DateFacts, formats: Sequence[str] = ()) -> date:
    """The date in a cell, for dates of birth: a time of day is dropped. ValueError as for `moment`."""
    return moment(cell, facts, formats).value.date()


def time_of_day(cell: str) -> time:
    """The naive time in a cell of a time column, such as 15:32, 3:32 PM, 153200.5 or Excel's day fraction 0.6472.

    ValueError with a message for a person. Day fractions are rounded to the nearest second.
    """
    text = _clean(cell)
    try:
        if (found := _FRACTION.match(text)) is not None:
            # 0.999999 is meant for the end of this day: the date stands in another column and can't follow.
            seconds = min(round(float(f"0.{found[1][:15]}") * _DAY), _DAY - 1)
            return (_EPOCH + timedelta(seconds=seconds)).time()
        clock = _clock(text)
    except ValueError as error:
        raise ValueError(f"{_shown(cell)} {error}") from None
    if clock is None:
        raise ValueError(f"{_shown(cell)} is no time of day that is known; write it as 15:32 or 15:32:00")
    if clock.tzinfo is not None:
        # 08:00-09:00 looks like a time with an offset, and is a time span in most tables.
        raise ValueError(f"{_shown(cell)} has more than a time of day; write 15:32 and give the zone by itself")
    return clock


def is_time_of_day(cell: str) -> bool:
    """Whether `time_of_day` reads the cell."""
    try:
        time_of_day(cell)
    except ValueError:
        return False
    return True


@lru_cache(maxsize=256)
def check_format(form: str) -> bool:
    """Whether a strptime form holds a time of day; ValueError for one that does not hold a whole date."""
    probe = datetime(2019, 10, 23, 15, 32, 1, tzinfo=UTC)
    if "%Z" in form.replace("%%", ""):
        raise ValueError(f"the date format {form!r} has %Z, which names no zone for sure; use %z, or --timezone")
    try:
        read = datetime.strptime(probe.strftime(form), form)  # noqa: DTZ007 - only fields are compared
    except (ValueError, re.error) as error:
        raise ValueError(f"the date format {form!r} can't be used: {error}") from None
    if read.date() != probe.date():
        raise ValueError(f"the date format {form!r} does not give year, month and day")
    return read.hour > 0


def _clean(cell: str) -> str:
    if not cell.isascii():
        cell = unicodedata.normalize("NFC", cell.translate(_INVISIBLE))
    return " ".join(cell.split())


def _shown(cell: str) -> str:
    return repr(cell if len(cell) <= 80 else cell[:80] + "...")


# Everything below raises ValueError with the rest of a sentence that starts with the cell.


def _moment(text: str, facts: DateFacts, formats: Sequence[str]) -> Moment:
    # A whole ISO time with its offset means one instant whatever the formats are for; fwsync export writes these.
    if formats and not _INSTANT.match(text):
        return _by_format(text, formats)
    if facts.serial and not formats:
        return _from_serial(text)
    for pattern, read in _FORMS:
        if (found := pattern.match(text)) is not None:
            day = read(found, facts)
            break
    else:
        raise ValueError(_why_unknown(text))
    rest = text[found.end() :]
    if not rest:
        return Moment(datetime.combine(day, time.min), False)
    if rest[0] in "Tt:":  # a colon: SAS writes 03OCT2019:15:32:00
        rest = rest[1:]
    elif rest[0] in " ,":
        rest = rest.lstrip(" ,")
    clock = _clock(rest)
    if clock is None:
        raise ValueError(_UNKNOWN)
    return Moment(datetime.combine(day, clock), True)


def _why_unknown(text: str) -> str:
    if _serial(text) is not None:
        return (
            "is a day number of Excel in a column that has other forms too;"
            " format the whole column as dates, or write this one as 2019-10-03 15:32"
        )
    if _FRACTION.match(text) or _CLOCK.match(text):
        return "is a time of day without its date"
    if (found := _SERIAL.match(text)) is not None and int(found[1]) in YEARS:
        return "is a year without month and day"
    return _UNKNOWN


def _by_format(text: str, formats: Sequence[str]) -> Moment:
    why = f"has none of the formats {', '.join(formats)}"
    for form in formats:
        has_time = check_format(form)
        try:
            value = datetime.strptime(text, form)  # noqa: DTZ007 - the zone comes later
        except ValueError:
            continue
        if value.year not in YEARS:
            why = _OUTSIDE
        elif not _is_offset(value.utcoffset()):
            why = _NO_OFFSET
        else:
            return Moment(value, has_time)
    raise ValueError(why)


def _serial(text: str) -> tuple[int, float] | None:
    """Day number and fraction of a day; None for what is none, such as a year alone."""
    if (found := _SERIAL.match(text)) is None:
        return None
    days, part = int(found[1]), float(f"0.{(found[2] or '0')[:15]}")
    # A column of years (1985, or 1985.0 from a data frame) would else be read as days of 1905.
    return None if days not in SERIALS or (days in YEARS and not part) else (days, part)


def _from_serial(text: str) -> Moment:
    if (found := _serial(text)) is None:
        raise ValueError("is no day number of Excel, as the rest of the column")
    value = _EPOCH + timedelta(days=found[0], seconds=round(found[1] * _DAY))
    if value.year not in YEARS:
        raise ValueError(_OUTSIDE)
    return Moment(value, found[1] > 0)


def _from_numbers(found: re.Match[str], facts: DateFacts) -> date:
    a, _, b, year = found.groups()
    first, second, order = int(a), int(b), facts.order
    if len(year) == 2:
        raise ValueError(_TWO_DIGITS)  # before the order of day and month: telling that would not help
    proof, either = _proof(first, second), _could_be_either(first, second)
    if facts.mixed and (either or (proof and proof != order)):
        raise ValueError(_mixed(proof, facts))
    if order and proof and proof != order:
        raise ValueError(f"does not fit the {order} order of the column; correct it")
    if either and not order:
        raise ValueError("could be day-first or month-first; say --day-first, --month-first or --date-format")
    day, month = (first, second) if (order or proof) == "day-first" else (second, first)
    return _day(year, month, day)


def _mixed(proof: Order, facts: DateFacts) -> str:
    what = f"is {proof}" if proof else "could be day-first or month-first"
    return (
        f"{what}, and the column has both (day-first in line {facts.day_line}, month-first in line"
        f" {facts.month_line}); correct it, or say --day-first, --month-first or --date-format"
    )


def _from_year(found: re.Match[str], _: DateFacts) -> date:
    return _day(found[1], int(found[3]), int(found[4]))


def _from_name(found: re.Match[str], _: DateFacts) -> date:
    one, other, year = found.groups()
    number, name = (one, other) if one[0].isdigit() else (other, one)
    name = name.casefold()
    if not name.isascii():
        name = "".join(part for part in unicodedata.normalize("NFKD", name) if not unicodedata.combining(part))
    if name not in _MONTHS:
        raise ValueError(_UNKNOWN)
    return _day(year, _MONTHS[name], int(number))


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], DateFacts], date]], ...] = (
    (_NUMERIC, _from_numbers),
    (_YEAR_FIRST, _from_year),
    (_DICOM, _from_year),
    (_DAY_NAME, _from_name),
    (_NAME_DAY, _from_name),
    (_CHARACTERS, _from_year),
)


def _day(year: str, month: int, day: int) -> date:
    if len(year) == 2:
        raise ValueError(_TWO_DIGITS)
    if int(year) not in YEARS:
        raise ValueError(_OUTSIDE)
    try:
        return date(int(year), month, day)
    except ValueError:
        raise ValueError("is no date that exists; correct it") from None


@lru_cache(maxsize=4096)
def _clock(text: str) -> time | None:
    """A time of day, aware if it has an offset; None for another form."""
    found = _CLOCK.match(text) or _COMPACT.match(text)
    if found is None:
        return None
    hour, minute, second, fraction, half, offset = found.groups()
    hours = int(hour)
    if half:
        if not 1 <= hours <= 12:
            raise ValueError("has an hour that does not go with AM or PM")
        hours = hours % 12 + (12 if half in "pP" else 0)
    if hours == 24 and not int(minute) and not int(second or 0):
        raise ValueError("has the hour 24; write 00:00 of the next day")
    micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
    zone = _zone(offset) if offset else None
    try:
        return time(hours, int(minute), int(second or 0), micro, zone)
    except ValueError:
        raise ValueError("has no time of day that exists; correct it") from None


@lru_cache(maxsize=1024)
def _zone(offset: str) -> timezone:
    if offset[0] not in "+-":
        return UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    apart = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    apart = -apart if offset[0] == "-" else apart
    if int(digits[2:]) > 59 or not _is_offset(apart):
        raise ValueError(_NO_OFFSET)
    return timezone(apart)


def _is_offset(apart: timedelta | None) -> bool:
    return apart is None or (timedelta(hours=-12) <= apart <= timedelta(hours=14) and not apart % timedelta(minutes=1))
