"""Runs that go on and on, runs that wait for each other, and runs that stop at a size: real processes."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, add_project, digests, fill, sandbox

MIRROR = ("mirror", "--project", "lab/study", "--analyses", "--to", "out")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("site")
    fill(data, sessions=10, files_each=2)
    with sandbox("--data", str(data)) as site:
        yield site


@pytest.fixture
def person(tmp_path: Path, filled: Site) -> Person:
    return Person(tmp_path, filled.key)


def until(true: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something; the time is a guard against hanging, not a measure."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def is_at_work(process: Any) -> None:
    """Wait until a run says that it transfers: it has its lock then."""
    for line in process.stderr:
        if line == "fwsync: working\n":
            return
    raise AssertionError("it ended before")


def last(done: Any) -> dict[str, Any]:
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


# --- one at a time ----------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_the_second_run_on_a_tree_leaves_or_waits(person: Person) -> None:
    first = person.start(*MIRROR, "--bwlimit", "60k")
    is_at_work(first)
    waiting = person.start(*MIRROR, "--wait", "--json")
    left = person.types(*MIRROR)
    assert (left.returncode, left.stdout) == (6, "")
    assert f"process {first.pid}" in left.stderr
    soon = person.types(*MIRROR, "--wait", "0.5s")
    assert soon.returncode == 6, "its patience was at an end"
    out, err = waiting.communicate(timeout=60)
    assert first.poll() is not None, "it began after the other's end"
    assert first.communicate()[0].splitlines()[-1] == "complete"
    assert (waiting.returncode, json.loads(out)["states"]) == (0, {"unchanged": 20}), err
    assert err.count("waiting: another run is at work on tree") == 1


@pytest.mark.timeout(120)
def test_a_killed_run_makes_nobody_wait(person: Person) -> None:
    first = person.start(*MIRROR, "--bwlimit", "100k")
    is_at_work(first)
    second = person.start(*MIRROR, "--wait")
    first.kill()
    first.communicate()
    assert second.communicate(timeout=60)[0].splitlines()[-1] == "complete"


@pytest.mark.timeout(120)
def test_an_import_waits_for_the_project(tmp_path: Path) -> None:
    with sandbox("--latency", "100") as site:
        add_project(site, "study")
        person = Person(tmp_path, site.key)
        (person.work / "a.csv").write_text("subject\n" + "".join(f"s{n:03}\n" for n in range(200)))
        command = ("import", "a.csv", "--project", "lab/study")
        first = person.start(*command, FWSYNC_NETWORK_CALLS="2", FWSYNC_NETWORK_MAX_CALLS="2")
        until(lambda: sum(site.stats()["requests"].values()) > 15)
        assert person.types(*command).returncode == 6
        done = person.types(*command, "--wait", "--json")
        assert (done.returncode, last(done)["writes"]) == (0, 0), done.stderr
        assert first.wait(5) == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("command", ["apply", "undo", "retry"])
def test_apply_undo_and_retry_wait_for_the_project(tmp_path: Path, command: str) -> None:
    with sandbox("--latency", "100") as site:
        add_project(site, "study")
        person = Person(tmp_path, site.key)
        (person.work / "a.csv").write_text("subject\na1\na2\n")
        (person.work / "b.csv").write_text("subject\nb1\n")
        (person.work / "long.csv").write_text("subject\n" + "".join(f"s{n:03}\n" for n in range(150)))
        project = ("--project", "lab/study")
        assert person.types("plan", "import", "b.csv", *project, "--out", "plan.jsonl").returncode == 0
        run = last(person.types("import", "a.csv", *project, "--json"))["run"]
        with sqlite3.connect(person.home / "state/fwsync/journal.db") as journal:
            journal.execute("update runs set ended = null where id = ?", (run,))  # as of a run that was killed
        journal.close()
        given = {"apply": ("apply", "plan.jsonl"), "undo": ("undo", run, "--yes"), "retry": ("retry", run)}[command]
        before = sum(site.stats()["requests"].values())
        first = person.start("import", "long.csv", *project, FWSYNC_NETWORK_CALLS="2", FWSYNC_NETWORK_MAX_CALLS="2")
        until(lambda: sum(site.stats()["requests"].values()) > before + 15)
        left = person.types(*given)
        assert (left.returncode, left.stdout) == (6, ""), left.stderr
        done = person.types(*given, "--wait", "--json")
        assert (done.returncode, last(done)["ok"]) == (0, True), done.stderr
        assert done.stderr.count("waiting: another run is at work on project") == 1
        assert first.wait(5) == 0
        assert person.types(*given, "--wait", "soon").returncode == 2


@pytest.mark.timeout(60)
def test_a_retried_transfer_keeps_its_limits(tmp_path: Path) -> None:
    with sandbox() as site:
        project = add_project(site, "study")
        for name, size in (("b.bin", 3000), ("a.bin", 2000), ("c.bin", 2500)):
            (tmp_path / name).write_bytes(b"x" * size)
            project.upload_file(str(tmp_path / name))
        project.add_subject(label="up")
        person = Person(tmp_path / "home", site.key)
        limits = ("--max-transfer", "3k", "--json")
        done, held = person.types("download", "lab/study", "--to", "down", "--order", "largest", *limits), []
        for _ in range(3):
            held.append((done.returncode, sorted(Path(path).name for path in digests(person.work / "down"))))
            done = person.types("retry", last(done)["run"], "--json")
        assert held == [(3, ["b.bin"]), (3, ["b.bin", "c.bin"]), (0, ["a.bin", "b.bin", "c.bin"])]
        files = [str(tmp_path / name) for name in ("b.bin", "a.bin", "c.bin")]
        done, states = person.types("upload", *files, "--to", "lab/study/up", *limits), []
        for _ in range(3):
            states.append((done.returncode, last(done)["states"]))
            done = person.types("retry", last(done)["run"], "--json")
        assert states == [(3, {"done": 1, "stopped": 2}), (3, {"done": 1, "stopped": 1}), (0, {"done": 1})]


def test_what_is_no_interval_is_one_line(person: Person) -> None:
    for flags in (("--wait", "soon"), ("--watch", "5"), ("--watch", "1d", "--dry-run")):
        done = person.types(*MIRROR, *flags)
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("\n") == 1 or "signing" in done.stderr
        assert flags[0] in done.stderr.splitlines()[-1]


# --- on and on --------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_new_file_appears_and_is_mirrored(tmp_path: Path, number: signal.Signals) -> None:
    with sandbox() as site:
        project = add_project(site, "study")
        (tmp_path / "one.txt").write_text("one")
        project.upload_file(str(tmp_path / "one.txt"))
        person = Person(tmp_path / "home", site.key)
        process = person.start("mirror", "--project", "lab/study", "--to", "out", "--watch", "0.5s", "--json")
        until(lambda: "lab/study/one.txt" in here(person))
        (tmp_path / "two.txt").write_text("two")
        project.upload_file(str(tmp_path / "two.txt"))
        until(lambda: len(here(person)) == 2)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 128 + number, err
        rounds = [json.loads(line) for line in out.splitlines()]
        told = [one for one in rounds if "round" in one]
        assert [one["round"] for one in told] == list(range(1, len(told) + 1))
        assert len({one["run"] for one in told}) == len(told), "each round is a run of its own"
        assert sum(one["states"].get("done", 0) for one in rounds) == 2
        assert all(one["requests"] <= 12 for one in told), "each counts its own requests"
        kept = person.types("runs", "--json").stdout.splitlines()
        assert {json.loads(line)["id"] for line in kept} >= {one["run"] for one in told[-5:]}
        assert "stopped" in err.splitlines()[-1]


def here(person: Person) -> list[str]:
    out = person.work / "out"
    return [f"lab/study/{p.name}" for p in out.rglob("*.txt")] if out.exists() else []


@pytest.mark.timeout(120)
def test_a_site_that_goes_away_does_not_end_a_watch(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        project = add_project(site, "study")
        (tmp_path / "one.txt").write_text("one")
        project.upload_file(str(tmp_path / "one.txt"))
        port = site.host.rpartition(":")[2]
        person = Person(tmp_path / "home", site.key)
        process = person.start(
            "mirror", "--project", "lab/study", "--to", "out", "--watch", "0.3s", FWSYNC_NETWORK_TRIES="1"
        )
        assert process.stdout is not None
        told = [process.stdout.readline()]
    assert "round 1: complete" in told[0]
    while "can't connect" not in told[-1]:
        told.append(process.stdout.readline())
        assert len(told) < 200
    with sandbox("--data", data, "--port", port):
        while "round" not in told[-1] or "complete" not in told[-1]:
            told.append(process.stdout.readline())
            assert len(told) < 400
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    process.communicate()


@pytest.mark.timeout(60)
def test_a_mistake_in_the_first_round_ends_a_watch(person: Person) -> None:
    done = person.types("mirror", "--project", "lab/stady", "--to", "out", "--watch", "0.1s")
    assert done.returncode == 2
    assert "lab/stady" in done.stderr.splitlines()[-1]


# --- so much and no more ----------------------------------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_a_run_stops_before_what_would_exceed_and_the_next_goes_on(person: Person) -> None:
    command = (*MIRROR, "--max-transfer", "150k", "--json")
    dry = person.types(*command, "--dry-run")
    assert last(dry)["states"] == {"stopped": 13}, "what it would stop at is known before"
    held = []
    for _ in range(3):
        done = person.types(*command)
        held.append((done.returncode, len(digests(person.work / "out"))))
        assert last(done)["bytes"] <= 150_000
        if done.returncode == 3:
            assert last(done)["reasons"] == {"--max-transfer 150k is reached; run again to go on": 20 - held[-1][1]}
    assert held == [(3, 7), (3, 14), (0, 20)]
    whole = Person(person.home / "whole", person.env["FWSYNC_API_KEY"])
    assert whole.types(*MIRROR).returncode == 0
    assert digests(person.work / "out") == digests(whole.work / "out")
    assert person.types(*MIRROR, "--max-transfer", "much").returncode == 2


@pytest.mark.timeout(60)
def test_the_order_of_downloads(tmp_path: Path) -> None:
    with sandbox() as site:
        project = add_project(site, "study")
        for name, size in (("b.bin", 3000), ("a.bin", 1000), ("c.bin", 2000)):
            (tmp_path / name).write_bytes(b"x" * size)
            project.upload_file(str(tmp_path / name))
        person = Person(tmp_path / "home", site.key)
        first = {}
        for order in ("path", "smallest", "largest", "newest", "oldest"):
            command = ("mirror", "--project", "lab/study", "--order", order, "--max-transfer", "3k", "--to", order)
            person.types(*command)
            first[order] = sorted(Path(path).name for path in digests(person.work / order))
        assert first == {
            "path": ["a.bin"],
            "smallest": ["a.bin", "c.bin"],
            "largest": ["b.bin"],
            "newest": ["a.bin", "c.bin"],
            "oldest": ["b.bin"],
        }
        down = person.types("download", "lab/study", "--to", "down", "--order", "largest", "--max-transfer", "3k")
        assert (down.returncode, [Path(p).name for p in digests(person.work / "down")]) == (3, ["b.bin"])


@pytest.mark.timeout(60)
def test_an_upload_stops_at_a_size_and_goes_on(tmp_path: Path) -> None:
    with sandbox() as site:
        project = add_project(site, "study")
        person = Person(tmp_path, site.key)
        for number in range(4):
            folder = person.work / "data" / f"sub-{number}" / "ses-1" / "scan"
            folder.mkdir(parents=True)
            (folder / "a.bin").write_bytes(bytes([number]) * 1000)
        command = ("upload", "data", "--to", "lab/study", "--max-transfer", "2k", "--json")
        first, second, third = (person.types(*command) for _ in range(3))
        assert [done.returncode for done in (first, second, third)] == [3, 0, 0], first.stdout + second.stdout
        assert last(first)["bytes"] <= 2000
        assert last(third)["writes"] == 0
        assert len(project.reload().subjects()) == 4
