"""A tree that is read again: what is damaged, missing or changed is told apart, and repaired from the site."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, add_project, digests, fill, sandbox


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("site")
    fill(data, sessions=6, files_each=2)
    with sandbox("--data", str(data)) as site:
        yield site


@pytest.fixture(params=[(), ("--unzip",)], ids=["whole", "members"])
def person(tmp_path: Path, filled: Site, request: pytest.FixtureRequest) -> Person:
    one = Person(tmp_path, filled.key)
    command = ("mirror", "--gear", "maker", "--project", "lab/study", "--to", "out", *request.param)
    assert one.types(*command).returncode == 0
    return one


def files(person: Person) -> list[Path]:
    return sorted(p for p in (person.work / "out").rglob("*") if p.is_file() and ".fwsync" not in p.parts)


def rot(path: Path) -> None:
    """Flip one bit and leave size and time as they were."""
    held = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(held.st_atime_ns, held.st_mtime_ns))


def harm(person: Person) -> tuple[Path, Path, Path]:
    """One file damaged, one missing, one changed by somebody."""
    damaged, missing, changed = files(person)[1], files(person)[3], files(person)[5]
    rot(damaged)
    missing.unlink()
    changed.write_bytes(b"my own notes")
    return damaged, missing, changed


def last(done: Any) -> dict[str, Any]:
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_what_is_well_is_said_so_without_a_site_and_without_a_key(person: Person) -> None:
    count = len(files(person))
    done = person.types("verify", "out", "--json", FWSYNC_API_KEY="")
    assert done.returncode == 0, done.stderr
    assert (last(done)["states"], last(done)["requests"]) == ({"unchanged": count}, 0)
    read = person.types("verify", "out", FWSYNC_API_KEY="")
    assert f"{count} verified" in read.stdout
    assert read.stdout.splitlines()[-1] == "complete"
    [run] = [json.loads(line) for line in person.types("runs", "--json", "--limit", "1").stdout.splitlines()]
    assert (run["command"], run["site"], run["verdict"]) == ("verify", "", "complete")
    assert person.types("runs", "show", run["id"], "--all").stdout.count("\n") == 1, "no row for each file that is well"


def test_damaged_missing_and_changed_are_told_apart(person: Person) -> None:
    damaged, missing, changed = harm(person)
    before = digests(person.work / "out")
    done = person.types("verify", "out", FWSYNC_API_KEY="")
    out = person.work / "out"
    assert done.returncode == 3
    assert f"failed    {damaged.relative_to(out)}: damaged: its size and time are as they were left" in done.stdout
    assert f"failed    {missing.relative_to(out)}: missing" in done.stdout
    assert f"skipped   {changed.relative_to(out)}: changed locally" in done.stdout
    assert done.stdout.splitlines()[-1] == f"incomplete: 2 failed of {len(before) + 1}"
    assert digests(out) == before, "nothing was touched"


def test_repair_brings_them_again_and_leaves_what_somebody_changed(person: Person) -> None:
    whole = digests(person.work / "out")
    *_, changed = harm(person)
    name = str(changed.relative_to(person.work / "out"))
    done = person.types("verify", "out", "--repair", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert last(done)["by_kind"]["repair.file"] == {"done": 2}
    assert last(done)["by_kind"]["verify.file"] == {"unchanged": len(whole) - 3, "skipped": 1}
    now = digests(person.work / "out")
    assert changed.read_bytes() == b"my own notes"
    assert {k: v for k, v in now.items() if k != name} == {k: v for k, v in whole.items() if k != name}
    shown = person.types("runs", "show", last(done)["run"]).stdout
    assert "was damaged" in shown
    assert "was missing" in shown
    all_of_it = person.types("verify", "out", "--repair", "--local-changes", "overwrite", "--json")
    assert (all_of_it.returncode, last(all_of_it)["by_kind"]["repair.file"]) == (0, {"done": 1})
    assert digests(person.work / "out") == whole
    trash = [path.read_bytes() for path in (person.work / "out/.fwsync/trash").rglob("*") if path.is_file()]
    assert trash == [b"my own notes"], "what somebody wrote is in the trash"
    again = person.types("verify", "out", "--json", FWSYNC_API_KEY="")
    assert last(again)["states"] == {"unchanged": len(whole)}, "the index knows the repaired files"


def test_a_mirror_has_nothing_to_do_after_a_repair(person: Person) -> None:
    harm(person)
    person.types("verify", "out", "--repair", "--local-changes", "overwrite")
    record = json.loads(person.types("runs", "--json").stdout.splitlines()[-1])
    members = ["--unzip"] if record["arguments"].get("unzip") else []
    done = person.types("mirror", "--gear", "maker", "--project", "lab/study", "--to", "out", "--json", *members)
    assert (done.returncode, set(last(done)["states"])) == (0, {"unchanged"}), done.stdout


def test_retry_repairs_just_what_failed(person: Person) -> None:
    harm(person)
    first = last(person.types("verify", "out", "--json"))
    again = last(person.types("retry", first["run"], "--json"))
    assert (again["planned"], again["states"]) == (3, {"failed": 2, "skipped": 1})


def test_a_folder_in_a_tree_and_patterns(person: Person) -> None:
    first = files(person)[0]
    inside = first.relative_to(person.work / "out").parts[0]
    here = [p for p in files(person) if p.is_relative_to(person.work / "out" / inside)]
    part = person.types("verify", f"out/{inside}", "--json")
    assert last(part)["states"] == {"unchanged": len(here)}
    one = person.types("verify", str(first.parent), "--include", first.name, "--json")
    assert one.returncode == 0
    assert last(one)["planned"] >= 1
    above = person.types("verify", ".", "--exclude", first.name, "--json")
    assert last(above)["planned"] == sum(p.name != first.name for p in files(person))
    none = person.types("verify", "out", "--include", "nothing-like-it")
    assert none.returncode == 2


def test_a_dry_run_reads_nothing(person: Person) -> None:
    harm(person)
    count = len(files(person)) + 1
    done = person.types("verify", "out", "--dry-run", "--repair", FWSYNC_API_KEY="")
    assert done.returncode == 0
    assert done.stdout.count("would verify") == count
    assert done.stdout.splitlines()[-1] == f"dry run: {count} to do, nothing was changed"


def test_a_folder_that_fwsync_never_filled_is_one_line(tmp_path: Path) -> None:
    person = Person(tmp_path, "")
    (person.work / "other").mkdir()
    done = person.types("verify", "other")
    assert (done.returncode, done.stdout) == (2, "")
    assert "fwsync has put nothing there" in done.stderr.splitlines()[-1]
    assert person.types("verify", "other", "--local-changes", "overwrite").returncode == 2
    assert person.types("verify", "other", "--repair").returncode == 4, "repairing needs a key"


def test_a_tree_whose_disk_is_not_there_is_not_repaired_elsewhere(person: Person) -> None:
    (person.work / "out").rename(person.work / "away")
    (person.work / "out").mkdir()
    done = person.types("verify", "out", "--repair")
    assert done.returncode == 3
    assert "marker" in done.stderr.splitlines()[-1]
    assert not list((person.work / "out").iterdir())


def test_a_tree_that_was_moved_is_known_where_it_is(person: Person) -> None:
    (person.work / "out").rename(person.work / "away")
    rot(min(p for p in (person.work / "away").rglob("*") if p.is_file() and ".fwsync" not in p.parts))
    done = person.types("verify", "away", "--json", FWSYNC_API_KEY="")
    assert (done.returncode, last(done)["states"]["failed"]) == (3, 1), done.stderr
    assert person.types("verify", "away", "--repair").returncode == 0
    assert person.types("verify", "away", FWSYNC_API_KEY="").returncode == 0
    assert not (person.work / "out").exists()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Person, Any]]:
    """A project of three versions of one file, and the SDK's view of it."""
    with sandbox() as site:
        project = add_project(site, "study")
        for text in ("first", "second", "third"):
            (tmp_path / "notes.txt").write_text(text)
            project.upload_file(str(tmp_path / "notes.txt"))
        yield Person(tmp_path / "home", site.key), project


def test_an_older_version_is_repaired_as_that_version(small: tuple[Person, Any]) -> None:
    person, _ = small
    command = ("mirror", "--project", "lab/study", "--file-version", "all", "--to", "out")
    assert person.types(*command).returncode == 0
    whole = digests(person.work / "out")
    assert len(whole) == 3
    for path in files(person):
        rot(path)
    assert person.types("verify", "out", "--repair").returncode == 0
    assert digests(person.work / "out") == whole


def test_what_the_site_has_no_more_stays_failed_with_the_reason(small: tuple[Person, Any]) -> None:
    person, project = small
    assert person.types("mirror", "--project", "lab/study", "--to", "out", "--sidecar", "json").returncode == 0
    text, sidecar = sorted(files(person), key=lambda path: path.suffix == ".json")
    rot(text)
    rot(sidecar)
    project.delete_file("notes.txt")
    done = person.types("verify", "out", "--repair", "--json")
    assert done.returncode == 3
    reasons = " | ".join(last(done)["reasons"])
    assert "the site has it no more" in reasons
    assert "fwsync mirror writes sidecars anew" in reasons


def test_a_file_of_which_no_hash_is_known_is_not_called_well(small: tuple[Person, Any]) -> None:
    person, _ = small
    assert person.types("mirror", "--project", "lab/study", "--to", "out").returncode == 0
    with sqlite3.connect(person.home / "state/fwsync/journal.db") as journal:
        journal.execute("update files set hash = null")
    done = person.types("verify", "out", "--json", FWSYNC_API_KEY="")
    assert (done.returncode, last(done)["states"]) == (0, {"skipped": 1})
    assert list(last(done)["reasons"]) == ["not proved: the site told no hash of it"]


def test_a_link_in_place_of_a_file_is_a_local_change_and_is_not_followed(small: tuple[Person, Any]) -> None:
    person, _ = small
    assert person.types("mirror", "--project", "lab/study", "--to", "out").returncode == 0
    [path] = files(person)
    outside = person.work / "outside.txt"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)
    assert last(person.types("verify", "out", "--json"))["states"] == {"skipped": 1}
    assert person.types("verify", "out", "--repair", "--local-changes", "overwrite").returncode == 0
    assert not path.is_symlink()
    assert (path.read_text(), outside.read_text()) == ("third", "third")
