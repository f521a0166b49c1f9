"""What every handler works on: options, database, blobs, keys."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from aiohttp import web

from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.store.blobs import BlobStore
from fwsync.sandbox.store.disk import Disk
from fwsync.sandbox.store.scans import SiteDatabase

USER = "admin@example.org"
READER = "reader@example.org"
"""Who the site's key and its read-only key belong to."""


class Site:
    """One running site over one data folder."""

    def __init__(self, options: SandboxOptions, folder: Path) -> None:
        self.options = options
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.db = SiteDatabase(folder / "sandbox.db")
        self.blobs = BlobStore(folder / "blobs")
        self.secret = options.api_key or self._kept_key()
        self.disk = Disk()
        # Signs download and upload links, so that they need no row each and survive a restart.
        self.signing_key = self._fact("signing_key", lambda: secrets.token_hex(32))

    def _kept_key(self) -> str:
        path = self.folder / "api-key"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as out:
                out.write(secrets.token_urlsafe(24).replace("-", "x").replace("_", "y"))
        return path.read_text().strip()

    def _fact(self, name: str, make: object) -> str:
        connection = self.db.reader
        row = connection.execute("select value from facts where name = ?", (name,)).fetchone()
        if row is not None:
            return str(row["value"])
        value = str(make())  # type: ignore[operator]
        connection.execute("pragma query_only=0")
        connection.execute("insert or ignore into facts values (?, ?)", (name, value))
        connection.execute("pragma query_only=1")
        return value

    def close(self) -> None:
        """Finish writes and close the database."""
        self.db.close()


SITE: web.AppKey[Site] = web.AppKey("site", Site)


def site_of(request: web.Request) -> Site:
    """The site that a request is for."""
    return request.app[SITE]
