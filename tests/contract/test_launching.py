"""Gears whose start was not answered: never two runs where one was asked for."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings
from fwsync.errors import LostAnswerError, RemoteError
from fwsync.model import Reference
from fwsync.plan.gearinputs import InputFile
from fwsync.plan.launching import Launch
from fwsync.run.journal import Journal
from fwsync.run.launches import Launches, LaunchIntent
from fwsync.run.launching import Launcher
from fwsync.run.pastruns import in_project
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import Outcome, WorkItem

CATEGORIES = ("analysis", "utility")


class Place:
    """A site with one session, a file on it, and a gear."""

    def __init__(self, fw: Flywheel, journal: Journal, running: Sandbox, ids: dict[str, str], category: str) -> None:
        self.fw, self.journal, self.running, self.ids, self.category = fw, journal, running, ids, category
        self.launches = Launches(journal, fw.site)

    def item(self, **more: Any) -> WorkItem:
        launch = Launch(
            gear_id=self.ids["gear"], gear="maker", version="1.0.0", project_id=self.ids["project"],
            destination=Reference(type="session", id=self.ids["session"]), label="a run",
            inputs={"image": InputFile("session", self.ids["session"], "scan.nii.gz")}, **more,
        )  # fmt: skip
        kind = "launch.analysis" if self.category == "analysis" else "launch.job"
        return WorkItem(kind=kind, key="launch:it", target="lab/study/sub/ses", payload=launch)

    def launcher(self, grace: float = 1.0) -> Launcher:
        return Launcher(self.fw, self.journal, "run", grace=grace)

    async def launch(self, item: WorkItem, grace: float = 1.0) -> Outcome:
        (outcome,) = await self.launcher(grace).launch(item, None)
        return outcome

    async def started(self) -> list[str]:
        """What was started, by its id."""
        runs = in_project(
            self.fw,
            self.ids["project"],
            "maker",
            "1.0.0",
            level="session",
            analyses=self.category == "analysis",
            states=False,
        )
        return [run.id async for _, run in runs]


SETTINGS = NetworkSettings(read_timeout=2.0, retry_seconds=20)


@asynccontextmanager
async def place(tmp_path: Path, category: str, **options: Any) -> AsyncIterator[Place]:
    """A place on a site with these options; what is there was made before it had them."""
    data = tmp_path / "data"
    async with Sandbox(SandboxOptions(data=data)) as calm, Flywheel.from_key(calm.key, SETTINGS) as fw:
        ids = await made(fw, category)
    async with (
        Sandbox(SandboxOptions(data=data, jobs="instant", **options)) as running,
        Flywheel.from_key(running.key, SETTINGS) as fw,
        Journal(tmp_path / "state") as journal,
    ):
        yield Place(fw, journal, running, ids, category)


async def made(fw: Flywheel, category: str) -> dict[str, str]:
    """A project, a session with a file, and a gear; their ids."""
    await fw.groups.create({"_id": "lab", "label": "Lab"})
    ids = {"project": await fw.projects.create({"group": "lab", "label": "study"})}
    ids["subject"] = await fw.subjects.create({"project": ids["project"], "label": "sub"})
    ids["session"] = await fw.sessions.create(
        {"project": ids["project"], "subject": {"_id": ids["subject"]}, "label": "ses"}
    )
    manifest = {"name": "maker", "version": "1.0.0", "inputs": {"image": {"base": "file"}}, "config": {}}
    answer = await fw.session.call("POST", "gears", "maker", json={"category": category, "gear": manifest})
    ids["gear"] = msgspec.json.decode(answer.body)["_id"]
    where = f"{fw.session.key.base}/sessions/{ids['session']}/files"
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="scan.nii.gz"\r\n\r\nbytes\r\n--x--\r\n'
    headers = {"Authorization": fw.session.key.authorization, "Content-Type": "multipart/form-data; boundary=x"}
    request = urllib.request.Request(where, data=body, headers=headers)
    await anyio.to_thread.run_sync(lambda: urllib.request.urlopen(request).read())
    return ids


@pytest.mark.parametrize("category", CATEGORIES)
async def test_a_run_is_started_once_and_its_intent_is_settled(tmp_path: Path, category: str) -> None:
    async with place(tmp_path, category) as at:
        outcome = await at.launch(at.item())
        assert (outcome.state, outcome.attempts) == ("done", 1)
        assert await at.started() == [outcome.ref]
        assert await at.launches.open() == {}


@pytest.mark.parametrize("category", CATEGORIES)
async def test_what_a_killed_run_asked_for_is_found_and_not_asked_again(tmp_path: Path, category: str) -> None:
    async with place(tmp_path, category) as at:
        item = at.item()
        there = await at.launch(item)
        await at.launches.intend(LaunchIntent(item.key, item.payload.mark, frozenset(), time.time(), "killed"))
        # The planner of the later run saw it: the intent knows better what was there before.
        outcome = await at.launch(at.item(known=frozenset({there.ref})))
        assert (outcome.state, outcome.ref, outcome.attempts) == ("done", there.ref, 0)
        assert await at.started() == [there.ref]
        assert await at.launches.open() == {}


@pytest.mark.parametrize("category", CATEGORIES)
async def test_what_a_killed_run_did_not_get_through_is_asked_after_the_grace_time(
    tmp_path: Path, category: str
) -> None:
    async with place(tmp_path, category) as at:
        item = at.item()
        began = time.monotonic()  # before the intent is written: on a busy machine that may take a while
        await at.launches.intend(LaunchIntent(item.key, item.payload.mark, frozenset(), time.time(), "killed"))
        outcome = await at.launch(item, grace=0.3)
        assert time.monotonic() - began >= 0.25, "the request could still have arrived"
        assert await at.started() == [outcome.ref]


@pytest.mark.parametrize("category", CATEGORIES)
async def test_a_run_that_was_there_before_is_not_taken_for_the_lost_one(tmp_path: Path, category: str) -> None:
    async with place(tmp_path, category) as at:
        before = await at.launch(at.item())
        known = frozenset({str(before.ref)})
        item = at.item(known=known)
        await at.launches.intend(LaunchIntent(item.key, item.payload.mark, known, time.time(), "killed"))
        outcome = await at.launch(item, grace=0.2)
        assert outcome.ref != before.ref
        assert sorted(await at.started()) == sorted([str(before.ref), str(outcome.ref)])


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("fault", ["drop_reply", "late_commit"])
async def test_a_lost_answer_is_looked_up(tmp_path: Path, category: str, fault: str) -> None:
    """`late_commit` cuts the connection and starts the gear half a second later."""
    async with place(tmp_path, category, faults=f"create:{fault}=100%{':0.5' if fault == 'late_commit' else ''}") as at:
        outcome = await at.launch(at.item(), grace=3.0)
        assert (outcome.state, outcome.attempts) == ("done", 1)
        assert await at.started() == [outcome.ref]


@pytest.mark.parametrize("category", CATEGORIES)
async def test_a_request_that_never_arrived_is_asked_again(
    tmp_path: Path, category: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place(tmp_path, category) as at:
        launcher, lost = at.launcher(0.2), 2
        ask = launcher._ask

        async def on_a_bad_line(item: WorkItem, launch: Launch) -> str:
            nonlocal lost
            lost -= 1
            if lost >= 0:
                raise LostAnswerError("it was lost on its way")
            return await ask(item, launch)

        monkeypatch.setattr(launcher, "_ask", on_a_bad_line)
        (outcome,) = await launcher.launch(at.item(), None)
        assert (outcome.state, outcome.attempts) == ("done", 3)
        assert await at.started() == [outcome.ref]
        assert await launcher.find_doubles() == []


@pytest.mark.parametrize("category", CATEGORIES)
async def test_of_two_runs_neither_is_stopped_and_the_report_tells(tmp_path: Path, category: str) -> None:
    async with place(tmp_path, category) as at:
        ids = [str((await at.launch(at.item())).ref) for _ in range(2)]
        launcher = at.launcher()
        launcher._sent_twice = [(at.item(), frozenset())] * 2
        (double,) = await launcher.find_doubles()
        assert (double.state, double.kind) == ("failed", "double")
        assert all(ident in double.reason for ident in ids)
        launcher._sent_twice = [(at.item(), frozenset(ids[:1]))]
        assert await launcher.find_doubles() == []
        assert sorted(await at.started()) == sorted(ids)


async def test_a_refusal_settles_the_intent(tmp_path: Path) -> None:
    async with place(tmp_path, "analysis") as at:
        item = at.item()
        wrong = msgspec.structs.replace(item, payload=msgspec.structs.replace(item.payload, gear_id="f" * 24))
        with pytest.raises(RemoteError, match="not found"):
            await at.launch(wrong)
        assert await at.launches.open() == {}
        assert await at.started() == []


@pytest.mark.parametrize("category", CATEGORIES)
async def test_a_site_without_the_listing_of_analyses(tmp_path: Path, category: str) -> None:
    async with place(tmp_path, category, without=frozenset({"analyses-listing"})) as at:
        outcome = await at.launch(at.item())
        assert await at.started() == [outcome.ref]


@pytest.mark.parametrize("level", ["project", "subject", "session", "acquisition"])
async def test_runs_on_any_level_are_seen_where_nothing_lists_them(tmp_path: Path, level: str) -> None:
    async with place(tmp_path, "analysis", without=frozenset({"analyses-listing"})) as at:
        at.ids["acquisition"] = await at.fw.acquisitions.create({"session": at.ids["session"], "label": "scan"})
        for one in ("project", "subject", "session", "acquisition"):
            launch = msgspec.structs.replace(at.item().payload, destination=Reference(type=one, id=at.ids[one]))
            await at.launch(msgspec.structs.replace(at.item(), payload=launch, key=one))
        runs = in_project(
            at.fw, at.ids["project"], "maker", "1.0.0", level=level, analyses=True, states=True
        )  # fmt: skip
        assert [(container, run.state) async for container, run in runs] == [(at.ids[level], "complete")]
