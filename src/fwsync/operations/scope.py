"""Where a selection looks: its projects, and what of them a collection or a query leaves in."""

from __future__ import annotations

from collections import Counter

from fwsync.client import query as q
from fwsync.client.api import Flywheel
from fwsync.client.files import search_files
from fwsync.client.nouns import NO_SUCH_ROUTE
from fwsync.errors import NotFoundError, RemoteError, UsageError
from fwsync.model import Collection, Project, Reference
from fwsync.operations.projects import find_project, near, project_path
from fwsync.plan.selecting import Tally
from fwsync.selection import Selection, is_pattern, matches, segment_id, split_path


class Scope:
    """What is settled before any container is listed. `hits` are (container id, file name) of the query, `collected`
    the ids that a collection leaves in, by level."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection
        self.tally = Tally()
        self.projects: list[Project] = []
        self.hits: frozenset[tuple[str, str]] | None = None
        self.collected: dict[str, frozenset[str]] = {}
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
    async def open(cls, fw: Flywheel, selection: Selection) -> Scope:
        """Find the projects, the collection and the query's hits. UsageError for what is not there."""
        scope = cls(selection)
        wanted: list[set[str]] = []
        if selection.query:
            wanted.append(await scope._search(fw))
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

    async def _search(self, fw: Flywheel) -> set[str]:
        try:
            found = await search_files(fw.session, self.selection.query)
        except RemoteError as error:
            if error.status in (400, 422):
                raise UsageError(f"--query {self.selection.query!r}: {error.reason}") from error
            raise
        self.hits = frozenset((hit.parent, hit.file) for hit in found)
        return {hit.project for hit in found if hit.project}

    async def _collect(self, fw: Flywheel) -> set[str]:
        found = await _collection(fw, self.selection.collection)
        listing = fw.acquisitions.iter(path=("collections", found.id, "acquisitions"), files=False)
        acquisitions = [one async for one in listing]
        self.collected["acquisition"] = frozenset(one.id for one in acquisitions)
        return {one.parents.project for one in acquisitions if one.parents and one.parents.project}

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


async def _collection(fw: Flywheel, name: str) -> Collection:
    """By `<id:HEX>` or by label."""
    if (ident := segment_id(name)) is not None:
        try:
            return await fw.collections.get(ident)
        except NotFoundError:
            raise UsageError(f"--collection {name}: {fw.site} has none with this id") from None
    try:
        known = [one async for one in fw.collections.iter(files=False)]
    except RemoteError as error:
        if error.status in NO_SUCH_ROUTE:
            raise UsageError(f"--collection {name}: {fw.site} has no collections") from error
        raise
    found = [one for one in known if one.label == name]
    if len(found) > 1:
        raise UsageError(f"--collection {name}: there are {len(found)} of this name; write <id:{found[0].id}>")
    if not found:
        raise UsageError(f"--collection {name}: not found{near(name, (one.label or '' for one in known))}")
    return found[0]


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
