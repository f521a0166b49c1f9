"""The local tree: nothing is written outside the root, and nothing but whole files has a final name."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

import aiofiles.os
import msgspec

from fwsync.errors import DiskFullError, TargetError
from fwsync.plan.mirroring import Local
from fwsync.plan.paths import OWN_FOLDER, OWN_PARTIAL, is_contained

MARKER = "root.json"
TRASH = "trash"
_HINTS = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "; choose a folder that you can write to"),
}
FULL = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "no space left ({}); free some, then run again"),
    errno.EFBIG: "{}: this disk or process takes no larger files",
}


@contextmanager
def disk_errors(path: object) -> Iterator[None]:
    """Turn the system's errors on local files into ours."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            told = f"{path}: {FULL[error.errno].format(error.strerror)}"
            raise DiskFullError(told, error.errno) from error
        hint = _HINTS.get(error.errno or 0, "")
        raise TargetError(f"{path}: {error.strerror or error}{hint}") from error


class Tree:
    """A target folder. Paths are relative and `/`-separated; `plan.paths` made them, they are checked again here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.real = root

    def resolve(self) -> None:
        """Find where the root really is; nothing is made. TargetError if it is a file."""
        with disk_errors(self.root):
            if self.root.exists() and not self.root.is_dir():
                raise TargetError(f"{self.root}: is a file; name a folder")
            self.real = self.root.resolve()

    def marker(self) -> str | None:
        """The id in the root marker; empty for a marker without one (from before ids); None where there is none."""
        try:
            held = msgspec.json.decode((self.real / OWN_FOLDER / MARKER).read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError):
            return ""
        return str(held.get("id") or "") if isinstance(held, dict) else ""

    async def prepare(self, ident: str = "") -> str:
        """Make the root and its marker; the tree's id, `ident` where that is given, else as it is marked, else a new
        one. TargetError with one line when it is a file or can't be written."""
        self.resolve()
        with disk_errors(self.root):
            await aiofiles.os.makedirs(self.root, exist_ok=True)
            self.real = self.root.resolve(strict=True)
            own = self.real / OWN_FOLDER
            await aiofiles.os.makedirs(own, exist_ok=True)
            held = self.marker()
            ident = ident or held or secrets.token_hex(16)
            if held != ident:
                # A marker is whole or not there: a killed run must not leave one that no run can read.
                fresh = own / f"{MARKER}.new"
                async with aiofiles.open(fresh, "wb") as out:
                    await out.write(msgspec.json.encode({"made_by": "fwsync", "format": 2, "id": ident}) + b"\n")
                fresh.replace(own / MARKER)
        return ident

    def walk(self) -> Iterator[tuple[str, Local]]:
        """Every file below the root but fwsync's own, by path, with what one stat tells; (-1, 0) for what is no regular
        file. Links are not followed. Blocking: call it in a thread. TargetError for a folder that can't be read.

        Sorted as whole paths are: in each folder, a folder counts as its name with a slash. Memory is one listing for
        each level of depth.
        """
        return _walk(str(self.real), "")

    def trash(self, path: str, run: str) -> Path:
        """Where a file goes that is removed by a run; the folders above it are made, the name is free."""
        place = self.locate(f"{OWN_FOLDER}/{TRASH}/{run}/{path}")
        with disk_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            number = 0
            while os.path.lexists(place):
                number += 1
                place = place.with_name(f"{place.name.partition('~again')[0]}~again{number}")
        return place

    def leave(self, path: str) -> None:
        """Remove the folders above a path that is gone, as long as they are empty; never the root."""
        at = self.locate(path).parent
        while at != self.real:
            try:
                at.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return  # something is in it
            at = at.parent

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

    def part_name(self, path: str, run: str, key: object) -> str:
        """The relative path of a partial file: short, in the final folder, of one run and one version."""
        mark = hashlib.blake2b(f"{run}\n{key}\n{path}".encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
        folder, slash, _ = path.rpartition("/")
        return f"{folder}{slash}{OWN_PARTIAL}{mark}"


def _walk(root: str, prefix: str) -> Iterator[tuple[str, Local]]:
    try:
        with os.scandir(f"{root}/{prefix}") as listing:
            entries = [
                (f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name, entry)
                for entry in listing
                if _ours(entry.name, prefix)
            ]
    except FileNotFoundError:
        return  # gone meanwhile, or a dry run on a folder that is to be made
    except OSError as error:
        raise TargetError(f"{root}/{prefix}: can't be read ({error.strerror}); nothing was compared") from error
    entries.sort(key=itemgetter(0))
    for name, entry in entries:
        if name[-1] == "/":
            yield from _walk(root, prefix + name)
            continue
        try:
            held = entry.stat(follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        regular = stat.S_ISREG(held.st_mode)
        yield prefix + name, Local(held.st_size, held.st_mtime_ns) if regular else Local(-1, 0)


def _ours(name: str, prefix: str) -> bool:
    """Whether a name may be one that a plan speaks of: not fwsync's own, and text."""
    if name.startswith(OWN_PARTIAL) or (not prefix and name == OWN_FOLDER):
        return False
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


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
