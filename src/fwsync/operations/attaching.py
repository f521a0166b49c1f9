"""`fwsync upload FILE...`: single files up to a container."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fwsync.client.api import Node
from fwsync.errors import InputFileError, UsageError
from fwsync.model import PLURALS
from fwsync.operations.context import Context, Run, budgeted, dry_run, guarded
from fwsync.operations.projects import find_container
from fwsync.run.sending import Sender
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
    arguments = {"sources": [str(Path(source).expanduser().resolve()) for source in sources], "to": to}
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
