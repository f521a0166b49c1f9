"""A bad network: the end is the same as on a good one."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_ import Person, add_project, counts, digests, fill, sandbox, write_rows


@pytest.mark.timeout(200)
@pytest.mark.parametrize("flags", [(), ("--without", "upsert-hierarchy")])
def test_commits_after_the_cut_make_no_doubles(tmp_path: Path, flags: tuple[str, ...]) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    with sandbox("--data", data, "--faults", "create:late_commit=5%:2", "--fault-seed", "3", *flags) as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", 300)
        done = person.types("import", "rows.csv", "--project", "lab/study")
        assert done.returncode == 0, done.stdout + done.stderr
        assert site.stats()["faults"]["create:late_commit"] >= 5
    with sandbox("--data", data) as site:
        assert counts(site.sdk().lookup("lab/study")) == (300, 300, 300)


@pytest.mark.timeout(200)
@pytest.mark.parametrize("member", [(), ("--member", "stats/values.bin")])
@pytest.mark.parametrize(
    "flags",
    [("--without", "archives"), ("--signed-urls", "--without", "archives"), ("--without", "range,archives")],
)
def test_a_mirror_over_damaged_bodies_has_every_byte_right(
    tmp_path: Path, member: tuple[str, ...], flags: tuple[str, ...]
) -> None:
    data = tmp_path / "data"
    fill(data, sessions=30, files_each=3)
    command = ["mirror", "--gear", "maker", "--project", "lab/study", "--to", "out", *member]
    with sandbox("--data", str(data)) as site:
        calm = Person(tmp_path / "calm", site.key)
        assert calm.types(*command).returncode == 0
    faults = ("--faults", "cut_body=5%,corrupt_body=2%,status_503=5%,stall=1%", "--fault-seed", "5")
    if member and "range,archives" in flags:
        faults = ("--faults", "cut_body=5%,status_503=5%")  # the member endpoint tells no CRC to notice damage by
    with sandbox("--data", str(data), *faults, *flags) as site:
        person = Person(tmp_path / "home", site.key)
        done = person.types(*command, FWSYNC_NETWORK_READ_TIMEOUT="3")
        assert done.returncode == 0, done.stdout + done.stderr
        assert any("cut_body" in fault for fault in site.stats()["faults"])
    assert digests(person.work / "out") == digests(calm.work / "out")
    assert len(digests(calm.work / "out")) == 90


def test_a_site_that_asks_to_slow_down_is_obeyed(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    with sandbox("--data", data, "--faults", "status_429=20%:0.2,status_502=5%") as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", 40)
        done = person.types("import", "rows.csv", "--project", "lab/study")
        assert done.returncode == 0, done.stdout + done.stderr
    with sandbox("--data", data) as site:
        assert counts(site.sdk().lookup("lab/study")) == (40, 40, 40)


def test_expired_links_are_asked_for_anew(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fill(data, sessions=30, files_each=1)
    flags = ("--signed-urls", "--without", "archives", "--faults", "expired_ticket=20%")
    with sandbox("--data", str(data), *flags) as site:
        person = Person(tmp_path / "home", site.key)
        done = person.types("mirror", "--gear", "maker", "--project", "lab/study", "--to", "out")
        assert done.returncode == 0, done.stdout + done.stderr
        assert site.stats()["faults"]["download:expired_ticket"] >= 2
    assert len(digests(person.work / "out")) == 30


def test_a_site_that_dies_ends_the_run_with_5_and_a_summary(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    with sandbox("--data", data, "--latency", "200") as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", 300)
        quick = {"FWSYNC_NETWORK_TRIES": "2", "FWSYNC_NETWORK_RETRY_SECONDS": "2", "FWSYNC_NETWORK_READ_TIMEOUT": "2"}
        process = person.start("import", "rows.csv", "--project", "lab/study", **quick)
        assert process.stderr is not None
        while "working" not in process.stderr.readline():
            assert process.poll() is None
        site.process.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 5, out + err
    assert "can't connect" in err.splitlines()[-1]
    assert out.splitlines()[-1].startswith("incomplete:")
    with sandbox("--data", data) as site:
        person = Person(tmp_path / "home", site.key)
        assert person.types("import", "rows.csv", "--project", "lab/study").returncode == 0
        assert counts(site.sdk().lookup("lab/study")) == (300, 300, 300)
