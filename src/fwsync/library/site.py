"""The asyncio interface: `async with fwsync.connect() as fw`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from fwsync.config import Settings
from fwsync.errors import UsageError
from fwsync.library.connection import Connection, Options
from fwsync.library.given import flags_of
from fwsync.library.keywords import (
    DownloadKeywords,
    GearKeywords,
    ImportKeywords,
    MirrorKeywords,
    SelectionKeywords,
    UploadKeywords,
)
from fwsync.library.listing import Listing
from fwsync.library.reports import Reports
from fwsync.library.running import Running, Work
from fwsync.model import Acquisition, Collection, Gear, Group, Project, Session, Subject, User
from fwsync.operations.attaching import upload
from fwsync.operations.collected import show_collection
from fwsync.operations.collections import known_collections
from fwsync.operations.curating import Build, build
from fwsync.operations.downloading import FORMS, download_selection, with_wishes
from fwsync.operations.exporting import Exported, export_project
from fwsync.operations.importing import import_csv
from fwsync.operations.launching import GEAR_WISHES, GearWishes, On, Priority, run_gear
from fwsync.operations.looking import Line, containers, list_path, tree
from fwsync.operations.matrix import build_matrix
from fwsync.operations.mirroring import mirror
from fwsync.operations.planning import apply_plan, plan_import
from fwsync.operations.projects import find_container, near
from fwsync.operations.retrying import retry
from fwsync.operations.selected import WISHES_OF_CONTAINERS, Asked
from fwsync.operations.selections import WISHES
from fwsync.operations.transfers import download
from fwsync.operations.uploading import upload_folder
from fwsync.plan.gearinputs import Pick
from fwsync.plan.launching import Rerun
from fwsync.report.table import Table
from fwsync.run.journal import RunRecord
from fwsync.work import Entry, Outcome, Summary

PathText = str | PathLike[str]


def connect(
    *,
    api_key: str | None = None,
    api_key_file: PathText | None = None,
    config: PathText | None = None,
    profile: str | None = None,
    state_folder: PathText | None = None,
    ca_bundle: PathText | None = None,
    progress: bool | None = None,
) -> Site:
    """A site, to be opened by `async with`. Key and settings are found as the command line finds them.

    `api_key` wins over every other source of a key; `config`, `profile` and the rest are those of the command line.
    `progress` shows progress on standard error: None where a person looks on (a terminal, a notebook), True always.
    ConfigError for a configuration file that can't be used.
    """
    paths = {
        "api_key_file": api_key_file, "config": config, "state_folder": state_folder, "ca_bundle": ca_bundle,
    }  # fmt: skip
    given = {name: str(Path(path).expanduser()) for name, path in paths.items() if path}
    return Site(Connection(Options(api_key=api_key or "", profile=profile or "", progress=progress, **given)))


class Site(Reports):
    """A Flywheel site. Runs (`mirror`, `upload`, ...) begin when iterated or awaited; listings likewise.

    Several runs at once are allowed; the counts of requests in their summaries then hold each other's too.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __repr__(self) -> str:
        return f"<fwsync.Site {self.name}>" if self.name else "<fwsync.Site, not connected>"

    async def __aenter__(self) -> Self:
        await self._connection.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.close()

    @property
    def name(self) -> str:
        """Host, and port where unusual; empty while not connected."""
        return self._connection.site

    # --- runs -----------------------------------------------------------------------------------------------------

    def mirror(self, **settings: Unpack[MirrorKeywords]) -> Running[Outcome]:
        """Bring a selection of files into the folder `to`, and keep them in step.

        The keywords are the settings of [mirror], as in `fwsync mirror`. ConfigError for one that there is not.
        """
        return self._run("mirror", lambda context, dry: mirror(context, dry=dry), self._settings("mirror", settings))

    def download(
        self, paths: str | Sequence[str] = (), to: PathText = "", **wishes: Unpack[DownloadKeywords]
    ) -> Running[Outcome]:
        """Bring files into the folder `to`, once: single files, all files right on containers, or a selection.

        With any keyword that selects, the files at or below `paths` (or wherever the keywords say) that it leaves in.
        """
        sources = (paths,) if isinstance(paths, str) else tuple(paths)
        flags = flags_of("mirror", "download", wishes, (*WISHES, *FORMS))
        given = {name.partition(".")[2]: value for name, value in flags.items() if value != ()}
        selects = any(name in WISHES for name in given)
        if not to:
            raise UsageError("download(): where to? name a folder by to=...")
        if given and not selects:
            raise UsageError(f"download({next(iter(given))}=...): is for a selection; add what selects")
        if not sources and not selects:
            raise UsageError("download(): name paths, or say what to select, as project=...")
        settings = self._connection.settings()
        operate = download_selection if selects else download
        return self._run(
            "download",
            lambda context, dry: operate(context, sources, _text(to), dry=dry),
            with_wishes(settings, given) if selects else settings,
        )

    def upload(
        self, sources: PathText | Sequence[PathText], to: str, **settings: Unpack[UploadKeywords]
    ) -> Running[Outcome]:
        """Attach files to the container `to`, or put one folder onto the project `to`.

        The keywords are the settings of [upload]; they are for a folder.
        """
        paths = [sources] if isinstance(sources, str | PathLike) else list(sources)
        names = [_text(path) for path in paths]
        folders = [name for name in names if Path(name).is_dir()]
        if not names or (folders and len(names) > 1):
            raise UsageError("upload(): name files, or one folder")
        if not folders and settings:
            raise UsageError(f"upload({next(iter(settings))}=...): is for uploading a folder, and {names[0]} is none")

        def work(context: Any, dry: bool) -> Any:
            if folders:
                return upload_folder(context, folders[0], to, dry=dry)
            return upload(context, names, to, dry=dry)

        return self._run("upload", work, self._settings("upload", settings))

    def import_table(
        self, source: PathText, *, limit: int | None = None, **settings: Unpack[ImportKeywords]
    ) -> Running[Outcome]:
        """Create the subjects, sessions and acquisitions that the rows of a table name: a path, or `fw://...`.

        The keywords are the settings of [import], as in `fwsync import`; `limit` takes the first rows alone.
        """
        name = fspath(source)

        async def work(context: Any, dry: bool) -> Summary:
            return await import_csv(context, name, dry=dry, limit=limit)

        return self._run("import", work, self._settings("import", settings, call="import_table"))

    def plan_import(
        self, source: PathText, out: PathText, *, limit: int | None = None, **settings: Unpack[ImportKeywords]
    ) -> Running[Entry]:
        """Write what an import would do to the file `out`; `apply(out)` carries it out. Iterated, it gives what a dry
        run of the import gives."""

        async def work(context: Any, _dry: bool) -> Summary:
            return await plan_import(context, fspath(source), fspath(out), limit=limit)

        held = self._settings("import", settings, call="plan_import")
        return Running(self._connection, "plan import", work, held, dry=True)

    def apply(self, plan: PathText) -> Running[Outcome]:
        """Carry out a plan file."""
        return self._run("apply", lambda context, dry: apply_plan(context, fspath(plan), dry=dry))

    def build_collection(
        self,
        label: str,
        paths: str | Sequence[str] = (),
        *,
        description: str = "",
        exact: bool = False,
        max_remove: str = "",
        **wishes: Unpack[SelectionKeywords],
    ) -> Running[Outcome]:
        """Put the acquisitions of a selection into the collection with this label (or `<id:HEX>`), which is made if
        there is none: those at or below `paths`, or wherever the keywords say, that the keywords leave in.

        `exact` removes what is not selected; `max_remove` (`500`, `20%`) is how much of it may go at most.
        """
        sources = (paths,) if isinstance(paths, str) else tuple(paths)
        flags = flags_of("mirror", "build_collection", wishes, WISHES_OF_CONTAINERS)
        given = {name.partition(".")[2]: value for name, value in flags.items()}
        asked = Asked.of(self._connection.settings(), given, sources)
        one = Build.of(label, asked, description=description, exact=exact, max_remove=max_remove)
        return self._run("collection", lambda context, dry: build(context, [one], dry=dry))

    def build_collections(self, file: PathText, *, allow_empty: bool = False) -> Running[Outcome]:
        """Build a collection for every combination of the axes in a TOML file (docs/guides/collections.md)."""
        return self._run(
            "collection",
            lambda context, dry: build_matrix(context, _text(file), allow_empty=allow_empty, dry=dry),
        )

    def retry(self, run: str) -> Running[Outcome]:
        """Try again what a run did not get done, by its id."""

        async def work(context: Any, dry: bool) -> Summary:
            if dry:
                raise UsageError("retry: has no dry run; make one of what it repeats")
            return await retry(context, run)

        return self._run("retry", work)

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
    ) -> Running[Outcome]:
        """Run a gear, NAME[/VERSION], on each container of the level `on` at or below `paths`, or wherever the keywords
        of the selection say; see docs/guides/running-gears.md.

        `inputs` maps an input (or several that are filled in their order: `"anatomical,t1w_2..5"`) to a pattern over
        the names of the files on or below the container. A run of this gear version on the same files is not started
        again unless `rerun` says so. An outcome's `ref` is the id of the analysis, or of the job of another gear.
        """
        sources = (paths,) if isinstance(paths, str) else tuple(paths)
        flags = flags_of("mirror", "run_gear", selection, GEAR_WISHES)
        given = {name.partition(".")[2]: value for name, value in flags.items() if value != ()}
        settings = self._connection.settings()
        asked = Asked.of(settings, given, sources)
        wishes = GearWishes(
            gear=gear, on=on, inputs=tuple(f"{name}={glob}" for name, glob in (inputs or {}).items()),
            config=dict(config or {}), pick=pick, rerun=rerun, label=label, tags=tuple(job_tags), priority=priority,
        )  # fmt: skip
        return self._run("gear run", lambda context, dry: run_gear(context, wishes, asked, dry=dry), settings)

    async def export(self, project: str, to: PathText, *, force: bool = False) -> Exported:
        """Write a project's containers as the table that `import_table` reads."""
        folder = self._connection.state_folder
        return await export_project(self._connection.fw, project, Path(to), state_folder=folder, force=force)

    # --- reading --------------------------------------------------------------------------------------------------

    async def lookup(self, path: str) -> Any:
        """What a path (`group/project/sub-01/...`) leads to, as a Group, Project, Subject, Session, Acquisition,
        Analysis or FileEntry. UsageError if nothing."""
        return (await find_container(self._connection.fw, path)).document

    def ls(self, path: str = "") -> Listing[Line]:
        """What is right below a path: groups at the top."""
        return Listing(Line, lambda: list_path(self._connection.fw, path))

    def tree(self, path: str = "", *, depth: int = 2, files: bool = False) -> Listing[Line]:
        """Everything below a path, down to `depth` levels, depth first."""
        return Listing(Line, lambda: tree(self._connection.fw, path, depth=depth, files=files))

    def find(self, level: str, filters: str = "", *, project: str = "", info: bool = False) -> Listing[Any]:
        """Containers of a level by a finder filter, as in the SDK: `find("subject", "sex=female,info.age>40")`.

        `info` brings their custom info along. UsageError for a filter that the site refuses.
        """
        if level not in KINDS:
            raise UsageError(f"find({level!r}): there is no such level{near(level, KINDS)}")

        def read() -> AsyncIterator[Any]:
            return containers(self._connection.fw, level, filters=filters, project=project, info=info)

        return Listing(KINDS[level], read)

    def groups(self) -> Listing[Group]:
        """All groups that the key sees."""
        return self.find("group")

    def projects(self, filters: str = "") -> Listing[Project]:
        """All projects that the key sees."""
        return self.find("project", filters)

    def subjects(self, project: str, filters: str = "", *, info: bool = False) -> Listing[Subject]:
        """The subjects of a project."""
        return self.find("subject", filters, project=project, info=info)

    def sessions(self, project: str, filters: str = "", *, info: bool = False) -> Listing[Session]:
        """The sessions of a project."""
        return self.find("session", filters, project=project, info=info)

    def acquisitions(self, project: str, filters: str = "", *, info: bool = False) -> Listing[Acquisition]:
        """The acquisitions of a project."""
        return self.find("acquisition", filters, project=project, info=info)

    def gears(self) -> Listing[Gear]:
        """Every version of every gear."""

        async def read() -> AsyncIterator[Gear]:
            for gear in await self._connection.fw.all_gears():
                yield gear

        return Listing(Gear, read)

    def collections(self) -> Listing[Collection]:
        """All collections that the key sees."""

        async def read() -> AsyncIterator[Collection]:
            for one in await known_collections(self._connection.fw):
                yield one

        return Listing(Collection, read)

    async def collection(self, label: str) -> Table:
        """The acquisitions of the collection with this label (or `<id:HEX>`), a row each, with the labels above them.
        UsageError where there is none, or several."""
        return await show_collection(self._connection.fw, label)

    async def whoami(self) -> User:
        """Whose key it is."""
        return await self._connection.fw.whoami()

    # --- the journal ----------------------------------------------------------------------------------------------

    def runs(self, limit: int = 20) -> Listing[RunRecord]:
        """The newest runs of this user on this machine, on any site, newest first."""

        async def read() -> AsyncIterator[RunRecord]:
            for record in await self._connection.journal.runs(limit):
                yield record

        return Listing(RunRecord, read)

    def outcomes(self, run: str, *states: str) -> Listing[Outcome]:
        """What became of each item of a run, in some states or all. UsageError for a run that is not in the journal."""

        async def read() -> AsyncIterator[Outcome]:
            journal = self._connection.journal
            if await journal.run(run) is None:
                raise UsageError(f"run {run}: not in the journal{near(run, [one.id for one in await journal.runs()])}")
            for outcome in await journal.outcomes(run, states):
                yield outcome

        return Listing(Outcome, read)

    # --- how ------------------------------------------------------------------------------------------------------

    def _run(self, job: str, work: Work, settings: Settings | None = None) -> Running[Outcome]:
        return Running(self._connection, job, work, settings or self._connection.settings())

    def _settings(self, section: str, given: Any, call: str = "") -> Settings:
        return self._connection.settings(flags_of(section, call or section, given))


KINDS: dict[str, type[Any]] = {
    "group": Group, "project": Project, "subject": Subject, "session": Session, "acquisition": Acquisition,
}  # fmt: skip


def _text(path: PathText) -> str:
    return str(Path(path).expanduser())
