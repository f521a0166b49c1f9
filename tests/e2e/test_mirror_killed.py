"""A mirror that is killed at random moments on a bad network, and one that is cut short: nothing wrong, nothing twice.

6 kills here and a file of 96 MiB; FWSYNC_TEST_SCALE=5 makes it 50 kills, and from 5 on the file has 1 GiB.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from site_ import SECRET, Person, Site, digests, sandbox
from wire_ import wire

SCALE = float(os.environ.get("FWSYNC_TEST_SCALE", "1"))
KILLS = 6 if SCALE == 1 else int(10 * SCALE)
LARGE = 2**30 if SCALE >= 5 else 96 * 2**20
EVERY_FAULT = (
    "latency=3%:0.2,status_429=3%:0.1,status_500=3%,status_502=3%,status_503=3%,drop_request=3%,drop_reply=3%,"
    "create:late_commit=3%:1,cut_body=3%,stall=3%:4,slow_body=3%:2,corrupt_body=3%,expired_ticket=3%"
)
QUICK = {"FWSYNC_NETWORK_READ_TIMEOUT": "2"}


def build(data: Path, make: Any) -> None:
    """Fill a data folder through the sandbox's own store; `make` gets its Builder and project `lab/study`."""
    from fwsync.sandbox.demo.builder import Builder
    from fwsync.sandbox.options import SandboxOptions
    from fwsync.sandbox.site import Site as Store

    store = Store(SandboxOptions(api_key=SECRET), data)

    def work(conn: Any) -> None:
        builder = Builder(conn, store.blobs)
        make(builder, builder.add("project", "study", builder.group("lab", "Lab")))

    async def run() -> None:
        await store.db.write(work)

    asyncio.run(run())
    store.close()


def mixed(builder: Any, project: Any) -> None:
    """Small files on many levels, files of several MiB, and zips of small and large members."""
    from fwsync.sandbox.demo import content

    values = random.Random(4)
    for number in range(12):
        session = builder.add("session", f"ses-{number % 2}", builder.add("subject", f"sub-{number // 2:02}", project))
        builder.file(session, "notes.txt", f"session {number}".encode())
        for label in ("T1w", "T2w"):
            scan = builder.add("acquisition", label, session)
            for part in range(32):
                builder.file(scan, f"{part:02}.bin", values.randbytes(values.randrange(20_000)))
        if number % 3 == 0:
            builder.file(scan, "large.nii.gz", values.randbytes(3 * 2**20 + number))
            members = {f"out/{n:02}.dcm": values.randbytes(3_000) for n in range(20)}
            members["out/large.mgz"] = values.randbytes(2 * 2**20)
            builder.file(scan, "series.zip", content.archive(members))


def index_of(person: Person) -> set[tuple[Any, ...]]:
    """What the journal remembers of the tree, wherever it lies."""
    with sqlite3.connect(person.home / "state/fwsync/journal.db") as journal:
        rows = journal.execute("select path, file_id, version, hash, member, size, mtime_ns, state from files")
        return set(rows.fetchall())


def partials(person: Person) -> list[Path]:
    """Partial files below its work folder, and what the journal knows of some."""
    found = [path for path in person.work.rglob("*") if path.name.startswith(".fw~") or path.parent.name == "partial"]
    with sqlite3.connect(person.home / "state/fwsync/journal.db") as journal:
        return found + [Path(row[0]) for row in journal.execute("select path from parts")]


def held(tree: Path) -> dict[str, str]:
    """What lies under final names."""
    return {path: digest for path, digest in digests(tree).items() if "/.fw~" not in path}


@pytest.mark.timeout(int(240 + 120 * SCALE))
@pytest.mark.parametrize("flags", [("--without", "archives"), ("--signed-urls",)], ids=["direct", "signed"])
def test_a_mirror_killed_on_a_bad_network_ends_as_if_undisturbed(tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Every kill hits a run: a run that ends before it is looked at, and the next one begins with an empty folder."""
    data = tmp_path / "data"
    build(data, mixed)
    command = ["mirror", "--project", "lab/study", "--unzip", "--to"]
    with sandbox("--data", str(data)) as site:
        calm = Person(tmp_path / "calm", site.key)
        done = calm.types(*command, "out")
        assert done.returncode == 0, done.stdout + done.stderr
    whole, index = digests(calm.work / "out"), index_of(calm)
    assert len(whole) == 12 + 24 * 32 + 4 + 4 * 21
    values = random.Random(6)
    faults = ("--faults", EVERY_FAULT, "--fault-seed", "11", "--latency", "40", *flags)
    seen_partly = kills = rounds = 0
    with sandbox("--data", str(data), *faults) as site:
        while kills < KILLS:
            rounds += 1
            person = Person(tmp_path / f"home{rounds}", site.key)
            tree = person.work / "out"
            alive = True
            while alive and kills < KILLS:
                process = person.start(*command, "out", **QUICK)
                time.sleep(values.uniform(0.3, 5.0))
                alive = process.poll() is None
                process.kill()
                out, err = process.communicate()
                assert alive or process.returncode == 0, out + err
                kills += alive
                found = held(tree) if tree.exists() else {}
                assert found.items() <= whole.items(), "a final name held other bytes than the platform's"
                seen_partly += 0 < len(found) < len(whole)
            done = person.types(*command, "out", **QUICK)
            assert done.returncode == 0, done.stdout + done.stderr
            assert digests(tree) == whole
            assert index_of(person) == index
            assert partials(person) == []
            again = person.types(*command, "out", "--json", **QUICK)
            told = json.loads(again.stdout.splitlines()[-1])
            assert (told["states"], told["bytes"]) == ({"unchanged": len(whole)}, 0)
        assert seen_partly >= KILLS // 5, "the kills came when there was nothing or all"
        given = {fault.split(":")[-1] for fault in site.stats()["faults"]}
        wanted = {"cut_body", "corrupt_body", "status_500", "drop_request", "stall"}
        # Where archives bring most of the files there are too few requests for each of them to be sure.
        assert len(given & wanted) >= (len(wanted) if "archives" in flags else 2)


def one_large(builder: Any, project: Any) -> None:
    builder.file(project, "large.bin", random.Random(8).randbytes(2**20) * (LARGE // 2**20))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Any:
    data = tmp_path_factory.mktemp("large") / "data"
    build(data, one_large)
    with sandbox("--data", str(data)) as site:
        yield site


@pytest.mark.timeout(600)
@pytest.mark.parametrize("split", [1, 4])
@pytest.mark.parametrize("how", ["kill", "cut"])
def test_a_file_cut_at_ninety_percent_moves_ten_percent_again(
    tmp_path: Path, large: Site, how: str, split: int
) -> None:
    command = ("mirror", "--project", "lab/study", "--to", "out", "--json")
    with wire(large.host) as line:
        person = Person(tmp_path, f"127.0.0.1:{line.port}:__force_insecure:{SECRET}")
        env = {"FWSYNC_NETWORK_SPLIT": str(split)}
        # A kill loses what was not written yet: two chunks of a MiB, one range of 4 MiB a lane, and what sockets hold.
        lost = (24 + (4 * split if split > 1 else 0)) * 2**20
        line.limit = LARGE * 9 // 10
        process = person.start(*command, **env)
        if how == "kill":
            line.at_limit = process.kill
            process.communicate(timeout=200)
            assert process.returncode == -9
            (part,) = (person.work / "out").rglob(".fw~*")
            there, before = part.stat().st_size, line.down
            assert there > LARGE * 9 // 10 - 24 * 2**20, "what came lies on the disk, but for what was on its way"
            process = person.start(*command, **env)
            out, err = process.communicate(timeout=200)
            assert line.down - before < LARGE - there + 2**20, "no more than what is missing"
        else:
            out, err = process.communicate(timeout=200)
            assert line.limit is None, "it was never cut"
        assert process.returncode == 0, out + err
        assert line.down < LARGE + lost + 2**20, "the beginning came again"
        assert list(digests(person.work / "out")) == ["study/large.bin"]
        assert (person.work / "out/study/large.bin").stat().st_size == LARGE
        assert partials(person) == []
