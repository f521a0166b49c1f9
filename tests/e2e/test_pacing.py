"""--bwlimit on real transfers: never faster than allowed (how much slower is not asserted)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from site_ import Person, add_project, fill, sandbox


@pytest.mark.timeout(120)
@pytest.mark.parametrize("member", [(), ("--member", "stats/values.bin")])
def test_downloads_are_no_faster_than_allowed(tmp_path: Path, member: tuple[str, ...]) -> None:
    fill(tmp_path / "data", sessions=6, files_each=2, size=100_000)
    with sandbox("--data", str(tmp_path / "data")) as site:
        person = Person(tmp_path / "home", site.key)
        began = time.monotonic()
        done = person.types(
            "mirror",
            "--gear",
            "maker",
            "--project",
            "lab/study",
            "--to",
            "out",
            "--bwlimit",
            "600k",
            "--json",
            *member,
            FWSYNC_NETWORK_READ_TIMEOUT="1",
        )
        seconds = time.monotonic() - began
        moved = json.loads(done.stdout.splitlines()[-1])["bytes"]
        assert done.returncode == 0, done.stderr
        assert moved >= 1_200_000
        assert seconds >= moved / 600_000 - 0.25


@pytest.mark.timeout(120)
@pytest.mark.parametrize("flags", [(), ("--signed-urls",)])
def test_uploads_are_no_faster_than_allowed(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with sandbox(*flags) as site:
        project = add_project(site, "study")
        person = Person(tmp_path, site.key)
        sizes = {"large.bin": 1_500_000, "small.bin": 200_000}
        for name, size in sizes.items():
            (person.work / name).write_bytes(b"x" * size)
        began = time.monotonic()
        # No byte leaves for longer than the read time-out at times: it is us who wait, and that is no failure.
        done = person.types(
            "upload", *sizes, "--to", "lab/study", "--bwlimit", "600k", "--json", FWSYNC_NETWORK_READ_TIMEOUT="1"
        )
        seconds = time.monotonic() - began
        assert done.returncode == 0, done.stderr
        assert seconds >= sum(sizes.values()) / 600_000 - 0.25
        assert {file.name: file.size for file in project.reload().files} == sizes


def test_what_is_no_rate_is_one_line(tmp_path: Path) -> None:
    person = Person(tmp_path, "localhost:1:secret")
    done = person.types("download", "lab/study", "--to", "x", "--bwlimit", "08:00,fast")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("fwsync: --bwlimit '08:00,fast'")
    assert done.stderr.count("\n") == 1
