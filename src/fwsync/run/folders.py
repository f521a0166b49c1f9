"""Folders of a local tree, opened component by component from its root: no link is followed out of it, ever.

A descriptor of a folder stays true while paths change around it, so what is written through it lands where it was
checked, and the system looks a long path up once for many files.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fwsync.errors import TargetError
from fwsync.plan.paths import is_contained

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LINK_OR_FILE = frozenset({errno.ELOOP, errno.ENOTDIR})


class Folders:
    """The folders of a tree that a batch of files needs, open until the end of the batch."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, int] = {}

    def at(self, folder: str) -> int:
        """The descriptor of a folder (relative, `/`-separated, "" for the root); it is made where it is missing.

        Raises TargetError for one that would leave the root, OSError for what the system says.
        """
        found = self._open.get(folder)
        if found is None:
            found = self._open[folder] = open_folder(self._root, folder)
        return found

    def close(self) -> None:
        """Close all of them."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()


@contextmanager
def folders(root: Path) -> Iterator[Folders]:
    """The folders of a tree, closed at the end."""
    held = Folders(root)
    try:
        yield held
    finally:
        held.close()


def open_folder(root: Path, folder: str) -> int:
    """Open a folder below the root, making what is missing of it, but never the root. The caller closes it."""
    if folder and not is_contained(folder):
        raise TargetError(f"{folder!r} would leave the target folder")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    done = root
    for name in folder.split("/") if folder else ():
        try:
            inner = _enter(root, done, at, name)
        finally:
            os.close(at)
        at, done = inner, done / name
    return at


def _enter(root: Path, above: Path, at: int, name: str) -> int:
    """Open one component, making it where it is missing. A link is followed only to a place below the root."""
    try:
        return os.open(name, _FOLDER, dir_fd=at)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another one was quicker, or a dangling link
            os.mkdir(name, dir_fd=at)
        return os.open(name, _FOLDER, dir_fd=at)
    except OSError as error:
        if error.errno not in _LINK_OR_FILE or not (above / name).is_symlink():
            raise
    target = (above / name).resolve()
    if not target.is_relative_to(root):
        raise TargetError(f"{above / name}: is a link that leaves the target folder")
    return os.open(target, _FOLDER)
