"""Making and filling collections against a real server: lost answers, acquisitions that are gone, refusals."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from fwsync.client.api import Flywheel
from fwsync.client.nouns import Noun
from fwsync.client.search import id_of, label_of, name_of, search
from fwsync.config import NetworkSettings, SelectionSettings, Settings, StateSettings
from fwsync.errors import ProtocolError
from fwsync.operations.collected import show_collection
from fwsync.operations.context import Context
from fwsync.operations.curating import Build, build
from fwsync.plan.curation import NOT_IN, STILL_IN
from fwsync.run.curating import MOST_REFUSED, SITE, Curator
from fwsync.run.journal import Intent, Journal
from fwsync.run.pool import LocalPool
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import Membership, NewCollection, Outcome, Plan, WorkItem

GONE = "0123456789abcdef0123{:04x}"


@asynccontextmanager
async def opened(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Flywheel, Journal, Sandbox]]:
    async with (
        Sandbox(SandboxOptions(demo=True, **options)) as running,
        Flywheel.from_key(running.key, NetworkSettings(read_timeout=2.0, retry_seconds=20)) as fw,
        Journal(tmp_path / "state") as journal,
    ):
        yield fw, journal, running


def collection(label: str = "c", description: str = "") -> WorkItem:
    payload = NewCollection(label=label, description=description)
    return WorkItem(kind="create.collection", key=f"collection:{label}", target=label, payload=payload)


def change(ident: str, operation: str = "add", key: str = "collection:c") -> WorkItem:
    return WorkItem(kind=f"{operation}.acquisition", key=f"{key}/{ident}", target=ident, payload=Membership(ident, key))


async def scans(fw: Flywheel) -> list[str]:
    return [one.id async for one in fw.acquisitions.iter(files=False)]


async def held(fw: Flywheel, ident: str) -> set[str]:
    return {one.id async for one in fw.acquisitions.iter(path=("collections", ident, "acquisitions"), files=False)}


async def carried_out(curator: Curator, items: list[WorkItem]) -> list[Outcome]:
    out: list[Outcome] = []
    await LocalPool(curator.handlers(), batching=curator.batching()).run(Plan.of(items), out.append)
    return out


def writes(running: Sandbox) -> int:
    return int(running.stats()["requests"]["PUT /api/collections/{id}"])


async def test_a_collection_of_a_killed_run_is_looked_up_before_it_is_made_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, running):
        made = await fw.collections.create({"label": "c"})
        await journal.intend(fw.site, Intent(SITE, "collection", "c", time.time(), "killed-run"))
        curator = Curator(fw, journal, "run", grace=1.0, idents={})
        (outcome,) = await curator.create(collection(), None)
        assert (outcome.state, outcome.ref, outcome.attempts) == ("done", made, 0)
        assert running.stats()["requests"]["POST /api/collections"] == 1
        assert await journal.intents(fw.site) == {}


async def test_one_that_was_never_made_is_made_after_the_grace_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, _):
        await journal.intend(fw.site, Intent(SITE, "collection", "c", time.time(), "killed-run"))
        curator = Curator(fw, journal, "run", grace=0.3, idents={})
        began = time.monotonic()
        (outcome,) = await curator.create(collection(description="told"), None)
        assert time.monotonic() - began >= 0.25, "the create could still have arrived"
        assert (await fw.collections.get(str(outcome.ref))).description == "told"
        assert await curator.settle_doubles() == []


@pytest.mark.parametrize("grace", [3.0, 0.1])
async def test_a_late_create_leaves_one_collection(tmp_path: Path, grace: float) -> None:
    """Within the grace time it is waited for; after it a second one is made, and the late one is deleted."""
    async with opened(tmp_path, faults="create:late_commit=60%:1", fault_seed=3) as (fw, journal, running):
        curator = Curator(fw, journal, "run", grace=grace, idents={})
        outcomes = await carried_out(curator, [collection(f"c{number}") for number in range(6)])
        assert Counter(one.state for one in outcomes) == {"done": 6}
        assert running.stats()["faults"]
        await anyio.sleep(1.2)  # what is still to be committed late has been by now
        assert await curator.settle_doubles() == []
        found = [one async for one in fw.collections.iter()]
        assert sorted(one.label or "" for one in found) == [f"c{number}" for number in range(6)]
        assert {one.id for one in found} == {one.ref for one in outcomes}
        deleted = running.stats()["requests"].get("DELETE /api/collections/{id}", 0)
        assert (deleted > 0) == (grace < 1)


async def test_a_double_is_deleted_only_while_it_is_empty_and_unchanged(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, _):
        curator = Curator(fw, journal, "run", grace=0.1, idents={})
        first = (await scans(fw))[0]
        outcomes = await carried_out(curator, [collection(label) for label in ("empty", "filled", "described")])
        for item in (collection("empty"), collection("filled"), collection("described")):
            curator._sent_twice[item.key] = item.payload
        twins = [await fw.collections.create({"label": one.target}) for one in outcomes]
        by_label = dict(zip((one.target for one in outcomes), twins, strict=True))
        node = {"_id": first, "level": "acquisition"}
        await fw.collections.modify(by_label["filled"], {"contents": {"operation": "add", "nodes": [node]}})
        await fw.collections.modify(by_label["described"], {"description": "somebody's"})
        problems = await curator.settle_doubles()
        assert sorted(one.target for one in problems) == ["collection 'described'", "collection 'filled'"]
        assert all(one.state == "failed" and "is there more than once" in one.reason for one in problems)
        left = [one.label async for one in fw.collections.iter()]
        assert Counter(left) == {"empty": 1, "filled": 2, "described": 2}


async def test_one_that_is_gone_keeps_no_other_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, running):
        ident = await fw.collections.create({"label": "c"})
        curator = Curator(fw, journal, "run", grace=0.1, idents={"collection:c": ident})
        wanted = await scans(fw)
        gone = [GONE.format(number) for number in range(3)]
        items = [change(one) for one in [*wanted[:60], gone[0], *wanted[60:], *gone[1:]]]
        outcomes = await carried_out(curator, items)
        assert {one.ref for one in outcomes if one.state == "done"} == set(wanted)
        failed = [one for one in outcomes if one.state == "failed"]
        assert sorted(one.target for one in failed) == gone
        assert all("404" in one.reason for one in failed)
        assert await held(fw, ident) == set(wanted)
        assert writes(running) < 60


async def test_hundreds_go_in_and_out_by_one_request(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, running):
        ident = await fw.collections.create({"label": "c"})
        curator = Curator(fw, journal, "run", grace=0.1, idents={"collection:c": ident})
        wanted = await scans(fw)
        assert len(wanted) > 150
        await carried_out(curator, [change(one) for one in wanted])
        assert writes(running) == 1
        swap = [*(change(one, "remove") for one in wanted[:20]), *(change(one) for one in wanted[20:])]
        outcomes = await carried_out(curator, swap)
        assert Counter(one.state for one in outcomes) == {"done": len(wanted)}
        assert writes(running) == 3
        assert await held(fw, ident) == set(wanted[20:])


async def test_a_refused_collection_costs_few_requests(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, running):
        ident = await fw.collections.create({"label": "c"})
        await fw.collections.delete(ident)
        curator = Curator(fw, journal, "run", grace=0.1, idents={"collection:c": ident})
        outcomes = await carried_out(curator, [change(one) for one in await scans(fw)])
        assert {one.state for one in outcomes} == {"failed"}
        assert writes(running) < 10 * MOST_REFUSED


async def test_what_a_site_takes_and_leaves_out_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sites answer 200 for acquisitions that they don't put in."""
    async with opened(tmp_path) as (fw, journal, _):
        wanted = await scans(fw)
        real = Noun.modify

        async def forgetful(self: Any, ident: str, fields: Any) -> None:
            nodes = [node for node in fields["contents"]["nodes"] if node["_id"] not in wanted[:2]]
            await real(self, ident, {"contents": {**fields["contents"], "nodes": nodes}})

        context = Context(fw=fw, journal=journal, settings=Settings(state=StateSettings(folder=str(tmp_path))))
        one = Build(label="c", wishes=SelectionSettings(all_projects=True), exact=True, max_remove="100%")
        monkeypatch.setattr(Noun, "modify", forgetful)
        summary = await build(context, [one])
        assert summary.by_kind["add.acquisition"] == {"done": len(wanted) - 2, "failed": 2}
        assert summary.reasons == {NOT_IN: 2}
        assert (summary.exit_code, summary.planned) == (3, summary.settled)
        failed = {outcome.ref or outcome.key for outcome in await journal.outcomes(summary.run, ("failed",))}
        assert failed == {f"collection:c/{ident}" for ident in wanted[:2]}
        monkeypatch.undo()
        assert (await build(context, [one])).states == {"done": 2, "unchanged": len(wanted) - 2}

        monkeypatch.setattr(Noun, "modify", forgetful)
        path = "scitran/BIDS-Sample"
        few = Build(label="c", paths=(path,), exact=True, max_remove="100%")
        summary = await build(context, [few])
        assert summary.by_kind["remove.acquisition"]["failed"] == 2
        assert summary.reasons == {STILL_IN: 2}


async def test_a_query_that_may_find_more_than_a_site_gives_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, _, __):
        query = "project.label = neuro-study"
        found = await search(fw.session, query, "acquisition")
        assert len(found) > 100
        assert label_of(found[0], "project") == "neuro-study"
        assert (label_of({}, "subject"), id_of({"subject": None}, "subject"), name_of({})) == ("", "", "")
        with pytest.raises(
            ProtocolError, match="finds 100 acquisitions or more, the site gives no more at once; narrow"
        ):
            await search(fw.session, query, "acquisition", most=100)


async def test_labels_also_where_a_site_lists_no_sessions_of_a_collection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as (fw, journal, _):
        context = Context(fw=fw, journal=journal, settings=Settings(state=StateSettings(folder=str(tmp_path))))
        await build(context, [Build(label="c", paths=("demo/neuro-study/sub-001", "scitran/BIDS-Sample"))])
        whole = await show_collection(fw, "c")
        assert all(all(row[:5]) for row in whole.rows)
        real = fw.sessions.iter

        def refused(**given: Any) -> Any:
            return real(**{**given, "path": ("collections", "no", "such", "route")} if given.get("path") else given)

        monkeypatch.setattr(fw.sessions, "iter", refused)
        assert (await show_collection(fw, "c")).rows == whole.rows


async def test_nothing_goes_into_one_that_was_not_made(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, running):
        curator = Curator(fw, journal, "run", grace=0.1, idents={})
        outcomes = await carried_out(curator, [change(one) for one in (await scans(fw))[:5]])
        assert {one.state for one in outcomes} == {"skipped"}
        assert outcomes[0].reason == "parent collection c was not made"
        assert "PUT /api/collections/{id}" not in running.stats()["requests"]
