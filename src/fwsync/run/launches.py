"""What the journal holds of runs of gears, and of new tries of jobs, that were asked for and have no outcome yet.

`key` is the item's, `mark` tells on which files, `known` which runs of the gear were there before.
"""

from __future__ import annotations

import msgspec

from fwsync.run.journal import Journal


class LaunchIntent(msgspec.Struct, frozen=True):
    """A run of a gear that was asked for at `sent_at` (Unix seconds) by `run`, while there were `known` ones (ids)."""

    key: str
    mark: str
    known: frozenset[str]
    sent_at: float
    run: str


class Launches:
    """The launches of one site in a journal."""

    def __init__(self, journal: Journal, site: str) -> None:
        self._journal, self._site = journal, site

    async def intend(self, intent: LaunchIntent) -> None:
        """Commit that a run of a gear is about to be asked for; replaces an older intent for it."""
        known = msgspec.json.encode(sorted(intent.known)).decode()
        row = (self._site, intent.key, intent.mark, known, intent.sent_at, intent.run)
        await self._journal.write(lambda c: c.execute("insert or replace into launches values (?,?,?,?,?,?)", row))

    def settle(self, key: str, mark: str) -> None:
        """Queue that it is known what became of it."""
        where = (self._site, key, mark)
        self._journal.post(lambda c: c.execute("delete from launches where site=? and key=? and mark=?", where))

    async def open(self) -> dict[tuple[str, str], LaunchIntent]:
        """All without an outcome, by (key, mark)."""
        query = "select key, mark, known, sent_at, run from launches where site = ?"
        rows = await self._journal.write(lambda c: [tuple(row) for row in c.execute(query, (self._site,))])
        return {
            (key, mark): LaunchIntent(key, mark, frozenset(msgspec.json.decode(known)), sent_at, run)
            for key, mark, known, sent_at, run in rows
        }
