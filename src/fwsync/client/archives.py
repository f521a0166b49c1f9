"""Bulk archives: many small files as one tar stream, each known by its hash.

`POST /download` gives a ticket, a count and a size for files or whole containers; `GET /download?ticket=` streams them.
A site may take either body, both or none. What comes is matched to what is wanted by SHA-384 alone, so neither the
archive's names nor its order matter, and a byte that is wrong matches nothing: such a file is then fetched by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from fwsync import logs
from fwsync.client import urls
from fwsync.client.retry import REFUSED_FORMS
from fwsync.client.session import ApiSession, FailedTryError, decode
from fwsync.client.tarstream import TarStream
from fwsync.client.transfer import HASH_PREFIX, Meter, pour
from fwsync.errors import FwsyncError, ProtocolError, RemoteError
from fwsync.work import FetchFile

log = logs.get("client")

MOST_EXTRA = 1.25
"""An archive of whole containers may be so much larger than what is wanted of it, else it is not asked for."""

MOST_FAILURES = 3


def goes_in_an_archive(file: FetchFile) -> bool:
    """Whether a file can come this way: it must be known by its hash."""
    known = file.hash is not None and file.hash.startswith(HASH_PREFIX)
    return known and file.member is None and file.content is None


class _Ticket(msgspec.Struct):
    ticket: str
    size: float | None = None


class Archives:
    """The bulk archives of one site, as far as it offers them."""

    def __init__(self, session: ApiSession, most: int) -> None:
        """`most` is the size in bytes of the largest file that is wanted this way."""
        self._session, self._most = session, most
        self._forms: list[Callable[[Sequence[FetchFile]], tuple[dict[str, str], dict[str, Any]]]] = [_files, _nodes]
        self._failures = 0

    @property
    def offered(self) -> bool:
        """Whether it is still worth asking."""
        return bool(self._forms) and self._failures < MOST_FAILURES

    async def fetch(self, files: Sequence[FetchFile]) -> dict[str, bytes]:
        """The bodies that came whole, by hash. Whatever goes wrong, what is missing is not in it."""
        wanted = {file.hash or "" for file in files}
        found: dict[str, bytes] = {}
        try:
            ticket = await self._ticket(files)
            if ticket is not None:
                async with self._session.bodies.slot():
                    await self._stream(ticket, wanted, found)
        except (FailedTryError, FwsyncError) as error:
            log.info("a bulk archive ended early", reason=str(error))  # single requests tell what is wrong
        self._failures = 0 if found else self._failures + 1
        return found

    async def _ticket(self, files: Sequence[FetchFile]) -> str | None:
        """A ticket for an archive of these files and little else, in the first form that this site takes."""
        for form in tuple(self._forms):
            query, body = form(files)
            try:
                answer = await self._session.call("POST", "download", query=query, json=body, safe=True)
            except RemoteError as error:
                if error.status in REFUSED_FORMS and form in self._forms:
                    self._forms.remove(form)
                    continue
                raise
            ticket: _Ticket = decode(answer, _Ticket, "POST /download")
            wanted = sum(file.size or 0 for file in files)
            if ticket.size is not None and ticket.size > wanted * MOST_EXTRA + self._most:
                return None
            return ticket.ticket
        return None

    async def _stream(self, ticket: str, wanted: set[str], found: dict[str, bytes]) -> None:
        url = urls.build(self._session.key.base, ("download",), {"ticket": ticket, "format": "tar"})
        what = "GET /download"
        unpacker = _Unpacker(TarStream(self._most), wanted, found)
        async with self._session.open("GET", url, what, headers={"Accept": "*/*"}, raw=True) as response:
            await pour(self._session, response, unpacker, what, Meter())


class _Unpacker:
    """Takes the stream apart and keeps the bodies that are wanted."""

    def __init__(self, tar: TarStream, wanted: set[str], found: dict[str, bytes]) -> None:
        self._tar, self._wanted, self._found = tar, wanted, found

    async def write(self, data: bytes) -> None:
        try:
            for body in self._tar.feed(data):
                digest = HASH_PREFIX + hashlib.sha384(body).hexdigest()
                if digest in self._wanted:
                    self._found[digest] = body
        except ValueError as error:
            raise ProtocolError(str(error), status=200, request="GET /download") from error


def _files(files: Sequence[FetchFile]) -> tuple[dict[str, str], dict[str, Any]]:
    named = [
        {"container_name": file.container_type, "container_id": file.container_id, "filename": file.name}
        for file in files
    ]
    return {"type": "bulk"}, {"files": named}


def _nodes(files: Sequence[FetchFile]) -> tuple[dict[str, str], dict[str, Any]]:
    """Whole acquisitions: the one level that holds nothing but files."""
    held = dict.fromkeys(file.container_id for file in files if file.container_type == "acquisition")
    return {"type": "classic"}, {"nodes": [{"level": "acquisition", "_id": one} for one in held], "optional": True}
