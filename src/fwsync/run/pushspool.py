"""The spool of a push: what became of each local file while planning, or what to send of it.

entries  path, send, state, reason, ref        `send` is a payload; else `state`, `reason` and `ref` are an outcome's
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from fwsync.run.scratch import Scratch
from fwsync.work import Entry, Outcome, SendFile, State, WorkItem

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SendFile).decode


class Found(NamedTuple):
    """One file: to be sent, or settled."""

    path: str
    send: SendFile | None = None
    state: State = "unchanged"
    reason: str = ""
    ref: str | None = None


class PushSpool(Scratch):
    """Entries by path, in a temporary database."""

    schema = "create table entries (path text primary key, send blob, state text, reason text, ref text) without rowid"

    def __init__(self, state_folder: Path) -> None:
        super().__init__(state_folder)
        self.count = self.bytes = self.to_send = 0
        """Files, bytes that are to be sent, files that are to be sent."""

    def add(self, found: Iterable[Found]) -> None:
        """Keep files."""
        rows = []
        for one in found:
            self.count += 1
            if one.send is not None:
                self.to_send += 1
                self.bytes += one.send.size
            rows.append((one.path, _encode(one.send) if one.send else None, one.state, one.reason, one.ref))
        self._fill("insert or replace into entries values (?,?,?,?,?)", rows)

    def entries(self) -> Iterator[Entry]:
        """Entries of a plan, by path."""
        for path, send, state, reason, ref in self._all("select * from entries order by path"):
            key = f"push:{path}"
            if send is None:
                yield Outcome(key=key, kind="upload.file", state=state, target=path, reason=reason, ref=ref, attempts=0)
                continue
            payload = _decode(send)
            yield WorkItem(kind="upload.file", key=key, target=path, payload=payload, bytes=payload.size)
