"""A large upload that was cut: what the site has of it is not sent again, and never another file's parts."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from fwsync.client import bodies, signed_upload, upload
from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings
from fwsync.run.journal import Journal
from fwsync.run.sending import Sender
from fwsync.run.unfinished import Unfinished
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import SendFile, WorkItem

SIZE = 9 * 2**20
PART = "PUT /signed/upload/{ticket}/{file}/{part}"


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Flywheel, Journal, str, Sandbox]]:
    settings = NetworkSettings(read_timeout=2.0, retry_seconds=20.0)
    async with (
        Sandbox(SandboxOptions(signed_urls=True, part_threshold=2**20)) as running,
        Flywheel.from_key(running.key, settings) as fw,
        Journal(folder / "state") as journal,
    ):
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        yield fw, journal, await fw.projects.create({"group": "lab", "label": "study"}), running


def item_of(project: str, source: Path, **metadata: Any) -> WorkItem:
    held = source.stat()
    payload = SendFile(
        container_type="project", container_id=project, name="large.bin", source=str(source), size=held.st_size,
        mtime_ns=held.st_mtime_ns, listed=True, metadata=metadata,
    )  # fmt: skip
    return WorkItem(kind="upload.file", key="k", target="large.bin", payload=payload, bytes=held.st_size)


async def cut(fw: Flywheel, journal: Journal, item: WorkItem, parts: int) -> int:
    """Send so many parts as a run that is killed then would have; how many there are in all."""
    keeper, file = Unfinished(journal, fw.site), item.payload
    await journal.begin_sending(fw.site, file.container_id, file.name, "killed")
    ticket = await signed_upload._issue(fw.session, file)
    assert ticket is not None
    await keeper.begin(file, ticket)
    links = ticket.links(file.name)
    cutter = signed_upload._Upload(fw.session, file, ticket, {}, keeper)
    await cutter._all_parts(list(range(parts)))
    return len(links)


def noise(path: Path, seed: int = 1) -> Path:
    path.write_bytes(random.Random(seed).randbytes(SIZE))
    return path


def parts_sent(running: Sandbox) -> int:
    return int(running.stats()["requests"].get(PART, 0))


async def whole(fw: Flywheel, project: str) -> tuple[int | None, str | None]:
    (entry,) = await fw.projects.files_of(project)
    return entry.version, entry.hash


async def test_parts_that_the_site_has_are_not_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, running):
        source = noise(tmp_path / "large.bin")
        item = item_of(project, source)
        parts = await cut(fw, journal, item, 3)
        assert parts >= 5
        (outcome,) = await Sender(fw, journal, "run").send(item, None)
        assert outcome.state == "done", outcome
        assert parts_sent(running) == parts
        assert running.stats()["requests"]["POST /api/{kind}/{id}/files"] == 2, "one ticket, one completion"
        assert outcome.bytes == SIZE - 3 * -(-SIZE // parts)
        assert await whole(fw, project) == (1, await upload.hash_of(source, SIZE))
        assert await Unfinished(journal, fw.site).load(item.payload) is None


@pytest.mark.parametrize("change", ["bytes", "metadata"])
async def test_parts_of_another_state_of_the_file_are_never_joined(tmp_path: Path, change: str) -> None:
    async with opened(tmp_path) as (fw, journal, project, running):
        source = noise(tmp_path / "large.bin")
        parts = await cut(fw, journal, item_of(project, source), 3)
        if change == "bytes":
            noise(source, seed=2)
        item = item_of(project, source, **({"type": "other"} if change == "metadata" else {}))
        (outcome,) = await Sender(fw, journal, "run").send(item, None)
        assert (outcome.state, outcome.bytes) == ("done", SIZE)
        assert parts_sent(running) == 3 + parts
        assert await whole(fw, project) == (1, await upload.hash_of(source, SIZE))


async def test_a_ticket_that_the_site_forgot_is_replaced(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, running):
        source = noise(tmp_path / "large.bin")
        item = item_of(project, source)
        parts = await cut(fw, journal, item, 3)
        await running.site.db.write(lambda conn: conn.execute("delete from tickets") and None)
        (outcome,) = await Sender(fw, journal, "run").send(item, None)
        assert (outcome.state, outcome.bytes) == ("done", SIZE)
        assert parts_sent(running) >= 3 + parts
        assert await whole(fw, project) == (1, await upload.hash_of(source, SIZE))


async def test_an_upload_of_which_only_the_completion_is_missing(tmp_path: Path) -> None:
    """All parts are there; whether that run completed it is not known, so the entry is looked for first."""
    async with opened(tmp_path) as (fw, journal, project, running):
        source = noise(tmp_path / "large.bin")
        item = item_of(project, source)
        parts = await cut(fw, journal, item, await _count(fw, item))
        (outcome,) = await Sender(fw, journal, "run").send(item, None)
        assert (outcome.state, outcome.bytes) == ("done", 0)
        assert parts_sent(running) == parts
        assert await whole(fw, project) == (1, await upload.hash_of(source, SIZE))


async def _count(fw: Flywheel, item: WorkItem) -> int:
    ticket = await signed_upload._issue(fw.session, item.payload)
    assert ticket is not None
    return len(ticket.links(item.payload.name))


def test_a_ticket_shows_no_link() -> None:
    ticket = signed_upload.Ticket(ticket="t-secret", urls={"a": "https://x/?signature=secret"})
    assert "secret" not in repr(ticket)


async def test_completions_of_one_ticket_at_once_store_one_version(tmp_path: Path) -> None:
    async with opened(tmp_path) as (fw, journal, project, _):
        item = item_of(project, noise(tmp_path / "large.bin"))
        await cut(fw, journal, item, await _count(fw, item))
        kept = await Unfinished(journal, fw.site).load(item.payload)
        assert kept is not None
        answers: list[Any] = []

        async def complete() -> None:
            query = {"ticket": kept.ticket.ticket}
            answer = await fw.session.call("POST", *bodies.target(item.payload), query=query, safe=True)
            answers.append(json.loads(answer.body)[0])

        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(complete)
        assert [one["version"] for one in answers] == [1] * 8
        assert len({one["file_id"] for one in answers}) == 1
        assert [one.version for one in await fw.projects.files_of(project)] == [1]
