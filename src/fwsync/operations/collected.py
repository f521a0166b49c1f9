"""`fwsync collection list` and `show`: collections as tables."""

from __future__ import annotations

from collections.abc import Sequence

from fwsync import logs
from fwsync.client.api import Flywheel
from fwsync.errors import RemoteError
from fwsync.model import Acquisition, Collection, Reference, Session, Subject
from fwsync.operations.collections import find_collection, known_collections
from fwsync.operations.projects import project_path
from fwsync.report.table import Cell, Column, Table

log = logs.get("collections")

COLUMNS = ("id", "project", "subject", "session", "acquisition", "timestamp")


async def list_collections(fw: Flywheel) -> Table:
    """All collections that the key sees, by label."""
    known = sorted(await known_collections(fw), key=lambda one: (one.label or "", one.id))
    rows = [(one.label or "", one.id, _curator(one), one.created, one.description or "") for one in known]
    names = ("label", "id", "curator", "created", "description")
    columns = tuple(Column(name) for name in names)
    return Table(
        name="collections", title=f"Collections on {fw.site}", columns=columns, rows=list(rows),
        facts={"collections": len(rows)},
    )  # fmt: skip


def _curator(one: Collection) -> str:
    held = one.curator.get("_id") if isinstance(one.curator, dict) else one.curator
    return str(held or "")


async def show_collection(fw: Flywheel, name: str) -> Table:
    """The acquisitions of a collection with the labels above them: a row each, by these labels."""
    found = await find_collection(fw, name)
    held = [one async for one in fw.members(found.id)]
    labels = await _labels(fw, found.id, held)
    rows = []
    for one in held:
        above = one.parents
        names = [labels.get(getattr(above, level, None) or "", "") for level in ("project", "subject", "session")]
        rows.append((one.id, *names, one.label or "", one.timestamp))
    rows.sort(key=lambda row: tuple(str(cell or "") for cell in (*row[1:5], row[0])))
    sessions = {one.parents.session for one in held if one.parents and one.parents.session}
    subjects = {one.parents.subject for one in held if one.parents and one.parents.subject}
    facts: dict[str, Cell] = {
        "id": found.id,
        "acquisitions": len(held),
        "sessions": len(sessions),
        "subjects": len(subjects),
    }
    return Table(
        name="collection", title=f"Collection {found.label or found.id}", rows=list(rows), facts=facts,
        columns=tuple(Column(name) for name in COLUMNS),
    )  # fmt: skip


async def _labels(fw: Flywheel, ident: str, held: Sequence[Acquisition]) -> dict[str, str]:
    """Labels by id of the projects, subjects and sessions that these acquisitions of a collection are in: from
    listings of the collection and of the site's projects, and of whole projects only where those don't tell."""
    parents = [one.parents for one in held if one.parents is not None]
    if not parents:
        return {}
    out = {one.id: project_path(one) async for one in fw.projects.iter(files=False)}
    try:
        async for session in fw.sessions.iter(path=("collections", ident, "sessions"), files=False):
            _note(out, session)
    except RemoteError as error:
        log.info("no listing of a collection's sessions", reason=str(error))
    for level, noun in (("session", fw.sessions), ("subject", fw.subjects)):
        known = {"", *out}
        unknown = {one.project for one in parents if one.project and (getattr(one, level) or "") not in known}
        for project in sorted(unknown):
            async for one in noun.iter(parent=Reference(type="project", id=project), files=False):
                _note(out, one)
    return out


def _note(out: dict[str, str], one: Session | Subject) -> None:
    if isinstance(one, Subject):
        out[one.id] = one.label or one.code or ""
        return
    out[one.id] = one.label or ""
    subject = one.subject if isinstance(one.subject, dict) else {}
    if label := subject.get("label") or subject.get("code"):
        out[str(subject.get("_id") or "")] = str(label)
