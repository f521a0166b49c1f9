"""`fwsync verify` and `fwsync status`: is a local tree what it should be?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from fwsync.cli.options import Common, common, in_section, moving

if TYPE_CHECKING:
    from fwsync.operations.drifting import Status


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--repair", is_flag=True, help="Fetch what is damaged or missing again.")
@click.option(
    "--local-changes",
    type=click.Choice(["keep", "overwrite"]),
    default="keep",
    help="With --repair: files that were changed locally stay (default), or are fetched again too.",
)
@click.option("--include", multiple=True, metavar="GLOB", help="Only files whose paths match one of these.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="No files whose paths match one of these.")
@click.option("-n", "--dry-run", is_flag=True, help="Show which files would be read; read none.")
@moving
@common
def verify(
    common: Common,
    folder: str,
    repair: bool,
    local_changes: str,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    dry_run: bool,
    **flags: str | None,
) -> int:
    """Read every file again that fwsync put below DIR, and compare it with the hash that it had on the site.

    A file of which size or time differ was changed locally; that is told and no error. Damaged is a file that looks as
    it was left and has other bytes. Damaged and missing files end in exit code 3. Without --repair the site is not
    asked, and no API key is needed.

    \b
    Examples:
      fwsync verify data
      fwsync verify data/sub-01 --include '*.nii.gz' --repair
    """
    from fwsync.cli.start import run_summary
    from fwsync.operations.verifying import Wishes
    from fwsync.operations.verifying import verify as operate

    wishes = Wishes(repair=repair, overwrite=local_changes == "overwrite", include=include, exclude=exclude)
    settings = common.settings(**in_section("verify", flags))
    offline = not repair or dry_run
    return run_summary(common, settings, lambda context: operate(context, folder, wishes, dry=dry_run), offline=offline)


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--local", is_flag=True, help="Compare with what fwsync remembers alone: no site, no API key.")
@click.option("--list", "listed", is_flag=True, help="Name each path that differs.")
@common
def status(common: Common, folder: str, local: bool, listed: bool) -> int:
    """Tell how far the tree at DIR is from what it should be, without a transfer: what its last mirror selected is
    selected again and compared. Exit code 0 in step, 3 when something differs.

    new, changed, moved, gone remotely: what a mirror would bring, replace, move, and with --delete remove. Changed
    and missing locally, and what is in the way of a file, are told as well. Files that fwsync did not put there and
    that are in nobody's way are counted, and no drift.

    \b
    Examples:
      fwsync status data
      fwsync status data --list --json
      fwsync status data --local
    """
    from fwsync.cli.start import run_context
    from fwsync.operations.drifting import local_status
    from fwsync.operations.drifting import status as operate

    def tell(kind: str, path: str, source: str) -> None:
        click.echo(_line_of(kind, path, source, as_json=common.json))

    work = local_status if local else operate
    settings = common.settings()
    found = run_context(common, settings, lambda context: work(context, folder, tell if listed else None), local)
    _show(found, common)
    return found.exit_code


def _line_of(kind: str, path: str, source: str, *, as_json: bool) -> str:
    from fwsync.cli.progress import printable
    from fwsync.plan.drifting import DRIFTS

    if as_json:
        return msgspec.json.encode({"event": "drift", "kind": kind, "path": path, "source": source}).decode()
    name = dict(DRIFTS).get(kind, "unknown to fwsync")  # type: ignore[call-overload]
    return printable(f"{name:<18} {source + ' > ' if source else ''}{path}")


def _show(found: Status, common: Common) -> None:
    from fwsync.cli.progress import printable
    from fwsync.plan.drifting import DRIFTS

    if common.json:
        told = {"in_step": found.in_step, "exit_code": found.exit_code}
        click.echo(msgspec.json.encode({"event": "status", **msgspec.structs.asdict(found), **told}))
        return
    if not common.quiet:
        lines = [f"note: {line}" for line in found.notes] + [f"not read: {line}" for line in found.unreadable]
        lines += [f"{name:<18} {found.counts[kind]:,}" for kind, name in DRIFTS.items() if found.counts[kind]]
        lines += [f"{'unknown to fwsync':<18} {found.unknown:,}"] if found.unknown else []
        for line in lines:
            click.echo(printable(line))
    total, unread = found.counts.total(), len(found.unreadable)
    parts = [f"{total:,} paths differ"] if total else []
    parts += [f"{unread:,} items could not be looked at"] if unread else []
    click.echo(f"drift: {', '.join(parts)}" if parts else f"in step: {found.wanted:,} files")
