"""`fwsync upload DIR` as a person types it, against a real sandbox; the SDK tells what came of it."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, add_project, counts, sandbox

_names = itertools.count()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        yield running


@pytest.fixture
def person(site: Site, tmp_path: Path) -> Person:
    return Person(tmp_path / "home", site.key)


@pytest.fixture
def study(site: Site) -> Any:
    return add_project(site, f"up{next(_names)}")


def make(root: Path, files: dict[str, bytes]) -> None:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


TREE = {
    "readme.txt": b"of the project",
    "s1/notes.txt": b"of the subject",
    "s1/v1/log.csv": b"of the session",
    "s1/v1/T1w/T1w.nii.gz": b"scan" * 1000,
    "s1/v1/T1w/dots..and (brackets)+%2F.txt": b"hostile",
    "s1/v1/T2w/empty": b"",
    "s2/v1/T1w/T1w.nii.gz": b"other" * 1000,
    "Zoë/Besuch 1/T1 %w/größe.txt": "ü".encode(),
}


def held(project: Any, versions: bool = False) -> dict[str, Any]:
    """Every file of a project by its path, as the SDK reads it: its bytes, or its version."""
    out: dict[str, Any] = {}

    def take(container: Any, prefix: str) -> Any:
        whole = container.reload()
        for file in whole.files:
            out[prefix + file.name] = file.version if versions else whole.read_file(file.name)
        return whole

    take(project, "")
    for subject in project.subjects.iter():
        take(subject, f"{subject.label}/")
        for session in subject.sessions.iter():
            take(session, f"{subject.label}/{session.label}/")
            for acquisition in session.acquisitions.iter():
                take(acquisition, f"{subject.label}/{session.label}/{acquisition.label}/")
    return out


def path_of(project: Any) -> str:
    return f"lab/{project.label}"


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_a_tree_becomes_containers_with_its_files_on_every_level(person: Person, study: Any) -> None:
    make(person.work / "tree", {**TREE, ".DS_Store": b"x", ".fwsync/marker": b"x", "s1/.git/config": b"x"})
    dry = person.types("upload", "tree", "--to", path_of(study), "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert f"would upload {path_of(study)}/s1/v1/T1w/T1w.nii.gz" in dry.stdout
    assert counts(study) == (0, 0, 0)
    done = person.types("upload", "tree", "--to", path_of(study))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hidden files and folders, left out: 3 (e.g. .DS_Store)" in done.stdout
    assert "8 uploaded, 0 unchanged" in done.stdout
    assert held(study) == TREE
    assert counts(study) == (3, 3, 4)
    again = summary(person.types("upload", "tree", "--to", path_of(study), "--json"))
    assert (again["writes"], again["states"], again["exit_code"]) == (0, {"unchanged": 18}, 0)
    assert again["requests"] <= 8


def test_a_changed_file_becomes_a_new_version_or_not_as_asked(person: Person, study: Any) -> None:
    tree = person.work / "tree"
    make(tree, TREE)
    assert person.types("upload", "tree", "--to", path_of(study)).returncode == 0
    same_size = TREE["s1/v1/T1w/T1w.nii.gz"].replace(b"scan", b"SCAN")
    make(tree, {"s1/v1/T1w/T1w.nii.gz": same_size, "readme.txt": b"longer than it was", "s1/new": b"new"})
    skip = person.types("upload", "tree", "--to", path_of(study), "--on-conflict", "skip")
    assert skip.returncode == 0, skip.stdout + skip.stderr
    assert "1 uploaded, 6 unchanged, 2 skipped" in skip.stdout
    assert "2 x exists with other bytes" in skip.stdout
    assert held(study) == {**TREE, "s1/new": b"new"}
    error = person.types("upload", "tree", "--to", path_of(study), "--on-conflict", "error")
    assert error.returncode == 3
    assert "incomplete: 2 failed" in error.stdout
    update = person.types("upload", "tree", "--to", path_of(study))
    assert update.returncode == 0
    assert "2 uploaded, 7 unchanged" in update.stdout
    versions = held(study, versions=True)
    assert {path for path, version in versions.items() if version == 2} == {"readme.txt", "s1/v1/T1w/T1w.nii.gz"}
    assert set(versions.values()) == {1, 2}
    assert held(study)["s1/v1/T1w/T1w.nii.gz"] == same_size


def test_a_dry_run_says_what_it_does_not_know_or_reads_it(person: Person, study: Any) -> None:
    tree = person.work / "tree"
    make(tree, TREE)
    assert person.types("upload", "tree", "--to", path_of(study)).returncode == 0
    make(tree, {"s1/v1/T1w/T1w.nii.gz": b"SCAN" * 1000, "readme.txt": b"of another size", "new": b"new"})
    unread = person.types("upload", "tree", "--to", path_of(study), "--dry-run")
    line = next(one for one in unread.stdout.splitlines() if "/s2/v1/T1w/T1w.nii.gz" in one)
    assert line.endswith("which may be unchanged: its bytes were not read (--checksum reads them)")
    assert f"would upload {path_of(study)}/new (3 B)\n" in unread.stdout
    read = person.types("upload", "tree", "--to", path_of(study), "--dry-run", "--checksum")
    assert [one.partition(" (")[0] for one in read.stdout.splitlines() if one.startswith("would")] == [
        f"would upload {path_of(study)}/{name}" for name in ("new", "readme.txt", "s1/v1/T1w/T1w.nii.gz")
    ]
    assert read.returncode == 0
    assert held(study) == TREE


def test_other_layouts_and_patterns(person: Person, study: Any) -> None:
    make(
        person.work / "bids",
        {
            "dataset_description.json": b"{}",
            "sub-01/ses-a/anat/sub-01_T1w.nii": b"1",
            "sub-01/ses-a/anat/sub-01_T1w.json": b'{"EchoTime": 1}',
            "sub-02/ses-a/anat/sub-02_T1w.nii": b"2",
            "sub-02/ses-a/anat/tmp/x": b"3",
            "derivatives/deep/a/b/c": b"4",
        },
    )
    layout = "sub-{subject}/ses-{session}/{acquisition}/{file.name}"
    command = ["upload", "bids", "--to", path_of(study), "--layout", layout]
    wrong = person.types(*command)
    assert wrong.returncode == 3
    assert "derivatives/deep/a/b/c, lies deeper than the layout" in wrong.stdout
    assert "incomplete: 2 rejected" in wrong.stdout
    done = person.types(*command, "--exclude", "derivatives", "--exclude", "tmp")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files and folders left out by exclude: 2" in done.stdout
    assert held(study) == {
        "dataset_description.json": b"{}",
        "01/a/anat/sub-01_T1w.nii": b"1",
        "01/a/anat/sub-01_T1w.json": b'{"EchoTime": 1}',
        "02/a/anat/sub-02_T1w.nii": b"2",
    }
    some = person.types(*command, "--include", "*.bval", "--exclude", "derivatives")
    assert some.returncode == 0
    assert "has no files to upload" in some.stdout
    assert some.stdout.splitlines()[-1] == "complete: nothing to do"


def test_sidecars_and_times_reach_the_file(person: Person, study: Any) -> None:
    about = {
        "type": "nifti", "modality": "MR", "classification": {"Intent": ["Structural"]}, "info": {"echo": {"time": 5}},
        "tags": ["good"],
    }  # fmt: skip
    side = json.dumps({"file": about, "parents": {"subject": {"label": "s1"}}}).encode()
    make(person.work / "tree", {"s1/v1/T1w/a.nii": b"scan", "s1/v1/T1w/a.nii.json": side, "s1/v1/T1w/b.nii": b"x"})
    os.utime(person.work / "tree/s1/v1/T1w/a.nii", ns=(1, 1_570_109_520_123_456_789))
    done = person.types("upload", "tree", "--to", path_of(study), "--keep-times")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sidecars, read and not uploaded: 1" in done.stdout
    (subject,) = study.subjects()
    acquisition = subject.sessions()[0].acquisitions()[0].reload()
    files = {file.name: file.reload() for file in acquisition.files}
    assert set(files) == {"a.nii", "b.nii"}
    one = files["a.nii"]
    assert (one.type, one.modality, one.classification, one.tags) == (
        "nifti",
        "MR",
        {"Intent": ["Structural"]},
        ["good"],
    )
    assert one.info == {"echo": {"time": 5}, "fwsync_mtime": "2019-10-03T13:32:00.123456789Z"}
    assert set(files["b.nii"].info) == {"fwsync_mtime"}
    wrong = {"s1/v1/T1w/a.nii.json": b'{"file": {"modality": 5}}', "s1/v1/T1w/c.nii": b"c"}
    make(person.work / "tree", wrong)
    refused = person.types("upload", "tree", "--to", path_of(study))
    assert refused.returncode == 3
    assert "s1/v1/T1w/a.nii, its sidecar is wrong" in refused.stdout
    assert "1 uploaded, 1 unchanged" in refused.stdout


def test_links_never_lead_out_of_the_folder(person: Person, study: Any) -> None:
    make(person.work, {"secret": b"secret", "tree/s1/real": b"real"})
    (person.work / "tree/s1/out").symlink_to(person.work / "secret")
    (person.work / "tree/s1/in").symlink_to("real")
    done = person.types("upload", "tree", "--to", path_of(study))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 x a link that leads out of the folder" in done.stdout
    assert held(study) == {"s1/real": b"real", "s1/in": b"real"}


def test_two_files_for_one_place_are_told(person: Person, study: Any) -> None:
    make(person.work / "tree", {"A/s1/v/a/x": b"1", "B/s1/v/a/x": b"2"})
    layout = "{_}/{subject}/{session}/{acquisition}/{file.name}"
    done = person.types("upload", "tree", "--to", path_of(study), "--layout", layout)
    assert done.returncode == 3
    assert "B/s1/v/a/x, goes to the same place as A/s1/v/a/x" in done.stdout
    assert held(study) == {"s1/v/a/x": b"1"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tree", "--to", "lab/gone"), 2, "project lab/gone: not found"),
        (("tree", "--to", "lab/study/s1"), 2, "a folder goes to a project"),
        (("tree", "--to", "/"), 2, "name a project"),
        (("tree", "one.txt", "--to", "lab/study"), 2, "tree: is a folder; upload it by a command of its own"),
        (("one.txt", "--to", "lab/study", "--keep-times"), 2, "--keep-times: is for uploading a folder"),
        (("tree", "--to", "lab/study", "--layout", "{subject}"), 2, "must end in {file.name}"),
        (("tree", "--to", "lab/study", "--layout", "{subjekt}/{file.name}"), 2, "did you mean subject?"),
    ],
)
def test_mistakes_are_one_line(person: Person, arguments: tuple[str, ...], code: int, words: str) -> None:
    make(person.work, {"tree/s1/a": b"a", "one.txt": b"1"})
    done = person.types("upload", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    assert words in last
    assert "Traceback" not in done.stderr


def test_retry_sends_just_what_failed(person: Person, study: Any) -> None:
    tree = person.work / "tree"
    make(tree, TREE)
    with sandbox("--faults", "upload:status_500=100%") as ill:
        add_project(ill, "study")
        sick = Person(person.home.parent / "sick", ill.key)
        make(sick.work / "tree", {"s1/v1/a/x": b"x", "s2/v1/a/y": b"y"})
        env = {"FWSYNC_NETWORK_TRIES": "2", "FWSYNC_NETWORK_READ_TIMEOUT": "1"}
        done = sick.types("upload", "tree", "--to", "lab/study", "--json", **env)
        assert done.returncode == 3, done.stdout + done.stderr
        told = summary(done)
        assert told["states"] == {"done": 6, "failed": 2}
        again = summary(sick.types("retry", told["run"], "--json", **env))
        assert (again["planned"], again["states"]) == (2, {"failed": 2})
    make(tree, {"s9/deep/a/b/c": b"too deep"})
    first = summary(person.types("upload", "tree", "--to", path_of(study), "--json"))
    assert first["states"] == {"done": 18, "rejected": 1}
    (tree / "s9/deep/a/b/c").rename(tree / "s9/deep/a/c")
    second = person.types("retry", first["run"], "--json")
    assert second.returncode == 0, second.stdout + second.stderr


def test_an_unchanged_tree_is_not_read_twice(person: Person, study: Any) -> None:
    tree = person.work / "tree"
    make(tree, {f"s{n // 100}/v/a/{n}": f"{n}".encode() * 50 for n in range(1000)})
    time.sleep(2.1)  # what was changed just now is not trusted
    first = summary(person.types("upload", "tree", "--to", path_of(study), "--json"))
    assert first["states"] == {"done": 1030}
    assert first["requests"] <= 1000 + 10 + 8, "one request a file, one a hierarchy"
    opened = person.work / "opened"
    script = (
        "import sys, os\n"
        "seen = open(os.environ['SEEN'], 'w')\n"
        "sys.addaudithook(lambda e, a: e == 'open' and str(a[0]).startswith(os.environ['TREE'])"
        " and seen.write(f'{a[0]}\\n'))\n"
        "from fwsync.cli.main import run\n"
        "sys.argv = ['fwsync', *sys.argv[1:]]\n"
        "run()\n"
    )
    command = [sys.executable, "-c", script, "upload", "tree", "--to", path_of(study), "--json"]
    env = {**person.env, "SEEN": str(opened), "TREE": str(tree)}
    done = subprocess.run(command, cwd=person.work, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    again = summary(done)
    assert (again["writes"], again["states"]) == (0, {"unchanged": 1030})
    assert opened.read_text() == "", "an unchanged file was read again"


def test_signed_uploads_in_many_parts(tmp_path: Path) -> None:
    with sandbox("--signed-urls", "--part-threshold", str(2**20), "--faults", "upload:status_503=20%") as site:
        project = add_project(site, "study")
        person = Person(tmp_path / "home", site.key)
        noise = random.Random(1).randbytes(9 * 2**20)
        make(person.work / "tree", {"s1/v1/a/large.bin": noise, "s1/v1/a/small.bin": b"small"})
        done = person.types("upload", "tree", "--to", "lab/study")
        assert done.returncode == 0, done.stdout + done.stderr
        assert held(project) == {"s1/v1/a/large.bin": noise, "s1/v1/a/small.bin": b"small"}
        assert set(held(project, versions=True).values()) == {1}
        again = person.types("upload", "tree", "--to", "lab/study")
        assert "0 uploaded, 2 unchanged" in again.stdout
        assert "(0 writes)" in again.stdout


def test_a_large_upload_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with sandbox("--signed-urls", "--part-threshold", str(2**20), "--latency", "250") as site:
        project = add_project(site, "study")
        person = Person(tmp_path / "home", site.key)
        noise = random.Random(1).randbytes(12 * 2**20)
        make(person.work / "tree", {"s1/v1/a/large.bin": noise})
        process = person.start("upload", "tree", "--to", "lab/study")
        journal = person.home / "state/fwsync/journal.db"
        while (had := parts_in(journal)) < 2:
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.kill()
        process.communicate()
        had = parts_in(journal)
        before = site.stats()["requests"]["PUT /signed/upload/{ticket}/{file}/{part}"]
        again = summary(person.types("upload", "tree", "--to", "lab/study", "--json"))
        assert again["exit_code"] == 0
        parts = site.stats()["requests"]["PUT /signed/upload/{ticket}/{file}/{part}"] - before + had
        assert parts == 6, "as many as the file has"
        assert again["bytes"] == len(noise) - had * -(-len(noise) // parts)
        assert held(project) == {"s1/v1/a/large.bin": noise}
        assert held(project, versions=True) == {"s1/v1/a/large.bin": 1}
        assert parts_in(journal) == 0


def parts_in(journal: Path) -> int:
    """How many parts of unfinished uploads a journal knows to be on the site."""
    if not journal.exists():
        return 0
    with contextlib.closing(sqlite3.connect(journal, timeout=10)) as connection:
        try:
            return int(connection.execute("select count(*) from upload_parts").fetchone()[0])
        except sqlite3.OperationalError:  # the tables are not made yet
            return 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("flags", [(), ("--signed-urls", "--part-threshold", "400000")], ids=["direct", "signed"])
def test_an_upload_killed_again_and_again_ends_as_if_undisturbed(tmp_path: Path, flags: tuple[str, ...]) -> None:
    values = random.Random(3)
    tree = {f"s{n // 20}/v{n // 10 % 2}/a/{n:03}.bin": values.randbytes(3000) for n in range(200)}
    tree |= {f"s0/v0/a/large{n}.bin": values.randbytes(2_000_000) for n in range(6)}
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    faults = (
        "upload:drop_reply=3%,upload:late_commit=3%:1,drop_request=3%,status_429=3%:0.1,status_503=3%,upload:stall=2%:1"
    )
    with sandbox("--data", data, "--faults", faults, "--fault-seed", "5", "--latency", "30", *flags) as site:
        person = Person(tmp_path / "home", site.key)
        make(person.work / "tree", tree)
        command, quick = ["upload", "tree", "--to", "lab/study"], {"FWSYNC_NETWORK_READ_TIMEOUT": "3"}
        alive = 0
        for _ in range(10):
            process = person.start(*command, **quick)
            time.sleep(values.uniform(0.4, 1.6))
            alive += process.poll() is None
            process.kill()
            process.communicate()
        assert alive >= 3
        done = person.types(*command, **quick)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {fault.split(":")[-1] for fault in site.stats()["faults"]} >= {"drop_reply", "late_commit"}
        assert "(0 writes)" in person.types(*command, **quick).stdout
    with sandbox("--data", data) as site:
        project = site.sdk().lookup("lab/study")
        assert held(project) == tree
        assert set(held(project, versions=True).values()) == {1}, "a file was stored twice"
        assert counts(project) == (10, 20, 20)


def peak(person: Person, *command: str) -> int:
    """The most memory that a command took, in MB."""
    script = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'fwsync', *sys.argv[1:]])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
        "sys.exit(done.returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *command], cwd=person.work, env=person.env, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.splitlines()[-1])


def test_memory_stays_flat_with_size_and_number(person: Person, study: Any) -> None:
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the unit is kB here
    with (person.work / "large.bin").open("wb") as large:
        large.truncate(400 * 2**20)
    make(person.work / "one", {"s/v/a/x": b"x"})
    make(person.work / "two", {})
    (person.work / "two/s/v/a").mkdir(parents=True)
    (person.work / "large.bin").rename(person.work / "two/s/v/a/large.bin")
    make(person.work / "many", {f"m{n // 1000}/v/a/{n}": b"x" for n in range(4000)})
    least = peak(person, "upload", "one", "--to", path_of(study))
    assert peak(person, "upload", "two", "--to", path_of(study)) < least + 30
    many = peak(person, "upload", "many", "--to", path_of(study))
    again = peak(person, "upload", "many", "--to", path_of(study))
    assert max(many, again) < least + 40
    assert max(many, again) < 150
