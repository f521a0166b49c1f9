"""What only a whole column can tell: the order of day and month, serial days, the type of its values."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fwsync.errors import InputFileError
from fwsync.plan.columns import Columns
from fwsync.plan.dates import DateColumn, DateFacts, is_time_of_day
from fwsync.plan.table import Record
from fwsync.plan.timestamps import Reading
from fwsync.plan.values import InfoColumn, is_missing, is_missing_text


class Facts(msgspec.Struct, kw_only=True):
    """By position: how dates read, and the types of info values; and whether the column of sexes has an `H` or `V`."""

    dates: dict[int, DateFacts] = {}
    types: dict[int, str] = {}
    sex_beside_h: bool = False


class Gatherer:
    """Takes in every record of a table once, in constant memory."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        fields = columns.fields
        self._dates = [(at, DateColumn()) for at, f in fields if f.is_time and f.name != "time"]
        self._dates += [(at, DateColumn()) for at, f in fields if f.name == "date_of_birth"]
        self._times = [(at, DateColumn()) for at, f in fields if f.name == "time"]
        self._info = [(at, InfoColumn()) for at, f in fields if f.name in ("info", "file.info") and not f.type]
        self._sex = columns.position("subject", "sex")
        self._beside_h = False

    def see(self, record: Record) -> None:
        """Take in one record."""
        line, cells = record
        many = len(cells)
        for at, dates in self._dates:
            if at < many and not is_missing(cell := cells[at].strip()):
                dates.see(cell, line)
        for at, dates in self._times:
            if at < many and not is_missing(cell := cells[at].strip()) and not is_time_of_day(cell):
                dates.see(cell, line)
        for at, info in self._info:
            if at < many and not is_missing_text(cell := cells[at].strip()):
                info.see(cell)
        if self._sex is not None and not self._beside_h and self._sex < many:
            self._beside_h = cells[self._sex].strip() in ("H", "h", "V", "v")

    def facts(self, reading: Reading, path: str) -> Facts:
        """What the columns told. InputFileError when day and month can't be told apart anywhere in one of them."""
        out = Facts(types={at: info.type for at, info in self._info}, sex_beside_h=self._beside_h)
        for at, dates in (*self._dates, *self._times):
            facts = dates.facts(order=reading.order, formats=reading.formats)
            if facts.ambiguous:
                raise InputFileError(
                    "day and month can't be told apart in any of the dates; say --month-first or --day-first,"
                    " or give --date-format, or set [import] date_formats",
                    path=path,
                    column=self._columns.name(at),
                )
            out.dates[at] = facts
        return out


def facts_of(records: Iterable[Record], columns: Columns, reading: Reading, path: str) -> Facts:
    """The facts of a table that is in memory."""
    gatherer = Gatherer(columns)
    for record in records:
        gatherer.see(record)
    return gatherer.facts(reading, path)
