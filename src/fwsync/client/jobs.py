"""Jobs: their listings, and the two calls that start a gear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from fwsync import logs
from fwsync.client import query as q
from fwsync.client.nouns import Noun
from fwsync.client.session import Answer, ApiSession, decode
from fwsync.errors import ProtocolError, RemoteError
from fwsync.model import PLURALS, Job, ListedJob, Reference

log = logs.get("client")

REFUSED_LISTING = frozenset({400, 404, 405, 422, 501})


class Jobs(Noun[ListedJob]):
    """Jobs, as listings tell them."""

    def __init__(self, session: ApiSession) -> None:
        super().__init__(session, "job", ListedJob)

    async def matching(self, project_id: str, gear: str = "", states: tuple[str, ...] = ()) -> AsyncIterator[ListedJob]:
        """The jobs of a project (empty: all that the key sees), of one gear and in some states where these are named.

        Asks the site-wide listing first, then the project's own where the site refuses that one or finds nothing there
        (a site that does not know the fields of the filter finds nothing either).
        """
        clauses = [q.where("gear_info.name", "=", gear) if gear else "", q.any_of("state", states) if states else ""]
        held = f"parents.project={project_id}" if project_id else ""
        seen = refused = False
        try:
            async for job in self.iter(filters=q.all_of(held, *clauses)):
                if _wanted(job, project_id, gear, states):
                    seen = True
                    yield job
        except RemoteError as error:
            if seen or not project_id or error.status not in REFUSED_LISTING:
                raise
            refused = True
            log.info("listing refused", reason=str(error))
        if seen or not project_id:
            return
        try:
            async for job in self.iter(path=("projects", project_id, "jobs")):
                if _wanted(job, "", gear, states):
                    yield job
        except RemoteError as error:
            if refused or error.status not in REFUSED_LISTING:
                raise
            log.info("listing refused", reason=str(error))

    async def without_analysis(self, project_id: str, gear: str) -> list[ListedJob] | None:
        """The jobs of a gear in a project that make no analysis. None where the site refuses to list them."""
        try:
            found = [job async for job in self.matching(project_id, gear)]
        except RemoteError as error:
            if error.status not in REFUSED_LISTING | {403}:
                raise
            return None
        return [job for job in found if job.destination is not None and job.destination.type != "analysis"]

    async def tried_after(self, ident: str, project_id: str = "") -> list[str]:
        """The ids of the jobs that the site made when this one was tried again, oldest first."""
        try:
            found = [job async for job in self.iter(filters=f"previous_job_id={ident}")]
        except RemoteError as error:
            if error.status not in REFUSED_LISTING:
                raise
            found = [job async for job in self.matching(project_id)]
        return sorted(job.id for job in found if job.previous_job_id == ident)

    async def state(self, ident: str) -> str:
        """The state of a job."""
        found = decode(await self.session.call("GET", "jobs", ident), Job, f"GET /jobs/{ident}")
        return str(found.state or "")

    async def cancel(self, ident: str) -> None:
        """Cancel a job. ConflictError if it has ended."""
        await self.session.call("PUT", "jobs", ident, json={"state": "cancelled"})

    async def retry(self, ident: str) -> str:
        """A new job in place of one that failed or was cancelled; its id. LostAnswerError when nobody knows whether it
        was made."""
        return _made(await self.session.call("POST", "jobs", ident, "retry"), "POST /jobs/{id}/retry")

    async def start_analysis(self, destination: Reference, label: str, job: Mapping[str, Any]) -> str:
        """A new analysis with its job on a container; the analysis' id. `job` is `{gear_id, inputs, tags, priority,
        config}`. LostAnswerError when nobody knows whether it was made."""
        what = f"POST /{PLURALS[destination.type]}/{{id}}/analyses"
        body = {"label": label, "job": dict(job)}
        segments = (PLURALS[destination.type], destination.id, "analyses")
        return _made(await self.session.call("POST", *segments, query={"job": "true"}, json=body), what)

    async def start_job(self, destination: Reference, job: Mapping[str, Any]) -> str:
        """A new job of a gear that makes no analysis; its id. LostAnswerError when nobody knows whether it was made."""
        body = {**job, "destination": {"type": destination.type, "id": destination.id}}
        return _made(await self.session.call("POST", "jobs", "add", json=body), "POST /jobs/add")


def _made(answer: Answer, what: str) -> str:
    found = decode(answer, dict[str, Any], what)
    if not isinstance(found.get("_id"), str):
        raise ProtocolError("no _id in the answer", status=answer.status, request=what)
    return str(found["_id"])


def _wanted(job: ListedJob, project_id: str, gear: str, states: tuple[str, ...]) -> bool:
    """Sites that don't know a field of a filter may ignore it."""
    held = job.parents.project if job.parents else None
    name = job.gear_info.name if job.gear_info else None
    return (not project_id or held in (None, project_id)) and gear in ("", name) and (not states or job.state in states)
