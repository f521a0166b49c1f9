"""One member of a zip, from its packed bytes: pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE = 1024 * 1024
_LOCAL_HEADER = 30


class Unpacker:
    """Packed bytes of one member, with its local header in front, to its content, a piece at a time."""

    def __init__(self, packed: int, method: int, size: int | None) -> None:
        self._left, self._method, self._size = packed, method, size
        self._head = bytearray()
        self._begun = False
        self._inflater = zlib.decompressobj(-15)
        self._out = 0

    @property
    def done(self) -> bool:
        """All packed bytes have been taken."""
        return self._begun and self._left == 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Content that `data` completes. ValueError on a wrong header or more content than announced."""
        if not self._begun:
            self._head += data
            data = self._after_header()
            if not self._begun:
                return
        data = data[: self._left]
        self._left -= len(data)
        if self._method == 0:
            yield self._counted(data)
            return
        while data:
            piece = self._inflater.decompress(data, PIECE)
            data = self._inflater.unconsumed_tail
            if piece:
                yield self._counted(piece)
        if self._left == 0 and (rest := self._inflater.flush()):
            yield self._counted(rest)

    def _after_header(self) -> bytes:
        if len(self._head) < _LOCAL_HEADER:
            return b""
        if self._head[:4] != b"PK\x03\x04":
            raise ValueError("no local header where the directory says")
        length = (
            _LOCAL_HEADER + int.from_bytes(self._head[26:28], "little") + int.from_bytes(self._head[28:30], "little")
        )
        if len(self._head) < length:
            return b""
        self._begun = True
        return bytes(self._head[length:])

    def _counted(self, piece: bytes) -> bytes:
        self._out += len(piece)
        if self._size is not None and self._out > self._size:
            raise ValueError("more content than the directory announces")
        return piece
