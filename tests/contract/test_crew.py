"""A second process that brings small files: the same tree, the same accounts, and nothing left when either dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import msgspec
import pytest
from small_ import site

from fwsync.client.api import Flywheel
from fwsync.work import FetchFile

COUNT = 900
SCRIPT = Path(__file__).with_name("crew_.py")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def command(fw: Flywheel, folder: Path, files: list[FetchFile], act: str = "") -> list[str]:
    listed = folder / "files.json"
    listed.write_bytes(msgspec.json.encode(files))
    key = fw.session.key
    text = f"{key.host}:{key.port}:__force_insecure:{key.secret}"
    return [sys.executable, str(SCRIPT), text, str(folder), str(listed), act]


async def fetched(fw: Flywheel, folder: Path, files: list[FetchFile], act: str = "") -> dict[str, Any]:
    def run() -> str:
        done = subprocess.run(command(fw, folder, files, act), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return json.loads(await anyio.to_thread.run_sync(run))  # type: ignore[no-any-return]


def tree_of(folder: Path) -> dict[str, bytes]:
    assert os.listdir(folder / "tree/.fwsync/partial") == []
    return {path.name: path.read_bytes() for path in (folder / "tree/a").iterdir()}


def is_gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("without", [(), ("archives",)])
async def test_two_processes_bring_the_same_tree(tmp_path: Path, without: tuple[str, ...]) -> None:
    async with site(tmp_path, COUNT, without=frozenset(without)) as (fw, contents, files):
        found = await fetched(fw, tmp_path, files)
        assert found["states"] == {"done": COUNT}
        assert found["by_lanes"][0] >= 128
        assert found["renaming"] == 0
        assert tree_of(tmp_path) == contents
        if without:
            assert COUNT <= found["requests"] <= COUNT + 30, "what the other process asked for is counted"
        assert found["limits"][0] <= found["limits"][1] // 2, "the two keep to the limits of one"


async def test_one_crew_for_many_runs(tmp_path: Path) -> None:
    async with site(tmp_path, COUNT, without=frozenset({"archives"})) as (fw, contents, files):
        found = await fetched(fw, tmp_path, files, "twice")
        assert found["states"] == {"done": COUNT}
        assert min(found["by_lanes"]) > 0
        assert len(found["by_lanes"]) == 2
        assert tree_of(tmp_path) == contents


async def test_a_process_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, COUNT, without=frozenset({"archives"}), faults="download:latency=100%:0.01") as (
        fw,
        contents,
        files,
    ):
        found = await fetched(fw, tmp_path, files, "kill-one")
        assert found["states"] == {"done": COUNT}
        left = os.listdir(tmp_path / "tree/.fwsync/partial")  # what the dead one had staged: the next run removes it
        assert all("-" in name for name in left)
        for name in left:
            (tmp_path / "tree/.fwsync/partial" / name).unlink()
        assert tree_of(tmp_path) == contents


@pytest.mark.parametrize("act", ["idle", "busy"])
async def test_a_parent_that_is_killed_takes_the_other_with_it(tmp_path: Path, act: str) -> None:
    slow = {"without": frozenset({"archives"}), "faults": "download:latency=100%:60"} if act == "busy" else {}
    async with site(tmp_path, COUNT, **slow) as (fw, _, files):
        process = subprocess.Popen(command(fw, tmp_path, files, act), stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = await anyio.to_thread.run_sync(process.stdout.readline)
        (child,) = json.loads(line)["children"]
        assert not is_gone(child)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
        process.stdout.close()
        until = time.monotonic() + 10
        while not is_gone(child) and time.monotonic() < until:
            await anyio.sleep(0.02)
        assert is_gone(child)


async def test_errors_and_retries_of_the_other_process_are_told(tmp_path: Path) -> None:
    options = {"without": frozenset({"archives"}), "faults": "download:status_503=8%:0"}
    async with site(tmp_path, COUNT, **options) as (fw, contents, files):
        gone = files[500:520]
        for file in gone:
            await fw.session.call("DELETE", "acquisitions", file.container_id, "files", file.name)
        found = await fetched(fw, tmp_path, files)
        assert found["states"] == {"done": COUNT - len(gone), "failed": len(gone)}
        assert set(found["reasons"]) == {file.path for file in gone}
        for file in gone:
            wanted = f"GET file {file.name!r} answered 404: file {file.name} not found (request id "
            assert found["reasons"][file.path].startswith(wanted)
        assert found["told"] == found["retries"] > 20
        assert tree_of(tmp_path) == {k: v for k, v in contents.items() if k not in {file.name for file in gone}}


async def test_a_key_that_is_refused_meanwhile_ends_the_run(tmp_path: Path) -> None:
    async with site(tmp_path, COUNT, without=frozenset({"archives"})) as (fw, _, files):
        fw.session.key = msgspec.structs.replace(fw.session.key, secret="no-longer-a-good-key")
        found = await fetched(fw, tmp_path, files)
        assert found["error"] == "AuthError"
        assert found["states"] == {"stopped": COUNT}


def test_where_there_are_no_more_processes_there_is_one() -> None:
    """The limit of the system for a user's processes; root has none, so it is done by an error of fork itself."""
    script = (
        "import os\nfrom fwsync.run.crew import Crew\n"
        "def refused(): raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "os.fork = refused\ncrew = Crew.fork(3)\ncrew.close()\nprint('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (0, "went on\n"), done.stderr
