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

    @property
    def pieces(self) -> list[bytes]:
        """All it holds, as it came: joining the pieces would copy them."""
        return self._pieces

    async def sha384(self) -> str:
        """Hex digest of all it holds."""
        if self.position < HASH_IN_THREAD:
            return self._digest()
        return await anyio.to_thread.run_sync(self._digest)

    def _digest(self) -> str:
        running = hashlib.sha384()
        for piece in self._pieces:
            running.update(piece)
        return running.hexdigest()

    def crc32(self) -> int:
        """CRC-32 of all it holds."""
        crc = 0
        for piece in self._pieces:
            crc = zlib.crc32(piece, crc)
        return crc
