"""`fwsync mirror`: a gear's outputs, or members inside its zips, in a local tree that stays in step."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import anyio
import msgspec

from fwsync.client import remotezip
from fwsync.client.api import Flywheel
from fwsync.errors import FwsyncError, RemoteError, TargetError, UsageError
from fwsync.model import Analysis, FileEntry, Project, Reference, Session, Subject, ZipMember
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.projects import find_project, near, project_path
from fwsync.plan import paths
from fwsync.plan.mirroring import WantedFile, plan_mirror
from fwsync.plan.paths import Renamed, Step
from fwsync.plan.selecting import choose_runs, output_files
from fwsync.run.fetching import Fetcher
from fwsync.run.lock import hold
from fwsync.run.tree import Tree
from fwsync.selection import Selection
from fwsync.work import Entry, FetchFile, Outcome, Plan, Summary

LOOKS_AT_ONCE = 16


class _Found(msgspec.Struct):
    """What the site has for a selection: how many runs, their files with steps in the tree, what could not be read."""

    chosen: int
    files: list[tuple[list[Step], FetchFile]]
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
    wanted, renamed = _place(found, context)
    tree = Tree(Path(settings.to).expanduser())
    await _usable(tree, create=not dry)
    with hold(context.settings.state_folder, f"tree {tree.root.resolve()}"):
        return await _bring(context, tree, wanted, found, renamed, project, dry=dry)


async def _usable(tree: Tree, *, create: bool) -> None:
    if create:
        await tree.prepare()
    elif tree.root.exists() and not tree.root.is_dir():
        raise TargetError(f"{tree.root}: is a file; name a folder")
    else:
        tree.real = tree.root.resolve()


async def _bring(
    context: Context,
    tree: Tree,
    wanted: list[WantedFile],
    found: _Found,
    renamed: list[Renamed],
    project: Project,
    *,
    dry: bool,
) -> Summary:
    context.reporter.phase("comparing with the local tree")
    if dry:
        plan = await _plan(context, tree, wanted, found)
        return await dry_run(context, "mirror", plan)
    settings = context.settings
    run = await Run.begin(
        context,
        "mirror",
        {
            "project": project_path(project),
            "to": str(tree.real),
            "gear": settings.mirror.gear,
            "run": settings.mirror.run,
            "members": list(settings.mirror.members),
            "include": list(settings.mirror.include),
            "exclude": list(settings.mirror.exclude),
            "platform": settings.mirror.platform,
        },
    )
    fetcher = Fetcher(context.fw, context.journal, tree, run.id, fsync=settings.state.fsync)

    async def work() -> None:
        await fetcher.prepare()
        plan = await _plan(context, tree, wanted, found)
        _room(tree, plan)
        await run.carry_out(plan, fetcher.handlers())
        await fetcher.sweep()
        if renamed:
            await _write_names(tree, renamed)
        if fetcher.unproved:
            run.summary.warnings.append(
                f"{fetcher.unproved:,} files are proved by their size alone: the site told no hash or CRC for them"
            )

    return await guarded(run, work)


async def _plan(context: Context, tree: Tree, wanted: list[WantedFile], found: _Found) -> Plan:
    index = await context.journal.index(str(tree.real))
    local = await tree.scan([one.fetch.path for one in wanted])
    entries: list[Entry] = [*found.troubles, *plan_mirror(wanted, index, local)]
    return Plan.of(entries, complete=True, warnings=found.notes)


def _room(tree: Tree, plan: Plan) -> None:
    free = shutil.disk_usage(tree.real).free
    if plan.bytes and plan.bytes > free:
        raise TargetError(
            f"{tree.real}: {plan.bytes:,} bytes are to come, {free:,} are free; free some, then run again"
        )


async def _write_names(tree: Tree, renamed: list[Renamed]) -> None:
    """Which label became which path, for the components that could not be written as they are called."""
    lines = ["id,label,path", *(",".join(_cell(value) for value in (one.id, one.name, one.path)) for one in renamed)]
    target = tree.locate(f"{paths.OWN_FOLDER}/names.csv")
    async with await anyio.open_file(target, "w", encoding="utf-8", errors="backslashreplace", newline="") as out:
        await out.write("\n".join(lines) + "\n")


def _cell(value: str) -> str:
    # A label is anyone's text: a leading = + - @ would be a formula in a spreadsheet.
    text = "'" + value if value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
    return '"' + text.replace('"', '""') + '"'


def _place(found: _Found, context: Context) -> tuple[list[WantedFile], list[Renamed]]:
    laid, renamed = paths.lay_out([steps for steps, _ in found.files], context.settings.mirror.platform)
    wanted = [
        WantedFile(msgspec.structs.replace(fetch, path=path), path)
        for (_, fetch), path in zip(found.files, laid, strict=True)
    ]
    return wanted, renamed


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
    files: list[tuple[list[Step], FetchFile]] = []
    archives: list[tuple[list[Step], Analysis, FileEntry]] = []
    for analysis in chosen.analyses:
        above = _steps(project, analysis, subjects, sessions)
        for entry in output_files(analysis, selection):
            if selection.members:
                archives.append((above, analysis, entry))
            else:
                files.append(([*above, _file_step(analysis, entry, None)], _fetch_file(analysis, entry)))
    troubles: list[Outcome] = []
    for above, analysis, entry, held in await _look_inside(fw, archives, troubles):
        for member in held:
            if selection.takes_member(member.path):
                fetch = _fetch_file(analysis, entry, member)
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
                out.append((above, analysis, entry, await remotezip.members(fw.session, _fetch_file(analysis, entry))))
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


def _fetch_file(analysis: Analysis, entry: FileEntry, member: ZipMember | None = None) -> FetchFile:
    return FetchFile(
        container_type="analysis",
        container_id=analysis.id,
        name=entry.name,
        path="",
        file_id=entry.file_id,
        version=entry.version,
        size=entry.size,
        hash=entry.hash,
        modified=entry.modified,
        member=member.path if member else None,
        member_size=member.size if member else None,
        member_crc=member.crc if member else None,
        member_offset=member.offset if member else None,
        member_packed=member.packed if member else None,
        member_method=member.method if member else None,
    )
