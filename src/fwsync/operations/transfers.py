"""`fwsync upload` and `fwsync download`: single files up to a container, files of containers down to a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fwsync.client.api import Flywheel, Node
from fwsync.errors import InputFileError, UsageError
from fwsync.model import PLURALS, FileEntry, Reference
from fwsync.operations.bringing import Sync, bring
from fwsync.operations.context import Context, Run, budgeted, dry_run, guarded
from fwsync.operations.projects import find_container, reference
from fwsync.operations.turns import tree_of, turn
from fwsync.plan.mirroring import fetch_of
from fwsync.plan.paths import Step
from fwsync.run.sending import Sender
from fwsync.run.shelf import Place, Shelf
from fwsync.selection import split_path
from fwsync.work import Plan, SendFile, Summary, WorkItem


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
    most = context.settings.upload.max_transfer
    budgeted({}, most)  # a mistake in it is told before the run begins
    if dry:
        return await dry_run(context, "upload", plan)
    arguments = {
        "sources": [str(Path(source).expanduser().resolve()) for source in sources],
        "to": to,
        "options": {"max_transfer": most},
    }
    run = await Run.begin(context, "upload", arguments)
    handlers = budgeted(Sender(context.fw, context.journal, run.id).handlers(), most)
    return await guarded(run, lambda: run.carry_out(plan, handlers))


def _send_item(path: Path, source: str, node: Node, to: str) -> WorkItem:
    if path.is_dir():
        raise InputFileError("is a folder; a folder is uploaded by itself, to a project", path=source)
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


async def download(
    context: Context, sources: Sequence[str], to: str, *, dry: bool = False, new_tree: bool = False
) -> Summary:
    """Files, or all files right on containers, into a folder: `to/<name>` for a file, `to/<label>/<name>` for those of
    a container."""
    async with turn(context, tree_of(to)):
        return await _download(context, sources, to, dry=dry, new_tree=new_tree)


async def _download(context: Context, sources: Sequence[str], to: str, *, dry: bool, new_tree: bool) -> Summary:
    context.reporter.phase("looking up the files")
    with Shelf(context.settings.state_folder, context.settings.mirror.platform) as shelf:
        for source in sources:
            shelf.add(await _files_at(context.fw, source))
        if not shelf.files:
            raise UsageError(f"{', '.join(sources)}: there are no files right on it; fwsync tree shows what is below")
        settings = context.settings.mirror
        limits = {"max_transfer": settings.max_transfer, "order": settings.order}
        arguments = {"sources": list(sources), "options": limits}
        return await bring(context, "download", to, shelf, arguments, sync=Sync(new_tree=new_tree), dry=dry)


async def _files_at(fw: Flywheel, source: str) -> list[Place]:
    node = await find_container(fw, source)
    if isinstance(node.document, FileEntry):
        parent = await _parent_of(fw, source, node.document)
        return [([_step(parent, node.document)], fetch_of(parent.type, parent.id, node.document))]
    held = node.document.files
    if held is None and node.container_type in PLURALS:
        held = await fw.noun(node.container_type).files_of(node.id)
    above, own = Step(node.id, node.label), reference(node)
    return [([above, _step(own, entry)], fetch_of(own.type, own.id, entry)) for entry in held or ()]


async def _parent_of(fw: Flywheel, source: str, entry: FileEntry) -> Reference:
    if entry.parent_ref is not None:
        return entry.parent_ref
    segments = [segment for segment in split_path(source)[:-1] if segment != "files"]
    return reference(await fw.lookup(segments))


def _step(parent: Reference, entry: FileEntry) -> Step:
    return Step(entry.file_id or f"{parent.id}/{entry.name}", entry.name)
