"""Signed uploads: a ticket, the bytes to its links in one or many parts, then the completion.

What the site has of an upload in many parts can be kept by a `Keeper`: a later run sends just the parts that are
missing, for as long as the ticket lives.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

import anyio
import msgspec
from yarl import URL

from fwsync.client.bodies import entry_of, put, target
from fwsync.client.session import ApiSession, FailedTryError, decode
from fwsync.errors import NotAsAskedError, RemoteError, UnreachableError
from fwsync.model import FileEntry
from fwsync.work import SendFile


class Ticket(msgspec.Struct, frozen=True):
    """What a site grants for one upload. Its links let anyone who has them send: they are never logged."""

    ticket: str
    urls: dict[str, str | list[str]]
    headers: dict[str, str] = {}

    def links(self, name: str) -> list[str]:
        """The links for a file, one for each part."""
        given = self.urls.get(name)
        return [given] if isinstance(given, str) else list(given or ())

    def __repr__(self) -> str:
        return "Ticket(***)"


class Kept(msgspec.Struct, frozen=True):
    """An upload that was begun: its ticket, and the ETags (or empty texts) of the parts that the site has."""

    ticket: Ticket
    tags: dict[int, str]


class Keeper(Protocol):
    """Remembers uploads in many parts. Each call has been committed when it returns."""

    async def load(self, file: SendFile) -> Kept | None:
        """What was begun for the file in just this state, and may still live."""

    async def begin(self, file: SendFile, ticket: Ticket) -> None:
        """An upload begins; forgets what was begun before."""

    async def part(self, file: SendFile, number: int, tag: str) -> None:
        """The site has a part."""

    async def forget(self, file: SendFile) -> None:
        """The upload is completed, or its ticket is refused."""


async def send(session: ApiSession, file: SendFile, keeper: Keeper | None) -> tuple[FileEntry | None, int] | None:
    """Send a file by signed links; its entry, and how many bytes the site had already. None where the site can't sign.

    FailedTryError, LostAnswerError and RemoteError as every transfer. A ticket that is refused is forgotten: the next
    try begins with a fresh one.
    """
    kept = await keeper.load(file) if keeper is not None else None
    ticket = kept.ticket if kept is not None else await _issue(session, file)
    if ticket is None:
        return None
    many = len(ticket.links(file.name)) > 1
    if kept is None and keeper is not None and many:
        await keeper.begin(file, ticket)
    upload = _Upload(session, file, ticket, kept.tags if kept is not None else {}, keeper if many else None)
    try:
        entry = await upload.run()
    except (FailedTryError, RemoteError) as error:
        final = not isinstance(error, FailedTryError) or error.expired
        if keeper is not None and many and final:
            await keeper.forget(file)
        if kept is not None and isinstance(error, RemoteError):
            raise FailedTryError(error, again=True) from error
        raise
    if keeper is not None and many:
        await keeper.forget(file)
    return entry, upload.had


async def _issue(session: ApiSession, file: SendFile) -> Ticket | None:
    """Step one of a signed upload; None where the site can't sign after all."""
    about = {**file.metadata, "name": file.name, "size": file.size}
    metadata: Any = [about] if file.container_type == "analysis" else about
    answer = await session.call(
        "POST", *target(file), query={"ticket": ""}, json={"metadata": metadata, "filenames": [file.name]}, safe=True
    )
    if not answer.body.strip():
        return None
    found: Ticket = decode(answer, Ticket, f"POST ticket for {file.name!r}")
    return found


class _Upload:
    """One ticket being used."""

    def __init__(
        self, session: ApiSession, file: SendFile, ticket: Ticket, tags: dict[int, str], keeper: Keeper | None
    ) -> None:
        self._session, self._file, self._ticket, self._keeper = session, file, ticket, keeper
        self._links = ticket.links(file.name)
        self._tags = dict(tags)
        self._size = -(-file.size // max(len(self._links), 1))
        self.had = sum(end - begin for begin, end in map(self._span, self._tags))

    def _span(self, number: int) -> tuple[int, int]:
        begin = min(number * self._size, self._file.size)
        return begin, min(begin + self._size, self._file.size)

    async def run(self) -> FileEntry | None:
        """The parts that are missing, a few at a time, then the completion, which is safe to repeat: the ticket is used
        up once."""
        file, links = self._file, self._links
        if not links:
            raise FailedTryError(UnreachableError(f"{file.name}: the site gave no link to send to"), again=True)
        await self._all_parts([number for number in range(len(links)) if number not in self._tags])
        s3 = any(mark in links[0] for mark in (".s3.", ".amazonaws."))
        upload_id = URL(links[0], encoded=True).query.get("uploadId")
        tags = [self._tags[number] for number in range(len(links))]
        body = {"multipart": {"e_tags": tags, "upload_id": upload_id}} if s3 and upload_id else None
        answer = await self._session.call(
            "POST", *target(file), query={"ticket": self._ticket.ticket}, json=body, safe=True
        )
        return entry_of(answer.body, file, f"POST ticket for {file.name!r}")

    async def _all_parts(self, numbers: list[int]) -> None:
        """The first failure of a part cancels the others and is raised as itself."""
        at_once = asyncio.Semaphore(4)
        failed: list[BaseException] = []

        async def part(number: int) -> None:
            async with at_once:
                try:
                    tag = await _send_part(
                        self._session, self._file, self._links[number], self._ticket, self._span(number)
                    )
                    if self._keeper is not None:
                        await self._keeper.part(self._file, number, tag)
                    self._tags[number] = tag
                except (FailedTryError, NotAsAskedError, UnreachableError) as error:
                    failed.append(error)
                    group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for number in numbers:
                group.start_soon(part, number)
        if failed:
            raise failed[0]


async def _send_part(session: ApiSession, file: SendFile, link: str, ticket: Ticket, span: tuple[int, int]) -> str:
    """One part to its link, repeated by itself when it fails; its ETag."""
    begin, end = span
    headers = {**ticket.headers, "Content-Length": str(end - begin)}
    if ".googleapis." in link:
        headers["Content-Range"] = f"bytes {begin}-{end - 1}/{file.size}"
    attempt, idle_since = 0, time.monotonic()
    while True:
        attempt += 1
        try:
            tags: list[str] = []
            url = URL(link, encoded=True)
            await put(session, "PUT", url, f"PUT part of {file.name!r}", file, span, headers, signed=False, tags=tags)
            return tags[0] if tags else ""
        except FailedTryError as failure:
            if not failure.again:
                # An expired link: the whole upload begins anew with a fresh ticket.
                raise FailedTryError(failure.error, again=attempt == 1, untouched=True, expired=True) from failure
            await session.pause(failure, attempt, idle_since)
