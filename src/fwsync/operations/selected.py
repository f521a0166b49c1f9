"""The containers that a selection means, for what is not about files: reports, collections, gears.

Where the selection wishes anything of files (`--type nifti`), a container is in if such a file is on it or below it;
else every container is in that the wishes about containers leave. A wish about a level further down (`--acquisition`
for a report on sessions) leaves in what has such a container below it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from fwsync.client.api import Flywheel
from fwsync.config import SelectionSettings, Settings
from fwsync.model import Container
from fwsync.operations.gathering import Gatherer, Receiver
from fwsync.operations.scope import Scope
from fwsync.operations.selections import refuse_empty, selection_at, wished
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.selecting import Paths, Tree
from fwsync.selection import LEVELS, Selection, split_path


class Found(NamedTuple):
    """One container: what is above it and itself, by level from the project down, and what was kept of it."""

    above: dict[str, Above]
    kept: Any


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
        """The same as a value. UsageError for what can't be read."""
        return selection_at(self.wishes, self.paths, self.project)


class Selected(Receiver):
    """Takes in containers of `levels`.

    `keep(container, level)` is what to remember of each, so that a hundred thousand of them need little memory; `file`
    is told of every selected file, where that is wanted. `info`: the listings bring custom info.
    """

    def __init__(
        self,
        selection: Selection,
        levels: tuple[str, ...],
        keep: Callable[[Container, str], Any] = lambda _container, _level: None,
        *,
        file: Callable[[Candidate], None] | None = None,
        info: bool = False,
    ) -> None:
        # A path that leads to an acquisition (or a file of one) needs to see them.
        below = any(len(split_path(path)) > len(LEVELS) for path in selection.paths)
        self.levels = tuple(dict.fromkeys((*levels, "acquisition"))) if below else levels
        self.info, self._selection, self._wanted = info, selection, levels
        self.scope: Scope
        self.notes: list[str] = []
        self.files = selection.names_files or file is not None
        self._by_files = selection.names_files
        self._keep, self._file = keep, file
        self._kept: dict[str, Any] = {}
        self._in: dict[str, dict[str, dict[str, Above]]] = {level: {} for level in levels}
        self._with_files: set[str] = set()

    async def gather(self, fw: Flywheel, asked: Asked) -> None:
        """Look through what is asked for. `scope` and `notes` (lines for a person, such as why files are left out) are
        known then. UsageError where something of it matches nothing, unless that is allowed."""
        self.scope = await Scope.open(fw, self._selection)
        gatherer = Gatherer(fw, self._selection, self.scope, self)
        await gatherer.run()
        self.notes = gatherer.notes
        if not asked.allow_empty:
            refuse_empty(self._selection, self.scope.tally, self.scope, asked.paths)

    def of(self, level: str) -> Iterator[Found]:
        """The containers of a level that are in, by the labels above them and their own."""
        found = self._in[level]
        ids = (ident for ident in found if not self._by_files or ident in self._with_files)
        for ident in sorted(ids, key=lambda ident: [(one.label, one.id) for one in found[ident].values()]):
            yield Found(found[ident], self._kept.get(ident))

    def container(self, container: Container, level: str) -> None:
        """Remember what is wanted of it."""
        if level in self._wanted and (kept := self._keep(container, level)) is not None:
            self._kept[container.id] = kept

    async def tree(self, tree: Tree) -> None:
        """Which containers of a project are in."""
        paths = Paths(self._selection.paths, self.scope.path_segments) if self._selection.paths else None
        lowest = max((min(len(path), 5) - 2 for path in self.scope.path_segments), default=0)
        for level in self._wanted:
            depth = max((LEVELS.index(one) for one in {level, *tree.required}), default=0)
            for deepest in LEVELS[depth : max(depth, lowest) + 1]:
                for ident in tree.all[deepest]:
                    chain = tree.chain(tree.full({deepest: ident}))
                    if chain is not None and level in chain and (paths is None or self._at_a_path(paths, chain)):
                        upto = LEVELS[: LEVELS.index(level) + 1]
                        self._in[level][chain[level].id] = {one: chain[one] for one in upto if one in chain}

    def _at_a_path(self, paths: Paths, chain: dict[str, Above]) -> bool:
        """Whether a container lies at or below a path of the selection; the tally is told."""
        group = chain["project"].note
        steps = [(group, group), *((one.label, one.id) for one in chain.values())]
        found = paths.find(steps)
        tally = self.scope.tally
        tally.met.update(("from-file", path) for path in found)
        tally.saw("from-file", ["/".join(label for label, _ in steps[:most]) for most in range(3, len(steps) + 1)])
        return bool(found)

    async def take(self, candidates: list[Candidate]) -> None:
        """Files that are in: so are the containers that they are on."""
        for one in candidates:
            self._with_files.update(above.id for above in one.above.values())
            if self._file is not None:
                self._file(one)
