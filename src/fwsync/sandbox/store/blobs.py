"""Contents by hash: a folder of immutable files named by their SHA-384.

A body is streamed into a temporary file while it is hashed, then renamed to its name. Equal contents are kept once.
Nothing is ever deleted: deleting a file entry leaves its blob, which a sandbox can afford.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

HASH_PREFIX = "v0-sha384-"
_THREAD_FROM = 256 * 1024  # smaller pieces are hashed on the loop: a thread hop costs more


@dataclass(frozen=True, slots=True)
class Blob:
    """A stored content: its hex SHA-384 and its size in bytes."""

    digest: str
    size: int

    @property
    def hash(self) -> str:
        """The hash in the platform's form."""
        return HASH_PREFIX + self.digest


class BlobStore:
    """The blob folder: `ab/cdef...` for contents, `incoming/` for what is being received."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._text = folder, str(folder)
        self.incoming = folder / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)
        for leftover in self.incoming.iterdir():  # of a server that was killed
            leftover.unlink()

    def place(self, digest: str) -> str:
        """The same as `path`, as text: paths as objects cost more than opening what is there."""
        return f"{self._text}/{digest[:2]}/{digest[2:]}"

    def path(self, digest: str) -> Path:
        """Where the content with this digest lies."""
        return self.folder / digest[:2] / digest[2:]

    async def put(self, pieces: AsyncIterator[bytes]) -> Blob:
        """Store a streamed body; memory stays at one piece."""
        temporary = self.incoming / secrets.token_hex(12)
        digest = hashlib.sha384()
        size = 0
        try:
            with temporary.open("wb") as out:
                async for piece in pieces:
                    size += len(piece)
                    if len(piece) >= _THREAD_FROM:
                        await asyncio.to_thread(_take, digest, out, piece)
                    else:
                        digest.update(piece)
                        out.write(piece)
                out.flush()
                if size >= _THREAD_FROM:
                    await asyncio.to_thread(os.fsync, out.fileno())
            return self._keep(temporary, digest.hexdigest(), size)
        finally:
            temporary.unlink(missing_ok=True)

    def put_bytes(self, content: bytes) -> Blob:
        """Store a small content at once (for building a demo site)."""
        temporary = self.incoming / secrets.token_hex(12)
        temporary.write_bytes(content)
        return self._keep(temporary, hashlib.sha384(content).hexdigest(), len(content))

    def _keep(self, temporary: Path, digest: str, size: int) -> Blob:
        final = self.path(digest)
        if final.exists():
            temporary.unlink()
        else:
            final.parent.mkdir(exist_ok=True)
            temporary.replace(final)
        return Blob(digest, size)


def _take(digest: hashlib._Hash, out: object, piece: bytes) -> None:
    digest.update(piece)
    out.write(piece)  # type: ignore[attr-defined]
