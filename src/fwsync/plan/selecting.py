"""Which runs of a gear, and which of their files, are in; and why the rest is out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from fwsync.model import Analysis, FileEntry
from fwsync.selection import Selection


class Chosen(msgspec.Struct):
    """The analyses to take, and for the containers that have none the reasons, counted."""

    analyses: list[Analysis]
    without: Counter[str]


def choose_runs(analyses: Iterable[Analysis], selection: Selection, sessions: Iterable[str]) -> Chosen:
    """The runs to mirror: by `selection.run` on each container that the gear ran on.

    `sessions` are the ids of all sessions; one on which, and on whose subject, the gear never ran is counted.
    """
    by_parent: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        parent = analysis.parent.id if analysis.parent else _nearest(analysis)
        by_parent.setdefault(parent, []).append(analysis)
    taken: list[Analysis] = []
    without: Counter[str] = Counter()
    for runs in by_parent.values():
        runs.sort(key=lambda run: (run.created or "", run.id))
        chosen = _of_one(runs, selection)
        taken += chosen
        if not chosen:
            states = {run.state for run in runs}
            without["still running" if states & {"pending", "running", "scheduled"} else "failed"] += 1
    covered = set(by_parent)
    never = sum(1 for session in sessions if session not in covered)
    if never:
        without["never ran"] = never
    return Chosen(taken, without)


def _nearest(analysis: Analysis) -> str:
    parents = analysis.parents
    if parents is None:
        return ""
    return parents.acquisition or parents.session or parents.subject or parents.project or ""


def _of_one(runs: list[Analysis], selection: Selection) -> list[Analysis]:
    match selection.run:
        case "latest-complete":
            return [run for run in runs if run.state == "complete"][-1:]
        case "latest":
            return runs[-1:]
        case "failed":
            return [run for run in runs if run.state == "failed"]
    return runs


def output_files(analysis: Analysis, selection: Selection) -> list[FileEntry]:
    """The output files of a run that are in. With member patterns only zips count; they are looked into later."""
    names = {entry.name for entry in analysis.inputs or ()} - {
        entry.name for entry in analysis.files or () if _is_output(entry, analysis)
    }
    held = [entry for entry in analysis.files or () if entry.name not in names]
    if selection.members:
        held = [entry for entry in held if is_zip(entry)]
    return [entry for entry in held if selection.takes_name(entry.name)]


def _is_output(entry: FileEntry, analysis: Analysis) -> bool:
    # Old servers list inputs among the files, with the parent that they came from.
    return entry.parent_ref is None or entry.parent_ref.id == analysis.id


def is_zip(entry: FileEntry) -> bool:
    """Whether a file is a zip archive, by what the platform says or by its name."""
    return entry.mimetype == "application/zip" or entry.name.lower().endswith(".zip")
