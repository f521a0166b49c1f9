"""Many files to their final names: nothing outside the root, nothing half, and what fails fails alone."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from fwsync.errors import TargetError
from fwsync.run.folders import folders
from fwsync.run.journal import Journal
from fwsync.run.landing import Landed, Landing
from fwsync.run.staging import STAGING, Body, Staged, Stager, sweep
from fwsync.run.tree import Tree


class Both:
    """Staging and landing, one after the other."""

    def __init__(self, stager: Stager, landing: Landing) -> None:
        self._stager, self._landing = stager, landing

    async def land(self, bodies: list[Body]) -> list[Landed]:
        staged = await self._stager.stage(bodies)
        landed = iter(await self._landing.land([one for one in staged if isinstance(one, Staged)]))
        return [next(landed) if isinstance(one, Staged) else one for one in staged]


@asynccontextmanager
async def landing(tmp_path: Path, **more: Any) -> AsyncIterator[tuple[Both, Tree, Journal]]:
    tree = Tree(tmp_path / "tree")
    await tree.prepare()
    async with Journal(tmp_path / "state") as journal:
        fsync = more.get("fsync", "batch")
        stager = Stager(tree, "run", fsync=fsync, mode=more.get("mode"))
        yield Both(stager, Landing(tree, journal, fsync=fsync)), tree, journal


def body(path: str, data: bytes = b"data") -> Body:
    return Body(path, f"id-{path}", 1, None, None, [data[:1], data[1:]], 1_000_000_000_000_000_000)


@pytest.mark.parametrize("fsync", ["batch", "always", "never"])
async def test_files_land_with_their_times_and_the_index_knows_them(tmp_path: Path, fsync: str) -> None:
    async with landing(tmp_path, fsync=fsync, mode=0o640) as (one, tree, journal):
        bodies = [body("a/b/c.txt"), body("a/b/d.txt", b"other"), body("e.txt", b"")]
        landed = await one.land(bodies)
        index = await journal.index(str(tree.real))
        assert [index[b.path] for b in bodies] == landed
        for wanted in bodies:
            place = tree.real / wanted.path
            assert place.read_bytes() == b"".join(wanted.pieces)
            assert place.stat().st_mtime_ns == wanted.mtime_ns
            assert place.stat().st_mode & 0o777 == 0o640
        assert await journal.renaming(str(tree.real)) == {}
        assert os.listdir(tree.real / STAGING) == []


async def test_a_link_out_of_the_tree_is_refused_and_the_others_land(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    async with landing(tmp_path) as (one, tree, journal):
        (tree.real / "away").symlink_to(outside)
        (tree.real / "within").mkdir()
        (tree.real / "near").symlink_to("within")
        landed = await one.land([body("away/x"), body("near/y"), body("z"), body("../w")])
        assert [isinstance(found, TargetError) for found in landed] == [True, False, False, True]
        assert "leaves the target folder" in str(landed[0])
        assert list(outside.iterdir()) == []
        assert (tree.real / "within" / "y").exists()
        assert not (tmp_path / "w").exists()
        assert set(await journal.index(str(tree.real))) == {"near/y", "z"}


async def test_a_folder_in_the_way_fails_that_file_alone(tmp_path: Path) -> None:
    async with landing(tmp_path) as (one, tree, _):
        (tree.real / "x").mkdir()
        (tree.real / "f").write_text("a file where a folder should be")
        landed = await one.land([body("x"), body("f/y"), body("z")])
        assert [isinstance(found, TargetError) for found in landed] == [True, True, False]


async def test_a_root_that_is_gone_is_not_made_again(tmp_path: Path) -> None:
    async with landing(tmp_path) as (one, tree, _):
        tree.real.rename(tmp_path / "moved")
        (found,) = await one.land([body("x")])
        assert isinstance(found, TargetError)
        assert not tree.real.exists()


async def test_what_a_dead_run_staged_is_swept(tmp_path: Path) -> None:
    async with landing(tmp_path) as (_, tree, _):
        assert sweep(tree) == 0
        (tree.real / STAGING / "dead-0").write_bytes(b"half")
        assert sweep(tree) == 1
        assert os.listdir(tree.real / STAGING) == []


def test_a_dangling_link_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    with folders(tmp_path.resolve()) as held, pytest.raises((OSError, TargetError)):
        held.at("gone")
    assert not (tmp_path / "nowhere").exists()
