"""SIGKILL at random moments, then once more undisturbed: the same end as if nothing had happened."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, add_project, digests, fill, sandbox, write_rows

ROWS = 200
KILLS = int(25 * float(os.environ.get("FWSYNC_TEST_SCALE", "1")))
"""FWSYNC_TEST_SCALE=2 makes it 50."""

MIRROR_KILLS = 10
FAULTS = "drop_request=3%,create:drop_reply=3%,create:late_commit=3%:1,status_429=3%:0.1,status_503=3%,stall=3%:1"


def kill_again_and_again(person: Person, command: list[str], seed: int, longest: float, kills: int, **env: str) -> int:
    """Start the command and kill it, again and again; how often it was still running."""
    values = random.Random(seed)
    alive = 0
    for _ in range(kills):
        process = person.start(*command, **env)
        time.sleep(values.uniform(0.3, longest))
        alive += process.poll() is None
        process.kill()
        process.communicate()
    return alive


def containers(project: Any) -> dict[str, list[dict[str, Any]]]:
    """Everything in a project that an import can have made, field by field, as the SDK reads it."""

    def fields(container: Any, *names: str) -> dict[str, Any]:
        whole = container.reload()
        told = {name: getattr(whole, name) for name in (*names, "label", "info", "tags")}
        return {**told, "notes": sorted(note.text for note in whole.notes), "files": [f.name for f in whole.files]}

    out: dict[str, list[dict[str, Any]]] = {}
    for subject in project.subjects.iter():
        held = out.setdefault(subject.label, [])
        held.append(fields(subject, "firstname", "lastname", "sex"))
        for session in subject.sessions.iter():
            held.append(fields(session, "age"))
            held += [fields(scan, "timestamp", "timezone") for scan in session.acquisitions.iter()]
    return out


@pytest.mark.timeout(600)
@pytest.mark.parametrize("without", ["signed-urls", "upsert-hierarchy"])
def test_an_import_killed_again_and_again_ends_as_if_undisturbed(tmp_path: Path, without: str) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
        add_project(site, "calm")
        person = Person(tmp_path / "calm", site.key)
        write_rows(person.work / "rows.csv", ROWS)
        marks = ("--tag", "imported", "--note", "by the registry")
        assert person.types("import", "rows.csv", "--project", "lab/calm", *marks).returncode == 0
    faults = ("--faults", FAULTS, "--fault-seed", "7", "--latency", "30", "--without", without)
    quick = {"FWSYNC_NETWORK_READ_TIMEOUT": "3"}
    with sandbox("--data", data, *faults) as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", ROWS)
        command = ["import", "rows.csv", "--project", "lab/study", *marks]
        assert kill_again_and_again(person, command, 1, 0.9, KILLS, **quick) >= KILLS // 2
        done = person.types(*command, **quick)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "complete"
        assert {fault.split(":")[-1] for fault in site.stats()["faults"]} >= {"drop_reply", "late_commit", "stall"}
        assert "(0 writes)" in person.types(*command, **quick).stdout
    with sandbox("--data", data) as site:
        fw = site.sdk()
        found, expected = (containers(fw.lookup(f"lab/{label}")) for label in ("study", "calm"))
        assert len(expected) == ROWS
        assert found == expected


@pytest.mark.timeout(300)
def test_a_mirror_killed_ten_times_ends_whole(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data, sessions=100, files_each=3)
    with sandbox("--data", str(data)) as site:
        calm = Person(tmp_path / "calm", site.key)
        assert calm.types("mirror", "--gear", "maker", "--project", "lab/study", "--to", "out").returncode == 0
    faults = ("--latency", "50", "--faults", "drop_reply=3%,status_503=3%,slow_body=20%:1")
    with sandbox("--data", str(data), "--without", "archives", *faults) as site:
        person = Person(tmp_path / "home", site.key)
        command = ["mirror", "--gear", "maker", "--project", "lab/study", "--to", "out"]
        assert kill_again_and_again(person, command, 2, 2.0, MIRROR_KILLS) >= 3
        whole = digests(calm.work / "out")
        held = {path: digest for path, digest in digests(person.work / "out").items() if "/.fw~" not in path}
        assert held.items() <= whole.items(), "a final name held other bytes than the platform's"
        done = person.types(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        assert digests(person.work / "out") == whole
        assert len(whole) == 300
        again = person.types(*command)
        assert "0 downloaded, 300 unchanged" in again.stdout
