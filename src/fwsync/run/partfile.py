"""A partial file: takes the pieces of a large body, hashes and writes them while the next ones come in."""

from __future__ import annotations

import asyncio
import hashlib
import os
import zlib
from concurrent.futures import Future, ThreadPoolExecutor

import anyio
import anyio.to_thread

from fwsync.run.folders import open_folder
from fwsync.run.tree import Tree, disk_errors

CHUNK = 1024 * 1024
"""Bytes gathered before a thread hashes and writes them: a hop for each small piece would cost more than its work."""

_writers = ThreadPoolExecutor(max_workers=(os.cpu_count() or 1) + 2, thread_name_prefix="fwsync-write")


class PartFile:
    """A sink over a partial file (see `client.transfer.Sink`). It keeps a running hash and CRC of all that it holds.

    At most one chunk is being written while the next one is gathered, so memory stays at two of them.
    """

    def __init__(self, tree: Tree, path: str, *, crc: bool = False) -> None:
        """`path` is relative to the tree; `crc` asks for the running CRC too, which members need."""
        self.path = tree.locate(path)
        self.position = self.stored = 0  # what was taken, and what of that the system has
        self._hash = hashlib.sha384()
        self._crc = 0 if crc else None
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._job: Future[None] | None = None
        folder, _, name = path.rpartition("/")
        with disk_errors(self.path):
            at = open_folder(tree.real, folder)
            try:
                # No link is followed: someone else may have put one there.
                self._descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666, dir_fd=at)
            finally:
                os.close(at)

    async def take_over(self) -> None:
        """Go on from the bytes that a dead run left: they are hashed first."""
        with disk_errors(self.path):
            await anyio.to_thread.run_sync(self._rehash)

    def _rehash(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        while piece := os.read(self._descriptor, CHUNK):
            self._count(piece)
            self.position += len(piece)
            self.stored += len(piece)

    def _count(self, data: bytes) -> None:
        self._hash.update(data)
        if self._crc is not None:
            self._crc = zlib.crc32(data, self._crc)

    async def write(self, data: bytes) -> None:
        """Append. The bytes are on their way to the disk; what goes wrong there is told by a later call."""
        self._pieces.append(data)
        self._gathered += len(data)
        self.position += len(data)
        if self._gathered >= CHUNK:
            await self._written()
            pieces, self._pieces, self._gathered = self._pieces, [], 0
            self._job = _writers.submit(self._write, pieces)

    def _write(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                wrote = os.write(self._descriptor, view)
                view = view[wrote:]
                self.stored += wrote
            self._count(piece)

    async def _written(self) -> None:
        """Wait until the chunk that is on its way has arrived."""
        job, self._job = self._job, None
        if job is not None:
            with disk_errors(self.path), anyio.CancelScope(shield=True):
                await asyncio.wrap_future(job)

    async def flush(self) -> None:
        """Hand everything gathered to the system."""
        await self._written()
        with disk_errors(self.path):
            self._flush_here()

    async def restart(self) -> None:
        """Forget everything."""
        await self.flush()
        if self.position:
            with disk_errors(self.path):
                os.ftruncate(self._descriptor, 0)
                os.lseek(self._descriptor, 0, os.SEEK_SET)
            self.position, self.stored, self._hash = 0, 0, hashlib.sha384()
            self._crc = None if self._crc is None else 0

    async def sha384(self) -> str:
        """Hex digest of all it holds."""
        await self.flush()
        return self._hash.hexdigest()

    def crc32(self) -> int:
        """CRC-32 of all it holds, for one that was made with `crc`. Waits for the last chunk."""
        with disk_errors(self.path):
            self._flush_here()
        return self._crc or 0

    async def sync(self) -> None:
        """Press the bytes to disk."""
        await self.flush()
        with disk_errors(self.path):
            await anyio.to_thread.run_sync(os.fsync, self._descriptor)

    def chmod(self, mode: int) -> None:
        """Set the permission bits, whatever the umask says."""
        with disk_errors(self.path):
            os.fchmod(self._descriptor, mode)

    def close(self) -> None:
        """Close the descriptor; the file stays, with all that was taken as far as the disk lets."""
        try:
            # Also because a thread must not write to a descriptor that is another file's by then.
            self._flush_here()
        except OSError:
            pass  # a shorter partial: the next run hashes what is there
        finally:
            os.close(self._descriptor)

    def _flush_here(self) -> None:
        job, self._job = self._job, None
        pieces, self._pieces, self._gathered = self._pieces, [], 0
        if job is not None:
            job.result()
        self._write(pieces)

    async def stamp(self, mtime_ns: int | None) -> tuple[int, int]:
        """Set the modification time; (size, mtime_ns) as the file has them now."""
        await self.flush()
        with disk_errors(self.path):
            if mtime_ns is not None:
                os.utime(self._descriptor, ns=(mtime_ns, mtime_ns))
            held = os.fstat(self._descriptor)
            return held.st_size, held.st_mtime_ns
