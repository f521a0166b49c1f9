"""Which runs of a gear, and which files, are in; and why the rest is out."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import msgspec

from fwsync.model import Analysis, FileEntry, ZipMember, instant
from fwsync.plan.candidates import Above, Candidate
from fwsync.selection import LEVELS, Selection, matches

MOST_NAMES = 2000
"""So many different names are kept for `did you mean`."""


class Chosen(msgspec.Struct):
    """The analyses to take, and for the sessions that have none the reasons, counted."""

    analyses: list[Analysis]
    without: Counter[str]


def choose_runs(analyses: Iterable[Analysis], selection: Selection, sessions: Mapping[str, str]) -> Chosen:
    """The runs to mirror: by `selection.run` on each container that the gear ran on.

    `sessions` are all sessions with the id of their subject. A session has a run where the gear ran on it, on an
    acquisition of it, or else on its subject or project; where none of these is taken, their states tell why.
    """
    by_parent: dict[str, list[Analysis]] = {}
    for analysis in analyses:
        parent = analysis.parent.id if analysis.parent else _nearest(analysis)
        by_parent.setdefault(parent, []).append(analysis)
    taken: list[Analysis] = []
    states: dict[str, set[str | None]] = {}
    for parent, runs in by_parent.items():
        runs.sort(key=lambda run: (run.created or "", run.id))
        chosen = _of_one(runs, selection)
        taken += chosen
        told = {TAKEN} if chosen else {run.state for run in runs}
        for ident in {parent, *(run.parents.session for run in runs if run.parents and run.parents.session)}:
            states.setdefault(ident, set()).update(told)
    projects = {run.parents.project for runs in by_parent.values() for run in runs if run.parents}
    whole = set().union(*(states.get(ident, set()) for ident in projects if ident))
    without: Counter[str] = Counter()
    for session, subject in sessions.items():
        held = states.get(session) or states.get(subject) or whole
        if TAKEN not in held:
            without[_why(held)] += 1
    return Chosen(taken, without)


TAKEN = "taken"
"""Beside the states of jobs: a run of this container is taken."""


def _why(states: set[str | None]) -> str:
    """Why no run of a session is taken, from the states of its runs."""
    if not states:
        return "never ran"
    if states & {"pending", "running", "scheduled"}:
        return "still running"
    if "failed" in states:
        return "failed"
    return "cancelled" if "cancelled" in states else "none of these runs"


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


def output_files(analysis: Analysis) -> list[FileEntry]:
    """The output files of a run."""
    names = {entry.name for entry in analysis.inputs or ()} - {
        entry.name for entry in analysis.files or () if _is_output(entry, analysis)
    }
    return [entry for entry in analysis.files or () if entry.name not in names]


def _is_output(entry: FileEntry, analysis: Analysis) -> bool:
    # Old servers list inputs among the files, with the parent that they came from.
    return entry.parent_ref is None or entry.parent_ref.id == analysis.id


def is_zip(entry: FileEntry) -> bool:
    """Whether a file is a zip archive, by what the platform says or by its name."""
    return entry.mimetype == "application/zip" or entry.name.lower().endswith(".zip")


# --- files ------------------------------------------------------------------------------------------------------------


class Tally:
    """What a selection's patterns have met: which of them matched nothing, near names for these, why files are out."""

    def __init__(self) -> None:
        self.seen = self.taken = 0
        self.out: Counter[str] = Counter()
        self.met: set[tuple[str, str]] = set()
        self._names: dict[str, dict[str, None]] = {}

    def saw(self, flag: str, names: Iterable[str]) -> None:
        """Remember what there is for a flag's patterns to match."""
        held = self._names.setdefault(flag, {})
        if len(held) < MOST_NAMES:
            held.update(dict.fromkeys(names))

    def any_of(self, flag: str, patterns: Iterable[str], names: Iterable[str]) -> bool:
        """Whether any pattern matches any name; each that does is noted, so that the others can be told."""
        given = tuple(patterns)
        if not given:
            return True
        held = tuple(names)
        self.saw(flag, held)
        hits = [pattern for pattern in given if any(matches(pattern, name) for name in held)]
        self.met.update((flag, pattern) for pattern in hits)
        return bool(hits)

    def unmet(self, flag: str, patterns: Iterable[str]) -> str:
        """A line about the first pattern that matched nothing, with near names; empty if there is none."""
        for pattern in patterns:
            if (flag, pattern) not in self.met:
                return f"--{flag} {pattern}: matches nothing{self._near(pattern, flag)}"
        return ""

    def _near(self, pattern: str, flag: str) -> str:
        names = list(self._names.get(flag, {}))
        plain = pattern.replace("*", "").replace("?", "").strip("/")
        close = difflib.get_close_matches(plain, names, n=3, cutoff=0.5) if plain else []
        if close:
            return f"; did you mean {' or '.join(close)}?"
        shown = sorted(names)[:6]
        return f"; there is {', '.join(shown)}{' ...' if len(names) > 6 else ''}" if shown else ""


class Rules:
    """A selection's wishes about files, one after the other."""

    def __init__(self, selection: Selection, tally: Tally, hits: frozenset[tuple[str, str]] | None = None) -> None:
        """`hits` are (container id, file name) of a structured query, None where none was asked."""
        self._selection, self._tally, self._hits = selection, tally, hits
        self._newer, self._older = instant(selection.newer), instant(selection.older)
        keys: dict[str, list[str]] = {}
        for key, value in selection.classification:
            keys.setdefault(key, []).append(value)
        self._classification = keys
        # Most selections have few wishes, and there may be a million files: only what is wished is asked.
        self._wishes = [reason for wished, reason in self._reasons() if wished]

    def takes(self, one: Candidate) -> bool:
        """Whether a file is in. Every wish is tried, so that the tally knows which patterns match anything at all."""
        self._tally.seen += 1
        why = [reason for wish in self._wishes if (reason := wish(one))]
        if why:
            self._tally.out[why[0]] += 1
            return False
        return True

    def _reasons(self) -> tuple[tuple[bool, Callable[[Candidate], str]], ...]:
        """Whether there is a wish, and how to ask a file why it is out by it (empty: it is in)."""
        wanted, any_of = self._selection, self._tally.any_of
        inside = bool(wanted.members) and not wanted.unzip
        types, modalities, tagged = wanted.types, wanted.modalities, wanted.tagged
        return (
            (bool(wanted.levels), self._level),
            (inside, lambda one: "" if is_zip(one.entry) else "no zip"),
            (bool(wanted.include), lambda one: "" if any_of("include", wanted.include, [one.entry.name]) else "name"),
            (bool(wanted.exclude), self._excluded),
            (bool(types), lambda one: "" if any_of("type", types, [one.entry.type or ""]) else "type"),
            (
                bool(modalities),
                lambda one: "" if any_of("modality", modalities, [one.entry.modality or ""]) else "modality",
            ),
            (bool(self._classification), lambda one: "" if self._classified(one.entry) else "classification"),
            (bool(tagged), lambda one: "" if any_of("tagged", tagged, one.entry.tags or ()) else "tag"),
            (bool(self._newer or self._older), self._time),
            (wanted.min_size is not None or wanted.max_size is not None, self._size),
            (self._hits is not None, self._asked_for),
        )

    def _level(self, one: Candidate) -> str:
        return "" if _level_of(one) in self._selection.levels or "analysis" in one.above else "level"

    def _excluded(self, one: Candidate) -> str:
        return "excluded" if any(matches(pattern, one.entry.name) for pattern in self._selection.exclude) else ""

    def _asked_for(self, one: Candidate) -> str:
        return "" if (one.held_by[1], one.entry.name) in (self._hits or ()) else "query"

    def _classified(self, entry: FileEntry) -> bool:
        """Several values of one key are alternatives; several keys must all hold."""
        held = entry.classification or {}
        found = [f"{key}={value}" for key, values in held.items() for value in _listed(values)]
        fits = [
            self._tally.any_of("classification", [f"{key}={value}" for value in values], found)
            for key, values in self._classification.items()
        ]
        return all(fits)

    def _time(self, one: Candidate) -> str:
        moment = instant(one.entry.modified or one.entry.created)
        if self._newer and (moment is None or moment <= self._newer):
            return "not newer"
        if self._older and (moment is None or moment >= self._older):
            return "not older"
        return ""

    def _size(self, one: Candidate) -> str:
        wanted, size = self._selection, one.entry.size
        if wanted.min_size is not None and (size is None or size < wanted.min_size):
            return "too small"
        if wanted.max_size is not None and (size is None or size > wanted.max_size):
            return "too large"
        return ""

    def takes_member(self, member: ZipMember) -> bool:
        """Whether a member of a zip that is in is in too."""
        return self._tally.any_of("member", self._selection.members, [member.path.replace("\\", "/")])


def _listed(values: object) -> list[str]:
    return [str(value) for value in (values if isinstance(values, list) else [values])]


def _level_of(one: Candidate) -> str:
    return list(one.above)[-1] if one.above else ""


def unmet(selection: Selection, tally: Tally) -> str:
    """Why a selection is a mistake: its first pattern that matches nothing; empty where all match something.

    Times and sizes are no patterns: a nightly run with `--newer 1d` may well find nothing.
    """
    classes = tuple(f"{key}={value}" for key, value in selection.classification)
    of_containers: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("subject", selection.subjects), ("session", selection.sessions), ("acquisition", selection.acquisitions),
        ("tag", selection.tags), ("from-file", selection.paths),
    )  # fmt: skip
    of_files: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("include", selection.include), ("type", selection.types), ("modality", selection.modalities),
        ("classification", classes), ("tagged", selection.tagged), ("member", selection.members),
    )  # fmt: skip
    for flag, patterns in (*of_containers, *(of_files if tally.seen else ())):
        if line := tally.unmet(flag, patterns):
            return line
    patterned = any(patterns for _, patterns in (*of_containers, *of_files)) or selection.query
    measured = selection.newer or selection.older or selection.min_size is not None or selection.max_size is not None
    if tally.seen and not tally.taken and patterned and not measured:
        why = ", ".join(f"{count:,} by {reason}" for reason, count in tally.out.most_common(4))
        return f"the wishes together match none of {tally.seen:,} files" + (f" ({why})" if why else "")
    return ""


# --- containers -------------------------------------------------------------------------------------------------------


class Paths:
    """Paths of containers and files (`--from-file`): what is at or below one of them is in."""

    def __init__(self, paths: Iterable[str], split: Iterable[tuple[str, ...]]) -> None:
        self._wanted: dict[tuple[str, ...], str] = {}
        for path, segments in zip(paths, split, strict=True):
            plain = tuple(part for at, part in enumerate(segments) if at < 2 or part not in ("files", "analyses"))
            self._wanted.setdefault(plain, path)
        self._lengths = sorted({len(path) for path in self._wanted})
        self._by_id = any("<id:" in part for path in self._wanted for part in path)

    def find(self, names: list[tuple[str, str]]) -> list[str]:
        """The paths that a file lies at or below; `names` are (label, id) from the group down to the file itself."""
        found: list[str] = []
        for length in self._lengths:
            if length > len(names):
                break
            some = names[:length]
            keys = _spellings(some) if self._by_id else (tuple(label for label, _ in some),)
            found += [self._wanted[key] for key in keys if key in self._wanted]
        return found


def _spellings(names: list[tuple[str, str]]) -> Iterable[tuple[str, ...]]:
    """Every way to write a path: each segment by its label or by its id."""
    out: list[tuple[str, ...]] = [()]
    for label, ident in names:
        out = [(*path, part) for path in out for part in (label, f"<id:{ident}>")]
    return out


class Tree:
    """The containers of one project by level, and which of them a selection keeps."""

    def __init__(self, project: Above, selection: Selection, tally: Tally) -> None:
        self.project, self._selection, self._tally = project, selection, tally
        self.all: dict[str, dict[str, Above]] = {"project": {project.id: project}, "subject": {}, "session": {},
                                                 "acquisition": {}}  # fmt: skip
        self._dropped: set[str] = set()
        self._tagged: set[str] = set()
        self.required = {level for level in LEVELS if selection.labels(level) or selection.conditions(level)}
        if selection.collection:
            self.required.add("acquisition")

    def add(self, one: Above, tags: Iterable[str] | None, *, kept: bool = True) -> None:
        """A container; `kept` False where the site or a collection has left it out already."""
        self.all[one.kind][one.id] = one
        patterns = self._selection.labels(one.kind)
        if not self._tally.any_of(one.kind, patterns, [one.label]) or not kept:
            self._dropped.add(one.id)
        if self._selection.tags and self._tally.any_of("tag", self._selection.tags, tags or ()):
            self._tagged.add(one.id)

    def sessions(self) -> dict[str, str]:
        """The sessions that are in, each with its subject's id."""
        return {ident: one.parent for ident, one in self.all["session"].items() if ident not in self._dropped}

    def chain(self, ids: Mapping[str, str | None], lowest: str = LEVELS[-1]) -> dict[str, Above] | None:
        """The containers of a file from the project down, from their ids by level; None if one of them is out. Wishes
        about levels below the `lowest` count for nothing, and what is there is left out."""
        out = {"project": self.project}
        for level in LEVELS[1 : LEVELS.index(lowest) + 1]:
            ident = ids.get(level)
            if not ident:
                if level in self.required:
                    return None
                continue
            found = self.all[level].get(ident)
            if found is None and level in self.required:
                return None
            if ident in self._dropped:
                return None
            out[level] = found or Above(level, ident, ident)
        if self._selection.tags and not any(one.id in self._tagged for one in out.values()):
            return None
        return out

    def full(self, ids: Mapping[str, str | None]) -> dict[str, str | None]:
        """Ids with the levels above filled in, as far as the listings tell them."""
        held = dict(ids)
        for level, above in (("acquisition", "session"), ("session", "subject")):
            ident = held.get(level)
            found = self.all[level].get(ident) if ident else None
            if found is not None and not held.get(above):
                held[above] = found.parent or None
        return held

    def above(self, level: str, ident: str) -> dict[str, Above]:
        """A container that was listed and those above it, from the project down, whether or not they are in."""
        out = []
        for at in reversed(LEVELS[1 : LEVELS.index(level) + 1]):
            one = self.all[at].get(ident) or Above(at, ident, ident)
            out.append(one)
            ident = one.parent
            if not ident:
                break
        return {one.kind: one for one in (self.project, *reversed(out))}

    def in_order(self, level: str, idents: Iterable[str]) -> list[str]:
        """Ids of a level by the labels above them and their own."""
        ranks: dict[str, int] = {}
        for at in LEVELS[1 : LEVELS.index(level)]:
            ranks = {ident: number for number, ident in enumerate(self._sorted(at, self.all[at], ranks))}
        return self._sorted(level, idents, ranks)

    def _sorted(self, level: str, idents: Iterable[str], ranks: Mapping[str, int]) -> list[str]:
        held = self.all[level]

        def key(ident: str) -> tuple[int, str, str, str]:
            one = held[ident]
            return (ranks.get(one.parent, -1), one.parent, one.label, ident)

        return sorted(idents, key=key)
