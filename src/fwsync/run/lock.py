"""One run per target: an OS lock that dies with its process, and a line that says who holds it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fwsync.errors import LockedError
from fwsync.run.journal import private_folder


@contextmanager
def hold(folder: Path, target: str) -> Iterator[None]:
    """Hold the lock of `target` (a tree's path, a project's id) in the state folder; LockedError if another run does.

    The lock lies on local disk, not in the tree: locks on network file systems lie. It is the kernel's, so the lock of
    a killed run is free at once.
    """
    private_folder(folder / "locks")
    path = folder / "locks" / hashlib.blake2b(target.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process"
            raise LockedError(f"another run is at work on {target} ({holder}); wait for its end") from None
        os.ftruncate(descriptor, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        os.pwrite(descriptor, f"{socket.gethostname()}, process {os.getpid()}, since {since}".encode(), 0)
        yield
    finally:
        os.close(descriptor)
