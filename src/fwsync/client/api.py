"""Typed calls to a Flywheel site: `async with Flywheel.from_key(key) as fw: ...`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import msgspec

from fwsync import logs
from fwsync.client import query as q
from fwsync.client.files import Files
from fwsync.client.jobs import Jobs
from fwsync.client.key import ApiKey
from fwsync.client.nouns import Analyses, Noun, convert
from fwsync.client.session import ApiSession, decode
from fwsync.config import NetworkSettings
from fwsync.errors import NotFoundError, RemoteError
from fwsync.model import (
    PLURALS,
    Acquisition,
    Analysis,
    Collection,
    FileEntry,
    Gear,
    Group,
    Parents,
    Project,
    Reference,
    Session,
    Subject,
    User,
)

log = logs.get("client")

KINDS: dict[str, type[Any]] = {
    "group": Group,
    "project": Project,
    "subject": Subject,
    "session": Session,
    "acquisition": Acquisition,
    "analysis": Analysis,
    "collection": Collection,
    "gear": Gear,
    "file": FileEntry,
}


class SiteConfig(msgspec.Struct, frozen=True):
    """What a site can do, as far as transfers look at it."""

    signed_urls: bool = False


class Node(msgspec.Struct, frozen=True):
    """What a path leads to: its container type (`file` and `gear` too) and its document."""

    container_type: str
    document: Any

    @property
    def id(self) -> str:
        """The id of the container, or the file id."""
        held = self.document.file_id if isinstance(self.document, FileEntry) else self.document.id
        return str(held or "")

    @property
    def label(self) -> str:
        """The label of the container, or the file's name."""
        if isinstance(self.document, FileEntry):
            return self.document.name
        return str(getattr(self.document, "label", None) or self.document.id)


class Upserted(msgspec.Struct, frozen=True):
    """One level of a hierarchy upsert: the container's id and `created`, `updated` or `ignored`."""

    id: str
    result: str
    attempts: int = 1


class Flywheel:
    """A site, opened with an API key."""

    def __init__(self, session: ApiSession) -> None:
        self.session = session
        self.groups = Noun(session, "group", Group)
        self.projects = Noun(session, "project", Project)
        self.subjects = Noun(session, "subject", Subject)
        self.sessions = Noun(session, "session", Session)
        self.acquisitions = Noun(session, "acquisition", Acquisition)
        self.analyses = Analyses(session)
        self.gears = Noun(session, "gear", Gear)
        self.collections = Noun(session, "collection", Collection)
        self.files = Files(session)
        self.jobs = Jobs(session)
        self._config: SiteConfig | None = None

    @classmethod
    def from_key(
        cls,
        key: ApiKey | str,
        settings: NetworkSettings | None = None,
        *,
        on_retry: Callable[[str, int, float], None] | None = None,
    ) -> Flywheel:
        """A site that is not connected yet: enter it. AuthError if the key is malformed."""
        parsed = ApiKey.parse(key) if isinstance(key, str) else key
        return cls(ApiSession(parsed, settings, on_retry=on_retry))

    @classmethod
    def nowhere(cls) -> Flywheel:
        """In the place of a site for work that asks none. It is not entered, and has no name."""
        return cls(ApiSession(ApiKey(scheme="https", host="", port=443, secret="")))

    async def __aenter__(self) -> Self:
        await self.session.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.__aexit__(kind, error, trace)

    @property
    def site(self) -> str:
        """The site's name: host, and port where unusual."""
        return self.session.key.site

    def count_anew(self) -> None:
        """Requests, writes and retries are counted from here on."""
        self.session.requests = self.session.writes = self.session.retries = 0

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self.session.requests

    @property
    def writes(self) -> int:
        """How many of them asked the site to change something."""
        return self.session.writes

    @property
    def retries(self) -> int:
        """How many of them were repetitions."""
        return self.session.retries

    def noun(self, level: str) -> Noun[Any]:
        """The calls for one level of the hierarchy."""
        found: Noun[Any] = getattr(self, PLURALS[level])
        return found

    async def auth_status(self) -> dict[str, Any]:
        """Check the key. AuthError if the site refuses it."""
        answer = await self.session.call("GET", "auth", "status")
        found: dict[str, Any] = decode(answer, dict, "GET /auth/status")
        return found

    async def whoami(self) -> User:
        """Whose key it is."""
        user: User = decode(await self.session.call("GET", "users", "self"), User, "GET /users/self")
        return user

    async def config(self) -> SiteConfig:
        """What the site can do; asked once. A site that does not tell has the defaults."""
        if self._config is None:
            try:
                found = decode(await self.session.call("GET", "config"), dict, "GET /config")
            except RemoteError as error:
                log.info("no config", reason=str(error))
                found = {}
            features = found.get("features") or {}
            self._config = SiteConfig(signed_urls=bool(features.get("signed_url") or found.get("signed_url")))
        return self._config

    async def get(self, ident: str) -> Node:
        """Any container by its id."""
        answer = await self.session.call("GET", "containers", ident)
        return _node(decode(answer, dict, "GET /containers"))

    async def lookup(self, path: Sequence[str]) -> Node:
        """What a path of labels (`<id:HEX>` allowed) leads to; NotFoundError if nothing."""
        answer = await self.session.call("POST", "lookup", json={"path": list(path)}, safe=True)
        return _node(decode(answer, dict, "POST /lookup"))

    async def all_gears(self) -> list[Gear]:
        """Every version of every gear, disabled ones too."""
        try:
            return [gear async for gear in self.gears.iter(extra={"all_versions": "true", "include_invalid": "true"})]
        except RemoteError as error:
            if error.status not in (400, 422):
                raise
            return [gear async for gear in self.gears.iter()]  # a site that does not know these parameters

    async def upsert_hierarchy(self, project_id: str, levels: Mapping[str, Mapping[str, Any]]) -> dict[str, Upserted]:
        """Create or update a subject, its session and its acquisition in one request.

        `levels` maps `subject`, `session`, `acquisition` to their documents. Idempotent by natural key, so it is
        simply repeated. RemoteError 403, 404, 405 or 501 where the site does not grant it.
        """
        answer = await self.session.call(
            "POST", "projects", project_id, "upsert-hierarchy", json=dict(levels), safe=True
        )
        found = decode(answer, dict[str, Any], "POST /projects/{id}/upsert-hierarchy")
        out = {}
        for level in levels:
            one = found.get(level)
            if isinstance(one, dict) and isinstance(one.get("_id"), str):
                out[level] = Upserted(one["_id"], str(one.get("upsert_result") or "created"), answer.attempts)
        return out

    async def gear_versions(self, name: str) -> list[Gear]:
        """Every version of one gear, disabled ones too."""
        clause = q.where("gear.name", "=", name) if q.expressible(name) else ""
        try:
            extra = {"all_versions": "true", "include_invalid": "true"}
            found = [gear async for gear in self.gears.iter(filters=clause, extra=extra)]
        except RemoteError as error:
            if error.status not in (400, 422):
                raise
            found = await self.all_gears()
        return [gear for gear in found if gear.gear.name == name]

    async def collections_called(self, label: str) -> list[Collection]:
        """The collections with just this label, the oldest first."""
        filters = q.where("label", "=", label) if q.expressible(label) else ""
        found = [one async for one in self.collections.iter(filters=filters, files=False) if one.label == label]
        return sorted(found, key=lambda one: (one.created or "", one.id))

    def members(self, collection_id: str) -> AsyncIterator[Acquisition]:
        """The acquisitions of a collection, in `_id` order."""
        return self.acquisitions.iter(path=("collections", collection_id, "acquisitions"), files=False)

    async def project_analyses(
        self, project_id: str, gear: str | None = None, *, jobs: bool = True, level: str = ""
    ) -> AsyncIterator[Analysis]:
        """All analyses in a project, of one gear if named; `jobs`: with their jobs and files, whatever that takes.

        Asks the site-wide listing first, then the project's own, then each session and subject by itself: the next
        way is taken where the site refuses one, or finds nothing (a site that does not know the fields of the filter
        finds nothing either). One by one is for sites that refused both listings, and for small projects. Where just
        the analyses on one `level` are wanted, one by one is for its containers, and for the former alone.
        """
        clause = q.where("gear_info.name", "=", gear) if gear else ""
        everywhere = q.all_of(f"parents.project={project_id}", clause)
        listings = (
            self.analyses.iter(filters=everywhere, extra={"inflate_job": "true"}),
            self.analyses.iter(path=("projects", project_id, "all", "analyses"), extra={"inflate_job": "true"}),
        )
        refused = 0
        for listing in listings:
            seen = False
            try:
                async for analysis in listing:
                    seen = True
                    if _wanted(analysis, project_id, gear):
                        yield await self.analyses.with_job(analysis) if jobs else analysis
            except RemoteError as error:
                if seen or error.status not in (400, 404, 405, 422, 501):
                    raise
                refused += 1
                log.info("listing refused", reason=str(error))
            if seen:
                return
        if refused == len(listings) or (not level and await self._is_small(project_id)):
            async for analysis in self._analyses_one_by_one(project_id, (level,) if level else ("session", "subject")):
                if _wanted(analysis, project_id, gear):
                    yield await self.analyses.with_job(analysis) if jobs else analysis

    async def _is_small(self, project_id: str) -> bool:
        parent = Reference(type="project", id=project_id)
        page = await self.sessions.page(parent=parent, limit=SMALL_PROJECT + 1, files=False)
        return len(page.documents) <= SMALL_PROJECT

    async def _idents(self, project_id: str, level: str) -> AsyncIterator[str]:
        if level == "project":
            yield project_id
            return
        async for container in self.noun(level).iter(parent=Reference(type="project", id=project_id), files=False):
            yield container.id

    async def _analyses_one_by_one(self, project_id: str, levels: Sequence[str]) -> AsyncIterator[Analysis]:
        for level in levels:
            noun = self.noun(level)
            async for ident in self._idents(project_id, level):
                whole = await noun.get(ident)
                for analysis in whole.analyses or ():
                    # What is embedded in its parent may not say where it is.
                    own = Reference(type=level, id=ident)
                    held = analysis.parents or Parents(**{"project": project_id, level: ident})
                    yield msgspec.structs.replace(analysis, parent=analysis.parent or own, parents=held)


SMALL_PROJECT = 100
"""Up to so many sessions are asked one by one when listings find no analysis at all."""


def _wanted(analysis: Analysis, project_id: str, gear: str | None) -> bool:
    return _in_project(analysis, project_id) and gear in (None, _gear_name(analysis))


def _gear_name(analysis: Analysis) -> str | None:
    return analysis.gear_info.name if analysis.gear_info else None


def _in_project(analysis: Analysis, project_id: str) -> bool:
    # Analyses taken off their session may come without parents.
    return analysis.parents is None or analysis.parents.project in (None, project_id)


def _node(document: dict[str, Any]) -> Node:
    kind = document.get("container_type") or document.get("node_type")
    if kind not in KINDS:
        raise NotFoundError(f"leads to a {kind}, which can't be used here", status=404, request="POST /lookup")
    return Node(kind, convert(document, KINDS[kind], "POST /lookup"))
