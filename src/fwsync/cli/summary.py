"""The closing summary: counts by level, failures by reason, and the verdict as the last line."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click
import msgspec

from fwsync.cli.progress import duration, printable
from fwsync.work import PARENT_FAILED, Summary, human

_NAMES = {
    "create.collection": "collections",
    "update.collection": "collections",
    "add.acquisition": "acquisitions",
    "remove.acquisition": "acquisitions",
    "create.subject": "subjects",
    "create.session": "sessions",
    "create.acquisition": "acquisitions",
    "update.subject": "subjects",
    "update.session": "sessions",
    "update.acquisition": "acquisitions",
    "delete.subject": "subjects",
    "delete.session": "sessions",
    "delete.acquisition": "acquisitions",
    "tag.acquisition": "acquisitions",
    "download.file": "files",
    "download.member": "zip members",
    "write.sidecar": "sidecars",
    "verify.file": "files",
    "repair.file": "repairs",
    "move.local": "local files",
    "delete.local": "local files",
    "upload.file": "files",
    "launch.analysis": "gear runs",
    "launch.job": "gear runs",
    "cancel.job": "jobs",
    "retry.job": "jobs",
    "row": "rows",
    "zip": "zip archives",
    "member": "members",
    "double": "doubles",
}
_DONE = {
    "add": "added",
    "remove": "removed",
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "download": "downloaded",
    "upload": "uploaded",
    "write": "written",
    "tag": "tagged",
    "repair": "repaired",
    "move": "moved",
    "launch": "started",
    "cancel": "cancelled",
    "retry": "tried again",
}
_TO_DO = {
    "add": "to add",
    "remove": "to remove",
    "download": "to come",
    "move": "to move",
    "delete": "to delete",
    "tag": "to tag",
}
MOST_REASONS = 10
MOST_TARGETS = 3


def show(summary: Summary, *, quiet: bool, as_json: bool) -> None:
    """Print a summary."""
    if as_json:
        click.echo(msgspec.json.encode(as_document(summary)))
        return
    if not quiet:
        for line in lines(summary):
            click.echo(printable(line))
    click.echo(summary.verdict)


def lines(summary: Summary) -> list[str]:
    """Everything but the verdict."""
    out = [f"note: {warning}" for warning in summary.warnings]
    if "rows" in summary.facts:
        rejected = summary.by_kind.get("row", Counter())["rejected"]
        out.append(f"{'rows':<14} {summary.facts['rows']:,} read, {rejected:,} rejected")
    kinds = sorted({*summary.by_kind, *summary.would}, key=_rank)
    out += [f"{_NAMES.get(kind, kind):<14} {_counts(kind, summary)}" for kind in kinds if kind != "row"]
    out += _reasons(summary)
    if not summary.dry_run:
        moved = f", {human(summary.bytes)}" if summary.bytes else ""
        asked = f"{summary.requests:,} ({summary.writes:,} writes), {summary.retries:,} retries"
        out.append(f"{'requests':<14} {asked}{moved}, {duration(summary.seconds)}")
        if summary.run:
            out.append(f"{'report':<14} fwsync runs show {summary.run}")
        if not summary.ok and summary.run:
            out.append(f"{'again':<14} fwsync retry {summary.run}")
    return out


def _rank(kind: str) -> tuple[int, str]:
    """Kinds in the order in which people think of them: from the top of the hierarchy down."""
    known = list(_NAMES)
    return (known.index(kind) if kind in known else len(known), kind)


def _counts(kind: str, summary: Summary) -> str:
    counts = summary.by_kind.get(kind, Counter())
    verb = _DONE.get(kind.split(".", maxsplit=1)[0], "done")
    size = f" ({human(summary.would_bytes[kind])})" if summary.would_bytes[kind] else ""
    what = _TO_DO.get(kind.partition(".")[0], "to do")
    parts = [f"{summary.would[kind]:,} {what}{size}"] if summary.would[kind] else []
    parts += [f"{counts['done']:,} {verb}"] if not summary.dry_run else []
    if kind == "verify.file":
        parts = [f"{counts['unchanged']:,} verified"] if not summary.dry_run else parts
    elif kind != "repair.file":
        parts.append(f"{counts['unchanged']:,} unchanged")
    parts += [f"{counts[state]:,} {state}" for state in ("skipped", "failed", "stopped") if counts[state]]
    return ", ".join(parts)


def _reasons(summary: Summary) -> list[str]:
    """One line for every rejected row, one for every other reason with some of its targets."""
    rows = [o for o in summary.first_failures if o.state == "rejected"]
    out = [f"  {o.target}, {o.reason}" for o in rows]
    if (more := summary.states["rejected"] - len(rows)) > 0:
        out.append(f"  and {more:,} more rejected rows: fwsync runs show {summary.run}")
    others = [(reason, n) for reason, n in summary.reasons.most_common() if not reason.startswith(PARENT_FAILED)]
    for reason, count in others[:MOST_REASONS]:
        targets = [o.target for o in summary.first_failures if o.reason == reason][:MOST_TARGETS]
        where = f" ({', '.join(targets)}{', ...' if count > len(targets) else ''})" if targets else ""
        if example := summary.examples.get(reason):
            where = f" (e.g. {example})" if count > 1 else f" ({example})"
        out.append(f"  {count:,} x {reason}{where}")
    if len(others) > MOST_REASONS:
        out.append(f"  and {len(others) - MOST_REASONS:,} more reasons")
    return out


def as_document(summary: Summary) -> dict[str, Any]:
    """The summary as one JSON object."""
    return {
        "event": "summary",
        "run": summary.run,
        "job": summary.job,
        "ok": summary.ok,
        "verdict": summary.verdict,
        "exit_code": summary.exit_code,
        "dry_run": summary.dry_run,
        "planned": summary.planned,
        "states": dict(summary.states),
        "by_kind": {kind: dict(counts) for kind, counts in summary.by_kind.items()},
        "would": dict(summary.would),
        "would_bytes": dict(summary.would_bytes),
        "facts": summary.facts,
        "warnings": summary.warnings,
        "reasons": dict(summary.reasons),
        "failures": [
            {"key": o.key, "kind": o.kind, "state": o.state, "target": o.target, "reason": o.reason}
            for o in summary.first_failures
        ],
        "requests": summary.requests,
        "writes": summary.writes,
        "retries": summary.retries,
        "bytes": summary.bytes,
        "seconds": round(summary.seconds, 3),
    }
