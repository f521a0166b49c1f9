"""Archives as streams of bytes: tar and zip, written piece by piece, so that memory stays at one piece.

A content that is shorter than its entry says (which only damage on disk could cause) ends the stream with an error
instead of an archive that looks whole.
"""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from fwsync.sandbox.store.ids import to_time

PIECE = 256 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """One member: its path, size and time, and where its bytes are (a file, or the bytes themselves)."""

    path: str
    size: int
    modified: str | None
    source: str | bytes

    @property
    def moment(self) -> datetime:
        """The time of the last change; 1980 where it is not known, the oldest that a zip can hold."""
        found = to_time(self.modified or "")
        return max(found.astimezone(UTC), _OLDEST) if found else _OLDEST

    def pieces(self) -> Iterator[bytes]:
        """The bytes, exactly `size` of them."""
        if isinstance(self.source, bytes):
            yield self.source
            return
        left = self.size
        descriptor = os.open(self.source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while left > 0:
                piece = os.read(descriptor, min(PIECE, left))
                if not piece:
                    raise OSError(f"{self.path}: {left} bytes are missing")
                left -= len(piece)
                yield piece
        finally:
            os.close(descriptor)


_OLDEST = datetime(1980, 1, 1, tzinfo=UTC)


def tar(contents: Iterable[Content]) -> Iterator[bytes]:
    """A POSIX tar."""
    for content in contents:
        yield tar_header(content.path, content.size, int(content.moment.timestamp()))
        yield from content.pieces()
        yield b"\0" * (-content.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def tar_header(path: str, size: int, mtime: int) -> bytes:
    """What stands before a regular file in a tar. The usual case by itself, in a fifth of tarfile's time: a header of
    one block, which any path in ASCII of up to 100 characters has."""
    name = path.encode("utf-8", "surrogateescape")
    if len(name) > 100 or not name.isascii() or size >= 8**11 or not 0 <= mtime < 8**11:
        info = tarfile.TarInfo(path)
        info.size, info.mode, info.mtime = size, 0o644, mtime
        return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    numbers = b"%011o\0%011o\0" % (size, mtime)
    check = b"%06o\0" % (_CONSTANT + sum(name) + sum(numbers))
    return b"".join((name, _NULLS[len(name) :], _OWNER, numbers, check, _REST))


_NULLS, _OWNER = bytes(100), b"0000644\x000000000\x000000000\0"
_REST = (b" 0" + bytes(100) + b"ustar\x0000").ljust(512 - 155, b"\0")
_CONSTANT = sum(_OWNER) + sum(_REST) + 7 * ord(" ")
"""The checksum counts its own field of 8 characters as blanks; one of them begins _REST."""


class _Outbox(io.RawIOBase):
    """What a zip writer writes to: bytes wait here until they are taken. It can't seek."""

    def __init__(self) -> None:
        super().__init__()
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview) -> int:  # type: ignore[override]
        self._held.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        """The bytes written since the last call."""
        held, self._held = b"".join(self._held), []
        return held


def zip_(contents: Iterable[Content]) -> Iterator[bytes]:
    """A zip of stored members, with sizes after the data."""
    out = _Outbox()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for content in contents:
            info = zipfile.ZipInfo(content.path, content.moment.timetuple()[:6])
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=content.size >= 2**31) as member:
                for piece in content.pieces():
                    member.write(piece)
                    yield out.take()
            yield out.take()
    yield out.take()


FORMATS = {"tar": (tar, "application/x-tar"), "zip": (zip_, "application/zip")}
"""The formats, each with its writer and content type."""
