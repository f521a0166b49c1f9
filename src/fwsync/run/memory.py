"""A sink in memory, for files that are small enough to be verified before they touch the disk."""

from __future__ import annotations

import hashlib
import zlib

import anyio.to_thread

HASH_IN_THREAD = 256 * 1024


class MemorySink:
    """Keeps the pieces of one body. See `client.transfer.Sink`."""

    def __init__(self) -> None:
        self.position = 0
        self._pieces: list[bytes] = []

    async def write(self, data: bytes) -> None:
        """Append."""
        self._pieces.append(data)
        self.position += len(data)

    async def restart(self) -> None:
        """Forget everything."""
        self.position = 0
        self._pieces.clear()

    def data(self) -> bytes:
        """All it holds."""
        if len(self._pieces) != 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    async def sha384(self) -> str:
        """Hex digest of all it holds."""
        data = self.data()
        if len(data) < HASH_IN_THREAD:
            return hashlib.sha384(data).hexdigest()
        return (await anyio.to_thread.run_sync(hashlib.sha384, data)).hexdigest()

    def crc32(self) -> int:
        """CRC-32 of all it holds."""
        return zlib.crc32(self.data())
