"""The specification of a data view, read from a request body and checked.

{label?, description?, columns: [{src, dst?, type?, accumulator?, expr?}], groupBy?: {columns: [{src, dst?}]},
 filter?, includeIds, includeLabels, errorColumn?, missingDataStrategy: none | drop-row, sort,
 fileSpec?: {container, filter: {value, regex}, match: first | last | newest | oldest | all, processFiles,
             analysisFilter?: {label?, gear.name?, gear.version?}, zipMember?: {value, regex, match?},
             format?: csv | tsv | json, formatOptions, columns: [{src, dst?, type?}]}}
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.query import filters
from fwsync.sandbox.query.patterns import SafePattern, pattern, wildcard
from fwsync.sandbox.store.node import HIERARCHY
from fwsync.sandbox.views import expressions

SOURCES = (*HIERARCHY, "analysis", "file")
TYPES = ("int", "float", "string", "bool")
ACCUMULATORS = ("count", "sum", "mean", "standard_deviation", "minimum", "maximum")
MATCHES = ("first", "last", "newest", "oldest", "all")
FORMATS = ("csv", "tsv", "json")
_AGES = {"years": 31_557_600, "months": 2_629_800, "weeks": 604_800, "days": 86_400}

GROUPS: dict[str, tuple[str, ...]] = {kind: (f"{kind}.id", f"{kind}.label") for kind in (*HIERARCHY, "analysis")}
GROUPS["file"] = ("file.name", "file.type", "file.size")
"""Aliases that stand for several columns."""
ALIASES = {f"session.age_{unit}": ("session.age", f"x / {seconds}", "float") for unit, seconds in _AGES.items()}
ALIASES |= {f"subject.age_{unit}": about for unit, about in zip(_AGES, list(ALIASES.values()), strict=True)}
"""Aliases that stand for one column with an expression: source, expression, type."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: where its value comes from, under which name it is shown, and what is done to it."""

    src: str
    dst: str
    type: str | None = None
    accumulator: str | None = None
    expression: Callable[[float], float] | None = None

    @property
    def container(self) -> str:
        """The container (or `file`) that it reads."""
        return self.src.partition(".")[0]


@dataclass(frozen=True, slots=True)
class FileSpec:
    """Which files are joined to the rows, and how they are read."""

    container: str
    name: SafePattern
    match: str
    process: bool
    columns: tuple[Column, ...]
    format: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    analysis: dict[str, SafePattern] | None = None
    member: SafePattern | None = None
    member_match: str = "first"


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole view."""

    label: str | None
    columns: tuple[Column, ...]
    group: tuple[Column, ...]
    clauses: tuple[filters.Clause, ...]
    files: FileSpec | None
    ids: bool
    labels: bool
    errors: bool
    drop: bool
    sort: bool

    @property
    def deepest(self) -> str:
        """The deepest level of the hierarchy that it looks at."""
        levels = [column.container for column in (*self.columns, *self.group)]
        levels += [self.files.container] if self.files else []
        return max((level for level in levels if level in HIERARCHY), key=HIERARCHY.index, default="group")

    @property
    def of_analyses(self) -> bool:
        """Whether rows are joined with analyses."""
        return any(column.container == "analysis" for column in (*self.columns, *self.group))


def parse(given: dict[str, Any]) -> Spec:
    """The view of a body; 422 that names the place on anything wrong."""
    files = _files(given["fileSpec"]) if given.get("fileSpec") is not None else None
    columns = _columns(given.get("columns"), "columns")
    group = _group(given.get("groupBy"))
    drop = _choice(given, "missingDataStrategy", ("none", "drop-row"), "none") == "drop-row"
    for column in (*columns, *group):
        if column.container == "file" and files is None:
            raise invalid(f"columns: {column.src} needs a fileSpec that says which files")
        if column.container == "analysis" and files is not None and files.analysis is None:
            raise invalid(f"columns: {column.src} needs a fileSpec with an analysisFilter")
    if not group and any(column.accumulator for column in columns):
        raise invalid("columns: an accumulator needs a groupBy")
    text = given.get("filter") or ""
    if not isinstance(text, str):
        raise invalid("filter: must be a text")
    return Spec(
        label=given.get("label"), columns=columns, group=group, clauses=tuple(filters.parse(text)), files=files,
        ids=_flag(given, "includeIds", True), labels=_flag(given, "includeLabels", True),
        errors=_flag(given, "errorColumn", not drop), drop=drop, sort=_flag(given, "sort", True),
    )  # fmt: skip


def _columns(given: Any, where: str, *, in_file: bool = False) -> tuple[Column, ...]:
    if not isinstance(given or [], list):
        raise invalid(f"{where}: must be a list")
    out: dict[str, Column] = {}
    for position, one in enumerate(given or []):
        for column in _column(one, f"{where}[{position}]", in_file=in_file):
            out.setdefault(column.dst, column)
    return tuple(out.values())


def _column(given: Any, where: str, *, in_file: bool) -> list[Column]:
    src = given.get("src") if isinstance(given, dict) else None
    if not isinstance(src, str) or not src:
        raise invalid(f"{where}: must be an object with a src")
    dst, kind = given.get("dst") or None, _choice(given, "type", TYPES, None)
    if not isinstance(dst, (str, type(None))):
        raise invalid(f"{where}.dst: must be a text")
    if in_file:
        return [Column(src, dst or src, kind)]
    accumulator = _choice(given, "accumulator", ACCUMULATORS, None)
    expression = expressions.parse(given["expr"], f"{where}.expr") if given.get("expr") is not None else None
    if src in GROUPS:
        return [Column(name, name) for name in GROUPS[src]]
    if src in ALIASES and expression is None:
        source, told, as_kind = ALIASES[src]
        return [Column(source, dst or src, kind or as_kind, accumulator, expressions.parse(told, where))]
    if src.partition(".")[0] not in SOURCES or "." not in src:
        raise invalid(f"{where}.src: {src!r} is not known; it begins with one of {', '.join(SOURCES)}, and a dot")
    return [Column(src, dst or src, kind, accumulator, expression)]


def _group(given: Any) -> tuple[Column, ...]:
    if given is None:
        return ()
    if not isinstance(given, dict):
        raise invalid("groupBy: must be an object with columns")
    return _columns(given.get("columns"), "groupBy.columns")


def _files(given: Any) -> FileSpec:
    if not isinstance(given, dict):
        raise invalid("fileSpec: must be an object")
    if given.get("container") not in HIERARCHY:
        raise invalid(f"fileSpec.container: must be one of {', '.join(HIERARCHY)}")
    options, member = given.get("formatOptions") or {}, given.get("zipMember")
    if not isinstance(options, dict):
        raise invalid("fileSpec.formatOptions: must be an object")
    match = _choice(given, "match", MATCHES, "first")
    return FileSpec(
        container=given["container"],
        name=_name(given.get("filter"), "fileSpec.filter"),
        match=match or "first",
        process=_flag(given, "processFiles", True),
        columns=_columns(given.get("columns"), "fileSpec.columns", in_file=True),
        format=_choice(given, "format", FORMATS, None),
        options=options,
        analysis=_analysis(given.get("analysisFilter")),
        member=_name(member, "fileSpec.zipMember") if member is not None else None,
        member_match=_choice(member, "match", MATCHES, "first") or "first" if member is not None else "first",
    )


def _analysis(given: Any) -> dict[str, SafePattern] | None:
    if given is None:
        return None
    if not isinstance(given, dict):
        raise invalid("fileSpec.analysisFilter: must be an object")
    names = {"label": "label", "gear.name": "name", "gear.version": "version", "gearName": "name"}
    names["gearVersion"] = "version"
    return {
        names[key]: _name(value, f"fileSpec.analysisFilter.{key}")
        for key, value in given.items()
        if key in names and value is not None
    }


def _name(given: Any, where: str) -> SafePattern:
    """A `{value, regex}` filter on a name: a wildcard for the whole name, or a regular expression found in it."""
    value = given.get("value") if isinstance(given, dict) else None
    if not isinstance(value, str):
        raise invalid(f"{where}: must be an object with a value")
    if given.get("regex"):
        return pattern(value, where)
    try:
        return wildcard(value)
    except ValueError as error:
        raise invalid(f"{where}: {error}") from error


def _choice(given: dict[str, Any], name: str, known: tuple[str, ...], default: str | None) -> str | None:
    value = given.get(name)
    if value is None:
        return default
    if value not in known:
        raise invalid(f"{name}: {value!r} is not one of {', '.join(known)}")
    return str(value)


def _flag(given: dict[str, Any], name: str, default: bool) -> bool:
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"{name}: must be true or false")
    return value
