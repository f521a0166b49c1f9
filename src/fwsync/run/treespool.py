"""The spool of an upload: the files of a local tree by the container that they go to, and what containers hold.

local        subject, session, acquisition, name, path, source, size, mtime_ns, digest, metadata
left         key, path, state, reason         files that are not taken
held_files   container, name, size, hash, version, id
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Self

import msgspec

from fwsync.plan.placing import Placed
from fwsync.plan.uploading import HeldFile, TreeFile
from fwsync.plan.wanted import Wanted
from fwsync.run.scanning import Left, Seen
from fwsync.run.spool import Spool
from fwsync.work import Outcome

_SCHEMA = """
create table local (subject text, session text, acquisition text, name text, path text, source text, size integer,
    mtime_ns integer, digest text, metadata blob, primary key (subject, session, acquisition, name)) without rowid;
create table left_out (path text, state text, reason text);
create table held_files (container text, name text, size integer, hash text, version integer, id text,
    primary key (container, name)) without rowid;
"""
_FILES = """
select l.name, l.source, l.size, l.mtime_ns, l.digest, l.metadata, h.container, h.size, h.hash, h.version, h.id
  from local l left join held_files h on h.container = ? and h.name = l.name
  where l.subject = ? and l.session = ? and l.acquisition = ? order by l.name
"""
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode
_encode = msgspec.msgpack.Encoder().encode
_NOTHING = _encode({})

HeldRow = tuple[int, str, str, str, str, dict[str, Any]]


class TreeSpool(Spool):
    """A spool with the files of a tree."""

    def __init__(self, state_folder: Path) -> None:
        super().__init__(state_folder)
        self.files = self.containers = self.left = self.bytes = 0
        """How many files are taken, containers wanted, files left out; bytes of the files."""

    def __enter__(self) -> Self:
        super().__enter__()
        self._connection.executescript(_SCHEMA)
        return self

    # --- the local tree -------------------------------------------------------------------------------------------

    def add_local(self, found: Iterable[tuple[Seen, Placed, str | None] | Left]) -> None:
        """Keep files with where they go and their hash where it is known, and those that are left out."""
        left: list[tuple[str, str, str]] = []
        connection = self._connection

        def rows() -> Iterator[tuple[Any, ...]]:
            for one in found:
                if isinstance(one, Left):
                    left.append((one.path, one.state, one.reason))
                    continue
                seen, placed, digest = one
                labels = (*placed.labels, "", "", "")[:3]
                where = "select path from local where subject=? and session=? and acquisition=? and name=?"
                if (first := connection.execute(where, (*labels, placed.name)).fetchone()) is not None:
                    left.append((seen.path, "rejected", f"goes to the same place as {first[0]}"))
                    continue
                stamp = seen.stamp
                self.files += 1
                self.bytes += stamp.size
                about = _encode(seen.metadata) if seen.metadata else _NOTHING
                yield (*labels, placed.name, seen.path, stamp.path, stamp.size, stamp.mtime_ns, digest, about)

        self._fill("insert into local values (?,?,?,?,?,?,?,?,?,?)", rows())
        self._fill("insert into left_out values (?,?,?)", left)
        self.left = len(left)

    def want_containers(self) -> None:
        """Let the containers that files go to be wanted."""
        query = "select distinct subject, session, acquisition from local where subject != '' order by 1, 2, 3"

        def wanted() -> Iterator[list[Wanted]]:
            for _, group in groupby(self._all(query), key=itemgetter(0)):
                out: list[Wanted] = []
                above: tuple[str, ...] = ()
                for row in group:
                    labels = tuple(label for label in row if label)
                    same = next((n for n in range(len(labels)) if labels[n : n + 1] != above[n : n + 1]), len(labels))
                    out += [Wanted(depth, labels[depth], {}, 0) for depth in range(same, len(labels))]
                    above = labels
                self.containers += len(out)
                yield out

        self.add_wanted(wanted())
        own = ("subject != '' and session = ''", "session != '' and acquisition = ''", "acquisition != ''")
        for depth, condition in enumerate(own):
            query = f"select 1 from local where {condition} limit 1"  # noqa: S608
            if self._connection.execute(query).fetchone():
                self.names[depth].add("files")

    def files_of(self, labels: tuple[str, ...], container: str | None) -> Iterator[TreeFile]:
        """The local files of a container, each with what the container holds under its name."""
        padded = (*labels, "", "", "")[:3]
        for name, source, size, mtime_ns, digest, about, there, *held in self._all(_FILES, container, *padded):
            yield TreeFile(
                name, source, size, mtime_ns, digest, _decode(about), HeldFile(*held) if there is not None else None
            )

    def may_be_unchanged(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Files of unknown hash of whose name and size something is on the site: a key for `learn`, and the source."""
        query = """select subject, session, acquisition, name, source from local l where digest is null and exists
            (select 1 from held_files h where h.name = l.name and h.size = l.size and h.hash is not null)"""
        for *key, source in self._all(query):
            yield tuple(key), source

    def learn(self, digests: Iterable[tuple[tuple[str, ...], str]]) -> None:
        """Keep the hashes of files."""
        query = "update local set digest = ? where subject = ? and session = ? and acquisition = ? and name = ?"
        self._fill(query, [(digest, *key) for key, digest in digests])

    def left_out(self) -> Iterator[Outcome]:
        """What became of the files that are not taken."""
        for path, state, reason in self._all("select path, state, reason from left_out order by path"):
            yield Outcome(key=f"local:{path}", kind="upload.file", state=state, target=path, reason=reason, attempts=0)

    # --- what the site has ----------------------------------------------------------------------------------------

    def add_held(self, rows: Iterable[HeldRow]) -> None:
        """Keep containers, and their files in a table of their own."""
        kept: list[HeldRow] = []
        files: list[_HeldFileRow] = []
        for depth, ident, parent, label, created, fields in rows:
            files += _file_rows(ident, fields.get("files") or {})
            kept.append((depth, ident, parent, label, created, {}))
        super().add_held(kept)
        self._fill(_ADD_HELD_FILE, files)

    def add_held_files(self, container: str, files: dict[str, tuple[Any, ...]]) -> None:
        """Keep the files of one container, as name to (size, hash, file id, version)."""
        self._fill(_ADD_HELD_FILE, _file_rows(container, files))


_HeldFileRow = tuple[str, str, int | None, str | None, int | None, str | None]
_ADD_HELD_FILE = "insert or replace into held_files values (?,?,?,?,?,?)"


def _file_rows(container: str, files: dict[str, tuple[Any, ...]]) -> list[_HeldFileRow]:
    return [(container, name, size, digest, version, ident) for name, (size, digest, ident, version) in files.items()]
