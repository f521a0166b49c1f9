"""A header, and what a person said of it, to the meaning of each column.

What is said outright (`--map`, `[import.mapping]`) comes first, then qualified paths (`subject.sex`), then the known
spellings, strong ones before weak ones. A column that is none of these reaches the site only when asked for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from fwsync.csvtext import unescaped
from fwsync.errors import InputFileError
from fwsync.plan.fields import LEVELS, STRONG, WEAK, Field, Level, info_key, parse_field, plain
from fwsync.plan.templates import Template

Extra = Literal["ignore", "info", "subject.info", "session.info", "acquisition.info", "error"]

DEFAULT_LABELS = ("", "Session1", "Struct_T1")
"""Labels of a subject, session and acquisition where neither a column nor a template gives one."""

Labels = tuple[Template | None, Template | None, Template | None]

ERROR_COLUMN = "error"
"""What the last column of a rejects file is called: it is left out when the file is imported again."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What a person said about the columns.

    `maps` and `config_maps` are column to field path, from flags and from the configuration file: a column that a
    flag names must exist. `*_label` are label templates, empty where none was given. `deepest` is the level down to
    which rows create; empty: found out. `extra` says what becomes of unknown columns.
    """

    maps: Mapping[str, str] = {}
    config_maps: Mapping[str, str] = {}
    extra: Extra = "ignore"
    subject_label: str = ""
    session_label: str = ""
    acquisition_label: str = ""
    deepest: Level | Literal[""] = ""
    used: tuple[str, ...] = ()
    """Columns that something else needs, such as the one that tells the site of a row."""


class Columns(msgspec.Struct, kw_only=True):
    """The meaning of a header.

    `fields` are (position, field), in order. `labels` are the templates of each level; None where a column gives the
    label alone. `optional` tells of each level whether an empty label means that there is no such container (in a
    column with a qualified name) instead of the template's label. `depth` is how many levels the rows create.
    """

    header: list[str]
    fields: list[tuple[int, Field]]
    labels: Labels
    optional: tuple[bool, bool, bool]
    depth: int
    bids: bool = False
    ignored: list[str] = []
    notes: list[str] = []

    def position(self, level: str, name: str) -> int | None:
        """Where a field's column is."""
        return next((at for at, field in self.fields if field.level == level and field.name == name), None)

    def name(self, position: int) -> str:
        """A column's header, for messages."""
        return self.header[position].strip() or f"column {position + 1}"


def resolve(header: Sequence[str], choices: Choices, path: str, *, line: int = 1, tab: bool = False) -> Columns:
    """The meaning of each column of `header`.

    `path` is the file's name: that of a BIDS `*_sessions.tsv` names its subject; `tab` tells that the file is
    tab-separated, as BIDS tables are. InputFileError (with the line of the header) for two columns with one meaning, a
    mapping that names no column or no field, an unknown column where that is an error, and no subject at all.
    """
    header = list(map(unescaped, header))
    found, qualified = _said(header, choices, path, line)
    _spelled(header, found, path, line)
    bids = _bids(header, path, tab=tab)
    if bids:
        _as_bids(found, header)
    _one_time_each(found)
    labels = _labels(header, found, choices, path, line, bids)
    used = {at for template in labels if template for at in template.columns()}
    used |= {at for name in choices.used if (at := _position(header, name)) is not None}
    unknown = [at for at, name in enumerate(header) if at not in found and at not in used and name.strip()]
    if choices.extra == "error" and unknown:
        names = ", ".join(repr(header[at].strip()) for at in unknown[:8])
        message = f"columns without a known field: {names}; map them, drop them, or --extra ignore"
        raise InputFileError(message, path=path, line=line)
    if choices.extra.endswith("info"):
        level: Level = "subject" if choices.extra == "info" else choices.extra.split(".")[0]  # type: ignore[assignment]
        found.update({at: Field(level, "info", info_key(header[at].strip())) for at in unknown})
        unknown = []
    fields = [(at, field) for at, field in sorted(found.items()) if field.name != "ignore"]
    _no_doubles(fields, header, path, line)
    own = {field.level: at for at, field in fields if field.name == "label"}
    if "subject" not in own and labels[0] is None:
        raise InputFileError(_no_subject(header), path=path, line=line)
    columns = Columns(
        header=header,
        fields=[(at, field) for at, field in fields if not _replaced(field, labels)],
        labels=labels,
        optional=(
            own.get("subject") in qualified,
            own.get("session") in qualified,
            own.get("acquisition") in qualified,
        ),
        depth=_depth(fields, own, choices, bids),
        bids=bids,
        ignored=[header[at].strip() for at in unknown],
    )
    if columns.ignored:
        columns.notes.append(f"columns without a known field are ignored: {', '.join(columns.ignored)}")
    _leave_out_deeper(columns)
    return columns


def _replaced(field: Field, labels: Labels) -> bool:
    """Whether a label's column gives way to a template that was given."""
    template = labels[LEVELS.index(field.level)] if field.name == "label" and field.level else None
    return template is not None and not template.is_fixed


def _leave_out_deeper(columns: Columns) -> None:
    below = LEVELS[columns.depth :]
    unused = [columns.name(at) for at, field in columns.fields if field.level in below]
    if unused:
        columns.fields = [(at, field) for at, field in columns.fields if field.level not in below]
        columns.notes.append(f"no {below[0]}s are made, so these columns are not used: {', '.join(unused)}")


def _said(header: Sequence[str], choices: Choices, path: str, line: int) -> tuple[dict[int, Field], set[int]]:
    """The columns with an outright meaning, and which of them have a qualified name."""
    found: dict[int, Field] = {}
    for maps, must in ((choices.maps, True), (choices.config_maps, False)):
        for column, target in maps.items():
            at = _position(header, column)
            if at is None and must:
                near = difflib.get_close_matches(column, [name.strip() for name in header], n=2)
                hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
                raise InputFileError(f"has no column {column!r}, which --map names{hint}", path=path, line=line)
            if at is None or at in found:
                continue
            try:
                found[at] = parse_field(target) if target.strip() not in ("", "-") else Field("", "ignore")
            except ValueError as error:
                where = "--map" if must else "[import.mapping]"
                raise InputFileError(f"{where} {column}={target}: {error}", path=path, line=line) from None
    qualified: set[int] = set()
    for at, name in enumerate(header):
        if at in found or not name.lstrip().startswith(tuple(f"{level}." for level in LEVELS)):
            continue
        try:
            found[at] = parse_field(name)
        except ValueError as error:
            raise InputFileError(f"column {error}", path=path, line=line) from None
        qualified.add(at)
    if header and header[-1].strip() == ERROR_COLUMN and len(header) - 1 not in found:
        found[len(header) - 1] = Field("", "ignore")
    return found, qualified


def _position(header: Sequence[str], column: str) -> int | None:
    """A column by its exact name, else by its plain name if just one has it."""
    exact = [at for at, name in enumerate(header) if name.strip() == column.strip()]
    if exact:
        return exact[0]
    alike = [at for at, name in enumerate(header) if plain(name) == plain(column)]
    return alike[0] if len(alike) == 1 else None


def _spelled(header: Sequence[str], found: dict[int, Field], path: str, line: int) -> None:
    """Add the columns whose spelling is known. Fields that were given outright are not looked for."""
    given = {field.path for field in found.values()}
    for known in (STRONG, WEAK):
        here: dict[str, int] = {}
        for at, name in enumerate(header):
            target = known.get(plain(name)) if at not in found else None
            if target is None:
                continue
            field = parse_field(target)
            if field.path in given:
                continue
            if field.path in here and known is STRONG:
                first, second = header[here[field.path]].strip(), name.strip()
                message = f"columns {first!r} and {second!r} both mean {field.path}; rename one, or settle it by --map"
                raise InputFileError(message, path=path, line=line)
            if field.path not in here:
                here[field.path] = at
                found[at] = field
        given |= set(here)


def _one_time_each(found: dict[int, Field]) -> None:
    """A date or a time by itself is the whole timestamp; beside a timestamp they are not needed."""
    for level in ("session", "acquisition"):
        at = {field.name: position for position, field in found.items() if field.level == level and field.is_time}
        if "timestamp" in at:
            for name in ("date", "time"):
                found.pop(at.get(name, -1), None)
        elif len(at) == 1:
            found[next(iter(at.values()))] = Field(level, "timestamp")


def _no_doubles(fields: list[tuple[int, Field]], header: Sequence[str], path: str, line: int) -> None:
    seen: dict[str, int] = {}
    for at, field in fields:
        if field.path in seen:
            first, second = header[seen[field.path]].strip(), header[at].strip()
            raise InputFileError(
                f"columns {first!r} and {second!r} both become {field.path}; rename or map one", path=path, line=line
            )
        seen[field.path] = at


# --- BIDS ---------------------------------------------------------------------------------------------------------

_SESSIONS = re.compile(r"(?:.*[_/\\])?sessions\.tsv(?:\.gz)?\Z", re.IGNORECASE)
_PARTICIPANTS = re.compile(r"(?:.*[_/\\])?participants\.tsv(?:\.gz)?\Z", re.IGNORECASE)
_OF_SUBJECT = re.compile(r"(?:^|[/\\])(sub-[A-Za-z0-9+]+)(?=_|[/\\])")


def _bids(header: Sequence[str], path: str, *, tab: bool) -> bool:
    """Whether the table is one of those that BIDS defines: by its file's name, or by BIDS's own first column."""
    first = header[0].strip() if header else ""
    if first == "participant_id":
        return tab or bool(_PARTICIPANTS.match(path) or _SESSIONS.match(path))
    return first == "session_id" and bool(_SESSIONS.match(path))


def _as_bids(found: dict[int, Field], header: Sequence[str]) -> None:
    """BIDS tables of participants give the age of the subject; those of sessions that of the session."""
    sessions = any(field.path == "session.label" for field in found.values())
    for at, field in list(found.items()):
        if field.path == "session.age" and not sessions:
            found[at] = Field("subject", "info", info_key(header[at].strip()))
        if field.path == "acquisition.timestamp" and sessions:
            found[at] = Field("session", "timestamp")


def _subject_in(path: str) -> str:
    """The subject that the name of a BIDS file, or of its folder, tells."""
    told = _OF_SUBJECT.findall(path)
    return str(told[-1]) if told else ""


# --- labels -------------------------------------------------------------------------------------------------------


def _labels(
    header: list[str], found: Mapping[int, Field], choices: Choices, path: str, line: int, bids: bool
) -> Labels:
    """The template of each level: what was given, else the default, else none."""
    own = {field.level for field in found.values() if field.name == "label"}
    out: list[Template | None] = []
    given = (choices.subject_label, choices.session_label, choices.acquisition_label)
    for level, text, default in zip(LEVELS, given, DEFAULT_LABELS, strict=True):
        wanted = text or default
        if level == "subject" and not wanted and bids and level not in own:
            wanted = _subject_in(path)
        template = Template.parse(wanted, header, path, line) if wanted else None
        # A fixed label is what a level is called where no column tells: a subject always has a cell of its own.
        out.append(None if template and template.is_fixed and level == "subject" and level in own else template)
    return out[0], out[1], out[2]


def _depth(fields: list[tuple[int, Field]], own: Collection[str], choices: Choices, bids: bool) -> int:
    """How many levels the rows create: all, but in BIDS tables only those that the table speaks of."""
    if choices.deepest:
        return LEVELS.index(choices.deepest) + 1
    if not bids or "acquisition" in own or choices.acquisition_label:
        return 3
    session = "session" in own or choices.session_label or any(field.level == "session" for _, field in fields)
    return 2 if session else 1


def _no_subject(header: Sequence[str]) -> str:
    known = [word for word, path in {**STRONG, **WEAK}.items() if path == "subject.label"]
    close = [name.strip() for name in header if difflib.get_close_matches(plain(name), known, n=1, cutoff=0.75)]
    hint = f" (is it {close[0]!r}? then --map {close[0]!r}=subject.label)" if close else ""
    seen = ", ".join(name.strip() for name in header if name.strip())[:200]
    return f"has no subject column such as 'Subject ID'{hint}; its columns are: {seen}"
