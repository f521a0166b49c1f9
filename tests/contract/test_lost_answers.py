"""Answers that never came: what was done is found again, what was done twice is mended."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from fwsync.client import upload
from fwsync.client.api import Flywheel
from fwsync.client.retry import Policy
from fwsync.config import NetworkSettings
from fwsync.run import sending
from fwsync.run.creating import Creator, Double
from fwsync.run.journal import Intent, Journal
from fwsync.run.sending import Sender
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import NewContainer, SendFile, WorkItem


@asynccontextmanager
async def opened(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Flywheel, Journal, str, Sandbox]]:
    async with (
        Sandbox(SandboxOptions(**options)) as running,
        Flywheel.from_key(running.key, NetworkSettings(read_timeout=2.0, retry_seconds=20)) as fw,
        Journal(tmp_path / "state") as journal,
    ):
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        yield fw, journal, await fw.projects.create({"group": "lab", "label": "study"}), running


def subject(project: str, label: str, **fields: Any) -> WorkItem:
    payload = NewContainer(level="subject", label=label, project_id=project, fields=fields)
    return WorkItem(kind="create.subject", key=label, target=label, payload=payload)


async def test_an_intent_of_a_killed_run_is_looked_up_before_it_is_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, running):
        made = await fw.subjects.create({"project": project, "label": "s1"})
        await journal.intend(fw.site, Intent(project, "subject", "s1", time.time(), "killed-run"))
        before = running.stats()["requests"]["POST /api/{kind}"]
        creator = Creator(fw, journal, "run", grace=1.0, upsert=False)
        (outcome,) = await creator.create(subject(project, "s1"), None)
        assert (outcome.state, outcome.ref) == ("done", made)
        assert running.stats()["requests"]["POST /api/{kind}"] == before
        assert await journal.intents(fw.site) == {}


async def test_an_intent_that_was_never_carried_out_is_sent_after_the_grace_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, _):
        await journal.intend(fw.site, Intent(project, "subject", "s1", time.time(), "killed-run"))
        creator = Creator(fw, journal, "run", grace=0.3, upsert=False)
        began = time.monotonic()
        (outcome,) = await creator.create(subject(project, "s1", sex="male"), None)
        assert time.monotonic() - began >= 0.25, "the create could still have arrived"
        assert (await fw.subjects.get(str(outcome.ref))).sex == "male"


async def test_a_double_is_deleted_only_while_it_is_empty_and_unchanged(tmp_path: Path) -> None:
    async with opened(tmp_path, without=frozenset({"duplicate-check"})) as (fw, journal, project, _):
        creator = Creator(fw, journal, "run", grace=0.1, upsert=False)
        ids = [await fw.subjects.create({"project": project, "label": label}) for label in ("a", "a", "b", "b", "c")]
        await fw.subjects.add_note(ids[3], "someone's")
        creator._sent_twice = [Double("subject", project, label) for label in ("a", "b", "c")]
        (problem,) = await creator.settle_doubles()
        assert (problem.state, problem.target) == ("failed", "subject 'b'")
        assert "more than once" in problem.reason
        assert ids[3] in problem.reason
        assert [s.id async for s in fw.subjects.iter()] == [ids[0], ids[2], ids[3], ids[4]]


async def test_a_conflict_means_that_it_is_there(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, _):
        made = await fw.subjects.create({"project": project, "label": "s1"})
        creator = Creator(fw, journal, "run", grace=0.1, upsert=False)
        (outcome,) = await creator.create(subject(project, "s1"), None)
        assert (outcome.state, outcome.ref) == ("unchanged", made)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("fault", ["upload:drop_reply=100%", "upload:late_commit=40%:0.3", "upload:status_503=40%"])
async def test_an_upload_whose_reply_is_lost_makes_no_second_version(tmp_path: Path, fault: str, signed: bool) -> None:
    if signed and fault.startswith("upload:drop_reply"):
        fault = "upload:drop_reply=40%"  # a part whose reply is always lost can never be known to be there
    options = {"faults": fault, "signed_urls": signed, "part_threshold": 512 * 1024}
    async with opened(tmp_path, **options) as (fw, _, project, running):
        fw.session.policy = Policy(tries=20, first_wait=0.02, most_wait=0.5)
        for number in range(16):
            source = tmp_path / f"data{number}.bin"
            source.write_bytes(bytes([number]) * 1_500_000)
            held = source.stat()
            file = SendFile(
                container_type="project", container_id=project, name=source.name, source=str(source),
                size=held.st_size, mtime_ns=held.st_mtime_ns,
            )  # fmt: skip
            digest = await upload.hash_of(source, held.st_size)
            entry, _ = await upload.send(fw, file, upload.Local(file), None)
            assert (entry.size, entry.hash, entry.version) == (held.st_size, digest, 1)
            now = await upload.find_entry(fw, file)
            assert now is not None
            assert now.version == 1
        assert running.stats()["faults"]
        await anyio.sleep(0.5)  # what is still to be committed late has been by now
        held_now = await fw.projects.files_of(project)
        assert [entry.version for entry in held_now] == [1] * 16


def send_item(project: str, source: Path) -> WorkItem:
    held = source.stat()
    payload = SendFile(
        container_type="project", container_id=project, name=source.name, source=str(source), size=held.st_size,
        mtime_ns=held.st_mtime_ns, listed=True,
    )  # fmt: skip
    return WorkItem(kind="upload.file", key=source.name, target=source.name, payload=payload)


async def test_a_file_that_a_killed_run_sent_is_waited_for(tmp_path: Path) -> None:
    """The site stores it only after the next run has listed what is there."""
    async with opened(tmp_path) as (fw, journal, project, running):
        (tmp_path / "a").write_bytes(b"bytes")
        item = send_item(project, tmp_path / "a")
        await journal.begin_sending(fw.site, project, "a", "killed-run")

        async def late() -> None:
            await anyio.sleep(0.6)
            await upload.send(fw, item.payload, upload.Local(item.payload), None)

        async with anyio.create_task_group() as group:
            group.start_soon(late)
            (outcome,) = await Sender(fw, journal, "run").send(item, None)
        assert outcome.state == "done"
        assert running.stats()["requests"]["POST /api/{kind}/{id}/files"] == 1
        (entry,) = await fw.projects.files_of(project)
        assert (entry.version, entry.file_id) == (1, outcome.ref)
        assert await journal.sending(fw.site) == {}


async def test_a_file_that_never_arrived_is_sent_after_the_grace_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, _):
        (tmp_path / "a").write_bytes(b"bytes")
        await journal.begin_sending(fw.site, project, "a", "killed-run")
        began = time.monotonic()
        (outcome,) = await Sender(fw, journal, "run").send(send_item(project, tmp_path / "a"), None)
        assert time.monotonic() - began >= 1.5, "it could still have arrived"
        assert (outcome.state, outcome.bytes) == ("done", 5)
        assert await journal.sending(fw.site) == {}


async def test_while_a_large_body_leaves_its_intent_is_kept_young(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is killed at its last byte must be waited for from then on, not from its first."""
    monkeypatch.setattr(sending, "REMEMBERED", 0.05)
    async with opened(tmp_path, latency_ms=600.0) as (fw, journal, project, _):
        (tmp_path / "a").write_bytes(bytes(2 * 2**20))
        seen: set[float] = set()

        async def watch() -> None:
            while True:
                seen.update((await journal.sending(fw.site)).values())
                await anyio.sleep(0.02)

        async with anyio.create_task_group() as group:
            group.start_soon(watch)
            (outcome,) = await Sender(fw, journal, "run").send(send_item(project, tmp_path / "a"), None)
            group.cancel_scope.cancel()
        assert outcome.state == "done"
        assert len(seen) >= 3, "it was committed once and never again"
        assert await journal.sending(fw.site) == {}


async def test_a_listed_file_needs_no_further_look(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, running):
        (tmp_path / "a").write_bytes(b"bytes")
        before = dict(running.stats()["requests"])
        await Sender(fw, journal, "run").send(send_item(project, tmp_path / "a"), None)
        after = running.stats()["requests"]
        assert {
            route: count - before.get(route, 0) for route, count in after.items() if count != before.get(route)
        } == {"POST /api/{kind}/{id}/files": 1}


async def test_the_calls_that_every_noun_has(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, _, project, __):
        assert (await fw.auth_status())["user_is_admin"]
        ident = await fw.subjects.create({"project": project, "label": "s1", "sex": "male"})
        await fw.subjects.modify(ident, {"firstname": "Bart"})
        await fw.subjects.set_info(ident, {"k": [1, 2]})
        await fw.subjects.add_tag(ident, "seen")
        await fw.subjects.add_note(ident, "a note")
        held = await fw.subjects.get(ident)
        assert (held.firstname, held.info, held.tags) == ("Bart", {"k": [1, 2]}, ["seen"])
        assert [note["text"] for note in held.notes or ()] == ["a note"]
        node = await fw.get(ident)
        assert (node.container_type, node.label) == ("subject", "s1")
        await fw.subjects.delete(ident)
        assert await fw.subjects.first() is None
