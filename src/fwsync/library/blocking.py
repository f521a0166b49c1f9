"""The blocking interface: `with fwsync.connect_blocking() as fw`. It works where an event loop runs already, as in a
notebook: everything happens on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

import msgspec

from fwsync import frames
from fwsync.library.keywords import (
    DownloadKeywords,
    GearKeywords,
    ImportKeywords,
    MirrorKeywords,
    SelectionKeywords,
    UploadKeywords,
)
from fwsync.library.listing import Listing
from fwsync.library.loop import LoopThread
from fwsync.library.running import Running
from fwsync.library.site import PathText, Site, connect
from fwsync.model import Acquisition, Collection, Gear, Group, Project, Session, Subject, User
from fwsync.operations.exporting import Exported
from fwsync.operations.launching import On, Priority
from fwsync.operations.looking import Line
from fwsync.plan.gearinputs import Pick
from fwsync.plan.launching import Rerun
from fwsync.report import demographics as of_people
from fwsync.report import gear_status as of_gears
from fwsync.report import missing as of_missing
from fwsync.report import overview as of_places
from fwsync.report.table import Table
from fwsync.run.journal import RunRecord
from fwsync.work import Entry, Outcome, Summary

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T", bound=Entry)

AHEAD = 1000
"""A listing is read so far ahead of who iterates it."""


def connect_blocking(
    *,
    api_key: str | None = None,
    api_key_file: PathText | None = None,
    config: PathText | None = None,
    profile: str | None = None,
    state_folder: PathText | None = None,
    ca_bundle: PathText | None = None,
    progress: bool | None = None,
) -> BlockingSite:
    """A site, open: use it by `with`, or `close()` it. The arguments are those of `connect`."""
    site = connect(
        api_key=api_key,
        api_key_file=api_key_file,
        config=config,
        profile=profile,
        state_folder=state_folder,
        ca_bundle=ca_bundle,
        progress=progress,
    )
    loop = LoopThread()
    try:
        loop.call(site.__aenter__)
    except BaseException:
        loop.close()
        raise
    return BlockingSite(site, loop)


class BlockingSite:
    """A Flywheel site for blocking code; the twin of `Site`, call by call."""

    def __init__(self, site: Site, loop: LoopThread) -> None:
        self._site, self._loop = site, loop

    def __repr__(self) -> str:
        return repr(self._site).replace("fwsync.Site", "fwsync.BlockingSite")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop what is under way, settle it, and close. Nothing happens the second time."""
        if self._loop.running:
            try:
                self._loop.call(lambda: self._site.__aexit__(None, None, None))
            finally:
                self._loop.close()

    @property
    def name(self) -> str:
        """Host, and port where unusual."""
        return self._site.name

    # --- runs -----------------------------------------------------------------------------------------------------

    def mirror(self, **settings: Unpack[MirrorKeywords]) -> BlockingRunning[Outcome]:
        """See `Site.mirror`."""
        return self._run(self._site.mirror(**settings))

    def download(
        self, paths: str | Sequence[str] = (), to: PathText = "", **wishes: Unpack[DownloadKeywords]
    ) -> BlockingRunning[Outcome]:
        """See `Site.download`."""
        return self._run(self._site.download(paths, to, **wishes))

    def upload(
        self, sources: PathText | Sequence[PathText], to: str, **settings: Unpack[UploadKeywords]
    ) -> BlockingRunning[Outcome]:
        """See `Site.upload`."""
        return self._run(self._site.upload(sources, to, **settings))

    def import_table(
        self, source: PathText, *, limit: int | None = None, **settings: Unpack[ImportKeywords]
    ) -> BlockingRunning[Outcome]:
        """See `Site.import_table`."""
        return self._run(self._site.import_table(source, limit=limit, **settings))

    def plan_import(
        self, source: PathText, out: PathText, *, limit: int | None = None, **settings: Unpack[ImportKeywords]
    ) -> BlockingRunning[Entry]:
        """See `Site.plan_import`."""
        return self._run(self._site.plan_import(source, out, limit=limit, **settings))

    def apply(self, plan: PathText) -> BlockingRunning[Outcome]:
        """See `Site.apply`."""
        return self._run(self._site.apply(plan))

    def build_collection(
        self,
        label: str,
        paths: str | Sequence[str] = (),
        *,
        description: str = "",
        exact: bool = False,
        max_remove: str = "",
        **wishes: Unpack[SelectionKeywords],
    ) -> BlockingRunning[Outcome]:
        """See `Site.build_collection`."""
        running = self._site.build_collection(
            label, paths, description=description, exact=exact, max_remove=max_remove, **wishes
        )
        return self._run(running)

    def build_collections(self, file: PathText, *, allow_empty: bool = False) -> BlockingRunning[Outcome]:
        """See `Site.build_collections`."""
        return self._run(self._site.build_collections(file, allow_empty=allow_empty))

    def run_gear(
        self,
        gear: str,
        paths: str | Sequence[str] = (),
        *,
        on: On = "session",
        inputs: Mapping[str, str] | None = None,
        config: Mapping[str, Any] | None = None,
        pick: Pick = "",
        rerun: Rerun = "never",
        label: str = "",
        job_tags: Sequence[str] = (),
        priority: Priority = "medium",
        **selection: Unpack[GearKeywords],
    ) -> BlockingRunning[Outcome]:
        """See `Site.run_gear`."""
        run = self._site.run_gear(
            gear, paths, on=on, inputs=inputs, config=config, pick=pick, rerun=rerun, label=label, job_tags=job_tags,
            priority=priority, **selection,
        )  # fmt: skip
        return self._run(run)

    def retry(self, run: str) -> BlockingRunning[Outcome]:
        """See `Site.retry`."""
        return self._run(self._site.retry(run))

    def export(self, project: str, to: PathText, *, force: bool = False) -> Exported:
        """See `Site.export`."""
        return self._loop.call(lambda: self._site.export(project, to, force=force))

    # --- reports --------------------------------------------------------------------------------------------------

    def demographics(
        self,
        paths: str | Sequence[str] = (),
        *,
        by: of_people.By = "subject",
        columns: str | Sequence[str] = (),
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """See `Site.demographics`."""
        return self._loop.call(lambda: self._site.demographics(paths, by=by, columns=columns, **wishes))

    def overview(
        self,
        paths: str | Sequence[str] = (),
        *,
        by: of_places.By = "acquisition",
        files: bool = False,
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """See `Site.overview`."""
        return self._loop.call(lambda: self._site.overview(paths, by=by, files=files, **wishes))

    def missing(
        self,
        paths: str | Sequence[str] = (),
        *,
        expect: str | Sequence[str] = (),
        expect_from: str | PathLike[str] = "",
        expect_file: str | Sequence[str] = (),
        expect_auto: float | None = None,
        by: of_missing.By = "session",
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """See `Site.missing`."""
        return self._loop.call(
            lambda: self._site.missing(
                paths,
                expect=expect,
                expect_from=expect_from,
                expect_file=expect_file,
                expect_auto=expect_auto,
                by=by,
                **wishes,
            )
        )

    def gear_status(
        self,
        of: str,
        /,
        paths: str | Sequence[str] = (),
        *,
        by: of_gears.By = "session",
        state_of: of_gears.StateOf = "latest",
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """See `Site.gear_status`."""
        return self._loop.call(lambda: self._site.gear_status(of, paths, by=by, state_of=state_of, **wishes))

    def qc(
        self,
        paths: str | Sequence[str] = (),
        *,
        flags: str | Sequence[str] = (),
        metrics: str | Sequence[str] = (),
        preset: str = "",
        **wishes: Unpack[SelectionKeywords],
    ) -> Table:
        """See `Site.qc`."""
        return self._loop.call(lambda: self._site.qc(paths, flags=flags, metrics=metrics, preset=preset, **wishes))

    # --- reading --------------------------------------------------------------------------------------------------

    def lookup(self, path: str) -> Any:
        """See `Site.lookup`."""
        return self._loop.call(lambda: self._site.lookup(path))

    def ls(self, path: str = "") -> BlockingListing[Line]:
        """See `Site.ls`."""
        return self._list(self._site.ls(path))

    def tree(self, path: str = "", *, depth: int = 2, files: bool = False) -> BlockingListing[Line]:
        """See `Site.tree`."""
        return self._list(self._site.tree(path, depth=depth, files=files))

    def find(self, level: str, filters: str = "", *, project: str = "", info: bool = False) -> BlockingListing[Any]:
        """See `Site.find`."""
        return self._list(self._site.find(level, filters, project=project, info=info))

    def groups(self) -> BlockingListing[Group]:
        """See `Site.groups`."""
        return self._list(self._site.groups())

    def projects(self, filters: str = "") -> BlockingListing[Project]:
        """See `Site.projects`."""
        return self._list(self._site.projects(filters))

    def subjects(self, project: str, filters: str = "", *, info: bool = False) -> BlockingListing[Subject]:
        """See `Site.subjects`."""
        return self._list(self._site.subjects(project, filters, info=info))

    def sessions(self, project: str, filters: str = "", *, info: bool = False) -> BlockingListing[Session]:
        """See `Site.sessions`."""
        return self._list(self._site.sessions(project, filters, info=info))

    def acquisitions(self, project: str, filters: str = "", *, info: bool = False) -> BlockingListing[Acquisition]:
        """See `Site.acquisitions`."""
        return self._list(self._site.acquisitions(project, filters, info=info))

    def gears(self) -> BlockingListing[Gear]:
        """See `Site.gears`."""
        return self._list(self._site.gears())

    def collections(self) -> BlockingListing[Collection]:
        """See `Site.collections`."""
        return self._list(self._site.collections())

    def collection(self, label: str) -> Table:
        """See `Site.collection`."""
        return self._loop.call(lambda: self._site.collection(label))

    def whoami(self) -> User:
        """See `Site.whoami`."""
        return self._loop.call(self._site.whoami)

    def runs(self, limit: int = 20) -> BlockingListing[RunRecord]:
        """See `Site.runs`."""
        return self._list(self._site.runs(limit))

    def outcomes(self, run: str, *states: str) -> BlockingListing[Outcome]:
        """See `Site.outcomes`."""
        return self._list(self._site.outcomes(run, *states))

    # --- how ------------------------------------------------------------------------------------------------------

    def _run(self, running: Running[T]) -> BlockingRunning[T]:
        return BlockingRunning(running, self._loop)

    def _list(self, listing: Listing[S]) -> BlockingListing[S]:
        return BlockingListing(listing, self._loop)


class BlockingRunning(Generic[T]):
    """A run that begins when it is first iterated or waited for.

    `for outcome in run` gives outcomes as they come; leaving the loop early, or Ctrl-C, cancels the run and waits until
    what it has begun is settled. `run.wait()` gives its Summary. Errors are raised as `Running` raises them.
    """

    def __init__(self, running: Running[T], loop: LoopThread) -> None:
        self._running, self._loop = running, loop

    def __repr__(self) -> str:
        return repr(self._running)

    def dry_run(self) -> BlockingRunning[Entry]:
        """What it would do, without doing it; see `Running.dry_run`."""
        return BlockingRunning(self._running.dry_run(), self._loop)

    def __iter__(self) -> Iterator[T]:
        try:
            while some := self._loop.call(self._running.take):
                yield from some
        finally:
            if self._loop.running:
                self._loop.call(self._running.cancel)
        self._loop.call(self._until_end)

    def wait(self) -> Summary:
        """Carry it out to its end; its Summary. Ctrl-C cancels it."""
        return self._loop.call(self._until_end)

    async def _until_end(self) -> Summary:
        return await self._running

    def cancel(self) -> None:
        """Stop it, and wait until everything it has begun is settled."""
        self._loop.call(self._running.cancel)

    @property
    def summary(self) -> Summary:
        """The sum of an ended run; UsageError before its end."""
        return self._running.summary

    def to_pandas(self) -> Any:
        """Carry it out; its outcomes as a `pandas.DataFrame`, a row each. UsageError if pandas is not installed."""
        return self._loop.call(self._running.to_pandas)


class BlockingListing(Generic[S]):
    """What the site lists, asked for anew by each use: iterate it, or `list()` it."""

    def __init__(self, listing: Listing[S], loop: LoopThread) -> None:
        self._listing, self._loop = listing, loop

    def __repr__(self) -> str:
        return repr(self._listing)

    def __iter__(self) -> Iterator[S]:
        reading = _Reading(self._listing)
        try:
            while some := self._loop.call(reading.take):
                yield from some
        finally:
            if self._loop.running:
                self._loop.call(reading.stop)

    def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, a row each. UsageError if pandas is not installed."""
        return frames.frame(self, self._listing.kind)


class _Reading(Generic[S]):
    """Reads a listing in a task of its own, a little ahead of who takes: a generator must be driven by one task."""

    def __init__(self, listing: Listing[S]) -> None:
        self._listing = listing
        self._waiting: list[S] = []
        self._changed, self._room = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> list[S]:
        """What has come, at least one; none at the end. Raises what the listing raised."""
        if self._task is None:
            self._task = asyncio.create_task(self._read())
            self._task.add_done_callback(lambda _: self._changed.set())
        while not self._waiting and not self._task.done():
            self._changed.clear()
            await self._changed.wait()
        if not self._waiting:
            self._task.result()
        taken, self._waiting = self._waiting, []
        self._room.set()
        return taken

    async def stop(self) -> None:
        """Read no further."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _read(self) -> None:
        async for one in self._listing:
            self._waiting.append(one)
            self._changed.set()
            while len(self._waiting) >= AHEAD:
                self._room.clear()
                await self._room.wait()
