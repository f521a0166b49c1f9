"""A tree compared with what is wanted and what is known, in one pass over each, on the shelf's own database.

    surplus   path, identity, fate, entry, claimed     index rows that nothing wants where they are
    missing   number, identity, path                   wanted files that may be there under another path
    moves     number, source, parked, beside, entry    what `plan.syncing.pairs` made of the two; `parked` moves leave
                                                       their place first, since another move needs it, or needs the
                                                       folder `beside` which they wait then
    above     path                                     folders above some rows, to find those at which a file is wanted
    unclaimed path                                     wanted files that the selection has not claimed yet

All of it is what differs: a run that finds nothing to do writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from fwsync.config import Order
from fwsync.plan.mirroring import Indexed, Judged, Local, WantedFile, entry_of
from fwsync.plan.syncing import Abreast, Claimed, LocalChanges, abreast, identity, may_receive, pairs, weigh
from fwsync.run.shelf import Shelf
from fwsync.work import Entry, FetchFile

BATCH = 1000
SHOWN = 3
_SCHEMA = """
create table surplus (path text primary key, identity text, fate text, entry blob, mine integer, others integer)
    without rowid;
create table missing (number integer primary key, identity text, path text);
create table moves (number integer primary key, source text unique, parked integer, beside text default '',
    entry blob);
create table above (path text primary key) without rowid;
create table unclaimed (path text primary key) without rowid;
"""
_REMOVABLE = "fate = ? and mine and not others and path not in (select source from moves)"
_encode = msgspec.msgpack.Encoder().encode
_entry = msgspec.msgpack.Decoder(Indexed).decode


class Planned(NamedTuple):
    """A move: the row that is moved, where to, and whether its place is needed first; `beside` is the folder that has
    to go for that, empty where it is the place alone."""

    entry: Indexed
    number: int
    target: str
    parked: bool
    beside: str = ""


class InTheWay(NamedTuple):
    """What is to be removed, and is in the way of what is wanted: `folders` are wanted paths at which folders are that
    hold such files (told by `below`), `files` such files where folders have to be."""

    folders: frozenset[str] = frozenset()
    below: Callable[[str], list[Indexed]] = lambda _: []
    files: Mapping[str, Indexed] = {}

    def of(self, path: str) -> list[Indexed]:
        """What is in the way of a wanted path."""
        if path in self.folders:
            return self.below(path)
        if not self.files:
            return []
        above = (path[:at] for at, sign in enumerate(path) if sign == "/")
        return [self.files[folder] for folder in above if folder in self.files]


class Compared:
    """What a comparison found. Blocking: `run` belongs in a thread."""

    def __init__(self, shelf: Shelf, policy: LocalChanges, *, moves: bool = True) -> None:
        """Without `moves`, what lies elsewhere in the tree is fetched again where it is wanted."""
        self._shelf, self._policy, self._moves = shelf, policy, moves
        self.indexed = 0
        self.changed: list[str] = []
        """The first few paths that were changed locally; `changes` counts them all."""
        self.changes = 0
        self.differs = False
        """Whether anything is to be fetched, moved or claimed."""

    def run(self, index: Iterable[Claimed], found: Iterable[tuple[str, Local]]) -> None:
        """Compare all three."""
        self._shelf.script(_SCHEMA)
        wanted = ((number, one.fetch) for some in self._shelf.wanted() for number, one in some)
        rows = iter(index)
        first = next(rows, None)
        # Into an empty tree nothing is moved: then what is missing, which is everything, need not be noted.
        self._moves &= first is not None
        lines = abreast(wanted, rows if first is None else chain([first], rows), found)
        batch: list[Abreast] = []
        for line in lines:
            batch.append(line)
            if len(batch) >= BATCH:
                self._take(batch)
                batch = []
        self._take(batch)
        if self._moves:
            self._pair()

    def _take(self, lines: list[Abreast]) -> None:
        states: list[tuple[int, Judged]] = []
        surplus: list[tuple[str, str, str, bytes, bool, bool]] = []
        missing: list[tuple[int, str, str]] = []
        unclaimed: list[tuple[str]] = []
        for line in lines:
            state, fate = weigh(line, self._policy)
            held = line.held
            self.indexed += held is not None
            if state is not None and line.number is not None and line.fetch is not None:
                if state != "unchanged":
                    states.append((line.number, state))
                    self.differs |= state != "changed"
                if state in ("changed", "overwrite"):
                    self._changed(line.path)
                if held is None or not held.mine:
                    unclaimed.append((line.path,))
                    self.differs = True
                if state == "download" and (key := identity(line.fetch)) and may_receive(line):
                    missing.append((line.number, key, line.path))
            if (
                held is not None
                and fate not in (None, "settled")
                and not (fate != "displaced" and held.others and not held.mine)
            ):
                entry = held.entry
                surplus.append((line.path, identity(entry), str(fate), _encode(entry), held.mine, held.others))
        self._shelf.judge(states)
        self._shelf.fill("insert into surplus values (?,?,?,?,?,?)", surplus)
        self._shelf.fill("insert into unclaimed values (?)", unclaimed)
        if self._moves:
            self._shelf.fill("insert into missing values (?,?,?)", missing)

    def _changed(self, path: str) -> None:
        self.changes += 1
        if len(self.changed) < SHOWN:
            self.changed.append(path)

    # --- moves ----------------------------------------------------------------------------------------------------

    def _pair(self) -> None:
        read = self._shelf.read
        if next(read("select 1 from surplus limit 1"), None) is None:
            return
        surplus = (
            (key, _entry(entry))
            for key, entry in read(
                "select identity, entry from surplus where fate in ('surplus', 'displaced') and not others"
                " and identity <> '' order by identity, path"
            )
        )
        missing = (
            (key, number, msgspec.structs.replace(_fetch(file), path=path))
            for key, number, path, file in read(
                "select m.identity, m.number, m.path, n.file from missing m join nodes n on n.id = m.number"
                " where m.identity in (select identity from surplus) order by m.identity, m.path"
            )
        )
        rows = [(number, entry.path, _encode(entry)) for entry, number in pairs(surplus, missing)]
        self._shelf.fill("insert into moves (number, source, parked, entry) values (?,?,0,?)", rows)
        self._shelf.judge((number, "move") for number, _, _ in rows)
        self._park()

    def _park(self) -> None:
        """A place that another move needs is left first; so is a file where a folder has to be, and a folder where a
        file has to be."""
        targets = "select n.path from moves m join nodes n on n.id = m.number"
        self._shelf.script(f"update moves set parked = 1 where source in ({targets})")  # noqa: S608
        folders = {path[:at] for (path,) in self._shelf.read(targets) for at, sign in enumerate(path) if sign == "/"}
        self._shelf.fill("update moves set parked = 1 where source = ?", ((folder,) for folder in folders))
        sources = (path for (path,) in self._shelf.read("select source from moves"))
        for folder in self._at_folders_above(sources, f"{targets} where"):
            update = "update moves set parked = 1, beside = ? where source > ? and source < ?"
            self._shelf.fill(update, [(folder, *_below(folder))])

    def _at_folders_above(self, paths: Iterable[str], wanted: str, *values: Any) -> list[Any]:
        """What the query `wanted` gives of those whose path (`n.path`) is a folder above one of these."""
        above = {path[:at] for path in paths for at, sign in enumerate(path) if sign == "/"}
        self._shelf.script("delete from above")
        self._shelf.fill("insert into above values (?)", ((folder,) for folder in above))
        return [row[0] for row in self._shelf.read(f"{wanted} n.path in (select path from above)", *values)]  # noqa: S608

    def moves(self) -> Iterator[Planned]:
        """The moves by where they begin."""
        query = (
            "select m.entry, m.number, n.path, m.parked, m.beside from moves m join nodes n on n.id = m.number"
            " order by m.source"
        )
        return (
            Planned(_entry(entry), number, path, bool(parked), beside)
            for entry, number, path, parked, beside in self._shelf.read(query)
        )

    def moving(self) -> Iterator[Entry]:
        """The moves as entries of a plan."""
        query = "select n.path, n.file, m.source from moves m join nodes n on n.id = m.number order by m.source"
        for path, file, source in self._shelf.read(query):
            fetch = msgspec.structs.replace(_fetch(file), path=path)
            yield entry_of(WantedFile(fetch, path), "move", source)

    def staying(self, order: Order = "path") -> Iterator[Entry]:
        """What is not moved, as entries of a plan: what is fetched, and what is settled already."""
        return (entry_of(one, state) for one, state in self._shelf.judged(order) if state != "move")

    def move_count(self) -> int:
        """How many moves."""
        return int(next(self._shelf.read("select count(*) from moves"))[0])

    # --- what else is to be done ------------------------------------------------------------------------------------

    def unclaimed(self) -> Iterator[str]:
        """Wanted paths that the selection has not claimed."""
        return (row[0] for row in self._shelf.read("select path from unclaimed order by path"))

    def displaced(self) -> Iterator[str]:
        """Wanted paths at which something else was. If that was moved, its claim went with it."""
        query = "select path from surplus where fate = 'displaced' order by path"
        return (row[0] for row in self._shelf.read(query))

    def removable(self, fate: str = "surplus") -> Iterator[Indexed]:
        """Index rows of this fate that this selection alone has claimed, and that nothing wants or moves."""
        query = f"select entry from surplus where {_REMOVABLE} order by path"  # noqa: S608
        return (_entry(row[0]) for row in self._shelf.read(query, fate))

    def in_the_way(self) -> InTheWay:
        """What is `removable`, and in the way of a wanted file: where that has to be, or a folder above it."""
        if not self.count("surplus"):
            return InTheWay()
        paths = (row[0] for row in self._shelf.read(f"select path from surplus where {_REMOVABLE}", "surplus"))  # noqa: S608
        folders = frozenset(self._at_folders_above(paths, "select n.path from nodes n where n.file is not null and"))
        wanted = (row[0] for row in self._shelf.read("select path from nodes where file is not null"))
        query = f"select n.entry from surplus n where {_REMOVABLE} and"  # noqa: S608
        files = {row.path: row for row in map(_entry, self._at_folders_above(wanted, query, "surplus"))}
        return InTheWay(folders, self._removable_below, files)

    def _removable_below(self, folder: str) -> list[Indexed]:
        query = f"select entry from surplus where {_REMOVABLE} and path > ? and path < ? order by path"  # noqa: S608
        return [_entry(row[0]) for row in self._shelf.read(query, "surplus", *_below(folder))]

    def shared(self) -> Iterator[str]:
        """Paths that this selection wants no more and that another has claimed."""
        query = "select path from surplus where mine and others and fate <> 'displaced' order by path"
        return (row[0] for row in self._shelf.read(query))

    def count(self, fate: str) -> int:
        """How many rows `removable` gives."""
        return int(next(self._shelf.read(f"select count(*) from surplus where {_REMOVABLE}", fate))[0])  # noqa: S608


def _below(folder: str) -> tuple[str, str]:
    """The bounds between which the paths below a folder are."""
    return f"{folder}/", f"{folder}0"  # the character after the slash


_fetch = msgspec.msgpack.Decoder(FetchFile).decode
