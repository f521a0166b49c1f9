"""Where a selection looks: its projects, and what of them a collection or a query leaves in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.client.search import id_of, name_of, search
from fwsync.errors import NotFoundError, RemoteError, UsageError
from fwsync.model import Project, Reference
from fwsync.operations.collections import find_collection
from fwsync.operations.projects import find_project, near, project_path
from fwsync.plan.selecting import Tally
from fwsync.selection import Selection, is_pattern, matches, split_path


class Scope:
    """What is settled before any container is listed. `hits` are (container id, file name) of the query where it is
    about files, `collected` the ids that a collection, or a query about containers, leaves in, by level;
    `finds_nothing` tells of a query without any hit."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.tally = Tally()
        self.projects: list[Project] = []
        self.hits: frozenset[tuple[str, str]] | None = None
        self.collected: dict[str, frozenset[str]] = {}
        self.finds_nothing = False
        self.path_segments = [split_path(path) for path in selection.paths]
        self._met: Counter[str] = Counter()

    def met(self, level: str, count: int) -> None:
        """So many containers of a level have passed its conditions."""
        self._met[level] += count

    def unmet(self) -> str:
        """A line about conditions that no container fulfils; empty if there are none."""
        for level in ("project", "subject", "session", "acquisition", "file"):
            conditions = self.selection.conditions(level)
            if conditions and not self._met[level]:
                wanted = ",".join(f"{level}.{one.clause}" for one in conditions)
                return f"--where {wanted}: matches no {level}"
        return ""

    @classmethod
    async def open(cls, fw: Flywheel, selection: Selection, finds: str = "file") -> Scope:
        """Find the projects, the collection and the query's hits, which are files or containers of the level `finds`.
        UsageError for what is not there."""
        scope = cls(selection)
        wanted: list[set[str]] = []
        if selection.query:
            wanted.append(await scope._search(fw, finds))
        if selection.collection:
            wanted.append(await scope._collect(fw))
        named = selection.projects or selection.group or selection.everywhere or selection.paths
        if named or not wanted:
            scope.projects = await _projects(fw, selection)
            scope.projects = [one for one in scope.projects if all(one.id in ids for ids in wanted)]
        else:
            ids = sorted(set.intersection(*wanted))
            scope.projects = [await fw.projects.get(ident) for ident in ids]
        if selection.conditions("project"):
            await scope._conditions(fw)
        return scope

    async def _search(self, fw: Flywheel, finds: str) -> set[str]:
        found = await searched(fw, self.selection.query, finds)
        self.finds_nothing = not found
        if finds == "file":
            self.hits = frozenset((id_of(hit, "parent"), name_of(hit)) for hit in found)
        else:
            self._leave_in(finds, (id_of(hit, finds) for hit in found))
        return {id_of(hit, "project") for hit in found} - {""}

    async def _collect(self, fw: Flywheel) -> set[str]:
        found = await find_collection(fw, self.selection.collection, "--collection")
        acquisitions = [one async for one in fw.members(found.id)]
        self._leave_in("acquisition", (one.id for one in acquisitions))
        return {one.parents.project for one in acquisitions if one.parents and one.parents.project}

    def _leave_in(self, level: str, idents: Iterable[str]) -> None:
        found = frozenset(idents)
        self.collected[level] = self.collected[level] & found if level in self.collected else found

    async def _conditions(self, fw: Flywheel) -> None:
        filters = q.narrowed(self.selection, "project")
        try:
            passed = {one.id async for one in fw.projects.iter(filters=filters, files=False)}
        except RemoteError as error:
            if error.status in (400, 422):
                raise UsageError(f"--where {filters!r} on projects: {error.reason}") from error
            raise
        self.projects = [one for one in self.projects if one.id in passed]
        self.met("project", len(self.projects))


async def searched(fw: Flywheel, structured: str, finds: str) -> list[dict[str, Any]]:
    """The hits of a structured query, as `client.search` gives them. UsageError for a query that the site refuses."""
    try:
        return await search(fw.session, structured, finds)
    except RemoteError as error:
        if error.status in (400, 422):
            raise UsageError(f"--query {structured!r}: {error.reason}") from error
        raise


async def _projects(fw: Flywheel, selection: Selection) -> list[Project]:
    if selection.everywhere or selection.group:
        parent = Reference(type="group", id=selection.group) if selection.group else None
        try:
            found = [one async for one in fw.projects.iter(parent=parent, files=False)]
        except NotFoundError:
            groups = [group.id async for group in fw.groups.iter()]
            raise UsageError(f"--group {selection.group}: not found{near(selection.group, groups)}") from None
        if not found:
            there = f"group {selection.group}" if selection.group else fw.site
            raise UsageError(f"{there} has no project that your key sees")
        return found
    named = selection.projects or tuple(dict.fromkeys("/".join(split_path(path)[:2]) for path in selection.paths))
    out: dict[str, Project] = {}
    every: list[Project] | None = None
    for name in named or ("",):
        if not is_pattern(name):
            one = await find_project(fw, name)
            out[one.id] = one
            continue
        every = every or [one async for one in fw.projects.iter(files=False)]
        hits = [one for one in every if matches(name, project_path(one))]
        if not hits:
            raise UsageError(f"--project {name}: matches no project{near(name, map(project_path, every))}")
        out.update((one.id, one) for one in hits)
    return list(out.values())
