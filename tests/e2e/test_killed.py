"""SIGKILL at random moments, then once more undisturbed: the same end as if nothing had happened."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from site_ import Person, add_project, counts, digests, fill, sandbox, write_rows

ROWS = 300
KILLS = 10


def kill_again_and_again(person: Person, command: list[str], seed: int, longest: float) -> int:
    """Start the command and kill it, ten times; how often it was still running."""
    values = random.Random(seed)
    alive = 0
    for _ in range(KILLS):
        process = person.start(*command)
        time.sleep(values.uniform(0.3, longest))
        alive += process.poll() is None
        process.kill()
        process.communicate()
    return alive


@pytest.mark.timeout(300)
@pytest.mark.parametrize("without", ["signed-urls", "upsert-hierarchy"])
def test_an_import_killed_ten_times_ends_with_exactly_its_rows(tmp_path: Path, without: str) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    faults = ("--faults", "drop_reply=3%,status_503=3%", "--fault-seed", "7")
    with sandbox("--data", data, *faults, "--latency", "60", "--without", without) as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", ROWS)
        command = ["import", "rows.csv", "--project", "lab/study"]
        assert kill_again_and_again(person, command, seed=1, longest=1.4) >= 3
        done = person.types(*command, FWSYNC_NETWORK_READ_TIMEOUT="5")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "complete"
        assert "(0 writes)" in person.types(*command).stdout
        assert site.stats()["faults"]
    with sandbox("--data", data) as site:
        assert counts(site.sdk().lookup("lab/study")) == (ROWS, ROWS, ROWS)


@pytest.mark.timeout(300)
def test_a_mirror_killed_ten_times_ends_whole(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data, sessions=100, files_each=3)
    with sandbox("--data", str(data)) as site:
        calm = Person(tmp_path / "calm", site.key)
        assert calm.types("mirror", "--gear", "maker", "--project", "lab/study", "--to", "out").returncode == 0
    with sandbox("--data", str(data), "--faults", "drop_reply=3%,status_503=3%,slow_body=20%:1") as site:
        person = Person(tmp_path / "home", site.key)
        command = ["mirror", "--gear", "maker", "--project", "lab/study", "--to", "out"]
        assert kill_again_and_again(person, command, seed=2, longest=2.0) >= 3
        whole = digests(calm.work / "out")
        held = {path: digest for path, digest in digests(person.work / "out").items() if "/.fw~" not in path}
        assert held.items() <= whole.items(), "a final name held other bytes than the platform's"
        done = person.types(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert digests(person.work / "out") == whole
        assert len(whole) == 300
        again = person.types(*command)
        assert "0 downloaded, 300 unchanged" in again.stdout
