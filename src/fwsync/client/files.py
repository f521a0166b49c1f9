"""Files as a listing of their own: `GET /files`, always in an envelope, paged by file id; and their versions."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fwsync import logs
from fwsync.client import query as q
from fwsync.client.nouns import NO_SUCH_ROUTE, Noun, convert
from fwsync.client.session import ApiSession, decode
from fwsync.errors import RemoteError
from fwsync.model import FileEntry

log = logs.get("client")


class Files(Noun[FileEntry]):
    """The files of the whole site."""

    key = "file_id"

    def __init__(self, session: ApiSession) -> None:
        super().__init__(session, "file", FileEntry)

    async def of_project(
        self, project_id: str, conditions: str = "", fewer: str = "", *, info: bool = False
    ) -> AsyncIterator[list[FileEntry]] | None:
        """The current files in a project, those of analyses too, for which `conditions` hold, page by page. `fewer` are
        clauses by which the site may leave more out: a site that does not understand them, or finds nothing, is asked
        without.

        None where the site has no such listing, or it is empty without conditions: a site that does not know the
        fields of the filter finds nothing, so the caller looks at the containers themselves. RemoteError 400 or 422
        for conditions that the site refuses.
        """
        own = q.all_of(f"parents.project={project_id}", conditions)
        for filters in dict.fromkeys((q.all_of(own, fewer), own)):
            listing = self.pages(filters=filters, info=info)
            try:
                first = await anext(listing, None)
            except RemoteError as error:
                if error.status in (400, 422) and filters != own:
                    continue
                if error.status in NO_SUCH_ROUTE or (error.status in (400, 422) and not conditions):
                    log.info("no listing of files", reason=str(error))
                    return None
                raise
            if first is not None:
                return _from(first, listing)
        return _nothing() if conditions else None

    async def at(self, file_id: str, version: int | None = None) -> FileEntry:
        """A file by its id, in one version or the newest. NotFoundError where the site has it no more."""
        answer = await self.session.call("GET", "files", file_id, query={"version": version})
        found: FileEntry = decode(answer, FileEntry, "GET /files/{id}")
        return found

    async def versions(self, entry: FileEntry) -> list[FileEntry]:
        """Every version of a file, the oldest first; those that tell no version are left out."""
        what = "GET /files/{id}/versions"
        answer = await self.session.call("GET", "files", entry.file_id or "", "versions")
        found = decode(answer, list, what)
        entries = [convert(document, FileEntry, what) for document in found]
        return sorted((one for one in entries if one.version is not None), key=lambda one: one.version or 0)


async def _nothing() -> AsyncIterator[list[FileEntry]]:
    return
    yield  # a generator all the same


async def _from(first: list[FileEntry], rest: AsyncIterator[list[FileEntry]]) -> AsyncIterator[list[FileEntry]]:
    yield first
    async for page in rest:
        yield page
