"""Bodies of small files, a batch at a time: by single requests or a bulk archive into memory, verified, then staged."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

import anyio
import msgspec

from fwsync.client import remotezip, transfer
from fwsync.client.archives import Archives, goes_in_an_archive
from fwsync.client.memory import MemorySink
from fwsync.client.session import ApiSession
from fwsync.client.zipspans import fetch_span, spans
from fwsync.run.staging import Body, Staged, Stager, mtime_ns_of
from fwsync.run.ways import Way
from fwsync.work import FetchFile

SMALL = 1024 * 1024
"""Files and members up to this size (bytes) are held in memory until they are verified, and land many at a time."""

LANES = 16
"""Files of one batch that are fetched at the same time."""


class Brought(msgspec.Struct, frozen=True, tag=True):
    """A file that is staged: bytes that crossed the network, tries, what proved it (`hash`, `crc`, `size`, `nothing`),
    seconds."""

    staged: Staged
    moved: int
    attempts: int
    proof: str
    seconds: float


class NotBrought(NamedTuple):
    """Why a file could not be brought, and the seconds that went into it."""

    error: Exception
    seconds: float


class Came(NamedTuple):
    """What became of a batch, file by file in its order. `archived` files came by an archive; `offered` tells whether
    the site still has archives."""

    files: list[Brought | NotBrought]
    archived: int
    offered: bool


class Worker(Protocol):
    """Brings small files to the staging folder."""

    async def bring(self, files: Sequence[FetchFile], way: Way) -> Came:
        """Bring them. What fails, fails by itself."""


class _Fetched(NamedTuple):
    took: transfer.Fetched
    body: Body
    seconds: float


class OwnWorker:
    """The worker that does it in this process."""

    def __init__(self, session: ApiSession, stager: Stager) -> None:
        self._session, self._stager = session, stager
        self._archives = Archives(session, SMALL)

    async def bring(self, files: Sequence[FetchFile], way: Way) -> Came:
        """See `Worker`."""
        alike = [file for file in files if goes_in_an_archive(file)] if way == "archive" else []
        archived = await self._archives.fetch(alike) if alike else {}
        found = await self._to_memory(files, archived)
        bodies = [one.body for one in found if isinstance(one, _Fetched)]
        staged = iter(await self._stager.stage(bodies) if bodies else ())
        out: list[Brought | NotBrought] = []
        for one in found:
            if isinstance(one, NotBrought):
                out.append(one)
                continue
            entry = next(staged)
            if isinstance(entry, Staged):
                out.append(Brought(entry, one.took.moved, one.took.attempts, one.took.proof, one.seconds))
            else:
                out.append(NotBrought(entry, one.seconds))
        return Came(out, len(archived), self._archives.offered)

    async def _to_memory(
        self, files: Sequence[FetchFile], archived: Mapping[str, bytes]
    ) -> list[_Fetched | NotBrought]:
        """All bodies: those that an archive brought, and the rest by single requests."""
        members = await self._members(files)

        def brought(file: FetchFile) -> Sequence[bytes] | None:
            """What came of a file already, together with others."""
            if file.member is not None:
                return members.get(file.path)
            body = archived.get(file.hash or "")
            return None if body is None else [body]

        found: dict[int, _Fetched | NotBrought] = {}
        left = iter(enumerate(files))

        async def lane() -> None:
            for number, file in left:
                start = time.monotonic()
                try:
                    took, body = await self._body(file, brought(file))
                    found[number] = _Fetched(took, body, time.monotonic() - start)
                except Exception as error:
                    found[number] = NotBrought(error, time.monotonic() - start)

        async with anyio.create_task_group() as group:
            for _ in range(min(LANES, len(files))):
                group.start_soon(lane)
        return [found[number] for number in range(len(files))]

    async def _members(self, files: Sequence[FetchFile]) -> dict[str, list[bytes]]:
        """Members that lie together in their archives, by path."""
        found: dict[str, list[bytes]] = {}

        async def one(span: list[FetchFile]) -> None:
            found.update(await fetch_span(self._session, span))

        async with anyio.create_task_group() as group:
            for span in spans(files):
                group.start_soon(one, span)
        return found

    async def _body(self, file: FetchFile, brought: Sequence[bytes] | None) -> tuple[transfer.Fetched, Body]:
        """One file in memory and verified; `brought` are its pieces if they came, verified, together with others."""
        sink, session = MemorySink(), self._session
        if file.content is not None:
            await sink.write(file.content)
            took = transfer.Fetched(0, 1, "hash")
        elif brought is not None:
            for piece in brought:
                await sink.write(piece)
            moved = sink.position if file.member is None else file.member_packed or 0
            took = transfer.Fetched(moved, 1, "hash" if file.member is None else "crc")
        elif file.member is not None:
            took = await remotezip.fetch_member(session, file, sink, session.calls)
        else:
            took = await transfer.fetch(session, file, sink, session.calls)
        # A CRC that the directory told was compared with that of the bytes.
        crc = file.member_crc if file.member is None or file.member_crc is not None else sink.crc32()
        return took, Body(
            path=file.path,
            file_id=file.file_id or "",
            version=file.version,
            hash=file.hash if file.member is None else f"crc32-{crc:08x}",
            member=file.member,
            pieces=sink.pieces,
            mtime_ns=mtime_ns_of(file),
        )
