"""Killed around the rename: whatever the local file is by then, a re-run ends as an undisturbed run does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fwsync.client.api import Flywheel
from fwsync.client.upload import Local, send
from fwsync.plan.mirroring import Indexed, entry_of, fetch_of, item_of, judge
from fwsync.plan.mirroring import WantedFile as Wanted
from fwsync.run.fetching import Fetcher
from fwsync.run.journal import Journal
from fwsync.run.tree import Tree
from fwsync.sandbox import Sandbox
from fwsync.work import FetchFile, SendFile, WorkItem


@asynccontextmanager
async def two_versions(tmp_path: Path) -> AsyncIterator[tuple[Flywheel, Journal, Tree, list[FetchFile]]]:
    """A site with a file in two versions, `old` and `newer!`, and a tree that holds nothing yet."""
    async with (
        Sandbox() as running,
        Flywheel.from_key(running.key) as fw,
        Journal(tmp_path / "state") as journal,
    ):
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        project = await fw.projects.create({"group": "lab", "label": "study"})
        source, versions = tmp_path / "data.bin", []
        for content in ("old", "newer!"):
            source.write_text(content)
            held = source.stat()
            file = SendFile(
                container_type="project", container_id=project, name="data.bin", source=str(source),
                size=held.st_size, mtime_ns=held.st_mtime_ns,
            )  # fmt: skip
            entry, _ = await send(fw, file, Local(file), None)
            versions.append(msgspec.structs.replace(fetch_of("project", project, entry), path="data.bin"))
        tree = Tree(tmp_path / "tree")
        await tree.prepare()
        yield fw, journal, tree, versions


async def mirrored(fw: Flywheel, journal: Journal, tree: Tree, wanted: FetchFile) -> Any:
    """The outcome of one run for one file, as `fwsync mirror` would have it."""
    fetcher = Fetcher(fw, journal, tree, "run")
    await fetcher.prepare()
    index, local = await journal.index(str(tree.real)), dict(tree.walk())
    entry = entry_of(Wanted(wanted, wanted.path), judge(wanted, index.get(wanted.path), local.get(wanted.path)))
    return (await fetcher.fetch(entry, None))[0] if isinstance(entry, WorkItem) else entry


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("in_a_batch", [False, True])
async def test_a_kill_around_the_rename_of_a_new_version(
    tmp_path: Path, renamed: bool, hashed: bool, in_a_batch: bool
) -> None:
    async with two_versions(tmp_path) as (fw, journal, tree, versions):
        old, new = (v if hashed else msgspec.structs.replace(v, hash=None) for v in versions)
        assert (await mirrored(fw, journal, tree, old)).state == "done"
        place = tree.real / "data.bin"
        assert place.read_text() == "old"
        if renamed:
            place.write_text("newer!")
        held = place.stat()
        row = Indexed(
            path="data.bin", file_id=str(new.file_id), version=new.version, hash=new.hash, member=None,
            size=6, mtime_ns=held.st_mtime_ns if renamed else held.st_mtime_ns + 1,
        )  # fmt: skip
        if in_a_batch:
            await journal.land(str(tree.real), [row])
        else:
            await journal.put_file(str(tree.real), row, "renaming")
        # and here the run was killed
        outcome = await mirrored(fw, journal, tree, new)
        assert outcome.state == ("unchanged" if renamed else "done"), outcome.reason
        assert place.read_text() == "newer!"
        assert (await mirrored(fw, journal, tree, new)).state == "unchanged"
        assert await journal.renaming(str(tree.real)) == {}


async def test_a_local_change_after_the_kill_is_still_kept(tmp_path: Path) -> None:
    async with two_versions(tmp_path) as (fw, journal, tree, (old, new)):
        await mirrored(fw, journal, tree, old)
        row = Indexed(
            path="data.bin",
            file_id=str(new.file_id),
            version=new.version,
            hash=new.hash,
            member=None,
            size=6,
            mtime_ns=1,
        )
        await journal.put_file(str(tree.real), row, "renaming")
        (tree.real / "data.bin").write_text("someone's own")
        outcome = await mirrored(fw, journal, tree, new)
        assert (outcome.state, outcome.reason) == ("skipped", "changed locally; kept as it is")
        assert (tree.real / "data.bin").read_text() == "someone's own"
        assert item_of(Wanted(new, "data.bin")).bytes == 6
