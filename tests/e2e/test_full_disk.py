"""A disk that fills up while a mirror runs: a line for each file without room, the rest goes on, and whole in the end."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site
from test_mirror_killed import build, partials
from test_mirror_troubles import COMMAND, expected, line, made_whole, person, right, site, told
from wire_ import Wire

__all__ = ["line", "person", "site"]
SUBJECTS = 8
LARGE = 16 * 2**20  # no large file may fit into what the partial ones give back: it would take the room of small ones


def study(builder: Any, project: Any) -> None:
    """Small files and a large one in each of a few subjects."""
    values = random.Random(9)
    for number in range(SUBJECTS):
        subject = builder.add("subject", f"sub-{number}", project)
        for part in range(20):
            builder.file(subject, f"{part:02}.bin", values.randbytes(20_000))
        builder.file(subject, "large.bin", values.randbytes(LARGE))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    build(tmp_path / "data", study)
    return tmp_path / "data"


@contextmanager
def small_disk(at: Path, size: str) -> Iterator[Path]:
    """A tmpfs of that size, where this user may mount one."""
    at.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(at)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False)


def filled(other: Path, left: int) -> None:
    """Somebody else takes all but `left` bytes."""
    with other.open("wb", buffering=0) as file:
        while (held := os.statvfs(other)).f_bavail * held.f_frsize > left:
            try:
                file.write(bytes(1 << 16))
            except OSError:
                break


def failed(person: Person) -> dict[str, str]:
    """What failed in the last run, and why."""
    shown = person.types("runs", "--limit", "1", "--json").stdout
    told = person.types("runs", "show", json.loads(shown)["id"], "--json").stdout
    outcomes = [json.loads(one) for one in told.splitlines()]
    assert {one["state"] for one in outcomes} <= {"done", "failed"}, "nothing is stopped: the rest goes on"
    return {one["target"]: one["reason"] for one in outcomes if one["state"] == "failed"}


def test_small_files_that_fit_go_on_beside_large_ones_that_do_not(person: Person, site: Site, line: Wire) -> None:
    whole = expected(site)
    with small_disk(person.work / "out", "160m") as out:
        other = out / "other-job.bin"
        line.limit, line.at_limit = 4 * 2**20, lambda: filled(other, 5 * 2**20)
        said = told(person.start(*COMMAND), 3, "no space left", "free some, then run again")
        assert partials(person) == [], "what found no room takes none from others"
        other.unlink()
        found, missing = right(person, whole), failed(person)
        assert {path for path in whole if "large" not in path} <= found.keys(), said
        assert 0 < len(missing) == len(whole) - len(found), said
        assert all("large.bin" in target for target in missing)
        assert all(reason.startswith("no space left") for reason in missing.values())
        made_whole(person, whole)


def test_a_disk_without_any_room(person: Person, site: Site, line: Wire) -> None:
    whole = expected(site)
    with small_disk(person.work / "out", "160m") as out:
        other = out / "other-job.bin"
        line.limit, line.at_limit = 200_000, lambda: filled(other, 0)
        told(person.start(*COMMAND), 3, "no space left", "free some, then run again")
        other.unlink()
        found, missing = right(person, whole), failed(person)
        assert 0 < len(missing) == len(whole) - len(found)
        made_whole(person, whole)


def test_a_journal_without_room_ends_the_run(person: Person, site: Site, line: Wire) -> None:
    whole = expected(site)
    with small_disk(person.home / "state", "16m") as full:
        line.limit, line.at_limit = 4 * 2**20, lambda: filled(full / "other-job.bin", 0)
        said = told(person.start(*COMMAND), 3, "the journal can't be written", "free some space on its disk")
        assert len([one for one in said.splitlines() if "journal" in one]) == 1
        (full / "other-job.bin").unlink()
        assert len(right(person, whole)) < len(whole)
        made_whole(person, whole)
