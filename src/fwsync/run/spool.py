"""A temporary SQLite database that keeps large tables and listings out of memory, and sorts them.

    raw      seq, records      the table's records as they are, many a row
    rows     subject, session, acquisition, line, fields       good rows, typed
    errors   line, col, message                                rows in error
    wanted   seq, containers   what the rows ask for, one subject a row, in order
    held     depth, id, parent, label, created, fields         what the site has

Values are msgpack. Where it lies, and for how long, `run.scratch` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import msgspec

from fwsync.plan.importing import Held
from fwsync.plan.row import LEAST_OF_AGES, Row, RowError
from fwsync.plan.table import Record
from fwsync.plan.wanted import Verdict, Wanted
from fwsync.run.scratch import BATCH, Scratch

_SCHEMA = """
create table raw (seq integer primary key, records blob);
create table rows (subject text, session text, acquisition text, line integer, fields blob);
create table errors (line integer, col text, message text);
create table wanted (seq integer primary key, subject text, containers blob);
create table held (depth integer, id text, parent text, label text, created text, fields blob);
create table padded (plain text primary key, label text) without rowid;
"""

_records = msgspec.msgpack.Decoder(list[Record])
_fields = msgspec.msgpack.Decoder(tuple[dict[str, Any], ...])
_values = msgspec.msgpack.Decoder(dict[str, Any])
_containers = msgspec.msgpack.Decoder(list[Wanted])
_encode = msgspec.msgpack.Encoder().encode


class Spool(Scratch):
    """One spool of an import or export."""

    schema = _SCHEMA

    def __init__(self, state_folder: Path) -> None:
        super().__init__(state_folder)
        self.names: tuple[set[str], ...] = (set(), set(), set())
        """The fields that wanted containers have, by depth: those of the site are kept to compare with."""

    # --- the table ------------------------------------------------------------------------------------------------

    def add_raw(self, records: Iterable[Record], see: Callable[[Record], None] | None = None) -> int:
        """Keep records; `see` is shown each. How many."""
        count = 0

        def packed() -> Iterator[tuple[bytes]]:
            nonlocal count
            stream = iter(records)
            while batch := list(islice(stream, BATCH)):
                if see is not None:
                    for record in batch:
                        see(record)
                count += len(batch)
                yield (_encode(batch),)

        self._fill("insert into raw (records) values (?)", packed())
        return count

    def raw(self) -> Iterator[Record]:
        """The records again, in their order."""
        for (blob,) in self._all("select records from raw order by seq"):
            yield from _records.decode(blob)

    def add_rows(self, rows: Iterable[Row]) -> int:
        """Keep good rows; how many."""
        return self._fill("insert into rows values (?,?,?,?,?)", map(_row_values, rows))

    def subjects(self) -> Iterator[list[Row]]:
        """The good rows of one subject after the other, sorted by labels and line."""
        found = self._all("select * from rows order by subject, session, acquisition, line")
        for _, of_one in groupby(found, key=_first):
            yield [_as_row(row) for row in of_one]

    def add_errors(self, errors: Iterable[RowError]) -> int:
        """Keep rows in error; how many."""
        return self._fill(_ADD_ERROR, map(_error_values, errors))

    def add_error(self, error: RowError) -> None:
        """Keep one row in error; may be called while rows are being added."""
        self._connection.execute(_ADD_ERROR, _error_values(error))

    def errors(self) -> Iterator[RowError]:
        """The rows in error, by line."""
        return (RowError(*row) for row in self._all("select * from errors order by line"))

    def rejected_records(self) -> Iterator[tuple[Record, RowError]]:
        """The records of rows in error as they were, by line."""
        errors = self.errors()
        error = next(errors, None)
        for record in self.raw() if error is not None else ():
            if error is not None and record[0] == error.line:
                yield record, error
                error = next(errors, None)

    # --- what is wanted -------------------------------------------------------------------------------------------

    def add_wanted(self, verdicts: Iterable[list[Wanted]]) -> None:
        """Keep what one subject after the other asks for, in the order of their labels."""

        def rows() -> Iterator[tuple[str, bytes]]:
            for wanted in verdicts:
                for one in wanted:
                    self.names[one.depth].update(one.fields)
                    if LEAST_OF_AGES in one.fields:
                        self.names[one.depth].add("age")
                if wanted:
                    yield wanted[0].label, _encode(wanted)

        self._fill("insert into wanted (subject, containers) values (?,?)", rows())

    def judged(self, judge: Callable[[list[Row]], Verdict], see: Callable[[Verdict], None]) -> None:
        """Judge subject after subject, keep what they ask for and their errors; `see` is shown each verdict."""

        def wanted() -> Iterator[list[Wanted]]:
            for rows in self.subjects():
                verdict = judge(rows)
                see(verdict)
                if verdict.errors:
                    self._connection.executemany(_ADD_ERROR, map(_error_values, verdict.errors))
                yield verdict.wanted

        self.add_wanted(wanted())
        self._connection.execute("delete from rows")

    def wanted(self) -> Iterator[Wanted]:
        """The containers that the table asks for, depth first, by labels."""
        for (blob,) in self._all("select containers from wanted order by seq"):
            yield from _containers.decode(blob)

    def subject_labels(self) -> Iterator[str]:
        """The labels of the wanted subjects, in order."""
        return (label for (label,) in self._all("select subject from wanted order by seq"))

    def subject_count(self) -> int:
        """How many subjects are wanted."""
        return int(self._connection.execute("select count(*) from wanted").fetchone()[0])

    # --- what the site has ----------------------------------------------------------------------------------------

    def add_held(self, rows: Iterable[tuple[int, str, str, str, str, dict[str, Any]]]) -> None:
        """Keep containers as (depth, id, parent id, label, created, fields)."""
        found = list(rows)
        self._fill("insert into held values (?,?,?,?,?,?)", ((*row[:5], _encode(row[5])) for row in found))
        stripped = ((row[3].lstrip("0"), row[3]) for row in found if row[0] == 0 and _is_padded(row[3]))
        self._fill("insert or ignore into padded values (?,?)", stripped)

    def index_held(self) -> None:
        """To be called once everything is there."""
        self._connection.execute("create index if not exists held_by_id on held (id)")

    def held(self) -> Iterator[Held]:
        """What the site has, in the order in which containers are wanted; of equals the oldest first."""
        for one, two, three, ident, parent, _, fields in self._all(_HELD):
            labels = (one, two, three) if three else (one, two) if two else (one,)
            yield Held(labels, ident, parent, _values.decode(fields))

    def held_ids(self) -> list[str]:
        """The ids of the site's subjects that are wanted by label."""
        query = "select distinct h.id from held h join wanted w on w.subject = h.label where h.depth = 0"
        return [ident for (ident,) in self._all(query)]

    def padded(self, label: str) -> str | None:
        """The label of a subject of the site that is this number with zeros before it."""
        found = self._connection.execute("select label from padded where plain = ?", (label,)).fetchone()
        return str(found[0]) if found else None


_HELD = """
select s.label, '', '', s.id, s.parent, s.created, s.fields from held s where s.depth = 0
union all
select s.label, e.label, '', e.id, e.parent, e.created, e.fields
  from held e join held s on s.id = e.parent and s.depth = 0 where e.depth = 1
union all
select s.label, e.label, a.label, a.id, a.parent, a.created, a.fields
  from held a join held e on e.id = a.parent and e.depth = 1 join held s on s.id = e.parent and s.depth = 0
  where a.depth = 2
order by 1, 2, 3, 6, 4
"""


_ADD_ERROR = "insert into errors values (?,?,?)"


def _error_values(error: RowError) -> tuple[int, str, str]:
    return error.line, error.column, error.message


def _row_values(row: Row) -> tuple[str, str, str, int, bytes]:
    labels = row.labels
    return (
        labels[0],
        labels[1] if len(labels) > 1 else "",
        labels[2] if len(labels) > 2 else "",
        row.line,
        _encode(row.fields),
    )


def _first(row: tuple[Any, ...]) -> Any:
    return row[0]


def _as_row(row: tuple[Any, ...]) -> Row:
    labels = row[:3] if row[2] else row[:2] if row[1] else row[:1]
    return Row(row[3], labels, _fields.decode(row[4]))


def _is_padded(label: str) -> bool:
    return label.startswith("0") and label.isdigit() and label.strip("0") != ""
