"""`fwsync push DIR` as a person types it: mirror, change, push, mirror again; the SDK tells what came of it."""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pytest
from site_ import Person, Site, add_project, digests, fill, sandbox

_names = itertools.count()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        yield running


@pytest.fixture
def person(site: Site, tmp_path: Path) -> Person:
    return Person(tmp_path / "home", site.key)


def put(container: Any, name: str, data: bytes) -> None:
    container.upload_file(flywheel.FileSpec(name, data, "application/octet-stream"))


@pytest.fixture
def study(site: Site) -> Any:
    """Files on every level; one acquisition without any."""
    project = add_project(site, f"push{next(_names)}")
    put(project, "protocol.txt", b"of the project")
    for label in ("sub-1", "sub-2"):
        session = project.add_subject(label=label).add_session(label="ses-1")
        scan = session.add_acquisition(label="T1w")
        put(scan, "T1w.nii.gz", f"scan of {label}".encode() * 100)
        put(scan, "T1w.json", b'{"EchoTime": 1}')
        put(session.add_acquisition(label="T2w"), "T2w.nii.gz", f"other of {label}".encode() * 100)
    return project


def rename(person: Person, file_id: str, name: str) -> None:
    """Give a file another name on the site; the SDK has no call for it."""
    host, port, _, secret = person.env["FWSYNC_API_KEY"].split(":")
    request = urllib.request.Request(
        f"http://{host}:{port}/api/files/{file_id}/move",
        data=json.dumps({"name": name}).encode(),
        headers={"Authorization": f"scitran-user {secret}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


def path_of(project: Any) -> str:
    return f"lab/{project.label}"


def held(project: Any, *, versions: bool = False) -> dict[str, Any]:
    """Every file of a project by its path: its bytes, or its version."""
    out: dict[str, Any] = {}

    def take(container: Any, prefix: str) -> None:
        whole = container.reload()
        for file in whole.files:
            out[prefix + file.name] = file.version if versions else whole.read_file(file.name)

    take(project, "")
    for subject in project.subjects.iter():
        take(subject, f"{subject.label}/")
        for session in subject.sessions.iter():
            take(session, f"{subject.label}/{session.label}/")
            for acquisition in session.acquisitions.iter():
                take(acquisition, f"{subject.label}/{session.label}/{acquisition.label}/")
    return out


def mirror(person: Person, project: Any, *flags: str) -> Path:
    """The tree's project folder, after a mirror."""
    done = person.types("mirror", "--project", path_of(project), "--to", "out", *flags)
    assert done.returncode == 0, done.stdout + done.stderr
    return person.work / "out" / project.label


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def push(person: Person, *flags: str, **env: str) -> dict[str, Any]:
    return told(person.types("push", "out", "--json", *flags, **env))


def nothing_to_mirror(person: Person, project: Any) -> None:
    """The next mirror transfers nothing and finds no local change; nor does the next push."""
    again = told(person.types("mirror", "--project", path_of(project), "--to", "out", "--json"))
    assert set(again["states"]) == {"unchanged"}, again
    assert again["exit_code"] == 0
    assert set(push(person)["states"]) == {"unchanged"}


def test_changed_and_new_files_go_back_to_where_they_came_from(person: Person, study: Any) -> None:
    before = held(study)
    root = mirror(person, study)
    scan = "sub-1/ses-1/T1w/T1w.nii.gz"
    (root / scan).write_bytes(b"defaced")
    new = {
        "readme.txt": b"on the project",
        "sub-1/consent.txt": b"on the subject",
        "sub-2/ses-1/log (1)+%.csv": b"on the session",
        "sub-2/ses-1/T2w/mask.nii.gz": b"on the acquisition",
    }
    for path, data in new.items():
        (root / path).write_bytes(data)
    dry = person.types("push", "out", "--dry-run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert f"would upload {study.label}/{scan}" in dry.stdout
    assert "5 to do" in dry.stdout
    assert held(study) == before
    done = push(person)
    assert (done["states"], done["exit_code"]) == ({"done": 5, "unchanged": 6}, 0)
    assert held(study) == {**before, **new, scan: b"defaced"}
    assert {path for path, version in held(study, versions=True).items() if version == 2} == {scan}
    nothing_to_mirror(person, study)
    assert (root / scan).read_bytes() == b"defaced"


def test_a_new_version_keeps_what_people_said_of_the_old_one(person: Person, study: Any) -> None:
    scan = study.subjects()[0].sessions()[0].acquisitions.find_one("label=T1w").reload()
    scan.update_file("T1w.nii.gz", modality="MR", type="nifti")
    scan.replace_file_classification("T1w.nii.gz", {"Intent": ["Structural"]})
    scan.replace_file_info("T1w.nii.gz", {"rating": {"by": "Ada", "value": 4}})
    scan.reload().get_file("T1w.nii.gz").add_tag("good")
    root = mirror(person, study)
    (root / f"{study.subjects()[0].label}/ses-1/T1w/T1w.nii.gz").write_bytes(b"defaced")
    assert push(person)["states"]["done"] == 1
    file = scan.reload().get_file("T1w.nii.gz").reload()
    assert (file.version, file.modality, file.classification) == (2, "MR", {"Intent": ["Structural"]})
    assert (file.info, file.tags) == ({"rating": {"by": "Ada", "value": 4}}, ["good"])


def test_what_changed_on_both_sides_is_left_alone_unless_asked(person: Person, study: Any) -> None:
    root = mirror(person, study)
    subject = study.subjects.find_one("label=sub-1")
    scan = subject.sessions()[0].acquisitions.find_one("label=T1w").reload()
    put(scan, "T1w.nii.gz", b"the site's own change")
    put(scan, "notes.txt", b"the site's own notes")
    (root / "sub-1/ses-1/T1w/T1w.nii.gz").write_bytes(b"mine")
    (root / "sub-1/ses-1/T1w/notes.txt").write_bytes(b"my notes")
    (root / "sub-2/ses-1/T1w/T1w.nii.gz").write_bytes(b"only mine")
    first = person.types("push", "out")
    assert first.returncode == 3, first.stdout + first.stderr
    assert "1 x changed on the site too since it was mirrored" in first.stdout
    assert "1 x the site has a file of this name that was not mirrored, with other bytes" in first.stdout
    assert first.stdout.splitlines()[-1] == "incomplete: 2 failed of 8"
    kept = held(study)
    assert kept["sub-1/ses-1/T1w/T1w.nii.gz"] == b"the site's own change"
    assert kept["sub-2/ses-1/T1w/T1w.nii.gz"] == b"only mine"
    skip = push(person, "--on-conflict", "skip")
    assert (skip["states"], skip["exit_code"]) == ({"skipped": 2, "unchanged": 6}, 0)
    assert held(study) == kept
    update = push(person, "--on-conflict", "update")
    assert (update["states"]["done"], update["exit_code"]) == (2, 0)
    now, versions = held(study), held(study, versions=True)
    assert (now["sub-1/ses-1/T1w/T1w.nii.gz"], versions["sub-1/ses-1/T1w/T1w.nii.gz"]) == (b"mine", 3)
    assert (now["sub-1/ses-1/T1w/notes.txt"], versions["sub-1/ses-1/T1w/notes.txt"]) == (b"my notes", 2)
    nothing_to_mirror(person, study)


def test_a_selection_narrows_what_is_pushed(person: Person, study: Any) -> None:
    root = mirror(person, study)
    for subject in ("sub-1", "sub-2"):
        for scan in ("T1w", "T2w"):
            (root / f"{subject}/ses-1/{scan}/{scan}.nii.gz").write_bytes(b"changed")
    (root / "protocol.txt").write_bytes(b"changed")
    assert push(person, "--subject", "sub-1", "--session", "ses-*", "--include", "T2w.*")["states"] == {"done": 1}
    assert push(person, "--subject", "sub-2", "--exclude", "T2w")["states"] == {"done": 1, "unchanged": 1}
    assert {path for path, version in held(study, versions=True).items() if version == 2} == {
        "sub-1/ses-1/T2w/T2w.nii.gz",
        "sub-2/ses-1/T1w/T1w.nii.gz",
    }
    assert push(person)["states"]["done"] == 3


def test_touched_renamed_and_removed_files(person: Person, study: Any) -> None:
    """A touch sends nothing; a file that was renamed on the site keeps its name there; nothing is removed there."""
    root = mirror(person, study)
    before = held(study)
    scan = study.subjects.find_one("label=sub-1").sessions()[0].acquisitions.find_one("label=T1w").reload()
    rename(person, scan.get_file("T1w.json").file_id, "renamed.json")
    (root / "sub-1/ses-1/T1w/T1w.json").write_bytes(b"{}")
    del before["sub-1/ses-1/T1w/T1w.json"]
    before["sub-1/ses-1/T1w/renamed.json"] = b"{}"
    os.utime(root / "protocol.txt", ns=(1, 1))
    (root / "sub-1/ses-1/T2w/T2w.nii.gz").unlink()
    scan = study.subjects.find_one("label=sub-2").sessions()[0].acquisitions.find_one("label=T2w").reload()
    scan.delete_file("T2w.nii.gz")
    (root / "sub-2/ses-1/T2w/T2w.nii.gz").write_bytes(b"changed")
    done = person.types("push", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "mirrored files that are gone here: 1; nothing is deleted on the site" in done.stdout
    assert "1 x is gone from the site; nothing is put in its place (" in done.stdout
    assert "1 uploaded, 4 unchanged, 1 failed" in done.stdout
    del before["sub-2/ses-1/T2w/T2w.nii.gz"]
    assert held(study) == before
    assert held(study, versions=True)["sub-1/ses-1/T1w/renamed.json"] == 2


def test_what_has_no_place_is_rejected_and_the_rest_goes_on(person: Person, study: Any) -> None:
    root = mirror(person, study)
    (root / "sub-9/ses-1").mkdir(parents=True)
    (root / "sub-9/ses-1/scan.nii").write_bytes(b"no container")
    (person.work / "out/above.txt").write_bytes(b"above the project")
    (root / "protocol.lnk").symlink_to("protocol.txt")
    (root / ".notes").write_bytes(b"hidden")
    (root / "sub-1/ses-1/T1w/fine.txt").write_bytes(b"fine")
    done = person.types("push", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "sub-9/ses-1/scan.nii, no mirrored container is known for its folder" in done.stdout
    assert "above.txt, no mirrored container is known for its folder" in done.stdout
    assert "protocol.lnk, is a link" in done.stdout
    assert "new hidden files, left out: 1" in done.stdout
    assert done.stdout.splitlines()[-1] == "incomplete: 3 rejected of 11"
    assert held(study)["sub-1/ses-1/T1w/fine.txt"] == b"fine"
    assert push(person, "--hidden", "--include", ".notes")["states"] == {"done": 1}
    assert held(study)[".notes"] == b"hidden"


def test_new_files_by_a_layout_that_says_less(person: Person, study: Any) -> None:
    """A new file goes to the one container whose files lie in its folder; where there are several nothing is guessed."""
    layout = ("--layout", "{subject}/{session}/{file.name}")
    root = mirror(person, study, *layout).parent
    (root / "sub-1/ses-1/T1w.nii.gz").write_bytes(b"changed")
    (root / "sub-1/ses-1/report.txt").write_bytes(b"of the session, or of a scan?")
    (root / "sub-1/consent.txt").write_bytes(b"of the subject")
    (root / "new.txt").write_bytes(b"of the project")
    before = held(study)
    done = person.types("push", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "sub-1/ses-1/report.txt, files of several containers lie in its folder" in done.stdout
    assert held(study) == {
        **before,
        "sub-1/ses-1/T1w/T1w.nii.gz": b"changed",
        "sub-1/consent.txt": b"of the subject",
        "new.txt": b"of the project",
    }
    again = person.types("mirror", "--project", path_of(study), "--to", "out", *layout, "--json")
    assert set(told(again)["states"]) == {"unchanged"}


@pytest.mark.parametrize(
    ("layout", "folder", "name"),
    [
        ("{subject}_{acquisition}/{file.name}", "sub-2_T2w", "new.txt"),
        ("{subject.id}/{session}-{acquisition}/data/{file.name}", "*/ses-1-T2w/data", "new.txt"),
        ("{subject}_{acquisition}/{subject}_{file.name}", "sub-2_T2w", "sub-2_new.txt"),
    ],
    ids=["joined", "folders-of-its-own", "other-names"],
)
def test_any_layout_whose_folders_are_of_one_container(
    person: Person, study: Any, layout: str, folder: str, name: str
) -> None:
    out = mirror(person, study, "--layout", layout).parent
    place = next(found for found in out.glob(folder) if any(b"sub-2" in f.read_bytes() for f in found.iterdir()))
    (place / name).write_bytes(b"new")
    done = push(person)
    assert (done["states"], done["exit_code"]) == ({"done": 1, "unchanged": 7}, 0)
    assert held(study)[f"sub-2/ses-1/T2w/{name}"] == b"new"
    assert set(push(person)["states"]) == {"unchanged"}
    again = told(person.types("mirror", "--project", path_of(study), "--to", "out", "--layout", layout, "--json"))
    assert again["exit_code"] == 0
    assert again["bytes"] == 0, "the new file is known; at most it gets the name that the layout gives it"
    assert [found.read_bytes() for found in place.glob(f"*{name}")] == [b"new"]
    assert set(push(person)["states"]) == {"unchanged"}


def test_a_flat_folder_is_of_many_containers(person: Person, study: Any) -> None:
    flat = person.types("mirror", "--project", path_of(study), "--to", "flat", "--layout", "flat")
    assert flat.returncode == 0, flat.stdout + flat.stderr
    (person.work / "flat/sub-2_ses-1_T2w_T2w.nii.gz").write_bytes(b"flat change")
    (person.work / "flat/sub-2_ses-1_T2w_new.txt").write_bytes(b"flat new")
    (person.work / "flat/below").mkdir()
    (person.work / "flat/below/new.txt").write_bytes(b"flat new")
    done = person.types("push", "flat")
    assert done.returncode == 3
    assert "sub-2_ses-1_T2w_new.txt, files of several containers lie in its folder" in done.stdout
    assert "below/new.txt, the tree's layout gives files other folders or names than the site's" in done.stdout
    assert held(study)["sub-2/ses-1/T2w/T2w.nii.gz"] == b"flat change"


def test_just_changed_or_just_new_files_and_acquisitions(person: Person, study: Any) -> None:
    root = mirror(person, study)
    before = held(study)
    changed = {f"sub-{n}/ses-1/{scan}/{scan}.nii.gz": b"changed" for n in (1, 2) for scan in ("T1w", "T2w")}
    new = {"sub-1/ses-1/T1w/mask.nii": b"new", "sub-1/ses-1/log.txt": b"new"}
    for path, data in {**changed, **new}.items():
        (root / path).write_bytes(data)
    assert push(person, "--acquisition", "T2*", "--subject", "sub-1")["states"] == {"done": 1}
    assert held(study) == {**before, "sub-1/ses-1/T2w/T2w.nii.gz": b"changed"}
    done = person.types("push", "out", "--only", "new")
    assert "mirrored files with another size or time, left out: 3" in done.stdout + done.stderr
    assert held(study) == {**before, **new, "sub-1/ses-1/T2w/T2w.nii.gz": b"changed"}
    (root / "later.txt").write_bytes(b"new")
    done = person.types("push", "out", "--only", "changed")
    assert "new files, left out: 1" in done.stdout + done.stderr
    assert "gone here" not in done.stdout + done.stderr
    assert held(study) == {**before, **new, **changed}
    assert push(person, "--only", "all")["states"]["done"] == 1


# --- analyses ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a site with two runs of a gear, one on each of two sessions."""
    data = tmp_path_factory.mktemp("runs") / "data"
    fill(data, sessions=2, files_each=1)
    return data


def outputs(site: Site) -> dict[str, tuple[int, bytes]]:
    """Version and bytes of each output of the first session's run, as the SDK reads them."""
    client = site.sdk()
    analysis = client.get_analysis(client.lookup("lab/study/sub-0000/ses-1").reload().analyses[0].id)
    return {file.name: (file.version, analysis.read_file(file.name)) for file in analysis.files}


@pytest.mark.parametrize("flags", [(), ("--signed-urls", "--part-threshold", "400000")], ids=["direct", "signed"])
def test_changed_and_new_outputs_go_to_the_same_analysis(tmp_path: Path, runs: Path, flags: tuple[str, ...]) -> None:
    shutil.copytree(runs, tmp_path / "data")
    with sandbox("--data", str(tmp_path / "data"), *flags) as site:
        person = Person(tmp_path / "home", site.key)
        mirrors = ("mirror", "--project", "lab/study", "--to", "out", "--analyses")
        assert person.types(*mirrors).returncode == 0
        place = next((person.work / "out/study/sub-0000/ses-1").glob("*/part-0.zip")).parent
        (place / "part-0.zip").write_bytes(b"again" * 400_000)
        (place / "summary.csv").write_bytes(b"a,b\n")
        done = push(person)
        assert (done["states"], done["exit_code"]) == ({"done": 2, "unchanged": 1}, 0)
        assert outputs(site) == {"part-0.zip": (2, b"again" * 400_000), "summary.csv": (1, b"a,b\n")}
        again = told(person.types(*mirrors, "--json"))
        assert (again["states"], again["exit_code"]) == ({"unchanged": 3}, 0)
        assert set(push(person)["states"]) == {"unchanged"}


def test_outputs_on_a_site_that_takes_none_fail_alone(tmp_path: Path, runs: Path) -> None:
    shutil.copytree(runs, tmp_path / "data")
    with sandbox("--data", str(tmp_path / "data"), "--without", "analysis-outputs") as site:
        person = Person(tmp_path / "home", site.key)
        assert person.types("mirror", "--project", "lab/study", "--to", "out", "--analyses").returncode == 0
        session = person.work / "out/study/sub-0000/ses-1"
        place = next(session.glob("*/part-0.zip"))
        place.write_bytes(b"again")
        (place.parent / "summary.csv").write_bytes(b"a,b\n")
        (session / "log.txt").write_bytes(b"of the session")
        before = outputs(site)
        done = person.types("push", "out")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "this analysis takes no more files" in done.stdout
        assert "1 uploaded, 1 unchanged, 2 failed" in done.stdout
        assert "Traceback" not in done.stderr
        assert outputs(site) == before
        assert site.sdk().lookup("lab/study/sub-0000/ses-1").read_file("log.txt") == b"of the session"
        assert place.read_bytes() == b"again"


def test_outputs_go_back_and_members_of_zips_stay_as_they_are(tmp_path: Path, runs: Path) -> None:
    """In a tree of a gear, whose layout gives files other names than the site's."""
    shutil.copytree(runs, tmp_path / "data")
    with sandbox("--data", str(tmp_path / "data")) as site:
        person = Person(tmp_path / "home", site.key)
        mirrors = ("--gear", "maker", "--project", "lab/study", "--to")
        assert person.types("mirror", *mirrors, "whole").returncode == 0
        (path,) = (person.work / "whole/study/sub-0000/ses-1").rglob("*.zip")
        path.write_bytes(b"again")
        assert told(person.types("push", "whole", "--json"))["states"] == {"done": 1, "unchanged": 1}
        assert outputs(site) == {"part-0.zip": (2, b"again")}
        assert person.types("mirror", *mirrors, "out", "--member", "*/values.bin").returncode in (0, 3)
        members = sorted((person.work / "out").rglob("*.bin"))
        for path in members:
            path.write_bytes(b"changed")
        (members[0].parent / "new.txt").write_bytes(b"new")
        done = person.types("push", "out")
        assert done.returncode == 3, done.stdout + done.stderr
        assert "was taken out of a zip; change the zip itself" in done.stdout
        assert "new.txt, all files in its folder were taken out of zips" in done.stdout
        assert f"incomplete: {len(members) + 1} rejected of {len(members) + 1}" in done.stdout
        assert outputs(site) == {"part-0.zip": (2, b"again")}


@pytest.mark.parametrize(
    ("folder", "words"),
    [("gone", "can't be read"), ("file", "is not a folder"), ("plain", "is no mirrored tree; fwsync mirror makes one")],
)
def test_mistakes_are_one_line(person: Person, folder: str, words: str) -> None:
    (person.work / "file").write_text("x")
    (person.work / "plain").mkdir()
    done = person.types("push", folder)
    assert done.returncode == 2
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_another_site_and_layouts_without_subjects_are_refused(person: Person, study: Any, tmp_path: Path) -> None:
    mirror(person, study, "--layout", "{project}/{acquisition}/{file.name}")
    refused = person.types("push", "out", "--subject", "sub-1")
    assert refused.returncode == 2
    assert "has no folder for each subject; use --include" in refused.stderr
    with sandbox() as other:
        strange = person.types("push", "out", FWSYNC_API_KEY=other.key)
    assert strange.returncode == 2
    assert "was mirrored from" in strange.stderr
    lost = person.types("push", "out", XDG_STATE_HOME=str(tmp_path / "elsewhere"))
    assert lost.returncode == 2
    assert "this machine's journal knows no files here" in lost.stderr


def test_retry_sends_just_what_failed(tmp_path: Path) -> None:
    with sandbox() as site:
        project = add_project(site, "study")
        put(project, "a.txt", b"a")
        put(project, "b.txt", b"b")
        person = Person(tmp_path / "home", site.key)
        root = mirror(person, project)
        (root / "a.txt").write_bytes(b"mine")
        put(project, "a.txt", b"theirs")
        (root / "b.txt").write_bytes(b"mine too")
        first = push(person)
        assert first["states"] == {"done": 1, "failed": 1}
        again = told(person.types("retry", first["run"], "--json"))
        assert (again["planned"], again["states"]) == (1, {"failed": 1})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("flags", [(), ("--signed-urls", "--part-threshold", "400000")], ids=["direct", "signed"])
def test_a_push_killed_again_and_again_ends_as_if_undisturbed(tmp_path: Path, flags: tuple[str, ...]) -> None:
    values = random.Random(7)
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        project = add_project(site, "study")
        person = Person(tmp_path / "home", site.key)
        tree = {f"s{n // 20}/v{n // 10 % 2}/a/{n:03}.bin": values.randbytes(3000) for n in range(160)}
        tree |= {f"s0/v0/a/large{n}.bin": values.randbytes(2_000_000) for n in range(4)}
        for path, content in tree.items():
            (person.work / "up" / path).parent.mkdir(parents=True, exist_ok=True)
            (person.work / "up" / path).write_bytes(content)
        assert person.types("upload", "up", "--to", "lab/study").returncode == 0
    faults = (
        "upload:drop_reply=5%,upload:late_commit=8%:1,drop_request=3%,status_429=3%:0.1,status_503=3%,upload:stall=2%:1"
    )
    with sandbox("--data", data, "--faults", faults, "--fault-seed", "5", "--latency", "30", *flags) as site:
        person = Person(tmp_path / "second", site.key)
        root = mirror(person, project)
        changed = {path: values.randbytes(len(content)) for path, content in tree.items()}
        new = {f"s{n}/v0/a/new{n}.bin": values.randbytes(3000) for n in range(8)}
        for path, content in {**changed, **new}.items():
            (root / path).write_bytes(content)
        quick = {"FWSYNC_NETWORK_READ_TIMEOUT": "3"}
        alive = 0
        for _ in range(8):
            process = person.start("push", "out", **quick)
            time.sleep(values.uniform(0.6, 1.6))
            alive += process.poll() is None
            process.kill()
            process.communicate()
        assert alive >= 3
        done = person.types("push", "out", **quick)
        assert done.returncode == 0, done.stdout + done.stderr
        assert {fault.split(":")[-1] for fault in site.stats()["faults"]} >= {"drop_reply", "late_commit"}
        assert "(0 writes)" in person.types("push", "out", **quick).stdout
        before = digests(person.work / "out")
        again = told(person.types("mirror", "--project", "lab/study", "--to", "out", "--json", **quick))
        assert again["states"] == {"unchanged": len(tree) + len(new)}
        assert digests(person.work / "out") == before
    with sandbox("--data", data) as site:
        whole = site.sdk().lookup("lab/study")
        assert held(whole) == {**changed, **new}
        versions = held(whole, versions=True)
    assert {path: versions[path] for path in tree} == dict.fromkeys(tree, 2), "a version was made twice"
    assert {versions[path] for path in new} == {1}
