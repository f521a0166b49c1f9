"""Walks a local tree for its files, sidecars at hand, links never followed out of it."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from fwsync.errors import InputFileError
from fwsync.plan import sidecar
from fwsync.run.hashes import Stamp

OWN = ".fwsync"


class Seen(msgspec.Struct, frozen=True):
    """A file: its path below the root by `/`, its real path and state, and what its sidecar says."""

    path: str
    stamp: Stamp
    metadata: dict[str, Any]


class Left(msgspec.Struct, frozen=True):
    """A file that is not taken: `skipped` on purpose, or `rejected` because it can't be."""

    path: str
    state: Literal["skipped", "rejected"]
    reason: str


class Scan:
    """One walk over a tree. `counts` tells afterwards what was left out by rule, `examples` one of each."""

    def __init__(
        self,
        root: Path,
        *,
        takes: Callable[[str], bool],
        prunes: Callable[[str], bool],
        hidden: bool = False,
        sidecars: bool = True,
    ) -> None:
        """`takes` decides over files, `prunes` over folders that are left out with all that is in them."""
        self._root = root
        self._takes, self._prunes, self._hidden, self._sidecars = takes, prunes, hidden, sidecars
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def __iter__(self) -> Iterator[Seen | Left]:
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                with os.scandir(self._root / prefix) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                if not prefix:
                    raise InputFileError(f"can't be read: {error.strerror}", path=str(self._root)) from error
                yield Left(prefix.rstrip("/"), "rejected", f"the folder can't be read: {error.strerror}")
                continue
            names = {entry.name for entry in entries} if self._sidecars else set()
            below: list[str] = []
            for entry in entries:
                path = prefix + entry.name
                if self._by_rule(entry.name, path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(path + "/")
                    continue
                found = self._file(entry, path, names)
                if found is not None:
                    yield found
            folders += reversed(below)

    def _by_rule(self, name: str, path: str) -> bool:
        if name == OWN or (name.startswith(".") and not self._hidden):
            return self._leave("hidden", path)
        return self._prunes(path) and self._leave("excluded", path)

    def _leave(self, why: str, path: str) -> bool:
        self.counts[why] += 1
        self.examples.setdefault(why, path.encode("utf-8", "replace").decode())
        return True

    def _file(self, entry: os.DirEntry[str], path: str, names: set[str]) -> Seen | Left | None:
        if not self._takes(path):
            self._leave("not included", path)
            return None
        try:
            path.encode()
        except UnicodeEncodeError:
            readable = os.fsencode(path).decode("utf-8", "backslashreplace")
            return Left(readable, "rejected", "its name is not UTF-8; rename it")
        try:
            return self._looked_at(entry, path, names)
        except OSError as error:
            return Left(path, "rejected", f"can't be read: {error.strerror}")

    def _looked_at(self, entry: os.DirEntry[str], path: str, names: set[str]) -> Seen | Left | None:
        real = entry.path
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if not Path(real).is_relative_to(self._root):
                return Left(path, "skipped", "a link that leads out of the folder")
            if os.path.isdir(real):  # noqa: PTH112
                return Left(path, "skipped", "a link to a folder")
            held = os.stat(real)  # noqa: PTH116 - a Path for each of a million files costs seconds
        else:
            held = entry.stat(follow_symlinks=False)
        if not stat.S_ISREG(held.st_mode):
            return Left(path, "skipped", "not a regular file")
        if not os.access(real, os.R_OK):
            return Left(path, "rejected", "can't be read: Permission denied")
        if entry.name.endswith(sidecar.SUFFIX) and entry.name.removesuffix(sidecar.SUFFIX) in names:
            try:
                if _sidecar(real) is not None:
                    self._leave("sidecar", path)
                    return None
            except ValueError:  # a wrong one is told of with its file
                return None
        about: dict[str, Any] = {}
        if entry.name + sidecar.SUFFIX in names:
            try:
                about = _sidecar(f"{entry.path}{sidecar.SUFFIX}") or {}
            except ValueError as error:
                return Left(path, "rejected", str(error))
        return Seen(path, Stamp(real, held.st_size, held.st_mtime_ns, held.st_ctime_ns, held.st_ino), about)


def _sidecar(path: str) -> dict[str, Any] | None:
    file = Path(path)
    if not file.is_file() or file.stat().st_size > sidecar.MOST_BYTES:
        return None
    return sidecar.read(file.read_bytes())
