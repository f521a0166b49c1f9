"""`fwsync retry RUN`: the same command again, for just the items that did not get done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from fwsync.config import MirrorSettings, Settings
from fwsync.errors import UsageError
from fwsync.operations.attaching import upload
from fwsync.operations.changingjobs import change_again
from fwsync.operations.context import Context
from fwsync.operations.curating import Build, build
from fwsync.operations.downloading import download_selection
from fwsync.operations.importing import import_csv
from fwsync.operations.launching import run_again
from fwsync.operations.mirroring import mirror
from fwsync.operations.planning import apply_plan
from fwsync.operations.projects import near
from fwsync.operations.pushing import push
from fwsync.operations.quality import qc_again
from fwsync.operations.transfers import download
from fwsync.operations.undoing import undo
from fwsync.operations.uploading import upload_folder
from fwsync.operations.verifying import Wishes, verify
from fwsync.work import Summary

AGAIN: dict[str, Callable[[Context, dict[str, Any]], Awaitable[Summary]]] = {
    "qc": qc_again, "gear run": run_again, "gear jobs": change_again,
}  # fmt: skip
"""What commands do again from the arguments that the journal holds of them."""

TRIED_AGAIN = ("failed", "stopped", "skipped", "rejected")


async def retry(context: Context, run: str) -> Summary:
    """Plan the run's command anew, and carry out only what had failed, was stopped, skipped or rejected in it."""
    journal = context.journal
    record = await journal.run(run)
    if record is None:
        known = [one.id for one in await journal.runs()]
        raise UsageError(f"run {run}: not in the journal{near(run, known)}")
    if record.site and record.site != context.fw.site:
        raise UsageError(f"run {run}: was on {record.site}, the API key in use is for {context.fw.site}")
    outcomes = await journal.outcomes(run)
    keys = frozenset(one.key for one in outcomes if one.state in TRIED_AGAIN)
    # A run that was killed has no outcome for what it never began: then everything is compared again.
    only = keys if record.ended is not None else None
    if only is not None and not only:
        return Summary(run=run, job=record.command, planned=0)
    again = Context(
        fw=context.fw,
        journal=journal,
        settings=_settings(context.settings, record.command, record.arguments),
        reporter=context.reporter,
        only=only,
    )
    return await _carried_out(again, run, record.command, record.arguments)


async def _carried_out(context: Context, run: str, command: str, arguments: dict[str, Any]) -> Summary:
    """The command of a run, with its arguments, in this context."""
    _refuse_what_is_gone(run, arguments)
    if command in AGAIN:
        return await AGAIN[command](context, arguments)
    match command:
        case "import":
            return await import_csv(context, arguments["source"], limit=arguments.get("limit"))
        case "apply":
            return await apply_plan(context, arguments["plan"])
        case "undo":
            return await undo(context, arguments["run"], confirm=lambda *_: True)
        case "mirror":
            return await mirror(context, claims_as=arguments.get("selection", ""))
        case "verify":
            wishes = msgspec.convert({k: v for k, v in arguments.items() if k != "folder"}, Wishes)
            return await verify(context, arguments["folder"], wishes)
        case "push":
            return await push(context, arguments["folder"])
        case "upload" | "download":
            return await _moved(context, command, arguments)
        case "collection":
            return await build(context, msgspec.convert(arguments["builds"], list[Build]))
    raise UsageError(f"run {run}: {command} can't be run again")


async def _moved(context: Context, command: str, arguments: dict[str, Any]) -> Summary:
    """An upload or a download again."""
    if command == "upload" and "folder" in arguments:
        return await upload_folder(context, arguments["folder"], arguments["to"])
    if command == "upload":
        return await upload(context, arguments["sources"], arguments["to"])
    if "wishes" in arguments:
        return await download_selection(context, arguments["paths"], arguments["to"])
    return await download(context, arguments["sources"], arguments["to"])


def _refuse_what_is_gone(run: str, arguments: dict[str, Any]) -> None:
    wishes = [one["wishes"] for one in arguments.get("builds", ())]
    if any("-" in (one.get("source"), one.get("from_file")) for one in (arguments, *wishes)):
        raise UsageError(
            f"run {run}: read standard input, which is gone; give that in a file, and run its command again"
        )


def _settings(settings: Settings, command: str, arguments: dict[str, Any]) -> Settings:
    replace = msgspec.structs.replace
    if command == "import":
        return replace(settings, importing=replace(settings.importing, **_known(arguments, "project", "options")))
    if command == "mirror":
        return replace(settings, mirror=mirror_settings(arguments))
    if command == "download" and "wishes" in arguments:
        return replace(settings, mirror=mirror_settings(arguments["wishes"]))
    if command == "download":
        return replace(settings, mirror=replace(settings.mirror, **arguments.get("options", {})))
    if command in ("upload", "push") and "options" in arguments:
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in arguments["options"].items()}
        return replace(settings, **{command: replace(getattr(settings, command), **given)})
    return settings


def mirror_settings(arguments: dict[str, Any]) -> MirrorSettings:
    """The settings of a mirror run. What it did not name was at its default then, whatever the settings say now."""
    held = {k: (v,) if k == "project" and isinstance(v, str) else v for k, v in arguments.items()}
    held.pop("selection", None)
    return msgspec.convert(held, MirrorSettings)


def _known(arguments: dict[str, Any], name: str, options: str) -> dict[str, Any]:
    held = dict(arguments.get(options) or {})
    held = {key: tuple(value) if isinstance(value, list) else value for key, value in held.items()}
    return {**held, name: arguments[name]}
