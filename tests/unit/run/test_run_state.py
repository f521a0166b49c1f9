"""Journal, lock and tree: what survives a kill, and what never leaves the root."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from fwsync.errors import LockedError, NotAsAskedError, TargetError
from fwsync.plan.mirroring import Indexed
from fwsync.run.journal import Intent, Journal, on_network
from fwsync.run.lock import hold
from fwsync.run.partfile import PartFile
from fwsync.run.tree import Tree
from fwsync.work import Outcome, Summary


async def test_a_run_and_its_outcomes_are_kept(tmp_path: Path) -> None:
    async with Journal(tmp_path / "state") as journal:
        run = await journal.begin("import", {"source": "x.csv"}, "site")
        for state in ("done", "failed"):
            journal.record(run, Outcome(key=state, kind="k", state=state))  # type: ignore[arg-type]
        await journal.end(run, Summary(planned=2))
    async with Journal(tmp_path / "state") as journal:
        (record,) = await journal.runs()
        assert (record.command, record.arguments, record.ended is not None) == ("import", {"source": "x.csv"}, True)
        assert [o.key for o in await journal.outcomes(run, ["failed"])] == ["failed"]


async def test_patients_data_is_for_this_user_alone(tmp_path: Path) -> None:
    async with Journal(tmp_path / "state") as journal:
        await journal.begin("import", {}, "site")
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        for path in (tmp_path / "state").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


async def test_an_intent_outlives_its_process(tmp_path: Path) -> None:
    script = f"""
import anyio, os
from pathlib import Path
from fwsync.run.journal import Intent, Journal
async def main():
    async with Journal(Path({str(tmp_path)!r}) / "state") as journal:
        await journal.intend("site", Intent("p", "subject", "s1", 12.5, "run-1"))
        os.kill(os.getpid(), 9)
anyio.run(main)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == -9
    async with Journal(tmp_path / "state") as journal:
        held = await journal.intents("site")
        assert held == {("p", "subject", "s1"): Intent("p", "subject", "s1", 12.5, "run-1")}
        journal.settle("site", "p", "subject", "s1")
        assert await journal.intents("site") == {}


async def test_a_damaged_or_newer_journal_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/journal.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(NotAsAskedError, match="damaged"):
        async with Journal(tmp_path / "a"):
            pass
    (tmp_path / "b").mkdir()
    with sqlite3.connect(tmp_path / "b/journal.db") as connection:
        connection.execute("pragma user_version=99")
    with pytest.raises(NotAsAskedError, match="newer fwsync"):
        async with Journal(tmp_path / "b"):
            pass


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from fwsync.run.lock import hold
with hold(Path({str(tmp_path)!r}), "tree /x"):
    print("held", flush=True)
    time.sleep(60)
"""
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LockedError, match=f"process {holder.pid}"), hold(tmp_path, "tree /x"):
        pass
    with hold(tmp_path, "tree /y"):
        pass
    holder.kill()
    holder.communicate()
    with hold(tmp_path, "tree /x"):
        pass


def test_local_disk_is_not_a_network_file_system(tmp_path: Path) -> None:
    assert on_network(tmp_path) is False


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/x", "a//b", "", "a\\..\\b", "./a"])
async def test_nothing_leaves_the_root_by_name(tmp_path: Path, path: str) -> None:
    tree = Tree(tmp_path / "root")
    await tree.prepare()
    with pytest.raises(TargetError, match="leave the target"):
        tree.locate(path)


async def test_nothing_leaves_the_root_by_a_link(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "root")
    await tree.prepare()
    (tmp_path / "outside").mkdir()
    (tmp_path / "root/link").symlink_to(tmp_path / "outside")
    (tmp_path / "root/inner").mkdir()
    (tmp_path / "root/good").symlink_to(tmp_path / "root/inner")
    with pytest.raises(TargetError, match="a link that leaves"):
        tree.locate("link/deep/x")
    assert tree.locate("good/x").name == "x"
    (tmp_path / "root/part").symlink_to(tmp_path / "outside/stolen")
    with pytest.raises(TargetError):
        PartFile(tree, "part")
    assert not (tmp_path / "outside/stolen").exists()


def rooted(folder: Path) -> Tree:
    tree = Tree(folder)
    tree.real = folder.resolve()
    return tree


async def test_a_part_is_hashed_before_it_goes_on(tmp_path: Path) -> None:
    import hashlib
    import zlib

    (tmp_path / "p").write_bytes(b"first ")
    part = PartFile(rooted(tmp_path), "p", crc=True)
    await part.take_over()
    await part.write(b"second")
    assert part.position == 12
    assert await part.sha384() == hashlib.sha384(b"first second").hexdigest()
    assert part.crc32() == zlib.crc32(b"first second")
    await part.restart()
    await part.write(b"anew")
    part.close()
    assert (tmp_path / "p").read_bytes() == b"anew"


async def test_a_target_that_is_a_file_or_read_only_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(TargetError, match="is a file"):
        await Tree(tmp_path / "file").prepare()
    if os.geteuid() != 0:
        (tmp_path / "ro").mkdir(mode=0o500)
        with pytest.raises(TargetError, match="Permission denied"):
            await Tree(tmp_path / "ro/x").prepare()


async def test_the_index_is_by_root_and_path(tmp_path: Path) -> None:
    entry = Indexed(path="a", file_id="f", version=1, hash="h", member=None, size=3, mtime_ns=5)
    async with Journal(tmp_path / "state") as journal:
        await journal.put_file("/r", entry, "renaming")
        assert await journal.index("/r") == {}
        journal.present("/r", "a")
        assert await journal.index("/r") == {"a": entry}
        assert await journal.index("/other") == {}
