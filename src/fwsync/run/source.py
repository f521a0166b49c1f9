"""The bytes of a table, copied into the spool: what is read twice must be the same both times."""

from __future__ import annotations

import glob
import gzip
import hashlib
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fwsync.errors import InputFileError
from fwsync.plan.row import LocalFile
from fwsync.run.tree import disk_errors

GZIP = b"\x1f\x8b"
MOST_GLOBBED = 10_000


def take(source: str, folder: Path) -> Path:
    """Copy `source` (a path, or `-` for standard input) into `folder`, unpacked if it is gzip; the copy.

    InputFileError when it can't be read: a folder, missing, no permission, damaged gzip.
    """
    if source == "-":
        return _copied(sys.stdin.buffer, source, folder)
    path = Path(source).expanduser()
    try:
        if path.is_dir():
            raise InputFileError("is a folder; name a file in it", path=source)
        with path.open("rb") as file:
            return _copied(file, source, folder)
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=source) from error


def _copied(file: BinaryIO, source: str, folder: Path) -> Path:
    copy = folder / "table"
    _copy(file, copy)
    with copy.open("rb") as raw:
        packed = raw.read(2) == GZIP
    if packed:
        unpacked = folder / "table.unpacked"
        try:
            with gzip.open(copy) as stream:
                _copy(stream, unpacked)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputFileError(f"is damaged gzip ({error}); compress it anew", path=source) from error
        copy.unlink()
        return unpacked
    return copy


def _copy(stream: BinaryIO | gzip.GzipFile, to: Path) -> None:
    """Errors of the stream stay as they are: damaged gzip is an OSError, and no fault of the disk."""
    with disk_errors(str(to)):
        out = os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0)
    with out:
        while piece := stream.read(1 << 20):
            with disk_errors(str(to)):
                left = memoryview(piece)
                while left:
                    left = left[out.write(left) :]


class CopySink:
    """Takes the body of a remote file into a local one; see `client.transfer.Sink`."""

    def __init__(self, path: Path) -> None:
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._hash, self._crc, self.position = hashlib.sha384(), 0, 0

    async def write(self, data: bytes) -> None:
        """Append."""
        with disk_errors(self._file.name):
            self._file.write(data)
        self._hash.update(data)
        self._crc = zlib.crc32(data, self._crc)
        self.position += len(data)

    async def restart(self) -> None:
        """Begin at zero again."""
        self._file.seek(0)
        self._file.truncate()
        self._hash, self._crc, self.position = hashlib.sha384(), 0, 0

    async def sha384(self) -> str:
        """Hex digest of all that was taken."""
        return self._hash.hexdigest()

    def crc32(self) -> int:
        """CRC-32 of all that was taken."""
        return self._crc

    def close(self) -> None:
        """Everything is on disk."""
        self._file.close()


def file_finder(root: Path) -> Callable[[str], list[LocalFile]]:
    """Finds the files that a cell names: a path or glob, relative to `root`, which nothing may leave.

    A table may come from someone else: it must not pick any file of this machine and send it off.
    """
    base = root.resolve()

    def find(cell: str) -> list[LocalFile]:
        named = Path(os.path.normpath(base / cell))
        if not named.is_relative_to(base):
            raise ValueError(f"{cell!r} is outside of {root}, the table's folder; give another by --files-from")
        if os.path.lexists(named):
            found = [named]
        elif glob.has_magic(cell):
            found = [base / name for name in sorted(glob.glob(cell, root_dir=base))[: MOST_GLOBBED + 1]]  # noqa: PTH207
        else:
            found = []
        files = [path for path in found if path.is_file()]
        if not files:
            raise ValueError(f"{cell!r}: no such file in {root}")
        if len(files) > MOST_GLOBBED:
            raise ValueError(f"{cell!r} names more than {MOST_GLOBBED:,} files")
        return [_local(path, base, cell, root) for path in files]

    return find


def _local(path: Path, base: Path, cell: str, root: Path) -> LocalFile:
    real = path.resolve()
    if not real.is_relative_to(base):
        raise ValueError(f"{cell!r} leads out of {root} by a link")
    try:
        found = real.stat()
        if not os.access(real, os.R_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise ValueError(f"{cell!r} can't be read: {error.strerror}") from None
    return LocalFile(str(real), path.name, found.st_size, found.st_mtime_ns)
