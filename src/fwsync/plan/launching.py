"""Which runs of a gear to start: one on each container, unless it ran there on the same files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec

from fwsync.errors import UsageError
from fwsync.model import Gear, Reference
from fwsync.plan.candidates import Above
from fwsync.plan.gearinputs import InputFile, Pick, Wanted, same_inputs
from fwsync.work import Entry, WorkItem

Rerun = Literal["never", "failed", "always"]
ANALYSIS = "analysis"

_FIELD = re.compile(r"\{\{|\}\}|\{[^{}]*\}|[{}]")


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """Payload of `launch.analysis` and `launch.job`: a gear, where it runs, and on what. `known` are the ids of the
    runs with these inputs that were there while planning: one whose answer was lost is not among them."""

    gear_id: str
    gear: str
    version: str
    destination: Reference
    project_id: str
    inputs: dict[str, InputFile] = {}
    config: dict[str, Any] = {}
    label: str = ""
    tags: tuple[str, ...] = ()
    priority: str = "medium"
    known: frozenset[str] = frozenset()

    @property
    def told(self) -> str:
        """What it would be, for a dry run."""
        given = ", ".join(f"{name}={file.name}" for name, file in self.inputs.items())
        return f"{self.gear}/{self.version}{f' on {given}' if given else ''}"

    @property
    def mark(self) -> str:
        """What tells it from every other run of a gear on its container: the gear's version and the files."""
        files = [(name, file.container, file.name, file.file_id, file.version) for name, file in self.inputs.items()]
        told = repr((self.gear, self.version, sorted(files)))
        return hashlib.sha256(told.encode()).hexdigest()[:32]

    @property
    def job(self) -> dict[str, Any]:
        """The job as the site takes it."""
        inputs = {name: file.reference for name, file in self.inputs.items()}
        return {
            "gear_id": self.gear_id, "inputs": inputs, "tags": list(self.tags), "priority": self.priority,
            "config": self.config,
        }  # fmt: skip


class PastRun(msgspec.Struct, frozen=True):
    """A run of the gear that is there. `inputs` are its files as (file id, container id, name, version), as far as the
    site tells."""

    id: str
    state: str
    inputs: tuple[tuple[str, str, str, int], ...] = ()


class Destination(msgspec.Struct, frozen=True):
    """A container to run on: what is above it and itself by level, the files that fit each wish by its position, and
    the gear's runs on it, oldest first."""

    above: dict[str, Above]
    files: Mapping[int, Sequence[InputFile]]
    runs: Sequence[PastRun] = ()


def entries(
    gear: Gear, wanted: Wanted, destinations: Iterable[Destination], *, pick: Pick, rerun: Rerun, label: Label,
    config: dict[str, Any], tags: tuple[str, ...] = (), priority: str = "medium",
) -> Iterator[Entry]:  # fmt: skip
    """One entry a container: a run to start, or why not."""
    kind = "launch.analysis" if gear.category == ANALYSIS else "launch.job"
    for one in destinations:
        level, held = list(one.above.items())[-1]
        project = one.above["project"]
        where = "/".join([project.note, *(above.label for above in one.above.values())])
        destination = Reference(type=level, id=held.id)
        filled = wanted.fill(one.files, pick)
        key = f"launch:{gear.gear.name}/{gear.gear.version or ''}:{level}:{held.id}"
        item = WorkItem(kind=kind, key=key, target=where)
        if filled.refused or filled.missing:
            yield item.outcome(
                "failed" if filled.refused else "skipped", reason=filled.refused or filled.missing, attempts=0
            )
            continue
        past = [run for run in one.runs if same_inputs(filled.inputs.values(), run.inputs)]
        if (there := _stands(past, rerun)) is not None:
            yield item.outcome("unchanged", ref=there.id, reason=f"ran before: {there.state}", attempts=0)
            continue
        yield msgspec.structs.replace(
            item,
            payload=Launch(
                gear_id=gear.id, gear=gear.gear.name, version=gear.gear.version or "", destination=destination,
                project_id=project.id, inputs=filled.inputs, config=config, label=label.fill(one.above), tags=tags,
                priority=priority, known=frozenset(run.id for run in past),
            ),
        )  # fmt: skip


def _stands(past: Sequence[PastRun], rerun: Rerun) -> PastRun | None:
    """The run for which no other one is started."""
    if rerun == "always":
        return None
    standing = [run for run in past if rerun == "never" or run.state not in ("failed", "cancelled")]
    return standing[-1] if standing else None


class Label:
    """The label of an analysis: a text with `{gear}`, `{version}`, `{date}`, `{time}` and labels by level in it."""

    FIELDS = ("gear", "version", "date", "time", "group", "project", "subject", "session", "acquisition")

    def __init__(self, template: str, gear: Gear, now: datetime, level: str) -> None:
        """An empty template is the gear's name with date and time, as the SDK has it. UsageError for an unknown field,
        one below `level`, or a brace left open."""
        self._template = template or "{gear} {date} {time}"
        levels = ("group", "project", "subject", "session", "acquisition")
        deeper = levels[levels.index(level) + 1 :]
        for piece in _FIELD.findall(self._template):
            name = piece[1:-1]
            if piece in ("{", "}"):
                raise UsageError(f"--label {template!r}: a single {piece}; write {piece * 2} for it")
            if piece not in ("{{", "}}") and (name not in self.FIELDS or name in deeper):
                there = [field for field in self.FIELDS if field not in deeper]
                raise UsageError(f"--label {template!r}: there is no {{{name}}} here; there is {', '.join(there)}")
        self._fixed = {
            "gear": gear.gear.name, "version": gear.gear.version or "", "date": now.strftime("%Y-%m-%d"),
            "time": now.strftime("%H:%M:%S"),
        }  # fmt: skip

    def fill(self, above: Mapping[str, Above]) -> str:
        """For one container."""
        values = {**self._fixed, **{level: one.label for level, one in above.items()}}
        values["group"] = above["project"].note if "project" in above else ""

        def value(found: re.Match[str]) -> str:
            piece = found[0]
            return piece[0] if piece in ("{{", "}}") else values.get(piece[1:-1], "")

        return _FIELD.sub(value, self._template)
