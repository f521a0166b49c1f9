"""The local tree: nothing is written outside the root, and nothing but whole files has a final name."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiofiles.os
import anyio.to_thread
import msgspec

from fwsync.errors import DiskFullError, TargetError
from fwsync.plan.mirroring import Local
from fwsync.plan.paths import OWN_FOLDER, OWN_PARTIAL, is_contained

MARKER = "root.json"
HASH_IN_THREAD = 1024 * 1024
_HINTS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "; choose a folder that you can write to"),
    errno.EFBIG: "; this disk or process takes no larger files",
}
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def disk_errors(path: object) -> Iterator[None]:
    """Turn the system's errors on local files into ours: full ends the run, the rest fails the file."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(f"{path}: no space left ({error.strerror}); free some, then run again") from error
        hint = _HINTS.get(error.errno or 0, "")
        raise TargetError(f"{path}: {error.strerror or error}{hint}") from error


class Tree:
    """A target folder. Paths are relative and `/`-separated; `plan.paths` made them, they are checked again here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.real = root

    async def prepare(self) -> None:
        """Make the root and its marker. TargetError with one line when it is a file or can't be written."""
        with disk_errors(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise TargetError(f"{self.root}: is a file; name a folder")
            await aiofiles.os.makedirs(self.root, exist_ok=True)
            self.real = self.root.resolve(strict=True)
            own = self.real / OWN_FOLDER
            await aiofiles.os.makedirs(own, exist_ok=True)
            marker = own / MARKER
            if not marker.exists():
                async with aiofiles.open(marker, "wb") as out:
                    await out.write(msgspec.json.encode({"made_by": "fwsync", "format": 1}) + b"\n")

    def locate(self, path: str) -> Path:
        """The absolute place of a relative path. TargetError if it would leave the root, through a symlink too."""
        if not is_contained(path):
            raise TargetError(f"{path!r} would leave the target folder")
        place = self.real.joinpath(*path.split("/"))
        at = place.parent
        while at != self.real:
            if at.is_symlink() and not at.resolve().is_relative_to(self.real):
                raise TargetError(f"{at}: is a link that leaves the target folder")
            at = at.parent
        return place

    async def scan(self, paths: list[str]) -> dict[str, Local]:
        """Size and time of those of the paths that are regular files."""

        def run() -> dict[str, Local]:
            found = {}
            for path in paths:
                try:
                    held = os.lstat(self.real.joinpath(*path.split("/")))
                except OSError:
                    continue
                if stat.S_ISREG(held.st_mode):
                    found[path] = Local(held.st_size, held.st_mtime_ns)
                else:
                    found[path] = Local(-1, 0)  # a folder or link is in the way
            return found

        return await anyio.to_thread.run_sync(run)

    def part_name(self, path: str, run: str, key: object) -> str:
        """The relative path of a partial file: short, in the final folder, of one run and one version."""
        mark = hashlib.blake2b(f"{run}\n{key}\n{path}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        folder, slash, _ = path.rpartition("/")
        return f"{folder}{slash}{OWN_PARTIAL}{mark}"


def sha384_of(path: Path) -> str:
    """Hex SHA-384 of a local file (blocking: call it in a thread)."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha384").hexdigest()


def crc32_of(path: Path) -> int:
    """CRC-32 of a local file (blocking: call it in a thread)."""
    crc = 0
    with path.open("rb") as source:
        while piece := source.read(1 << 20):
            crc = zlib.crc32(piece, crc)
    return crc
