"""Emptying the trash: files that were put there long ago, in `.fwsync/trash/RUN/` and nowhere else.

A run's id tells when it began. A file is as old as its run, or younger where the file system says that it was touched
(renamed, which is how it came here) later. Folders are opened one in the other and no link is followed, so that nothing
outside the trash can be reached, whatever lies in it; what lies on another disk is left alone.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fwsync.plan.paths import OWN_FOLDER
from fwsync.run.tree import TRASH, disk_errors

DAY = 86_400.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_RUN = re.compile(r"(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-[0-9a-f]{4}")


def empty(root: Path, days: int, *, but: str, now: float | None = None) -> int:
    """Remove what was put into the trash of the tree at `root` more than `days` days ago, but nothing of the run `but`;
    how many files. Blocking. TargetError for what the system refuses."""
    before = (time.time() if now is None else now) - days * DAY
    removed = 0
    with (
        disk_errors(root / OWN_FOLDER / TRASH),
        suppress(FileNotFoundError),
        _folder(OWN_FOLDER, root) as own,
        _folder(TRASH, own) as trash,
    ):
        device = os.fstat(trash).st_dev
        for name in sorted(os.listdir(trash)):  # noqa: PTH208 - of a descriptor
            began = _began(name)
            if name != but and began is not None and began < before and _is_folder(trash, name):
                removed += _emptied(trash, name, before, device)
    return removed


def _began(run: str) -> float | None:
    """When a run began (Unix seconds), by its id; None for what is no id: somebody else put that there."""
    found = _RUN.fullmatch(run)
    try:
        return time.mktime(time.strptime(found[1], "%Y-%m-%dT%H-%M-%S")) if found else None
    except (ValueError, OverflowError):
        return None


@contextmanager
def _folder(name: str, at: int | Path) -> Iterator[int]:
    """A folder that is no link, open."""
    descriptor = os.open(name, _FOLDER, dir_fd=at) if isinstance(at, int) else os.open(at / name, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_folder(at: int, name: str) -> bool:
    try:
        os.close(os.open(name, _FOLDER, dir_fd=at))
    except OSError:
        return False
    return True


def _emptied(at: int, name: str, before: float, device: int) -> int:
    """Remove old files below a folder, and the folder where nothing is left in it; how many files."""
    removed = 0
    with _folder(name, at) as here:
        if os.fstat(here).st_dev != device:
            return 0
        with os.scandir(here) as listing:
            entries = list(listing)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    removed += _emptied(here, entry.name, before, device)
                elif entry.stat(follow_symlinks=False).st_ctime < before:
                    os.unlink(entry.name, dir_fd=here)
                    removed += 1
    with suppress(OSError):  # something younger is in it
        os.rmdir(name, dir_fd=at)
    return removed
