"""`fwsync upload` and `fwsync download`: single files up to a container, files of containers down to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fwsync.client.api import Flywheel, Node
from fwsync.errors import InputFileError, UsageError
from fwsync.model import PLURALS, FileEntry
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.projects import find_container
from fwsync.plan import paths
from fwsync.plan.mirroring import WantedFile, plan_mirror
from fwsync.plan.paths import Step
from fwsync.run.fetching import Fetcher
from fwsync.run.lock import hold
from fwsync.run.sending import Sender
from fwsync.run.tree import Tree
from fwsync.selection import split_path
from fwsync.work import FetchFile, Plan, SendFile, Summary, WorkItem


async def upload(context: Context, sources: Sequence[str], to: str, *, dry: bool = False) -> Summary:
    """Attach local files to the container at `to`."""
    context.reporter.phase("looking up the target")
    node = await find_container(context.fw, to)
    if node.container_type not in PLURALS or node.container_type in ("file", "gear", "job"):
        raise UsageError(f"{to}: is a {node.container_type}; files go on a container")
    items = [_send_item(Path(source).expanduser(), source, node, to) for source in sources]
    names = [item.payload.name for item in items]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"{twice}: is named twice; two files of one name can't go to one container")
    plan = Plan.of(items)
    if dry:
        return await dry_run(context, "upload", plan)
    arguments = {"sources": [str(Path(source).expanduser().resolve()) for source in sources], "to": to}
    run = await Run.begin(context, "upload", arguments)
    return await guarded(run, lambda: run.carry_out(plan, Sender(context.fw).handlers()))


def _send_item(path: Path, source: str, node: Node, to: str) -> WorkItem:
    if path.is_dir():
        raise InputFileError("is a folder; name files (whole folders are not uploaded yet)", path=source)
    try:
        held = path.stat()
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=source) from error
    payload = SendFile(
        container_type=node.container_type,
        container_id=node.id,
        name=path.name,
        source=str(path.resolve()),
        size=held.st_size,
        mtime_ns=held.st_mtime_ns,
    )
    return WorkItem(
        kind="upload.file",
        key=f"{node.id}/{path.name}",
        target=f"{to.rstrip('/')}/{path.name}",
        payload=payload,
        bytes=held.st_size,
    )


async def download(context: Context, sources: Sequence[str], to: str, *, dry: bool = False) -> Summary:
    """Files, or all files right on containers, into a folder: `to/<name>` for a file, `to/<label>/<name>` for those of
    a container."""
    context.reporter.phase("looking up the files")
    places: list[tuple[list[Step], FetchFile]] = []
    for source in sources:
        places += await _files_at(context.fw, source)
    if not places:
        raise UsageError(f"{', '.join(sources)}: there are no files right on it; fwsync tree shows what is below")
    laid, _ = paths.lay_out([steps for steps, _ in places], context.settings.mirror.platform)
    wanted = [WantedFile(_at(fetch, path), path) for (_, fetch), path in zip(places, laid, strict=True)]
    tree = Tree(Path(to).expanduser())
    if not dry:
        await tree.prepare()
    with hold(context.settings.state_folder, f"tree {tree.root.resolve()}"):
        if dry:
            return await dry_run(context, "download", Plan.of(plan_mirror(wanted, {}, {})))
        run = await Run.begin(context, "download", {"sources": list(sources), "to": str(tree.real)})
        fetcher = Fetcher(context.fw, context.journal, tree, run.id, fsync=context.settings.state.fsync)

        async def work() -> None:
            await fetcher.prepare()
            index = await context.journal.index(str(tree.real))
            local = await tree.scan([one.fetch.path for one in wanted])
            await run.carry_out(Plan.of(plan_mirror(wanted, index, local)), fetcher.handlers())
            await fetcher.sweep()

        return await guarded(run, work)


def _at(fetch: FetchFile, path: str) -> FetchFile:
    return FetchFile(**{**{name: getattr(fetch, name) for name in FetchFile.__struct_fields__}, "path": path})


async def _files_at(fw: Flywheel, source: str) -> list[tuple[list[Step], FetchFile]]:
    node = await find_container(fw, source)
    if isinstance(node.document, FileEntry):
        parent = await _parent_of(fw, source, node.document)
        return [([_step(parent.id, node.document)], _fetch(parent.container_type, parent.id, node.document))]
    held = node.document.files
    if held is None and node.container_type in PLURALS:
        held = await fw.noun(node.container_type).files_of(node.id)
    above = Step(node.id, node.label)
    return [([above, _step(node.id, entry)], _fetch(node.container_type, node.id, entry)) for entry in held or ()]


class _Parent:
    def __init__(self, container_type: str, ident: str) -> None:
        self.container_type, self.id = container_type, ident


async def _parent_of(fw: Flywheel, source: str, entry: FileEntry) -> _Parent:
    if entry.parent_ref is not None:
        return _Parent(entry.parent_ref.type, entry.parent_ref.id)
    segments = [segment for segment in split_path(source)[:-1] if segment != "files"]
    node = await fw.lookup(segments)
    return _Parent(node.container_type, node.id)


def _step(parent_id: str, entry: FileEntry) -> Step:
    return Step(entry.file_id or f"{parent_id}/{entry.name}", entry.name)


def _fetch(container_type: str, container_id: str, entry: FileEntry) -> FetchFile:
    return FetchFile(
        container_type=container_type,
        container_id=container_id,
        name=entry.name,
        path="",
        file_id=entry.file_id,
        version=entry.version,
        size=entry.size,
        hash=entry.hash,
        modified=entry.modified,
    )
