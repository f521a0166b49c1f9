"""A tar, read as its bytes come in: the bodies of its regular files, without their names.

What a member is called in a bulk archive differs from site to site. fwsync knows files by their hash, so the names are
not even looked at.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

BLOCK = tarfile.BLOCKSIZE


class TarStream:
    """Feed it bytes, take whole bodies. Bodies of more than `most` bytes are passed over."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = bytearray()
        self._body = -1  # bytes of the body that is waited for, -1 for a header
        self._skip = 0
        self.ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies that `data` completes. ValueError for what is no tar."""
        self._held += data
        at = 0
        held = memoryview(self._held)
        try:
            while not self.ended:
                if self._skip:
                    step = min(self._skip, len(held) - at)
                    at, self._skip = at + step, self._skip - step
                    if self._skip:
                        break
                if self._body >= 0:
                    if len(held) - at < self._body:
                        break
                    body = bytes(held[at : at + self._body])
                    at, self._skip, self._body = at + self._body, -self._body % BLOCK, -1
                    yield body
                    continue
                if len(held) - at < BLOCK:
                    break
                self._header(bytes(held[at : at + BLOCK]))
                at += BLOCK
        finally:
            held.release()
            del self._held[:at]

    def _header(self, block: bytes) -> None:
        if (size := plain_size(block)) is not None and size <= self._most:
            self._body = size
            return
        if not block.strip(b"\0"):
            self.ended = True
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ValueError(f"the archive is damaged ({error})") from error
        if info.type in tarfile.REGULAR_TYPES and info.size <= self._most:
            self._body = info.size
        else:
            self._skip = info.size + -info.size % BLOCK if info.type not in _BODILESS else 0


def plain_size(block: bytes) -> int | None:
    """The size in bytes that the header of a regular file tells, where it is written as nearly all are, as 11 octal
    digits; None for every other header. The checksum is not looked at: a body of a wrong size has no hash that is
    wanted."""
    if block[156] not in _REGULAR or block[257:262] != b"ustar" or block[135] not in _ENDS:
        return None
    digits = block[124:135]
    return int(digits, 8) if digits.isdigit() and not digits.translate(None, b"01234567") else None


_REGULAR, _ENDS = b"0\0", b"\0 "
_BODILESS = frozenset(
    {tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE}
)
