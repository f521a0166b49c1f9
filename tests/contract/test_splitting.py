"""A large file in parallel ranges: the same bytes, resumed, and plainly where the server has no ranges."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fwsync.client import splitting
from fwsync.client.api import Flywheel
from fwsync.client.splitting import fetch_split
from fwsync.client.upload import Local, send
from fwsync.errors import IntegrityError
from fwsync.plan.mirroring import fetch_of
from fwsync.run.partfile import PartFile
from fwsync.run.tree import Tree
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import FetchFile, SendFile

SIZE = 100_000
CONTENT = os.urandom(SIZE)


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "LEAST", 1000)
    monkeypatch.setattr(splitting, "SEGMENT", 7001)


@asynccontextmanager
async def large_file(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Flywheel, FetchFile, PartFile]]:
    options["without"] = frozenset(options.get("without", ()))
    async with Sandbox(SandboxOptions(**options)) as running, Flywheel.from_key(running.key) as fw:
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        project = await fw.projects.create({"group": "lab", "label": "study"})
        path = tmp_path / "large.bin"
        path.write_bytes(CONTENT)
        held = path.stat()
        file = SendFile(
            container_type="project", container_id=project, name="large.bin", source=str(path),
            size=SIZE, mtime_ns=held.st_mtime_ns,
        )  # fmt: skip
        entry, _ = await send(fw, file, Local(file), None)
        tree = Tree(tmp_path / "tree")
        await tree.prepare()
        yield fw, fetch_of("project", project, entry), PartFile(tree, "part")


async def read(part: PartFile) -> bytes:
    await part.flush()
    return part.path.read_bytes()


@pytest.mark.parametrize("lanes", [2, 5, 16])
async def test_the_same_bytes_by_ranges(tmp_path: Path, lanes: int) -> None:
    async with large_file(tmp_path) as (fw, file, part):
        before = fw.requests
        took = await fetch_split(fw.session, file, part, lanes)
        assert await read(part) == CONTENT
        assert (took.proof, took.moved) == ("hash", SIZE)
        assert fw.requests - before == -(-SIZE // 7001)


async def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    async with large_file(tmp_path) as (fw, file, part):
        await part.write(CONTENT[:90_000])
        took = await fetch_split(fw.session, file, part, 4)
        assert await read(part) == CONTENT
        assert took.moved == SIZE - 90_000


@pytest.mark.parametrize("fault", ["cut_body", "status_503", "drop_reply"])
async def test_broken_answers(tmp_path: Path, fault: str) -> None:
    async with large_file(tmp_path, faults=f"download:{fault}=30%") as (fw, file, part):
        took = await fetch_split(fw.session, file, part, 4)
        assert await read(part) == CONTENT
        assert took.proof == "hash"


async def test_a_damaged_range_is_found_by_the_hash(tmp_path: Path) -> None:
    async with large_file(tmp_path, faults="download:corrupt_body=10%") as (fw, file, part):
        await fetch_split(fw.session, file, part, 4)
        assert hashlib.sha384(await read(part)).hexdigest() == hashlib.sha384(CONTENT).hexdigest()


async def test_a_server_without_ranges(tmp_path: Path) -> None:
    async with large_file(tmp_path, without=("range",)) as (fw, file, part):
        took = await fetch_split(fw.session, file, part, 4)
        assert await read(part) == CONTENT
        assert took.proof == "hash"


async def test_bytes_that_never_agree_are_an_error(tmp_path: Path) -> None:
    async with large_file(tmp_path) as (fw, file, part):
        fw.session.policy = msgspec.structs.replace(fw.session.policy, tries=2, first_wait=0.01)
        with pytest.raises(IntegrityError):
            await fetch_split(fw.session, msgspec.structs.replace(file, hash="v0-sha384-" + "0" * 96), part, 4)


async def test_small_files_are_not_split(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splitting, "LEAST", SIZE + 1)
    async with large_file(tmp_path) as (fw, file, part):
        before = fw.requests
        await fetch_split(fw.session, file, part, 4)
        assert fw.requests - before == 1
        assert await read(part) == CONTENT
