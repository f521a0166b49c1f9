"""The handler that uploads one local file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from fwsync.client import upload
from fwsync.client.api import Flywheel
from fwsync.model import PLURALS
from fwsync.run.pool import Handler
from fwsync.run.tree import disk_errors
from fwsync.work import Outcome, SendFile, State, WorkItem


class Sender:
    """Uploads to one site."""

    def __init__(self, fw: Flywheel) -> None:
        self._fw = fw

    def handlers(self) -> dict[str, Handler]:
        """The handlers by item kind."""
        return {"upload.file": self.send}

    async def send(self, item: WorkItem, parent: str | None) -> Sequence[Outcome]:
        """Send a file unless the container already holds the same bytes under this name."""
        began = time.monotonic()
        file = item.payload
        if not isinstance(file, SendFile):
            raise TypeError(f"{item.kind} needs a SendFile")
        if not file.container_id:
            file = msgspec.structs.replace(file, container_id=parent or "")
        with disk_errors(file.source):
            digest = await upload.hash_of(Path(file.source))
        if file.held_hash is not None:
            if file.held_hash == digest:
                return [item.outcome("unchanged", ref=file.held_id, attempts=0)]
            if file.on_conflict != "update":
                state: State = "skipped" if file.on_conflict == "skip" else "failed"
                return [item.outcome(state, ref=file.held_id, reason="exists with other bytes", attempts=0)]
        before = await upload.find_entry(self._fw, file)
        if before is not None and before.size == file.size and before.hash == digest:
            return [item.outcome("unchanged", ref=before.file_id)]
        entry, attempts = await upload.send(self._fw, file, digest, before)
        seconds = time.monotonic() - began
        request = f"POST /{PLURALS[file.container_type]}/{{id}}/files"
        return [
            item.outcome(
                "done", ref=entry.file_id, attempts=attempts, seconds=seconds, moved=file.size, request=request
            )
        ]
