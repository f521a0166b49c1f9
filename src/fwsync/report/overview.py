"""What there is: a row for each container of a level, and how many there are of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from typing import Final, Literal, NamedTuple

from fwsync.report.table import Cell, Column, Table
from fwsync.selection import LEVELS

By = Literal["subject", "session", "acquisition"]
MOST_TYPES: Final = 20
"""Types of files with columns of their own; rarer ones share a column."""


class Place(NamedTuple):
    """A container: the labels and the ids from its project down to itself; None for one that the site does not tell."""

    labels: tuple[str | None, ...]
    ids: tuple[str | None, ...]


class Files:
    """Numbers and bytes of files, by type and by the container of a row."""

    def __init__(self) -> None:
        self.numbers: dict[str, dict[str, int]] = {}
        self.bytes: dict[str, dict[str, int]] = {}
        self.total: Counter[str] = Counter()
        self.size = 0

    def add(self, ident: str, kind: str | None, size: int | None) -> None:
        """One file that counts for the container `ident`; `size` in bytes."""
        kind, size = kind or "untyped", size or 0
        numbers, sizes = self.numbers.setdefault(kind, {}), self.bytes.setdefault(kind, {})
        numbers[ident] = numbers.get(ident, 0) + 1
        sizes[ident] = sizes.get(ident, 0) + size
        self.total[kind] += 1
        self.size += size


def overview(
    levels: Mapping[str, Iterable[Place]], by: By = "acquisition", files: Files | None = None, title: str = "Overview"
) -> Table:
    """A row for each container of the level `by`, and for each one above that has none of these below it.

    `levels` are all containers by level, those of one level in the order of their labels. `files` are counted by the
    containers of the rows.
    """
    depth = LEVELS.index(by)
    held = {level: list(levels[level]) for level in LEVELS[: depth + 1]}
    # Of what is below the rows there may be very many: these are counted and forgotten.
    below = {level: Counter(place.ids[depth] for place in levels[level]) for level in LEVELS[depth + 1 :]}
    places = list(merge(*_rows(held), key=_order))
    rows: list[tuple[Cell, ...]] = []
    for place in places:
        empty = (None,) * (depth + 1 - len(place.labels))
        rows.append((*place.labels, *empty, *(counts[place.ids[-1]] for counts in below.values())))
    columns = (*(Column(level) for level in held), *(Column(f"{level}s", "integer") for level in below))
    facts: dict[str, Cell] = {f"{level}s": len(some) for level, some in held.items()}
    facts |= {f"{level}s": counts.total() for level, counts in below.items()}
    table = Table(name="overview", title=title, columns=columns, rows=rows, facts=facts)
    if files is not None:
        _add_files(table, [place.ids[-1] or "" for place in places], files, by)
    return table


def _rows(levels: Mapping[str, Sequence[Place]]) -> list[list[Place]]:
    """Those of the lowest level, and of the others those with nothing below them."""
    covered: set[str | None] = set()
    out: list[list[Place]] = []
    for places in reversed(list(levels.values())):
        out.append([place for place in places if not out or place.ids[-1] not in covered])
        covered.update(ident for place in places for ident in place.ids)
    return out


def _order(place: Place) -> list[tuple[str, str]]:
    return [(label or "", ident or "") for label, ident in zip(place.labels, place.ids, strict=True)]


def _add_files(table: Table, idents: Sequence[str], files: Files, by: By) -> None:
    common = {kind for kind, _ in files.total.most_common(MOST_TYPES)}
    kinds = [(kind, [kind]) for kind in sorted(common)]
    if rest := sorted(set(files.total) - common):
        kinds.append(("other types", rest))
    columns = [Column("files", "integer"), Column("bytes", "bytes")]
    for name, _ in kinds:
        columns += [Column(f"{name} files", "integer"), Column(f"{name} bytes", "bytes")]
    rows: list[tuple[Cell, ...]] = []
    counted = 0
    for row, ident in zip(table.rows, idents, strict=True):
        pairs = [(_sum(files.numbers, some, ident), _sum(files.bytes, some, ident)) for _, some in kinds]
        count = sum(number for number, _ in pairs)
        rows.append((*row, count, sum(size for _, size in pairs), *(cell for pair in pairs for cell in pair)))
        counted += count
    table.columns, table.rows = (*table.columns, *columns), rows
    table.facts |= {"files": files.total.total(), "bytes": files.size}
    if left := files.total.total() - counted:
        table.notes.append(f"{left:,} files lie above the {by}s and are in no row")


def _sum(held: Mapping[str, Mapping[str, int]], kinds: Iterable[str], ident: str) -> int:
    return sum(held[kind].get(ident, 0) for kind in kinds)
