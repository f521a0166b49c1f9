"""What a person wrote to a Selection: flags, `[mirror]` and `[selections.NAME]` alike; and a selection of nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from fwsync.config import SelectionSettings, Settings
from fwsync.errors import InputFileError, UsageError
from fwsync.operations.projects import near
from fwsync.operations.scope import Scope
from fwsync.plan.selecting import Tally, unmet
from fwsync.selection import Selection, parse_classification, parse_moment, parse_size, parse_where, split_path

WISHES = (*SelectionSettings.__struct_fields__, "select")
"""The names of what selects, as flags and as keywords."""


def wished(settings: Settings, given: Mapping[str, Any]) -> SelectionSettings:
    """The wishes of a command that is no mirror: those of `given` (names of `WISHES`; None means not given), on top of
    the selection of the configuration that `select` names. `[mirror]` has wishes for the nightly mirror alone.

    UsageError where the configuration has no selection of that name.
    """
    held = {name: value for name, value in given.items() if value is not None}
    base, select = SelectionSettings(), held.pop("select", "")
    if select:
        if select not in settings.selections:
            raise UsageError(f"there is no selection {select!r}{near(select, settings.selections)}")
        base = settings.selections[select]
    return msgspec.structs.replace(base, **held)


def selection_at(wishes: SelectionSettings, paths: Sequence[str], project: str) -> Selection:
    """The selection that these wishes mean at or below `paths`, group/project/... each; without any, in the projects
    that are wished, or in `project`."""
    if not paths:
        return selection_of(wishes, project)
    if not all(path.strip(" /") for path in paths):
        raise UsageError("an empty path names nothing; a path begins with group/project")
    elsewhere = ("project", "group", "collection", "all_projects", "from_file")
    if also := next((name for name in elsewhere if getattr(wishes, name)), ""):
        raise UsageError(f"--{also.replace('_', '-')} and {paths[0]}: name what you want by one of them")
    if short := next((path for path in paths if len(split_path(path)) < 2), ""):
        raise UsageError(f"{short}: a path begins with group/project; name groups by --group")
    return msgspec.structs.replace(selection_of(wishes), paths=tuple(dict.fromkeys(paths)))


def refuse_empty(selection: Selection, tally: Tally, scope: Scope, paths: Sequence[str] = ()) -> None:
    """UsageError for a pattern, condition, path or query that matches nothing, with near names. `paths` are those that
    were given by themselves, and not in a file."""
    line = unmet(selection, tally) or scope.unmet()
    if scope.finds_nothing:
        line = line or f"--query {selection.query}: finds nothing"
    if paths:
        line = line.removeprefix("--from-file ")
    if line:
        raise UsageError(f"{line}; --allow-empty accepts nothing")


def selection_of(wished: SelectionSettings, project: str = "") -> Selection:
    """The selection that these settings mean; `project` is the one to take where none is named.

    UsageError for a time, size or condition that can't be read, and for wishes that exclude each other.
    """
    now = datetime.now(UTC)
    gear, _, version = wished.gear.partition("/")
    places = {
        "--project": wished.project, "--group": wished.group, "--collection": wished.collection,
        "--all-projects": wished.all_projects,
    }  # fmt: skip
    named = [flag for flag, value in places.items() if value]
    if len(named) > 1 and not {"--collection"} & set(named):
        raise UsageError(f"{' and '.join(named)}: name one of them")
    if wished.run != "latest-complete" and not gear:
        raise UsageError("--run: tells which runs of a gear; name it by --gear")
    if wished.analysis_files != "outputs" and not (gear or wished.analyses):
        raise UsageError("--analysis-files: needs --analyses or --gear")
    elsewhere = named or wished.from_file or wished.query
    return Selection(
        projects=wished.project or ((project,) if project and not elsewhere else ()),
        group=wished.group,
        collection=wished.collection,
        everywhere=wished.all_projects,
        subjects=wished.subject,
        sessions=wished.session,
        acquisitions=wished.acquisition,
        tags=wished.tag,
        where=tuple(one for text in wished.where for one in parse_where(text)),
        query=wished.query,
        paths=read_paths(wished.from_file) if wished.from_file else (),
        levels=wished.level,
        include=wished.include,
        exclude=wished.exclude,
        types=wished.type,
        modalities=wished.modality,
        classification=tuple(parse_classification(text) for text in wished.classification),
        tagged=wished.tagged,
        newer=parse_moment(wished.newer, "--newer", now) if wished.newer else "",
        older=parse_moment(wished.older, "--older", now) if wished.older else "",
        min_size=parse_size(wished.min_size, "--min-size") if wished.min_size else None,
        max_size=parse_size(wished.max_size, "--max-size") if wished.max_size else None,
        versions=wished.file_version,
        analyses=wished.analyses,
        side=wished.analysis_files,
        gear=gear or None,
        gear_version=version or None,
        run=wished.run,
        members=wished.members,
        unzip=wished.unzip,
    )


def read_paths(source: str) -> tuple[str, ...]:
    """The paths in a file, as `read_lines`. InputFileError for a line that is none."""
    found = read_lines(source, "path", "lab/study/sub-01")
    for number, line in enumerate(found, start=1):
        if len([part for part in line.removeprefix("fw://").strip("/").split("/") if part]) < 2:
            raise InputFileError(f"{line!r}: a path begins with group/project", path=source, line=number)
    return found


def read_lines(source: str, what: str, example: str) -> tuple[str, ...]:
    """The lines of a file (`-`: standard input), each once; empty lines and those that begin with `#` count not.
    InputFileError for what can't be read or holds no line."""
    try:
        text = sys.stdin.read() if source == "-" else Path(source).expanduser().read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=source) from error
    except UnicodeDecodeError as error:
        raise InputFileError(f"is not UTF-8 text (byte {error.start})", path=source) from error
    lines = (line.rstrip("\r") for line in text.split("\n"))
    found = tuple(dict.fromkeys(line for line in lines if line.strip() and not line.startswith("#")))
    if not found:
        raise InputFileError(f"holds no {what}; write one a line, such as {example}", path=source)
    return found
