"""`fwsync report qc`: the values that a gear such as mriqc left in the info of files, judged, and tags for what is bad.

Files come with their info by the listing of the project; a site that leaves it out there is asked for each file.
Of several files of one container the newest counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import msgspec

from fwsync.client.api import Flywheel
from fwsync.events import Reporter, SilentReporter
from fwsync.model import Container
from fwsync.operations.context import Context, Run, dry_run, guarded
from fwsync.operations.projects import near
from fwsync.operations.selected import Asked, Selected, path_of
from fwsync.plan.candidates import Candidate
from fwsync.plan.tagging import Marked, tagging_plan
from fwsync.report.quality import Measured, Place, measure, metrics_of, quality_table
from fwsync.report.rules import MRIQC, Rule, parse_rule
from fwsync.report.table import Table
from fwsync.run.tagging import Tagger
from fwsync.work import Plan, Summary

FILES = ("*mriqc.qa*",)
"""The names of the files that are meant where nothing is said of files."""
AT_ONCE, MOST_NAMES = 32, 2000


class Checks(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at: metrics to show, and rules."""

    metrics: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @classmethod
    def of(cls, metrics: tuple[str, ...] = (), flags: tuple[str, ...] = (), preset: str = "") -> Checks:
        """From what a person wrote; without anything, or with the preset `mriqc`, the rules of the tutorial. UsageError
        for a rule that can't be read."""
        rules = tuple(parse_rule(text) for text in flags)
        if preset == "mriqc" or not (metrics or rules):
            rules = (*MRIQC, *rules)
        return cls(metrics=metrics, rules=rules)


class Quality(msgspec.Struct, kw_only=True):
    """The report, how many of its files are flagged or can't be judged, and the acquisitions with their flags."""

    table: Table
    bad: int
    acquisitions: list[Marked]
    rules: tuple[Rule, ...]

    def plan(self, *, untag: bool = False) -> Plan:
        """The flags as tags on acquisitions; with `untag`, tags of the rules go where they hold no more."""
        return tagging_plan("acquisition", self.acquisitions, (rule.flag for rule in self.rules), untag=untag)


async def quality(fw: Flywheel, asked: Asked, checks: Checks, *, reporter: Reporter | None = None) -> Quality:
    """Judge the newest selected file of each container."""
    if not asked.wishes.include:
        wishes = msgspec.structs.replace(asked.wishes, include=FILES)
        asked = msgspec.structs.replace(asked, wishes=wishes)
    (reporter or SilentReporter()).phase("reading files with their info")
    held = _Held(checks)
    selected = Selected(asked.selection, ("acquisition",), _tags, file=held.take, info=True)
    await selected.gather(fw, asked)
    await held.complete(fw)
    tags = {found.above["acquisition"].id: frozenset(found.kept) for found in selected.of("acquisition")}
    files = [one for _, one in held.files.values()]
    notes = [*selected.notes, *held.notes()]
    return Quality(
        table=quality_table(files, held.metrics, checks.rules, f"Quality of {selected.place}", notes),
        bad=sum(bool(one.flags or one.lacking) for one in files),
        acquisitions=held.marked(tags),
        rules=checks.rules,
    )


async def tag_quality(
    context: Context, asked: Asked, checks: Checks, found: Quality, *, untag: bool, dry: bool
) -> Summary:
    """Write the flags as tags on the acquisitions. A second run finds nothing to do."""
    plan = found.plan(untag=untag)
    if dry:
        return await dry_run(context, "qc", plan)
    rules = [str(rule) for rule in checks.rules]
    arguments = {"asked": msgspec.to_builtins(asked), "rules": rules, "untag": untag}
    run = await Run.begin(context, "qc", {**arguments, "from_file": asked.wishes.from_file})
    return await guarded(run, lambda: run.carry_out(plan, Tagger(context.fw).handlers()))


async def qc_again(context: Context, arguments: dict[str, Any]) -> Summary:
    """Look again, and write the tags of a run before (`fwsync retry`)."""
    asked = msgspec.convert(arguments["asked"], Asked)
    checks = Checks(rules=tuple(parse_rule(text) for text in arguments["rules"]))
    found = await quality(context.fw, asked, checks, reporter=context.reporter)
    return await tag_quality(context, asked, checks, found, untag=arguments["untag"], dry=False)


def _tags(container: Container, _level: str) -> tuple[str, ...]:
    return tuple(container.tags or ())


class _Held:
    """The newest file of each container, judged as it comes: the info of a hundred thousand files is not kept."""

    def __init__(self, checks: Checks) -> None:
        self.metrics = metrics_of(checks.metrics, checks.rules)
        self._shown, self._rules = checks.metrics, checks.rules
        self.files: dict[tuple[str, str], tuple[Candidate | None, Measured]] = {}
        self._where: dict[tuple[str, str], tuple[str, str]] = {}
        self._older = self._asked = 0
        self._tells_info = False
        self._keys: dict[str, None] = {}

    def take(self, one: Candidate) -> None:
        """A file that is in."""
        judged = self._judge(one)
        there = self.files.get(one.held_by)
        self._older += there is not None
        if there is None or judged.age > there[1].age:
            self.files[one.held_by] = (one if one.entry.info is None and one.entry.file_id else None, judged)
            if (above := one.above.get("acquisition")) is not None:
                labels = [held.label for held in one.above.values() if held.kind not in ("project", "analysis")]
                self._where[one.held_by] = (above.id, "/".join([path_of(one.above["project"]), *labels]))

    def _judge(self, one: Candidate) -> Measured:
        labels = {kind: above.label for kind, above in one.above.items()} | {"project": path_of(one.above["project"])}
        entry = one.entry
        self._tells_info = self._tells_info or entry.info is not None
        if entry.info and len(self._keys) < MOST_NAMES:
            self._keys.update(dict.fromkeys(entry.info))
        place = Place(labels, entry.name, entry.created or entry.modified or "", entry.file_id or "")
        return measure(place, entry.classification, entry.info, self.metrics, self._rules)

    async def complete(self, fw: Flywheel) -> None:
        """Ask for the info that the listing left out: where it has some, the other files have none."""
        if self._tells_info:
            return
        limit = anyio.CapacityLimiter(AT_ONCE)

        async def ask(key: tuple[str, str], one: Candidate) -> None:
            async with limit:
                whole = await fw.files.at(one.entry.file_id or "")
            entry = msgspec.structs.replace(one.entry, info=whole.info or {}, classification=whole.classification)
            self.files[key] = (None, self._judge(msgspec.structs.replace(one, entry=entry)))

        async with anyio.create_task_group() as group:
            for key, (one, _) in list(self.files.items()):
                if one is not None:
                    self._asked += 1
                    group.start_soon(ask, key, one)

    def notes(self) -> Iterator[str]:
        """What a person should know."""
        if self._older:
            yield f"{self._older:,} files are left out: their containers have a newer one"
        for at, metric in enumerate(self.metrics):
            files = [one for _, one in self.files.values()]
            wanted = metric in self._shown or any(metric in one.lacking for one in files)
            if files and wanted and all(one.values[at] is None for one in files):
                yield f"no file has {metric}{near(metric, sorted(self._keys))}"
        if self._asked:
            yield f"{self._asked:,} files were asked for one by one: the site lists them without their info"

    def marked(self, tags: dict[str, frozenset[str]]) -> list[Marked]:
        """The acquisitions with a file, by path, with the tags that they have and should have."""
        found: dict[str, Marked] = {}
        for key, (ident, target) in self._where.items():
            judged = self.files[key][1]
            old = found.get(ident) or Marked(ident, target, tags.get(ident, frozenset()), ())
            wanted = tuple(dict.fromkeys((*old.wanted, *judged.flags)))
            doubtful = old.doubtful | frozenset(judged.doubtful)
            found[ident] = old._replace(wanted=wanted, doubtful=doubtful)
        return sorted(found.values(), key=lambda one: (one.target, one.id))
