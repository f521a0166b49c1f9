"""`fwsync plan import` and `fwsync apply`: an import as a file that people can read before it is carried out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
import msgspec

from fwsync.errors import InputFileError, TargetError, UsageError
from fwsync.operations.context import Context, dry_run
from fwsync.operations.importing import again, carry_out, import_options, planner_for, read_table
from fwsync.operations.projects import find_project
from fwsync.operations.turns import turn
from fwsync.plan import planfile
from fwsync.plan.row import RowError
from fwsync.plan.wanted import Wanted
from fwsync.run.spool import Spool
from fwsync.run.tree import disk_errors
from fwsync.work import Plan, Summary


async def plan_import(context: Context, source: str, out: str, *, limit: int | None = None) -> Summary:
    """Write what an import of `source` would do to the file `out`; nothing else is changed.

    The file is 0600, and is there only when it is whole. TargetError when it exists already.
    """
    settings = context.settings.importing
    to = Path(out).expanduser()
    if os.path.lexists(to):
        raise TargetError(f"{out}: exists already; name a new file, or remove it first")
    with Spool(context.settings.state_folder) as spool:
        project = await find_project(context.fw, settings.project or context.settings.site.project)
        table = await read_table(context, source, spool, limit)
        options = import_options(context, project)
        partial = to.with_name(f".{to.name}.{os.getpid()}.part")
        with disk_errors(out):
            file = os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        try:
            writer = _Writer(file)
            head = planfile.Head(site=context.fw.site, source=again(source), rows=table.rows, options=options)
            writer.write(planfile.header_line(head))
            async with turn(context, f"project {project.id} on {context.fw.site}"):
                planner = await planner_for(context, spool, options, writer.container)
                for error in spool.errors():
                    writer.write(planfile.wrong_line(error))
                plan = Plan(
                    entries=planner.entries, items=table.items, bytes=table.bytes, warnings=tuple(table.warnings)
                )
                summary = await dry_run(context, "plan import", plan, quiet=True)
            writer.write(planfile.end_line(writer.lines))
            with disk_errors(out):
                file.flush()
                os.fsync(file.fileno())
                partial.rename(to)
        finally:
            file.close()
            partial.unlink(missing_ok=True)
    summary.warnings += [*planner.warnings(), f"the plan is in {out}: read it, then fwsync apply {out}"]
    summary.facts["rows"] = table.rows
    return summary


class _Writer:
    """Writes the lines of a plan file and counts them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.lines = file, 0

    def write(self, line: bytes) -> None:
        """One line."""
        with disk_errors(self._file.name):
            self._file.write(line)
        self.lines += 1

    def container(self, one: Wanted, verdict: str) -> None:
        """The line of a container."""
        self.write(planfile.container_line(one, verdict))


async def apply_plan(context: Context, path: str, *, dry: bool = False) -> Summary:
    """Carry out a plan file. What the site has by now is read anew, and where that is not what the plan says, it is
    told; containers are changed only as the plan shows."""
    with Spool(context.settings.state_folder) as spool:
        context.reporter.phase(f"reading {path}")
        loaded = await anyio.to_thread.run_sync(_load, path, spool)
        head = loaded.head
        if head.site != context.fw.site:
            raise UsageError(f"{path}: is a plan for {head.site}, the API key in use is for {context.fw.site}")
        project = await find_project(context.fw, f"<id:{head.options.project_id}>")
        arguments = {"plan": str(Path(path).expanduser().resolve()), "project": head.options.project_path}
        options = msgspec.structs.replace(head.options, project_id=project.id)
        summary = await carry_out(
            context, spool, options, arguments, items=loaded.items, size=loaded.bytes, dry=dry, job="apply"
        )
    summary.facts["rows"] = head.rows
    return summary


class _Loaded(msgspec.Struct):
    head: planfile.Head
    items: int = 0
    bytes: int = 0


def _load(path: str, spool: Spool) -> _Loaded:
    try:
        file = Path(path).expanduser().open("rb")
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=path) from error
    with file:
        loaded = _Loaded(planfile.read_head(file, path))

        def containers() -> Iterator[Wanted]:
            for one in planfile.read_lines(file, path):
                loaded.items += 1
                if isinstance(one, RowError):
                    spool.add_error(one)
                    continue
                files = one.fields.get("files", ())
                loaded.items += len(files)
                loaded.bytes += sum(file["size"] for file in files)
                yield one

        try:
            spool.add_wanted(planfile.by_subject(containers()))
        except OverflowError as error:
            raise InputFileError("holds a number beyond 64 bits; plan again", path=path) from error
    return loaded
