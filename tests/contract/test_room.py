"""Files without room fail without the site being asked for them, and the others come."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from fwsync.client.api import Flywheel
from fwsync.client.upload import Local, send
from fwsync.plan.mirroring import WantedFile, fetch_of, item_of
from fwsync.run import partfile, room
from fwsync.run.fetching import Fetcher
from fwsync.run.journal import Journal
from fwsync.run.pool import LocalPool
from fwsync.run.tree import Tree
from fwsync.sandbox import Sandbox
from fwsync.work import FetchFile, Outcome, Plan, SendFile

SIZE = 3 * 2**20 // 2
MANY = 60


@asynccontextmanager
async def large_file(tmp_path: Path) -> AsyncIterator[tuple[Flywheel, list[FetchFile]]]:
    """A site with a large file, which is wanted at MANY paths."""
    async with Sandbox() as running, Flywheel.from_key(running.key) as fw:
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        project = await fw.projects.create({"group": "lab", "label": "study"})
        source = tmp_path / "large.bin"
        source.write_bytes(os.urandom(SIZE))
        held = source.stat()
        file = SendFile(
            container_type="project", container_id=project, name="large.bin", source=str(source),
            size=held.st_size, mtime_ns=held.st_mtime_ns,
        )  # fmt: skip
        entry, _ = await send(fw, file, Local(file), None)
        wanted = fetch_of("project", project, entry)
        yield fw, [msgspec.structs.replace(wanted, path=f"{n:02}.bin") for n in range(MANY)]


async def brought(fw: Flywheel, tmp_path: Path, files: list[FetchFile]) -> tuple[list[Outcome], int]:
    """The outcomes, and how many requests they took."""
    tree, outcomes, before = Tree(tmp_path / "tree"), [], fw.requests
    await tree.prepare()
    async with Journal(tmp_path / "state") as journal:
        fetcher = Fetcher(fw, journal, tree, "run")
        await fetcher.prepare()
        plan = Plan.of([item_of(WantedFile(file, file.path)) for file in files])
        await LocalPool(fetcher.handlers(), batching=fetcher.batching(), workers=4).run(plan, outcomes.append)
        assert await journal.parts(str(tree.real)) == []
    assert not [one for one in tree.real.iterdir() if one.name.startswith(".fw~")]
    return outcomes, fw.requests - before


async def test_what_does_not_fit_is_not_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with large_file(tmp_path) as (fw, files):
        tree = tmp_path / "tree"

        def told(_: object) -> SimpleNamespace:
            taken = sum(one.stat().st_size for one in tree.iterdir() if one.is_file())
            free = max(0, 2 * SIZE + 1000 - taken)
            return SimpleNamespace(f_bavail=free, f_frsize=1, f_blocks=1, f_files=0, f_favail=0)

        monkeypatch.setattr(room.os, "statvfs", told)
        outcomes, requests = await brought(fw, tmp_path, files)
        assert [one.state for one in outcomes].count("done") == 2
        assert [one.state for one in outcomes].count("failed") == MANY - 2
        assert requests == 2


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.ENOSPC, errno.EFBIG])
async def test_what_no_one_tells_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """A quota, a lying file system, a disk whose files have a largest size: told by the write alone."""
    async with large_file(tmp_path) as (fw, files):
        real = os.write

        def write(descriptor: int, data: bytes) -> int:
            if os.fstat(descriptor).st_size >= 2**20:
                raise OSError(number, os.strerror(number))
            return real(descriptor, data[: 2**20])

        monkeypatch.setattr(partfile.os, "write", write)
        monkeypatch.setattr(room, "FORGET", 1000.0)
        outcomes, requests = await brought(fw, tmp_path, files)
        assert {one.state for one in outcomes} == {"failed"}
        assert all("no space left" in one.reason or "too large" in one.reason for one in outcomes)
        assert not any(".fw~" in one.reason for one in outcomes)
        assert 0 < requests <= 3 * 4, "as many as were under way, and a few more until it is believed"
