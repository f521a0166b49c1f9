"""`fwsync download PATH...`: single files, and files of containers, down to a folder."""

from __future__ import annotations

from collections.abc import Sequence

from fwsync.client.api import Flywheel
from fwsync.errors import UsageError
from fwsync.model import PLURALS, FileEntry, Reference
from fwsync.operations.bringing import Sync, bring
from fwsync.operations.context import Context
from fwsync.operations.projects import find_container, reference
from fwsync.operations.turns import tree_of, turn
from fwsync.plan.mirroring import fetch_of
from fwsync.plan.paths import Step
from fwsync.run.shelf import Place, Shelf
from fwsync.selection import split_path
from fwsync.work import Summary


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
        return await bring(
            context, "download", to, shelf, {"sources": list(sources)}, sync=Sync(new_tree=new_tree), dry=dry
        )


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
