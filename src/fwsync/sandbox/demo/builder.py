"""Adds documents and files with fixed ids and times, inside one transaction."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from fwsync.sandbox.store import documents, files
from fwsync.sandbox.store.blobs import BlobStore
from fwsync.sandbox.store.ids import to_text
from fwsync.sandbox.store.node import Node

FIRST = datetime(2020, 1, 1, tzinfo=UTC)
USER = "admin@example.org"


class Builder:
    """A running number gives every document its id and its time of creation."""

    def __init__(self, conn: sqlite3.Connection, blobs: BlobStore) -> None:
        self.conn, self.blobs = conn, blobs
        self._number = 0

    def _next(self) -> tuple[str, str]:
        self._number += 1
        created = FIRST + timedelta(minutes=self._number)
        return f"{int(created.timestamp()):08x}d3a0d3a0{self._number:08x}", to_text(created)

    def group(self, ident: str, label: str) -> Node:
        """A group."""
        _, created = self._next()
        permissions = [{"_id": USER, "access": "admin", "role_ids": []}]
        doc = {"label": label, "permissions": permissions}
        return documents.insert(self.conn, "group", doc, ident=ident, created=created)

    def add(self, kind: str, label: str, parent: Node, *, info: dict[str, Any] | None = None, **doc: Any) -> Node:
        """A project, subject, session or acquisition."""
        ident, created = self._next()
        return documents.insert(
            self.conn, kind, {"label": label, **doc}, parent=parent, info=info, ident=ident, created=created
        )

    def file(self, parent: Node, name: str, content: bytes, **metadata: Any) -> None:
        """A file."""
        ident, created = self._next()
        blob = self.blobs.put_bytes(content)
        files.add(self.conn, parent, name, blob, metadata, ident=ident, created=created)

    def gear(self, name: str, version: str, category: str, **manifest: Any) -> Node:
        """A gear version."""
        ident, created = self._next()
        base = {"name": name, "version": version, "label": name, "description": f"{name} of the demo site"}
        whole = {**base, "inputs": {}, "config": {}, "author": "demo", "license": "Other", **manifest}
        doc = {"category": category, "gear": whole, "exchange": None}
        return documents.insert(self.conn, "gear", doc, ident=ident, created=created)

    def analysis(self, parent: Node, gear: Node, state: str) -> Node:
        """A run of a gear on a container, with its job."""
        ident, created = self._next()
        job_id, _ = self._next()
        manifest = gear.doc["gear"]
        about = {
            "id": gear.id,
            "name": manifest["name"],
            "version": manifest["version"],
            "category": gear.doc["category"],
        }
        label = f"{manifest['name']} {created[:10]} {created[11:16].replace(':', '.')}"
        doc = {"label": label, "gear_info": about, "job": job_id}
        node = documents.insert(self.conn, "analysis", doc, parent=parent, ident=ident, created=created)
        job = {
            "gear_id": gear.id,
            "gear_info": about,
            "inputs": {},
            "destination": {"type": "analysis", "id": ident},
            "state": state,
            "priority": "medium",
            "job_tags": ["analysis", manifest["name"]],
            "attempt": 1,
            "previous_job_id": None,
            "config": {"config": {}},
            "transitions": {"pending": created, state: created},
            "parents": documents.parents_of(node),
            "origin": {"type": "user", "id": USER},
            "failure_reason": "gear_failure" if state == "failed" else None,
        }
        documents.insert(self.conn, "job", job, parent=node, ident=job_id, created=created)
        return node
