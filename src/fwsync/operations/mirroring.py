"""`fwsync mirror`: a gear's outputs, or members inside its zips, in a local tree that stays in step."""

from __future__ import annotations

from collections import Counter

import anyio
import msgspec

from fwsync.client import remotezip
from fwsync.client.api import Flywheel
from fwsync.errors import FwsyncError, RemoteError, UsageError
from fwsync.model import Analysis, FileEntry, Project, Reference, Session, Subject, ZipMember
from fwsync.operations.bringing import Place, bring
from fwsync.operations.context import Context
from fwsync.operations.projects import find_project, near, project_path
from fwsync.plan.mirroring import fetch_of
from fwsync.plan.paths import Step
from fwsync.plan.selecting import choose_runs, output_files
from fwsync.selection import Selection
from fwsync.work import Outcome, Summary

LOOKS_AT_ONCE = 16


class _Found(msgspec.Struct):
    """What the site has for a selection: how many runs, their files with steps in the tree, what could not be read."""

    chosen: int
    files: list[Place]
    troubles: list[Outcome]
    notes: list[str]


async def mirror(context: Context, *, dry: bool = False) -> Summary:
    """Bring the latest complete run's outputs of a gear on each session or subject into the target folder."""
    settings = context.settings.mirror
    if not settings.gear:
        raise UsageError("which gear? name it by --gear, or as `gear` under [mirror] in fwsync.toml")
    if not settings.to:
        raise UsageError("where to? name a folder by --to, or as `to` under [mirror] in fwsync.toml")
    selection = Selection(
        project=settings.project or context.settings.site.project,
        gear=settings.gear,
        run=settings.run,
        members=settings.members,
        include=settings.include,
        exclude=settings.exclude,
    )
    context.reporter.phase("listing")
    project = await find_project(context.fw, selection.project or "")
    found = await _gather(context.fw, project, selection)
    narrowed = " ".join((*selection.members, *selection.include))
    if narrowed and found.chosen and not found.files and not found.troubles and not settings.allow_empty:
        raise UsageError(
            f"{narrowed}: matches nothing in the outputs of {found.chosen} runs; fwsync mirror --dry-run without it"
            " shows what there is, --allow-empty accepts nothing"
        )
    arguments = {
        "project": project_path(project),
        **{name: getattr(settings, name) for name in ("gear", "run", "members", "include", "exclude", "platform")},
    }
    return await bring(
        context, "mirror", settings.to, found.files, arguments, settled=found.troubles, notes=found.notes, dry=dry
    )


# --- gathering ------------------------------------------------------------------------------------------------------


async def _gather(fw: Flywheel, project: Project, selection: Selection) -> _Found:
    """The files that the selection means, by listings of the project; member directories one request each."""
    gear = str(selection.gear)
    analyses = [a async for a in fw.project_analyses(project.id, gear)]
    if not analyses:
        await _known_gear(fw, gear)
    parent = Reference(type="project", id=project.id)
    subjects = {s.id: s async for s in fw.subjects.iter(parent=parent, files=False)}
    sessions = {s.id: s async for s in fw.sessions.iter(parent=parent, files=False)}
    chosen = choose_runs(analyses, selection, sessions)
    notes = _notes(gear, chosen.without, sessions, bool(analyses))
    files: list[Place] = []
    archives: list[tuple[list[Step], Analysis, FileEntry]] = []
    for analysis in chosen.analyses:
        above = _steps(project, analysis, subjects, sessions)
        for entry in output_files(analysis, selection):
            if selection.members:
                archives.append((above, analysis, entry))
            else:
                files.append(([*above, _file_step(analysis, entry, None)], fetch_of("analysis", analysis.id, entry)))
    troubles: list[Outcome] = []
    for above, analysis, entry, held in await _look_inside(fw, archives, troubles):
        for member in held:
            if selection.takes_member(member.path):
                fetch = fetch_of("analysis", analysis.id, entry, member)
                files.append(([*above, _file_step(analysis, entry, member)], fetch))
    return _Found(len(chosen.analyses), files, troubles, notes)


def _notes(gear: str, without: Counter[str], sessions: dict[str, Session], any_run: bool) -> list[str]:
    if not any_run:
        return [f"{gear} ran on no session or subject of this project"]
    ran = {reason: count for reason, count in sorted(without.items()) if reason != "never ran"}
    parts = ", ".join(f"{count:,} {reason}" for reason, count in ran.items())
    notes = [f"{gear} has no run to take on {sum(ran.values()):,} sessions or subjects: {parts}"] if ran else []
    if never := without.get("never ran"):
        notes.append(f"{gear} never ran on {never:,} of {len(sessions):,} sessions")
    return notes


async def _known_gear(fw: Flywheel, gear: str) -> None:
    """UsageError with near names unless the site's gears, or any analysis, name this gear."""
    names = {found.gear.name for found in await fw.all_gears()}
    if gear in names:
        return
    try:
        async for analysis in fw.analyses.iter(filters=f"gear_info.name={gear}" if gear.isidentifier() else ""):
            if analysis.gear_info and analysis.gear_info.name:
                names.add(analysis.gear_info.name)
            if gear in names:
                return
    except RemoteError:
        pass  # a site without the listing: its gears alone decide
    raise UsageError(f"gear {gear}: {fw.site} knows none of this name{near(gear, sorted(names))}")


async def _look_inside(
    fw: Flywheel, archives: list[tuple[list[Step], Analysis, FileEntry]], troubles: list[Outcome]
) -> list[tuple[list[Step], Analysis, FileEntry, list[ZipMember]]]:
    """The directories of many remote zips, some at a time. One that can't be read is a failed item, not an end."""
    out: list[tuple[list[Step], Analysis, FileEntry, list[ZipMember]]] = []
    slots = anyio.Semaphore(LOOKS_AT_ONCE)

    async def look(above: list[Step], analysis: Analysis, entry: FileEntry) -> None:
        async with slots:
            try:
                out.append(
                    (
                        above,
                        analysis,
                        entry,
                        await remotezip.members(fw.session, fetch_of("analysis", analysis.id, entry)),
                    )
                )
            except FwsyncError as error:
                if error.exit_code == 4:
                    raise
                troubles.append(
                    Outcome(
                        key=f"zip:{entry.file_id or analysis.id + '/' + entry.name}",
                        kind="zip",
                        state="failed",
                        target=f"{analysis.label}/{entry.name}",
                        reason=error.line,
                    )
                )

    async with anyio.create_task_group() as group:
        for one in archives:
            group.start_soon(look, *one)
    return out


def _steps(
    project: Project, analysis: Analysis, subjects: dict[str, Subject], sessions: dict[str, Session]
) -> list[Step]:
    """The folders above an analysis's files: project, subject, and session where the gear ran on one."""
    parents = analysis.parents
    session = sessions.get(_session_of(analysis) or "")
    subject_id = (parents.subject if parents else None) or (
        session.parents.subject if session and session.parents else None
    )
    if subject_id is None and analysis.parent and analysis.parent.type == "subject":
        subject_id = analysis.parent.id
    steps = [Step(project.id, project.label or project.id)]
    if subject_id is not None:
        subject = subjects.get(subject_id)
        steps.append(Step(subject_id, (subject.label or subject.code if subject else None) or subject_id))
    if session is not None:
        steps.append(Step(session.id, session.label or session.id))
    return steps


def _session_of(analysis: Analysis) -> str | None:
    if analysis.parents and analysis.parents.session:
        return analysis.parents.session
    return analysis.parent.id if analysis.parent and analysis.parent.type == "session" else None


def _file_step(analysis: Analysis, entry: FileEntry, member: ZipMember | None) -> Step:
    """`<analysis label>_<base name>`; the id orders colliding names: file id, then member path."""
    base = entry.name if member is None else member.path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    ident = f"{entry.file_id or analysis.id}\x00{member.path if member else ''}"
    return Step(ident, f"{analysis.label or analysis.id}_{base}")
