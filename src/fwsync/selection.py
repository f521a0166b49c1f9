"""What a person selected, as a value, and the one rule for patterns.

Patterns match from the right at a `/`: `*` and `?` stop at `/`, `**` does not, a leading `/` anchors the pattern at
the root. So `aseg.stats` and `*/stats/aseg.stats` both match `5dee7faa/sub-01/stats/aseg.stats`, and
`/sub-*/x` matches at the top alone. Matching is case-sensitive.

A condition is `LEVEL.FIELD OP VALUE`, as in the platform's finder filters with the level in front; ages and sizes take
units: `session.age>=20y`, `file.size<10M`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

import msgspec

from fwsync.errors import UsageError

RunChoice = Literal["latest-complete", "latest", "all", "failed"]
Versions = Literal["latest", "all"]
Side = Literal["outputs", "inputs", "both"]

LEVELS: Final = ("project", "subject", "session", "acquisition")
"""The levels whose files a selection without any wish holds."""


class Condition(msgspec.Struct, frozen=True):
    """One clause of a finder filter; `value` is as the platform takes it: ages in seconds, sizes in bytes."""

    level: str
    field: str
    operator: str
    value: str

    @property
    def clause(self) -> str:
        """The clause as a listing of the level takes it."""
        return f"{self.field}{self.operator}{self.value}"


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which files of which containers.

    Where: `projects` are `group/label` (a segment may be `<id:HEX>`, a pattern is allowed), `group` all those of a
    group, `collection` the acquisitions of a collection, `everywhere` the whole site; `subjects`, `sessions` and
    `acquisitions` are patterns over labels; `tags` over tags of containers; `where` are conditions, `query` a
    structured query, `paths` paths of containers and files. A wish about a level leaves out whatever has no container
    of that level: `sessions` leaves out the files of subjects and projects.

    Which files: `levels` they are right on; `include` and `exclude` are patterns over their names: in if any include
    matches (or none is given) and no exclude does; then what the platform says of them. Times are ISO 8601.

    Analyses: `gear` is a gear's name, `gear_version` its version, `run` which of its runs on each container; by itself
    that means the gear's outputs and nothing else. `analyses` adds those of analyses to the files of containers.
    `members` are patterns over the members of zips; `unzip` takes all members, and files that are no zips whole.
    """

    projects: tuple[str, ...] = ()
    group: str = ""
    collection: str = ""
    everywhere: bool = False
    subjects: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    acquisitions: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    where: tuple[Condition, ...] = ()
    query: str = ""
    paths: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    modalities: tuple[str, ...] = ()
    classification: tuple[tuple[str, str], ...] = ()
    tagged: tuple[str, ...] = ()
    newer: str = ""
    older: str = ""
    min_size: int | None = None
    max_size: int | None = None
    versions: Versions = "latest"
    analyses: bool = False
    side: Side = "outputs"
    gear: str | None = None
    gear_version: str | None = None
    run: RunChoice = "latest-complete"
    members: tuple[str, ...] = ()
    unzip: bool = False

    @property
    def of_containers(self) -> bool:
        """Whether the files right on containers are in, and not a gear's alone."""
        return not self.gear or self.analyses

    @property
    def of_analyses(self) -> bool:
        """Whether files of analyses are in."""
        return bool(self.gear) or self.analyses

    @property
    def names_files(self) -> bool:
        """Whether anything is wished of files, and not of containers alone: then a container is meant only if it holds
        such a file."""
        told = (
            self.levels, self.include, self.exclude, self.types, self.modalities, self.classification, self.tagged,
            self.newer, self.older, self.conditions("file"), self.query, self.gear,
        )  # fmt: skip
        return any(told) or self.min_size is not None or self.max_size is not None

    @property
    def looks_inside(self) -> bool:
        """Whether zips are taken apart."""
        return bool(self.members) or self.unzip

    def labels(self, level: str) -> tuple[str, ...]:
        """The patterns over labels of a level."""
        wished: Mapping[str, tuple[str, ...]] = {
            "subject": self.subjects,
            "session": self.sessions,
            "acquisition": self.acquisitions,
        }
        return wished.get(level, ())

    def conditions(self, level: str) -> tuple[Condition, ...]:
        """The conditions on a level."""
        return tuple(one for one in self.where if one.level == level)

    def takes_name(self, name: str) -> bool:
        """Whether a file of this name is in; the order of patterns never matters."""
        included = not self.include or any(matches(pattern, name) for pattern in self.include)
        return included and not any(matches(pattern, name) for pattern in self.exclude)

    def takes_member(self, path: str) -> bool:
        """Whether a zip member of this path is in; without patterns every one is."""
        return not self.members or any(matches(pattern, path) for pattern in self.members)


def matches(pattern: str, path: str) -> bool:
    """Whether `path` (separated by `/`) matches `pattern` by the rule at the top of this file."""
    return _compiled(pattern).search(path) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    anchored = pattern.startswith("/")
    body = pattern[1:] if anchored else pattern
    out: list[str] = []
    position = 0
    while position < len(body):
        if body.startswith("**/", position):
            out.append("(?:.*/)?")  # `a/**/b` matches `a/b` too
            position += 3
        elif body.startswith("**", position):
            out.append(".*")
            position += 2
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(body[position]) or re.escape(body[position]))
            position += 1
    start = r"\A/?" if anchored else r"(?:\A|(?<=/))"
    return re.compile(start + "".join(out) + r"\Z", re.DOTALL)


_ID_SEGMENT = re.compile(r"<id:([^<>/]+)>\Z")


def split_path(path: str) -> tuple[str, ...]:
    """The segments of a container path such as `group/project/sub-01`; `fw://` in front and slashes at the ends go.

    A label that itself holds a slash can't be written so: its container is named by `<id:HEX>`.
    """
    body = path.removeprefix("fw://").strip("/")
    return tuple(body.split("/")) if body else ()


def segment_id(segment: str) -> str | None:
    """The id in a segment `<id:HEX>`, else None."""
    found = _ID_SEGMENT.match(segment)
    return found.group(1) if found else None


def near(word: str, known: list[str] | tuple[str, ...]) -> str:
    """`; did you mean a or b?`, or what there is."""
    close = difflib.get_close_matches(word, known, n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else f"; there is {', '.join(known[:12])}"


# --- what people write ------------------------------------------------------------------------------------------------

_CONDITION = re.compile(r"\s*([A-Za-z]+)\.([A-Za-z_][^<>=!~|\s]*)\s*(<=|>=|!=|=~|=\||=|<|>)\s*(.*)\Z", re.DOTALL)
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*\Z")
CONDITION_LEVELS: Final = (*LEVELS, "file")

AGE_UNITS: Final[dict[str, float]] = {
    "y": 31_557_600, "mo": 2_629_800, "w": 604_800, "d": 86_400, "h": 3600, "min": 60, "s": 1,
}  # fmt: skip
"""Seconds of each unit; a year is 365.25 days, as the SDK reads ages back."""
SIZE_UNITS: Final[dict[str, int]] = {
    "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9, "t": 10**12, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def parse_where(text: str) -> tuple[Condition, ...]:
    """Conditions from `session.age>=20y,subject.sex=female`; `\\,` is a comma. UsageError for what is none."""
    return tuple(_condition(part, text) for part in _clauses(text) if part.strip())


def _clauses(text: str) -> list[str]:
    parts, part, quoted, escaped = [], "", False, False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "," and not quoted:
            parts.append(part)
            part = ""
            continue
        part += char
    return [*parts, part]


def _condition(part: str, whole: str) -> Condition:
    found = _CONDITION.match(part)
    if found is None:
        raise UsageError(f"--where {whole!r}: {part.strip()!r} is not LEVEL.FIELD OP VALUE, such as session.age>=20y")
    level, field, operator, value = found.groups()
    if level not in CONDITION_LEVELS:
        raise UsageError(f"--where {whole!r}: no level {level!r}{near(level, CONDITION_LEVELS)}")
    return Condition(level, field, operator, _with_unit(field, value.strip(), whole))


def _with_unit(field: str, value: str, whole: str) -> str:
    found = _AMOUNT.match(value)
    if found is None:
        return value
    number, unit = found.groups()
    if field not in ("age", "size"):
        return value
    units: Mapping[str, float] = AGE_UNITS if field == "age" else SIZE_UNITS
    if unit.lower() not in units:
        raise UsageError(f"--where {whole!r}: no unit {unit!r} for {field}{near(unit, tuple(units))}")
    amount = float(number) * units[unit.lower()]
    return str(round(amount)) if amount == round(amount) else str(amount)


def parse_size(text: str, flag: str) -> int:
    """Bytes from `10M`, `1.5 GiB` or a bare number. UsageError for anything else."""
    found = re.match(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*\Z", text)
    unit = (found.group(2).lower() or "b") if found else ""
    if found is None or unit not in SIZE_UNITS:
        raise UsageError(f"{flag} {text!r}: not a size; write it like 500k, 10M, 1.5G or 64MiB")
    return round(float(found.group(1)) * SIZE_UNITS[unit])


def parse_interval(text: str, flag: str) -> float:
    """Seconds from `30s`, `5m`, `2h` or `1d`. UsageError for anything else, zero too."""
    found = re.match(r"\s*([0-9]+(?:\.[0-9]+)?)([smhd])\s*\Z", text)
    seconds = float(found.group(1)) * {"s": 1, "m": 60, "h": 3600, "d": 86_400}[found.group(2)] if found else 0.0
    if not seconds:
        raise UsageError(f"{flag} {text!r}: not an interval; write it like 30s, 5m, 2h or 1d")
    return seconds


def parse_moment(text: str, flag: str, now: datetime) -> str:
    """ISO 8601 in UTC from a date, a time, or an age such as `7d`. UsageError for anything else."""
    found = _AMOUNT.match(text)
    if found is not None and found.group(2).lower() in AGE_UNITS:
        seconds = float(found.group(1)) * AGE_UNITS[found.group(2).lower()]
        try:
            return (now - timedelta(seconds=seconds)).astimezone(UTC).isoformat()
        except OverflowError:
            raise UsageError(f"{flag} {text!r}: is before the year 1") from None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise UsageError(f"{flag} {text!r}: not a time; write 2024-05-01, 2024-05-01T08:00+02:00 or 7d") from None


def parse_classification(text: str) -> tuple[str, str]:
    """Key and value from `Intent=Structural`; both may be patterns. UsageError for anything else."""
    key, mark, value = text.partition("=")
    if not mark or not key.strip() or not value.strip():
        raise UsageError(f"--classification {text!r}: write KEY=VALUE, such as Intent=Structural")
    return key.strip(), value.strip()


def is_pattern(text: str) -> bool:
    """Whether a text has a character that means something to a pattern."""
    return "*" in text or "?" in text
