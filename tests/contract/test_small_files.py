"""Small files by bulk archives and by single requests: the same tree, whatever the site offers or breaks."""

from __future__ import annotations

import os
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from small_ import FILES, site

from fwsync.client import remotezip, zipspans
from fwsync.client.api import Flywheel
from fwsync.client.archives import Archives
from fwsync.client.upload import Local, send
from fwsync.errors import ProtocolError
from fwsync.model import ZipMember
from fwsync.plan.mirroring import WantedFile, fetch_of, item_of
from fwsync.run import worker
from fwsync.run.fetching import Fetcher
from fwsync.run.journal import Journal
from fwsync.run.pool import LocalPool
from fwsync.run.tree import Tree
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import FetchFile, Outcome, Plan, SendFile


async def brought(fw: Flywheel, tmp_path: Path, files: list[FetchFile]) -> tuple[Tree, list[Outcome]]:
    tree, outcomes = Tree(tmp_path / "tree"), []
    await tree.prepare()
    async with Journal(tmp_path / "state") as journal:
        fetcher = Fetcher(fw, journal, tree, "run")
        await fetcher.prepare()
        plan = Plan.of([item_of(WantedFile(file, file.path)) for file in files])
        await LocalPool(fetcher.handlers(), batching=fetcher.batching()).run(plan, outcomes.append)
    return tree, outcomes


def same(tree: Tree, contents: dict[str, bytes]) -> bool:
    return {path.name: path.read_bytes() for path in (tree.real / "a").iterdir()} == contents


@pytest.mark.parametrize(
    ("without", "most_requests"),
    [((), 5), (("archives-of-files",), 6), (("archives",), FILES + 10)],
)
async def test_the_same_files_by_every_way(tmp_path: Path, without: tuple[str, ...], most_requests: int) -> None:
    async with site(tmp_path, without=frozenset(without)) as (fw, contents, files):
        before = fw.requests
        tree, outcomes = await brought(fw, tmp_path, files)
        assert same(tree, contents)
        assert {one.state for one in outcomes} == {"done"}
        assert len(outcomes) == FILES
        assert fw.requests - before <= most_requests
        assert sum(one.bytes for one in outcomes) == sum(map(len, contents.values()))


@pytest.mark.parametrize("fault", ["cut_body", "corrupt_body", "status_503", "drop_reply", "expired_ticket"])
@pytest.mark.parametrize("without", [(), ("archives",)])
async def test_broken_archives_and_answers(tmp_path: Path, fault: str, without: tuple[str, ...]) -> None:
    async with site(tmp_path, faults=f"download:{fault}=25%", without=frozenset(without)) as (fw, contents, files):
        tree, outcomes = await brought(fw, tmp_path, files)
        assert same(tree, contents)
        assert {one.state for one in outcomes} == {"done"}


async def test_a_replaced_and_a_deleted_file_fail_alone(tmp_path: Path) -> None:
    async with site(tmp_path) as (fw, contents, files):
        gone, other = files[20], files[30]
        await fw.session.call("DELETE", "acquisitions", gone.container_id, "files", gone.name)
        damaged = msgspec.structs.replace(other, hash="v0-sha384-" + "0" * 96)
        asked = [damaged if file is other else file for file in files]
        archives = Archives(fw.session, worker.SMALL)
        found = await archives.fetch([file for file in asked if file is not gone])
        assert other.hash not in found
        fw.session.policy = msgspec.structs.replace(fw.session.policy, tries=2, first_wait=0.01)
        tree, outcomes = await brought(fw, tmp_path, asked)
        bad = {one.target: one.reason for one in outcomes if one.state != "done"}
        assert set(bad) == {gone.path, other.path}
        assert "another hash" in bad[other.path]
        rest = {name: data for name, data in contents.items() if name not in (gone.name, other.name)}
        assert same(tree, rest)


async def directory_of(fw: Flywheel, file: FetchFile, path: Path) -> list[ZipMember]:
    """The archive's directory as it is: no checksum guards it, so that a fault in it is nobody's to notice."""
    with zipfile.ZipFile(path) as archive:
        wanted = [(one.filename, one.CRC, one.header_offset, one.compress_size) for one in archive.infolist()]
    while True:
        with suppress(ProtocolError):
            members = await remotezip.members(fw.session, file)
            if [(one.path, one.crc, one.offset, one.packed) for one in members] == wanted:
                return members


@asynccontextmanager
async def zipped(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Flywheel, dict[str, bytes], list[FetchFile]]]:
    """A site with one zip of FILES members, and how to fetch each."""
    contents = {f"m{n:02}.dcm": os.urandom(500) + bytes(40 * n) for n in range(FILES)}
    path = tmp_path / "series.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for n, (name, data) in enumerate(contents.items()):
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if n % 2 else zipfile.ZIP_STORED)
    async with Sandbox(SandboxOptions(**options)) as running, Flywheel.from_key(running.key) as fw:
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        project = await fw.projects.create({"group": "lab", "label": "study"})
        held = path.stat()
        file = SendFile(
            container_type="project", container_id=project, name=path.name, source=str(path),
            size=held.st_size, mtime_ns=held.st_mtime_ns,
        )  # fmt: skip
        entry, _ = await send(fw, file, Local(file), None)
        members = await directory_of(fw, fetch_of("project", project, entry), path)
        wanted = [fetch_of("project", project, entry, member) for member in members]
        yield fw, contents, [msgspec.structs.replace(one, path=f"a/{one.member}") for one in wanted]


@pytest.mark.parametrize(("every", "most_requests"), [(1, 1), (7, 1)])
async def test_neighbours_in_a_zip_come_together(tmp_path: Path, every: int, most_requests: int) -> None:
    async with zipped(tmp_path) as (fw, contents, files):
        before = fw.requests
        tree, outcomes = await brought(fw, tmp_path, files[::every])
        assert same(tree, dict(list(contents.items())[::every]))
        assert {one.state for one in outcomes} == {"done"}
        assert fw.requests - before <= most_requests


async def test_far_members_come_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipspans, "GAP", 100)
    async with zipped(tmp_path) as (fw, contents, files):
        before = fw.requests
        tree, _ = await brought(fw, tmp_path, files[::20])
        assert same(tree, dict(list(contents.items())[::20]))
        assert fw.requests - before == len(files[::20])


@pytest.mark.parametrize("fault", ["cut_body", "corrupt_body", "status_503"])
async def test_members_over_broken_answers(tmp_path: Path, fault: str) -> None:
    async with zipped(tmp_path, faults=f"download:{fault}=25%") as (fw, contents, files):
        tree, outcomes = await brought(fw, tmp_path, files)
        assert same(tree, contents)
        assert {one.state for one in outcomes} == {"done"}


async def test_a_file_of_the_users_own_is_kept(tmp_path: Path) -> None:
    async with site(tmp_path) as (fw, contents, files):
        mine, equal = tmp_path / "tree" / "a" / "f10.bin", tmp_path / "tree" / "a" / "f11.bin"
        mine.parent.mkdir(parents=True)
        mine.write_text("mine")
        equal.write_bytes(contents["f11.bin"])
        tree, outcomes = await brought(fw, tmp_path, files)
        states = {one.target: (one.state, one.reason) for one in outcomes}
        assert states["a/f10.bin"][0] == "failed"
        assert states["a/f11.bin"][0] == "unchanged"
        assert mine.read_text() == "mine"
        assert same(tree, {**contents, "f10.bin": b"mine"})
