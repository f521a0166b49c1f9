"""From a selection to the containers and files that it means: listings of whole projects, page by page.

A project costs its subjects, sessions and acquisitions (without their files) and its files, 1,000 a page, whatever its
size; nothing is asked for one container. Where a site has no listing of files, the containers are listed once more with
the files that are on them. What is found goes to a Receiver: to the shelf of a mirror, or to whatever else a selection
is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel
import msgspec

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.errors import FwsyncError, RemoteError, UsageError
from fwsync.model import LEVELS, Analysis, Container, FileEntry, Parents, Project, Reference, Session, Subject
from fwsync.operations.projects import group_of, near
from fwsync.operations.scope import Scope
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.paths import Step
from fwsync.plan.selecting import Paths, Rules, Tree, choose_runs, output_files
from fwsync.selection import Selection

BATCH = 500
MOST_SPOTS = 2000
SESSION = 4
"""So many parts has the path of a session; a longer one is an acquisition's, or a file's."""


class Receiver:
    """Where a Gatherer's finds go; this one lets them pass. What it wants is told before, to save requests.

    `info`: listings bring it. `files`: files are wanted, and not containers alone. `levels`: containers of these are
    wanted for themselves.
    """

    info = False
    files = True
    levels: tuple[str, ...] = ()

    def container(self, container: Container, level: str) -> None:
        """A container as it is listed, whether or not it turns out to be selected."""

    def folders(self, above: dict[str, Above], held_by: tuple[str, str]) -> tuple[Step, ...] | None:
        """What files of one container have in common, for `Candidate.folders`."""

    async def tree(self, tree: Tree) -> None:
        """All containers of a project are known."""

    async def runs(self, tree: Tree, analyses: Sequence[Analysis]) -> None:
        """The analyses of a project that are in, before their files."""

    async def take(self, candidates: list[Candidate]) -> None:
        """Files that are in (of older versions too where all are wanted), some at a time."""

    def told(self) -> list[str]:
        """Lines for a person, at the end."""
        return []


class _Spot(NamedTuple):
    """What the files of one container have in common: the containers above them, which of them serves them, and their
    folders (None where those are another for each file)."""

    above: dict[str, Above]
    held_by: tuple[str, str]
    folders: tuple[Step, ...] | None


class Gatherer:
    """Looks through the projects of a scope. `notes` are lines for a person."""

    def __init__(self, fw: Flywheel, selection: Selection, scope: Scope, receiver: Receiver) -> None:
        self._fw, self._selection, self._receiver = fw, selection, receiver
        self.scope = scope
        self.tally = scope.tally
        self.notes: list[str] = []
        self._without: Counter[str] = Counter()
        self._sessions = 0
        self._ran = False
        self._rules = Rules(selection, self.tally, scope.hits)
        self._paths = Paths(selection.paths, scope.path_segments) if selection.paths else None
        self._waiting: list[Candidate] = []

    async def run(self) -> None:
        """Gather every project of the scope."""
        for project in self.scope.projects:
            await self._project(project)
        if self._selection.gear:
            if not self._ran:
                await known_gear(self._fw, self._selection.gear, self._selection.gear_version)
            self.notes += _gear_notes(self._selection.gear, self._without, self._sessions, self._ran)
        self.notes += self._receiver.told()
        if out := self.tally.out:
            reasons = ", ".join(f"{count:,} by {why}" for why, count in out.most_common())
            self.notes.append(f"{out.total():,} files are left out: {reasons}")

    async def _project(self, project: Project) -> None:
        analyses: list[Analysis] = []
        if self._selection.of_analyses:
            analyses = [a async for a in self._fw.project_analyses(project.id, self._selection.gear)]
        tree = await self._containers(project, analyses)
        await self._receiver.tree(tree)
        if analyses or self._selection.gear:
            await self._analyses(tree, analyses)
        if self._selection.of_containers and self._receiver.files:
            await self._files(project, tree)
        await self._flush()

    # --- containers ---------------------------------------------------------------------------------------------------

    async def _containers(self, project: Project, analyses: Sequence[Analysis]) -> Tree:
        if self._receiver.info and project.info is None:
            project = await self._fw.projects.get(project.id)
        above = Above("project", project.id, project.label or project.id, note=group_of(project))
        tree = Tree(above, self._selection, self.tally)
        tree.add(above, project.tags)
        self._receiver.container(project, "project")
        # A gear's outputs alone seldom need acquisitions: where no run was on one, nothing is asked about them.
        of_files = self._selection.of_containers and self._receiver.files
        deep = of_files or "acquisition" in tree.required or "acquisition" in self._receiver.levels
        deep = deep or any(a.parents and a.parents.acquisition for a in analyses) or bool(self._selection.tags)
        deep = deep or (bool(self._receiver.levels) and any(len(one) > SESSION for one in self.scope.path_segments))
        levels = ("subject", "session", *(("acquisition",) if deep else ()))
        await at_once(*(partial(self._level, project, level, tree) for level in levels))
        return tree

    async def _level(self, project: Project, level: str, tree: Tree) -> None:
        parent = Reference(type="project", id=project.id)
        filters = q.narrowed(self._selection, level)
        listing = self._fw.noun(level).pages(parent=parent, filters=filters, files=False, info=self._receiver.info)
        allowed = self.scope.collected.get(level)
        found = 0
        try:
            async for page in listing:
                found += len(page)
                for container in page:
                    kept = allowed is None or container.id in allowed
                    tree.add(_above(level, container), container.tags, kept=kept)
                    self._receiver.container(container, level)
        except RemoteError as error:
            if filters and error.status in (400, 422):
                raise UsageError(f"--where {filters!r} on {level}s: {error.reason}") from error
            raise
        self.scope.met(level, found)

    # --- files of containers ------------------------------------------------------------------------------------------

    async def _files(self, project: Project, tree: Tree) -> None:
        listing = await self._listing(project.id) or self._embedded(project)
        spots = lru_cache(maxsize=MOST_SPOTS)(partial(self._spot, tree))
        async for page in listing:
            self.scope.met("file", len(page))
            for entry in page:
                if (spot := spots(entry.parents, entry.parent_ref)) is None:
                    continue
                above, held_by, folders = spot
                self._consider(Candidate(entry=entry, above=above, held_by=held_by, folders=folders))
                if len(self._waiting) >= BATCH:
                    await self._flush()

    def _spot(self, tree: Tree, parents: Parents | None, parent_ref: Reference | None) -> _Spot | None:
        """Where the files of one container are; None if they are out."""
        parents = parents or Parents()
        if parents.analysis or (parent_ref and parent_ref.type == "analysis"):
            return None  # these come with their analyses, which know their jobs
        held_by = _held_by(parent_ref, parents)
        if held_by is None:
            return None
        # The container that holds it is above it, whether or not the site lists it among the parents.
        above = tree.chain(tree.full({**msgspec.to_builtins(parents), held_by[0]: held_by[1]}))
        return None if above is None else _Spot(above, held_by, self._receiver.folders(above, held_by))

    async def _embedded(self, project: Project) -> AsyncIterator[list[FileEntry]]:
        whole = project if project.files is not None else await self._fw.projects.get(project.id)
        yield [_placed(entry, "project", project.id, Parents(project=project.id)) for entry in whole.files or ()]
        parent = Reference(type="project", id=project.id)
        for level in ("subject", "session", "acquisition"):
            async for container in self._fw.noun(level).iter(parent=parent, files=True, info=self._receiver.info):
                held = container.parents or Parents(project=project.id)
                held = msgspec.structs.replace(held, **{level: container.id})
                yield [_placed(entry, level, container.id, held) for entry in container.files or ()]

    async def _offer(
        self, tree: Tree, entry: FileEntry, ids: dict[str, str | None], held_by: tuple[str, str], analysis: Above,
        *, is_input: bool = False,
    ) -> None:  # fmt: skip
        """Take a file of an analysis in if it is selected."""
        chain = tree.chain(tree.full(ids))
        if chain is None:
            return
        above = {**chain, "analysis": analysis}
        self._consider(Candidate(entry=entry, above=above, held_by=held_by, is_input=is_input))
        if len(self._waiting) >= BATCH:
            await self._flush()

    def _consider(self, one: Candidate) -> None:
        """Let a file wait for the shelf if it is selected."""
        if self._paths is not None and not self._at_a_path(one):
            return
        if self._rules.takes(one):
            self.tally.taken += 1
            self._waiting.append(one)
        elif self._selection.versions == "all" and (one.entry.version or 1) > 1:
            self._waiting.append(one)  # an older version of it may be in

    def _at_a_path(self, one: Candidate) -> bool:
        project = one.above["project"]
        steps = [(project.note, project.note), *((held.label, held.id) for held in one.above.values())]
        steps.append((one.entry.name, one.entry.file_id or ""))
        found = self._paths.find(steps) if self._paths is not None else []
        self.tally.met.update(("from-file", path) for path in found)
        self.tally.saw("from-file", ["/".join(label for label, _ in steps[:depth]) for depth in (3, 4, len(steps))])
        return bool(found)

    # --- analyses -----------------------------------------------------------------------------------------------------

    async def _analyses(self, tree: Tree, analyses: list[Analysis]) -> None:
        selection = self._selection
        if selection.gear_version:
            analyses = [a for a in analyses if a.gear_info and a.gear_info.version == selection.gear_version]
        if selection.gear:
            self._ran = self._ran or bool(analyses)
            sessions = tree.sessions()
            chosen = choose_runs(analyses, selection, sessions)
            self._without += chosen.without
            self._sessions += len(sessions)
            analyses = chosen.analyses
        await self._receiver.runs(tree, analyses)
        if not self._receiver.files:
            return
        allowed = await self._allowed(tree.project.id) if analyses else None
        for analysis in analyses:
            ids = tree.full(_ids_of(analysis))
            about = analysis.gear_info
            note = f"{about.name or ''}/{about.version or ''}" if about else ""
            above = Above("analysis", analysis.id, analysis.label or analysis.id, note=note)
            self._receiver.container(analysis, "analysis")
            if selection.side != "inputs":
                for entry in output_files(analysis):
                    if allowed is None or entry.file_id in allowed:
                        await self._offer(tree, entry, ids, ("analysis", analysis.id), above)
            if selection.side != "outputs":
                for entry in analysis.inputs or ():
                    ref = entry.parent_ref or Reference(type="analysis", id=analysis.id)
                    if allowed is None or entry.file_id in allowed:
                        await self._offer(tree, entry, ids, (ref.type, ref.id), above, is_input=True)

    async def _allowed(self, project_id: str) -> frozenset[str] | None:
        """The ids of all files in a project for which the conditions on files hold; None where there are none: what
        comes with analyses can't be narrowed by a listing."""
        if not self._selection.conditions("file"):
            return None
        pages = await self._listing(project_id) or _none()
        found = frozenset([entry.file_id or "" async for page in pages for entry in page])
        self.scope.met("file", len(found))
        return found

    async def _listing(self, project_id: str) -> AsyncIterator[list[FileEntry]] | None:
        """The listing of a project's files. UsageError where the site can't judge the conditions on them."""
        conditions = q.narrowed(self._selection, "file")
        fewer = "" if self._selection.of_analyses else q.fewer_files(self._selection)
        try:
            listing = await self._fw.files.of_project(project_id, conditions, fewer, info=self._receiver.info)
        except RemoteError as error:
            if conditions and error.status in (400, 422):
                raise UsageError(f"--where {conditions!r} on files: {error.reason}") from error
            raise
        if listing is None and conditions:
            raise UsageError("--where file.*: this site has no listing of files; use --type, --min-size and so on")
        return listing

    # --- to the receiver ----------------------------------------------------------------------------------------------

    async def _flush(self) -> None:
        """What is waiting goes on."""
        await anyio.lowlevel.checkpoint()  # progress, signals and the next page get their turn
        waiting, self._waiting = self._waiting, []
        await self._receiver.take(waiting)


async def _none() -> AsyncIterator[list[FileEntry]]:
    return
    yield  # a generator all the same


async def at_once(*works: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do all of it at once. The first error that is ours is raised as itself, not in a group."""
    try:
        async with anyio.create_task_group() as group:
            for work in works:
                group.start_soon(work)
    except BaseExceptionGroup as several:
        if (ours := _first_of_ours(several)) is not None:
            raise ours from ours.__cause__
        raise


def _first_of_ours(error: BaseException) -> FwsyncError | None:
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := _first_of_ours(one)) is not None), None)
    return error if isinstance(error, FwsyncError) else None


def _above(level: str, container: Container) -> Above:
    parents = container.parents or Parents()
    parent = {"subject": parents.project, "session": parents.subject, "acquisition": parents.session}.get(level)
    label, note = container.label or container.id, getattr(container, "timestamp", None) or ""
    if isinstance(container, Subject):
        label, note = container.label or container.code or container.id, container.code or ""
    if isinstance(container, Session) and parent is None and isinstance(container.subject, dict):
        parent = container.subject.get("_id")
    return Above(level, container.id, label, parent or "", note)


def _held_by(parent_ref: Reference | None, parents: Parents) -> tuple[str, str] | None:
    if parent_ref is not None:
        return parent_ref.type, parent_ref.id
    for level in reversed(LEVELS):
        if ident := getattr(parents, level):
            return level, str(ident)
    return None


def _placed(entry: FileEntry, kind: str, ident: str, parents: Parents) -> FileEntry:
    return msgspec.structs.replace(entry, parent_ref=Reference(type=kind, id=ident), parents=parents)


def _ids_of(analysis: Analysis) -> dict[str, str | None]:
    ids: dict[str, str | None] = dict(msgspec.to_builtins(analysis.parents or Parents()))
    if analysis.parent is not None:
        ids[analysis.parent.type] = analysis.parent.id
    ids["analysis"] = None
    return ids


def _gear_notes(gear: str, without: Counter[str], sessions: int, any_run: bool) -> list[str]:
    if not any_run:
        return [f"{gear} ran on no session or subject of this project"]
    if not without:
        return []
    parts = ", ".join(f"{count:,} {reason}" for reason, count in without.most_common())
    return [f"{without.total():,} of {sessions:,} sessions have no run of {gear} to take: {parts}"]


async def known_gear(fw: Flywheel, gear: str, version: str | None) -> None:
    """UsageError with near names unless the site's gears, or any analysis, name this gear (and version)."""
    versions: dict[str, set[str]] = {}
    for found in await fw.all_gears():
        versions.setdefault(found.gear.name, set()).add(found.gear.version or "")
    try:
        if gear not in versions or (version and version not in versions[gear]):
            async for analysis in fw.analyses.iter(filters=f"gear_info.name={gear}" if gear.isidentifier() else ""):
                about = analysis.gear_info
                if about is not None and about.name:
                    versions.setdefault(about.name, set()).add(about.version or "")
    except RemoteError:
        pass  # a site without the listing: its gears alone decide
    if gear not in versions:
        raise UsageError(f"gear {gear}: {fw.site} knows none of this name{near(gear, sorted(versions))}")
    if version and version not in versions[gear]:
        raise UsageError(f"gear {gear}/{version}: no such version{near(version, sorted(versions[gear]))}")
