"""A tree compared with what is wanted, as a mirror would compare it, and told path by path.

drift  path, kind, source        what differs, in the words of `plan.drifting`; `source` is where a move begins
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from fwsync.plan.drifting import Drift, drift_of, local_drift
from fwsync.plan.mirroring import Indexed, Local
from fwsync.plan.syncing import Abreast, Claimed
from fwsync.run.comparing import Compared
from fwsync.run.shelf import Shelf

_SCHEMA = "create table drift (path text primary key, kind text, source text) without rowid;"
_MOVED = """
    update drift set kind = 'moved', source = (
        select m.source from moves m join nodes n on n.id = m.number where n.path = drift.path)
      where path in (select n.path from moves m join nodes n on n.id = m.number);
    delete from drift where kind = 'gone' and path in (select source from moves);
"""


class Drifted(Compared):
    """What differs. Blocking: `run` belongs in a thread."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf, "keep")
        self._known = 0
        self._walked = 0

    def run(self, index: Iterable[Claimed], found: Iterable[tuple[str, Local]]) -> None:
        """Compare all three, as `Compared` does, and keep what differs."""
        self._shelf.script(_SCHEMA)
        super().run(index, self._counted(found))
        self._shelf.script(_MOVED)

    @property
    def unknown(self) -> int:
        """How many files lie in the tree that nothing wants and fwsync did not put there."""
        return self._walked - self._known

    def spare_the_gone(self) -> int:
        """Forget what is wanted nowhere, where not everything that is wanted is known; how many."""
        gone = self.counts()["gone"]
        self._shelf.script("delete from drift where kind = 'gone'")
        return gone

    def counts(self) -> Counter[str]:
        """How many paths of each kind."""
        return Counter(dict(self._shelf.read("select kind, count(*) from drift group by kind")))

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """(kind, path, where a move begins) of every path that differs, by path."""
        return self._shelf.read("select kind, path, coalesce(source, '') from drift order by path")

    def _counted(self, found: Iterable[tuple[str, Local]]) -> Iterator[tuple[str, Local]]:
        for one in found:
            self._walked += 1
            yield one

    def _take(self, lines: list[Abreast]) -> None:
        super()._take(lines)
        self._known += sum(line.local is not None for line in lines)
        rows = ((line.path, kind) for line in lines if (kind := drift_of(line)) is not None)
        self._shelf.fill("insert into drift (path, kind) values (?,?)", rows)


def local_lines(
    index: Iterable[Indexed], found: Iterable[tuple[str, Local]]
) -> Iterator[tuple[Drift | None, str, bool]]:
    """(what differs, path, whether fwsync put something there) of every path in the index or the tree, both sorted."""
    rows, files = iter(index), iter(found)
    row, file = next(rows, None), next(files, None)
    while row is not None or file is not None:
        if row is None or (file is not None and file[0] < row.path):
            yield None, file[0] if file is not None else "", False
            file = next(files, None)
            continue
        local = file[1] if file is not None and file[0] == row.path else None
        yield local_drift(row, local), row.path, True
        if local is not None:
            file = next(files, None)
        row = next(rows, None)
