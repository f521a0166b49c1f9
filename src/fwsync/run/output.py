"""A file that a person named for a command to write: whole or not at all, and never over other content unasked."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable
from pathlib import Path

from fwsync.errors import TargetError, UsageError
from fwsync.run.tree import disk_errors


def place(path: Path) -> Path:
    """Where to write, after what can be told at once was told; a link leads to the file that is replaced.

    UsageError for what is no file, TargetError where there is no such folder."""
    path = path.expanduser().resolve()
    if path.exists() and not path.is_file():
        raise UsageError(f"{path}: is no regular file; name another, or write to standard output by --out -")
    if not path.parent.is_dir():
        raise TargetError(f"{path.parent}: no such folder; make it first")
    return path


def write(path: Path, pieces: Iterable[bytes], *, force: bool) -> bool:
    """Write through a partial file, so that a crash leaves the old one or the new one; whether the file changed. Only
    its owner can read it. UsageError where it exists with other content, unless `force`."""
    partial = path.with_name(f".fwsync-{os.getpid()}.part")
    with disk_errors(path):
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                if filecmp.cmp(partial, path, shallow=False):
                    return False
                if not force:
                    raise UsageError(f"{path}: exists with other content; overwrite it by --force")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    return True
