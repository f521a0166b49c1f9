"""How far a tree is from what it should be: every kind of drift told, nothing transferred, nothing written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, add_project, digests, sandbox

MIRROR = ("mirror", "--project", "lab/study", "--to", "out")
ROOT = "study"


class Study:
    """A person, their tree, and the project that it is a mirror of."""

    def __init__(self, home: Path, site: Site) -> None:
        self.site, self.files = site, home / "files"
        self.files.mkdir()
        self.project = add_project(site, "study")
        self.person = Person(home / "home", site.key)
        self.tree = self.person.work / "out" / ROOT

    def put(self, name: str, text: str, container: Any = None) -> None:
        (self.files / name).write_text(text)
        (container or self.project).upload_file(str(self.files / name))

    def status(self, *flags: str, **env: str) -> tuple[int, dict[str, Any], list[tuple[str, str, str]]]:
        done = self.person.types("status", "out", "--json", "--list", *flags, **env)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        assert lines[-1]["event"] == "status"
        return done.returncode, lines[-1], [(one["kind"], one["path"], one["source"]) for one in lines[:-1]]


def bodies(site: Site) -> int:
    """How many requests for bodies of files, single or in an archive, the site has had."""
    asked = site.stats()["requests"]
    return sum(count for name, count in asked.items() if "/files/{" in name or "/download" in name)


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    with sandbox() as site:
        one = Study(tmp_path, site)
        subject = one.project.add_subject(label="sub-01")
        for number in range(6):
            one.put(f"f{number}.txt", f"text {number}")
        one.put("on-subject.txt", "more", subject)
        assert one.person.types(*MIRROR).returncode == 0
        yield one


def test_a_tree_in_step(study: Study) -> None:
    before = digests(study.person.work / "out")
    code, told, lines = study.status()
    assert (code, told["in_step"], told["counts"], lines, told["wanted"]) == (0, True, {}, [], 7)
    read = study.person.types("status", "out")
    assert (read.returncode, read.stdout) == (0, "in step: 7 files\n")
    assert digests(study.person.work / "out") == before
    runs = study.person.types("runs", "--json").stdout.splitlines()
    assert len(runs) == 1, "to look is no run"


def test_every_kind_of_drift_and_a_mirror_that_ends_it(study: Study) -> None:
    study.put("f0.txt", "another text")
    study.put("fresh.txt", "new")
    study.put("taken.txt", "theirs")
    study.project.delete_file("f1.txt")
    study.project.subjects.find_one("label=sub-01").update(label="sub-one")
    (study.tree / "f2.txt").write_text("mine")
    (study.tree / "f3.txt").unlink()
    (study.tree / "taken.txt").write_text("somebody's")
    (study.tree / "notes.txt").write_text("nobody's")
    before = digests(study.person.work / "out")
    before_it = bodies(study.site)
    code, told, lines = study.status()
    assert code == 3
    assert lines == [
        ("changed", f"{ROOT}/f0.txt", ""),
        ("gone", f"{ROOT}/f1.txt", ""),
        ("edited", f"{ROOT}/f2.txt", ""),
        ("missing", f"{ROOT}/f3.txt", ""),
        ("new", f"{ROOT}/fresh.txt", ""),
        ("moved", f"{ROOT}/sub-one/on-subject.txt", f"{ROOT}/sub-01/on-subject.txt"),
        ("in the way", f"{ROOT}/taken.txt", ""),
    ]
    assert told["counts"] == dict.fromkeys(["changed", "gone", "edited", "missing", "new", "moved", "in the way"], 1)
    assert told["unknown"] == 1
    assert digests(study.person.work / "out") == before, "nothing was written"
    assert bodies(study.site) == before_it, "no file was fetched"
    read = study.person.types("status", "out", "--list").stdout.splitlines()
    assert f"moved remotely     {ROOT}/sub-01/on-subject.txt > {ROOT}/sub-one/on-subject.txt" in read
    assert read[-1] == "drift: 7 paths differ"

    (study.tree / "taken.txt").unlink()
    study.person.types(*MIRROR, "--delete", "--local-changes", "overwrite")
    code, told, lines = study.status()
    assert (code, lines, told["unknown"]) == (0, [], 1)
    assert bodies(study.site) > before_it


def test_local_is_offline_and_needs_no_key(study: Study) -> None:
    study.put("fresh.txt", "new")
    (study.tree / "notes.txt").write_text("nobody's")
    code, told, lines = study.status("--local", FWSYNC_API_KEY="")
    assert (code, told["unknown"], lines) == (0, 1, [("unknown", f"{ROOT}/notes.txt", "")])
    (study.tree / "f2.txt").write_text("mine")
    (study.tree / "f3.txt").unlink()
    code, told, lines = study.status("--local", FWSYNC_API_KEY="")
    assert (code, told["counts"]) == (3, {"edited": 1, "missing": 1})
    assert ("edited", f"{ROOT}/f2.txt", "") in lines
    assert ("missing", f"{ROOT}/f3.txt", "") in lines


def test_it_selects_what_the_newest_mirror_selected(study: Study) -> None:
    study.put("scan.nii.gz", "a scan")
    assert study.person.types(*MIRROR, "--include", "*.nii.gz", "--layout", "{project}/{file.name}").returncode == 0
    code, told, lines = study.status()
    assert told["wanted"] == 1
    assert all(kind != "new" for kind, *_ in lines), lines
    study.put("other.nii.gz", "another")
    study.put("other.txt", "not selected")
    code, told, lines = study.status()
    assert (code, [one for one in lines if one[0] == "new"]) == (3, [("new", "study/other.nii.gz", "")])


def test_what_can_not_be_told_is_one_line(study: Study, tmp_path: Path) -> None:
    person = study.person
    (person.work / "empty").mkdir()
    for folder in ("empty", "nowhere"):
        for flags in ((), ("--local",)):
            done = person.types("status", folder, *flags)
            assert (done.returncode, done.stdout) == (2, ""), done.stderr
            assert folder in done.stderr.splitlines()[-1]
    assert person.types("download", "lab/study/f0.txt", "--to", "single").returncode == 0
    done = person.types("status", "single")
    assert (done.returncode, "--local" in done.stderr) == (2, True)
    assert person.types("status", "single", "--local").returncode == 0
    with sandbox() as other:
        done = person.types("status", "out", FWSYNC_API_KEY=other.key)
        assert done.returncode == 2
        assert f"is a mirror of {study.site.host.replace('http://', '')}" in done.stderr
    (person.work / "out/.fwsync/root.json").unlink()
    done = person.types("status", "out")
    assert (done.returncode, "marker" in done.stderr) == (3, True)
