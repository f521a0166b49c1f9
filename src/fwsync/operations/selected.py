"""The containers that a selection means, for what is not about files: reports, collections, gears.

Where the selection wishes anything of files (`--type nifti`), or names a path of one, a container is in if such a file
is on it or below it; else every container is in that the wishes about containers leave. A wish about a level further
down (`--acquisition` for a report on sessions) leaves in what has such a container below it; so do tags and paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from fwsync.client.api import Flywheel
from fwsync.config import PARTS, SelectionSettings, Settings
from fwsync.model import Container
from fwsync.operations.gathering import Gatherer, Receiver
from fwsync.operations.projects import project_path
from fwsync.operations.scope import Scope
from fwsync.operations.selections import WISHES, refuse_empty, selection_at, wished
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.selecting import Paths, Tree
from fwsync.selection import LEVELS, Selection, split_path

WISHES_OF_CONTAINERS = (*(name for name in WISHES if name not in PARTS), "allow_empty")
"""The names of what selects containers, as keywords: all but what says which part of a file comes."""


class Found(NamedTuple):
    """One container: what is above it and itself, by level from the project down, and what was kept of it."""

    above: dict[str, Above]
    kept: Any


def leads_to_file(path: str) -> bool:
    """Whether a path is that of a file, by its form."""
    segments = split_path(path)
    return len(segments) > len(LEVELS) + 1 or "files" in segments[2:]


def path_of(project: Above) -> str:
    """`group/label`, of which no two projects have the same."""
    return f"{project.note}/{project.label}"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a command that is no mirror was asked to be about. `wishes` are those of its own flags (or keywords) and of
    the selection they name, never those of `[mirror]`; `paths` are given by themselves; `project` is meant where none
    is named."""

    wishes: SelectionSettings = SelectionSettings()
    paths: tuple[str, ...] = ()
    project: str = ""
    allow_empty: bool = False

    @classmethod
    def of(cls, settings: Settings, given: Mapping[str, Any], paths: Sequence[str] = ()) -> Asked:
        """From flags or keywords by name, `allow_empty` among them; None means not given. UsageError as `wished`."""
        held = dict(given)
        allow_empty = bool(held.pop("allow_empty", None))
        wishes = wished(settings, held)
        return cls(wishes=wishes, paths=tuple(paths), project=settings.site.project, allow_empty=allow_empty)

    @property
    def selection(self) -> Selection:
        """The same as a value; which part of a file comes means nothing here. UsageError for what can't be read."""
        meant = selection_at(self.wishes, self.paths, self.project)
        return msgspec.structs.replace(meant, versions="latest", members=(), unzip=False)


class Selected(Receiver):
    """Takes in containers of `levels`.

    `keep(container, level)` is what to remember of each, so that a hundred thousand of them need little memory; `file`
    is told of every selected file, where that is wanted. `info`: the listings bring custom info. `unit`: whether
    containers of this level and above are in is up to wishes about these levels alone, and not about what is below.
    `finds`: a query is about containers of this level, and not about files.
    """

    def __init__(
        self,
        selection: Selection,
        levels: tuple[str, ...],
        keep: Callable[[Container, str], Any] = lambda _container, _level: None,
        *,
        file: Callable[[Candidate], None] | None = None,
        info: bool = False,
        unit: str = "",
        finds: str = "file",
    ) -> None:
        self.levels, self.info, self._selection, self._finds = levels, info, selection, finds
        self._whole = LEVELS[: LEVELS.index(unit) + 1] if unit else ()
        self.scope: Scope
        self.notes: list[str] = []
        of_files = selection if finds == "file" else msgspec.structs.replace(selection, query="")
        self._by_files = of_files.names_files or any(leads_to_file(path) for path in selection.paths)
        self.files = self._by_files or file is not None
        self._keep, self._file = keep, file
        self._kept: dict[str, Any] = {}
        self._in: list[tuple[Tree, dict[str, set[str]]]] = []
        self._with_files: set[str] = set()

    async def gather(self, fw: Flywheel, asked: Asked) -> None:
        """Look through what is asked for. `scope` and `notes` (lines for a person, such as why files are left out) are
        known then. UsageError where something of it matches nothing, unless that is allowed."""
        self.scope = await Scope.open(fw, self._selection, self._finds)
        gatherer = Gatherer(fw, self._selection, self.scope, self)
        await gatherer.run()
        self.notes = gatherer.notes
        if not asked.allow_empty:
            refuse_empty(self._selection, self.scope.tally, self.scope, asked.paths)

    @property
    def place(self) -> str:
        """Where it was looked, for a title."""
        projects = [project_path(one) for one in self.scope.projects]
        return projects[0] if len(projects) == 1 else f"{len(projects):,} projects"

    def of(self, level: str) -> Iterator[Found]:
        """The containers of a level that are in, by the paths of their projects and the labels further down."""
        by_files = self._by_files and level not in self._whole
        for tree, found in sorted(self._in, key=lambda one: (path_of(one[0].project), one[0].project.id)):
            idents = found[level] & self._with_files if by_files else found[level]
            for ident in tree.in_order(level, idents):
                yield Found(tree.above(level, ident), self._kept.get(ident))

    def container(self, container: Container, level: str) -> None:
        """Remember what is wanted of it."""
        if level in self.levels and (kept := self._keep(container, level)) is not None:
            self._kept[container.id] = kept

    async def tree(self, tree: Tree) -> None:
        """Which containers of a project are in."""
        paths = Paths(self._selection.paths, self.scope.path_segments) if self._selection.paths else None
        if paths is not None:
            self._at_a_path(paths, {"project": tree.project})
            if all(len(segments) <= 2 for segments in self.scope.path_segments):
                paths = None  # projects are settled: nothing is left to look for in them
        found: dict[str, set[str]] = {level: set() for level in self.levels}
        self._in.append((tree, found))
        for level in self.levels:
            whole = level in self._whole
            # Files know their paths themselves; whoever looks at containers alone has to look here.
            asked = paths if whole or not self._by_files else None
            lowest = self._whole[-1] if whole else LEVELS[-1]
            for depth in self._depths(level, tree, lowest, deeper=bool(asked or self._selection.tags)):
                for ident in tree.all[depth]:
                    chain = tree.chain(tree.full({depth: ident}), lowest)
                    if chain is None or (one := chain.get(level)) is None or one.id not in tree.all[level]:
                        continue
                    if asked is None or self._at_a_path(asked, chain):
                        found[level].add(one.id)

    def _depths(self, level: str, tree: Tree, lowest: str, *, deeper: bool) -> tuple[str, ...]:
        """The levels at which to look for what a container needs below it to be in."""
        wished = [LEVELS.index(one) for one in tree.required if LEVELS.index(one) <= LEVELS.index(lowest)]
        first = max([LEVELS.index(level), *wished])
        return LEVELS[first:] if deeper else LEVELS[first : first + 1]

    def _at_a_path(self, paths: Paths, chain: Mapping[str, Above]) -> bool:
        """Whether the lowest container of a chain is at or below one of the paths."""
        group = chain["project"].note
        steps = [(group, group), *((one.label, one.id) for one in chain.values())]
        found = paths.find(steps)
        self.scope.tally.met.update(("from-file", path) for path in found)
        self.scope.tally.saw("from-file", ["/".join(label for label, _ in steps)])
        return bool(found)

    async def take(self, candidates: list[Candidate]) -> None:
        """Files that are in: so are the containers that they are on."""
        for one in candidates:
            self._with_files.update(above.id for above in one.above.values())
            if self._file is not None:
                self._file(one)
