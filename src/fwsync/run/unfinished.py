"""Uploads in many parts that are not completed: a later run sends just what is missing.

    uploads       site, container, name, state, ticket, at       `state` is a digest of the local file's state and of
                                                                 what is said of it; `ticket` holds links that let send
    upload_parts  site, container, name, number, tag             parts that the site has

A row goes when its upload is completed or its ticket is refused, and at the latest when it is a day old.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time

import msgspec

from fwsync.client.signed_upload import Kept, Ticket
from fwsync.run.hashes import Stamp
from fwsync.run.journal import Journal
from fwsync.work import SendFile

LIFE = 24 * 3600.0
"""Seconds for which a ticket is tried again; a site that gives it less refuses it, and a fresh one is asked for."""

_decode = msgspec.json.Decoder(Ticket).decode
_HERE = "site = ? and container = ? and name = ?"


class Unfinished:
    """The uploads of one site."""

    def __init__(self, journal: Journal, site: str) -> None:
        self._journal, self._site = journal, site

    def _key(self, file: SendFile) -> tuple[str, str, str]:
        return self._site, file.container_id, file.name

    async def load(self, file: SendFile) -> Kept | None:
        """What was begun for the file in just this state, and may still live."""
        key, state, since = self._key(file), _state(file), time.time() - LIFE

        def work(c: sqlite3.Connection) -> tuple[bytes, dict[int, str]] | None:
            for table in ("upload_parts", "uploads"):  # those of files that nobody sends any more, too
                old = "select site, container, name from uploads where at < ?"
                c.execute(f"delete from {table} where (site, container, name) in ({old})", (since,))  # noqa: S608
            row = c.execute(f"select state, ticket from uploads where {_HERE}", key).fetchone()  # noqa: S608
            if row is None or row[0] != state:
                return None
            parts = c.execute(f"select number, tag from upload_parts where {_HERE}", key).fetchall()  # noqa: S608
            return row[1], dict(parts)

        found = await self._journal.write(work)
        return Kept(_decode(found[0]), found[1]) if found is not None else None

    async def begin(self, file: SendFile, ticket: Ticket) -> None:
        """An upload begins; forgets what was begun before."""
        key = self._key(file)
        row = (*key, _state(file), msgspec.json.encode(ticket), time.time())

        def work(c: sqlite3.Connection) -> None:
            _forget(c, key)
            c.execute("insert into uploads values (?,?,?,?,?,?)", row)

        await self._journal.write(work)

    async def part(self, file: SendFile, number: int, tag: str) -> None:
        """The site has a part."""
        row = (*self._key(file), number, tag)
        await self._journal.write(lambda c: c.execute("insert or replace into upload_parts values (?,?,?,?,?)", row))

    async def forget(self, file: SendFile) -> None:
        """The upload is completed, or its ticket is refused."""
        key = self._key(file)
        await self._journal.write(lambda c: _forget(c, key))


def _forget(c: sqlite3.Connection, key: tuple[str, str, str]) -> None:
    for table in ("uploads", "upload_parts"):
        c.execute(f"delete from {table} where {_HERE}", key)  # noqa: S608


def _state(file: SendFile) -> str:
    """A digest of all that must be the same for the parts to belong together."""
    stamp = msgspec.structs.astuple(Stamp.of(file.source))
    return hashlib.blake2b(msgspec.json.encode((stamp, file.size, file.mtime_ns, file.metadata))).hexdigest()
