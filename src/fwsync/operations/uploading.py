"""`fwsync upload DIR`: a local tree to containers, created as needed, with its files on them."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import msgspec

from fwsync.client.transfer import HASH_PREFIX
from fwsync.config import UploadSettings
from fwsync.errors import InputFileError, UsageError
from fwsync.model import Project
from fwsync.operations.context import Context, budgeted, dry_run
from fwsync.operations.existing import read_existing
from fwsync.operations.importing import work_on_project
from fwsync.operations.projects import find_project, group_of, project_path
from fwsync.operations.turns import turn
from fwsync.plan import filetimes
from fwsync.plan.importing import ImportOptions, Planner
from fwsync.plan.placing import Layout, Placed
from fwsync.plan.uploading import TreePlanner
from fwsync.run.hashes import HashCache, Stamp
from fwsync.run.scanning import Left, Scan, Seen
from fwsync.run.treespool import TreeSpool
from fwsync.selection import matches, split_path
from fwsync.work import Plan, Summary

BATCH = 1000


async def upload_folder(context: Context, folder: str, to: str, *, dry: bool = False) -> Summary:
    """Put the files of a local tree on the containers of project `to` that the layout reads from their paths.

    Containers that are missing are created. A file whose container holds the same bytes under its name is left alone.
    """
    settings = context.settings.upload
    root = _root(folder)
    Layout.parse(settings.layout)  # before anything is asked of the site
    budgeted({}, settings.max_transfer)
    with TreeSpool(context.settings.state_folder) as spool, HashCache(context.settings.state_folder) as hashes:
        project = await find_project(context.fw, _project_of(to))
        context.reporter.phase(f"reading {folder}")
        scan = _scan(root, settings)
        layout = Layout.parse(settings.layout, {"group": group_of(project), "project": project.label or ""})
        await anyio.to_thread.run_sync(spool.add_local, _placed(scan, layout, settings, hashes))
        notes = _notes(scan)
        if not spool.files and not spool.left:
            notes.append(f"{folder}: has no files to upload")
        async with turn(context, f"project {project.id} on {context.fw.site}"):
            planner = await _planner(context, spool, project)
            plan = _plan(context, spool, project, planner, notes)
            if dry:
                if settings.checksum:
                    context.reporter.phase("reading files that may be unchanged")
                    await anyio.to_thread.run_sync(_hash_unknown, spool, hashes)
                summary = await dry_run(context, "upload", plan)
            else:
                options = msgspec.structs.asdict(settings)
                arguments = {"folder": str(root), "to": project_path(project), "options": options}
                summary = await work_on_project(context, plan, project.id, arguments, "upload", hashes)
            summary.warnings += planner.warnings()
    return summary


def _root(folder: str) -> Path:
    try:
        root = Path(folder).expanduser().resolve(strict=True)
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=folder) from error
    if not root.is_dir():
        raise InputFileError("is not a folder", path=folder)
    return root


def _project_of(to: str) -> str:
    if len(split_path(to)) > 2:
        raise UsageError(f"{to}: a folder goes to a project, group/label; its layout says what lies below")
    if not split_path(to):
        raise UsageError("--to: name a project, group/label")
    return to


def _scan(root: Path, settings: UploadSettings) -> Scan:
    include, exclude = settings.include, settings.exclude
    return Scan(
        root,
        takes=lambda path: not include or any(matches(pattern, path) for pattern in include),
        prunes=lambda path: any(matches(pattern, path) for pattern in exclude),
        hidden=settings.hidden,
        sidecars=settings.sidecar == "json",
    )


def _placed(
    scan: Scan, layout: Layout, settings: UploadSettings, hashes: HashCache
) -> Iterator[tuple[Seen, Placed, str | None] | Left]:
    for seen in scan:
        if isinstance(seen, Left):
            yield seen
            continue
        try:
            placed = layout.place(seen.path)
        except ValueError as error:
            yield Left(seen.path, "rejected", str(error))
            continue
        if settings.keep_times:
            info: dict[str, Any] = {
                **seen.metadata.get("info", {}),
                filetimes.KEY: filetimes.to_text(seen.stamp.mtime_ns),
            }
            seen = msgspec.structs.replace(seen, metadata={**seen.metadata, "info": info})
        yield seen, placed, hashes.get(seen.stamp)


_LEFT = {
    "hidden": "hidden files and folders, left out",
    "excluded": "files and folders left out by exclude",
    "not included": "files that no include takes",
    "sidecar": "sidecars, read and not uploaded",
}


def _notes(scan: Scan) -> list[str]:
    return [f"{_LEFT[why]}: {count:,} (e.g. {scan.examples[why]})" for why, count in sorted(scan.counts.items())]


def _hash_unknown(spool: TreeSpool, hashes: HashCache) -> None:
    """Read the files of which it can't be told otherwise whether they are on the site. Blocking."""
    unknown = list(spool.may_be_unchanged())
    for start in range(0, len(unknown), BATCH):
        found = []
        for key, source in unknown[start : start + BATCH]:
            with contextlib.suppress(OSError):  # the run itself will tell
                stamp = Stamp.of(source)
                with open(source, "rb") as content:  # noqa: PTH123 - as upload.hash_of, in this thread
                    digest = HASH_PREFIX + hashlib.file_digest(content, "sha384").hexdigest()
                if stamp == Stamp.of(source):
                    hashes.put(stamp, digest)
                    found.append((key, digest))
        spool.learn(found)


async def _planner(context: Context, spool: TreeSpool, project: Project) -> Planner:
    """The planner of the containers, after what the project has was read."""
    spool.want_containers()
    path = project_path(project)
    context.reporter.phase(f"reading what {path} has")
    await read_existing(context.fw, project.id, spool)
    if next(iter(spool.files_of((), None)), None) is not None:
        held = await context.fw.projects.files_of(project.id)
        spool.add_held_files(project.id, {f.name: (f.size, f.hash, f.file_id, f.version) for f in held})
    begun = await context.journal.begun(context.fw.site, project.id)
    return Planner(spool.wanted, spool.held, ImportOptions(project_id=project.id, project_path=path), begun=begun)


def _plan(context: Context, spool: TreeSpool, project: Project, planner: Planner, notes: list[str]) -> Plan:
    tree = TreePlanner(
        planner.entries,
        spool.files_of,
        project_id=project.id,
        project_path=project_path(project),
        on_conflict=context.settings.upload.on_conflict,
        settled=spool.left_out,
    )
    items = spool.containers + spool.files + spool.left
    return Plan(entries=tree.entries, items=items, bytes=spool.bytes, warnings=tuple(notes))
