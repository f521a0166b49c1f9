"""The calls that every kind of container has: list, get, create, modify, delete, info, tags, notes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from yarl import URL

from fwsync.client import query as q
from fwsync.client import urls
from fwsync.client.paging import Ahead, Page, PageSize, read_page
from fwsync.client.session import Answer, ApiSession, Query, decode
from fwsync.errors import ProtocolError, RemoteError
from fwsync.model import PLURALS, Analysis, FileEntry, Job, Reference

T = TypeVar("T")

_BELOW = {
    "project": {"group"},
    "subject": {"project"},
    "session": {"project", "subject"},
    "acquisition": {"project", "session"},
    "analysis": {"project", "subject", "session", "acquisition"},
}
"""Under which parents a listing has a route of its own; elsewhere it is filtered by `parents`."""


def convert(document: Any, kind: type[T], what: str) -> T:
    """A decoded document as a struct; ProtocolError if it has the wrong shape."""
    try:
        return msgspec.convert(document, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"not the expected document: {error}", status=200, request=what) from error


def _both(one: str, other: str) -> str:
    return f"{one},{other}" if other else one


NO_SUCH_ROUTE = frozenset({404, 405, 501})
"""Statuses of a site that does not have a route; 404 may also mean that the container is missing."""


class _Envelope(msgspec.Struct, Generic[T]):
    """How a site wraps a listing whose total it counts."""

    results: list[T]
    total: Any = None


class Noun(Generic[T]):
    """The calls for one kind of container. `key` is the field of the struct by which its listings are paged."""

    key: ClassVar[str] = "id"

    def __init__(self, session: ApiSession, kind: str, struct: type[T]) -> None:
        self.session, self.kind, self.struct = session, kind, struct
        self.plural = PLURALS[kind]
        self._listed: Any = _Envelope[struct] | list[struct]  # type: ignore[valid-type]

    def _listing(self, parent: Reference | None, filters: str) -> tuple[tuple[str, ...], str]:
        if parent is None:
            return (self.plural,), filters
        if parent.type in _BELOW.get(self.kind, ()):
            return (PLURALS[parent.type], parent.id, self.plural), filters
        return (self.plural,), _both(f"parents.{parent.type}={parent.id}", filters)

    async def page(
        self,
        *,
        parent: Reference | None = None,
        filters: str = "",
        limit: int,
        info: bool = False,
        files: bool = True,
        count: bool = False,
    ) -> Page[T]:
        """The first page. `files` False asks the site to leave files out; `count` asks for the total in an envelope."""
        segments, filters = self._listing(parent, filters)
        query = _query(filters, limit, None, info, {})
        answer = await self.session.call("GET", *segments, query=query, features=_features(files, count))
        return self._page(answer, f"GET /{'/'.join(segments)}")

    def _page(self, answer: Answer, what: str) -> Page[T]:
        found = decode(answer, self._listed, what)
        if isinstance(found, list):
            return Page(found)
        return Page(found.results, found.total if isinstance(found.total, int) else None)

    async def iter(
        self,
        *,
        parent: Reference | None = None,
        filters: str = "",
        info: bool = False,
        files: bool = True,
        extra: Mapping[str, str] | None = None,
        path: tuple[str, ...] | None = None,
    ) -> AsyncIterator[T]:
        """Every container that matches, in `_id` order; see `pages`."""
        pages = self.pages(parent=parent, filters=filters, info=info, files=files, extra=extra, path=path)
        async with aclosing(pages):
            async for page in pages:
                for one in page:
                    yield one

    async def pages(
        self,
        *,
        parent: Reference | None = None,
        filters: str = "",
        info: bool = False,
        files: bool = True,
        extra: Mapping[str, str] | None = None,
        path: tuple[str, ...] | None = None,
    ) -> AsyncGenerator[list[T], None]:
        """Every container that matches, in `_id` order, page by page, none empty; the next one is asked for ahead.

        Sites cap their pages, so a short page proves nothing: the listing ends when as many came as the first answer
        counted, or with an empty page where a site does not count. One that repeats itself ends in ProtocolError.
        """
        size = PageSize(self.session.settings.page_size)
        segments, filters = (path, filters) if path else self._listing(parent, filters)

        async def fetch(after: str | None) -> Page[T]:
            def url(limit: int) -> URL:
                return urls.build(self.session.key.base, segments, _query(filters, limit, after, info, extra or {}))

            what = f"GET /{'/'.join(segments)}"
            return self._page(await read_page(self.session, size, url, what, _features(files, after is None)), what)

        try:
            page = await fetch(None)
        except RemoteError as error:
            if parent is None or path is not None or error.status not in NO_SUCH_ROUTE:
                raise
            # No such route below this parent: the whole kind, filtered. Empty then means that the parent is missing.
            segments, filters = (self.plural,), _both(f"parents.{parent.type}={parent.id}", filters)
            page = await fetch(None)
            if not page.documents and error.status == 404:
                raise
        total, seen, last = page.total, 0, ""
        while page.documents:
            idents = [getattr(one, self.key) for one in page.documents]
            if not all(idents) or (last and last in idents):
                what = f"GET /{'/'.join(segments)}"
                raise ProtocolError("the listing repeats itself or has no ids", status=200, request=what)
            last, seen = idents[-1], seen + len(idents)
            ahead = Ahead(fetch(last)) if total is None or seen < total else None
            try:
                if ahead is not None:
                    await ahead.begin()
                yield page.documents
            except BaseException:
                if ahead is not None:
                    ahead.cancel()
                raise
            if ahead is None:
                return
            page = await ahead.result()

    async def has_lists(self, idents: Sequence[str]) -> bool:
        """Whether the site understands the list operator: asked for containers that are known to be there, by their
        ids (at least two), it gives just these."""
        try:
            page = await self.page(filters=q.one_of("_id", idents[:3]), limit=10, files=False)
        except RemoteError as error:
            if error.status not in (400, 422):
                raise
            return False
        return {getattr(one, self.key) for one in page.documents} == set(idents[:3])

    async def first(self, *, parent: Reference | None = None, filters: str = "") -> T | None:
        """The first that matches, or None."""
        page = await self.page(parent=parent, filters=filters, limit=1)
        return page.documents[0] if page.documents else None

    async def get(self, ident: str) -> T:
        """One container, whole."""
        answer = await self.session.call("GET", self.plural, ident)
        found: T = decode(answer, self.struct, f"GET /{self.plural}/{ident}")
        return found

    async def create(self, document: Mapping[str, Any]) -> str:
        """A new container; its id. LostAnswerError when nobody knows whether it was made."""
        answer = await self.session.call("POST", self.plural, json=dict(document))
        found = decode(answer, dict[str, Any], f"POST /{self.plural}")
        if not isinstance(found.get("_id"), str):
            raise ProtocolError("no _id in the answer", status=answer.status, request=f"POST /{self.plural}")
        return str(found["_id"])

    async def modify(self, ident: str, fields: Mapping[str, Any]) -> None:
        """Change the given fields."""
        await self.session.call("PUT", self.plural, ident, json=dict(fields))

    async def delete(self, ident: str) -> None:
        """Delete a container and everything below it."""
        await self.session.call("DELETE", self.plural, ident)

    async def set_info(self, ident: str, values: Mapping[str, Any]) -> None:
        """Set top-level keys of the custom info."""
        await self.session.call("PATCH", self.plural, ident, "info", json={"set": dict(values)})

    async def add_tag(self, ident: str, tag: str) -> None:
        """Add a tag. ConflictError if it is there."""
        await self.session.call("POST", self.plural, ident, "tags", json={"value": tag}, safe=True)

    async def remove_tag(self, ident: str, tag: str) -> None:
        """Take a tag off. NotFoundError if it is not there."""
        await self.session.call("DELETE", self.plural, ident, "tags", tag)

    async def add_note(self, ident: str, text: str) -> None:
        """Add a note. LostAnswerError when nobody knows whether it was made."""
        await self.session.call("POST", self.plural, ident, "notes", json={"text": text})

    async def files_of(self, ident: str) -> list[FileEntry]:
        """The files right on a container."""
        whole = await self.get(ident)
        return list(getattr(whole, "files", None) or ())


def _query(filters: str, limit: int, after: str | None, info: bool, extra: Mapping[str, str]) -> Query:
    return {
        "filter": filters or None,
        "limit": limit,
        "after_id": after,
        "include_all_info": "true" if info else None,
        **extra,
    }


def _features(files: bool, count: bool) -> tuple[str, ...]:
    return tuple(name for name, wanted in (("exclude-files", not files), ("pagination", count)) if wanted)


class Analyses(Noun[Analysis]):
    """Analyses, whose job may be an id, an object, or absent, by site and by call."""

    def __init__(self, session: ApiSession) -> None:
        super().__init__(session, "analysis", Analysis)

    async def get(self, ident: str) -> Analysis:
        """One analysis with its files and its job."""
        answer = await self.session.call("GET", "analyses", ident, query={"inflate_job": "true"})
        found: Analysis = decode(answer, Analysis, f"GET /analyses/{ident}")
        return found

    async def with_job(self, analysis: Analysis) -> Analysis:
        """The analysis with its job as an object and its files, asking for what the listing left out."""
        if isinstance(analysis.job, str) or analysis.files is None:
            analysis = msgspec.structs.replace(await self.get(analysis.id), parents=analysis.parents)
        if isinstance(analysis.job, str):
            answer = await self.session.call("GET", "jobs", analysis.job)
            job = decode(answer, Job, f"GET /jobs/{analysis.job}")
            analysis = msgspec.structs.replace(analysis, job=job)
        return analysis
