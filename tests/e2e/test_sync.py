"""A tree kept in step with a site that changes: renames, moves, deletions and new versions by the SDK, edits by hand."""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import SECRET, Person, Site, add_project, digests, sandbox

MOVE_KILLS = 10


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        yield running


@pytest.fixture
def person(tmp_path: Path, site: Site) -> Person:
    return Person(tmp_path, site.key)


@pytest.fixture
def study(site: Site, request: Any) -> Any:
    """A project `lab/<name of the test>` of two subjects, with a session each and three files."""
    label = request.node.name.removeprefix("test_")[:60]
    project = add_project(site, label)
    for name in ("sub-01", "sub-02"):
        acquisition = project.add_subject(label=name).add_session(label="ses-1").add_acquisition(label="T1w")
        for number in range(3):
            put(acquisition, f"scan-{number}.txt", f"{name} {number}\n" * 20)
    return project.reload()


def put(container: Any, name: str, text: str) -> None:
    """A file onto a container."""
    import flywheel

    container.upload_file(flywheel.FileSpec(name, text.encode()))


def mirror(person: Person, project: Any, *flags: str, to: str = "out", code: int = 0) -> dict[str, Any]:
    """The summary of a mirror of the project."""
    done = person.types("mirror", "--project", f"lab/{project.label}", "--to", to, "--json", *flags)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def subject(project: Any, label: str) -> Any:
    return project.subjects.find_one(f"label={label}")


def remove(site: Site, project: Any, label: str) -> None:
    site.sdk().delete_subject(subject(project, label).id)


def acquisition_of(project: Any, label: str) -> Any:
    return subject(project, label).sessions()[0].acquisitions()[0]


def fresh(person: Person, project: Any) -> dict[str, str]:
    """What a first mirror into an empty folder gives now."""
    folder = f"fresh-{time.monotonic_ns()}"
    mirror(person, project, to=folder)
    return digests(person.work / folder)


def trash(person: Person) -> list[str]:
    """What lies in the trash, without the names of the runs."""
    below = person.work / "out/.fwsync/trash"
    return sorted("/".join(path.relative_to(below).parts[1:]) for path in below.rglob("*") if path.is_file())


# --- moves ------------------------------------------------------------------------------------------------------------


def test_a_renamed_subject_is_moved_and_not_fetched(person: Person, study: Any) -> None:
    first = mirror(person, study)
    assert first["states"] == {"done": 6}
    subject(study, "sub-01").update(label="patient-7")
    second = mirror(person, study)
    assert (second["by_kind"]["move.local"], second["bytes"]) == ({"done": 3}, 0)
    assert digests(person.work / "out") == fresh(person, study)
    assert not (person.work / f"out/{study.label}/sub-01").exists(), "folders left empty go"
    again = mirror(person, study)
    assert again["states"] == {"unchanged": 6}


def test_a_moved_session_is_moved(person: Person, study: Any) -> None:
    mirror(person, study)
    session = subject(study, "sub-01").sessions()[0]
    session.update(label="ses-9", subject={"_id": subject(study, "sub-02").id})
    second = mirror(person, study)
    assert (second["by_kind"]["move.local"], second["bytes"]) == ({"done": 3}, 0)
    assert digests(person.work / "out") == fresh(person, study)


def test_swapped_and_chained_names_lose_nothing(person: Person, study: Any) -> None:
    third = study.add_subject(label="sub-03").add_session(label="ses-1").add_acquisition(label="T1w")
    put(third, "scan-0.txt", "third\n")
    mirror(person, study)
    for old, new in (("sub-01", "x"), ("sub-02", "sub-01"), ("x", "sub-02")):
        subject(study, old).update(label=new)
    swapped = mirror(person, study)
    assert (swapped["by_kind"]["move.local"], swapped["bytes"]) == ({"done": 6}, 0)
    assert digests(person.work / "out") == fresh(person, study)
    for old, new in (("sub-03", "sub-04"), ("sub-02", "sub-03"), ("sub-01", "sub-02")):
        subject(study, old).update(label=new)
    chained = mirror(person, study)
    assert (chained["by_kind"]["move.local"], chained["bytes"]) == ({"done": 7}, 0)
    assert digests(person.work / "out") == fresh(person, study)
    assert not list((person.work / "out").rglob(".fw~*"))
    assert mirror(person, study)["states"] == {"unchanged": 7}


def test_a_renamed_subject_with_a_local_change_keeps_it_and_fetches_anew(person: Person, study: Any) -> None:
    mirror(person, study)
    edited = person.work / f"out/{study.label}/sub-01/ses-1/T1w/scan-1.txt"
    edited.write_text("mine\n")
    subject(study, "sub-01").update(label="patient-7")
    second = mirror(person, study, "--delete")
    assert second["by_kind"]["move.local"] == {"done": 2}
    assert second["by_kind"]["download.file"] == {"unchanged": 3, "done": 1}
    assert second["by_kind"]["delete.local"] == {"skipped": 1}
    assert edited.read_text() == "mine\n"
    held = digests(person.work / "out")
    del held[f"{study.label}/sub-01/ses-1/T1w/scan-1.txt"]
    assert held == fresh(person, study)


def test_sidecars_move_along_and_say_the_new_names(person: Person, study: Any) -> None:
    mirror(person, study, "--sidecar", "json")
    subject(study, "sub-01").update(label="patient-7")
    moved = mirror(person, study, "--sidecar", "json")
    assert moved["by_kind"]["move.local"] == {"done": 6}
    folder = person.work / "again"
    mirror(person, study, "--sidecar", "json", to="again")
    assert digests(person.work / "out") == digests(folder)
    assert not (person.work / f"out/{study.label}/sub-01").exists()


def test_hard_links_are_moved_round_as_well(person: Person, study: Any) -> None:
    """Equal files share an inode: a rename of one onto another does nothing, and must not leave a copy behind."""
    for number in (1, 2):
        put(acquisition_of(study, f"sub-0{number}"), "same.txt", "the same in both\n")
    mirror(person, study, "--link")
    for old, new in (("sub-01", "x"), ("sub-02", "sub-01"), ("x", "sub-02")):
        subject(study, old).update(label=new)
    mirror(person, study, "--link")
    assert digests(person.work / "out") == fresh(person, study)
    for old, new in (("sub-02", "sub-03"), ("sub-01", "sub-02")):
        subject(study, old).update(label=new)
    mirror(person, study, "--link")
    assert digests(person.work / "out") == fresh(person, study)
    assert mirror(person, study, "--link")["states"] == {"unchanged": 8}


def test_another_layout_moves_the_tree(person: Person, study: Any) -> None:
    mirror(person, study)
    flat = ("--layout", "{subject}_{file.name}")
    moved = mirror(person, study, *flat)
    assert (moved["by_kind"], moved["bytes"]) == ({"move.local": {"done": 6}}, 0)
    assert sorted(os.listdir(person.work / "out")) == [
        ".fwsync",
        *(f"sub-{subject:02}_scan-{number}.txt" for subject in (1, 2) for number in range(3)),
    ]
    assert mirror(person, study, *flat)["states"] == {"unchanged": 6}


def test_a_download_moves_nothing(person: Person, study: Any) -> None:
    path = f"lab/{study.label}/sub-01/ses-1/T1w"
    assert person.types("download", f"{path}/scan-0.txt", "--to", "here").returncode == 0
    assert person.types("download", path, "--to", "here").returncode == 0
    assert sorted(digests(person.work / "here")) == [
        *(f"T1w/scan-{number}.txt" for number in range(3)),
        "scan-0.txt",
    ]


# --- removals ---------------------------------------------------------------------------------------------------------


def test_deleted_files_go_to_the_trash_when_asked(person: Person, study: Any) -> None:
    mirror(person, study)
    acquisition_of(study, "sub-01").delete_file("scan-0.txt")
    study_of_two = subject(study, "sub-02")
    study_of_two.sessions()[0].acquisitions()[0].delete_file("scan-2.txt")
    edited = person.work / f"out/{study.label}/sub-02/ses-1/T1w/scan-2.txt"
    edited.write_text("mine\n")
    own = person.work / f"out/{study.label}/sub-01/notes.txt"
    own.write_text("not of fwsync\n")
    assert mirror(person, study)["by_kind"].keys() == {"download.file"}, "nothing is removed unless asked"
    dry = mirror(person, study, "--delete", "--dry-run")
    assert (dry["would"], list(dry["would_bytes"].values())) == ({"delete.local": 1}, [180])
    done = mirror(person, study, "--delete")
    assert done["by_kind"]["delete.local"] == {"done": 1, "skipped": 1}
    assert trash(person) == [f"{study.label}/sub-01/ses-1/T1w/scan-0.txt"]
    assert (edited.read_text(), own.read_text()) == ("mine\n", "not of fwsync\n")
    assert "delete.local" in mirror(person, study, "--delete")["by_kind"], "the changed one is told of again"


def test_a_deleted_subject_leaves_no_empty_folders(person: Person, site: Site, study: Any) -> None:
    mirror(person, study)
    remove(site, study, "sub-01")
    done = mirror(person, study, "--delete", "permanent")
    assert done["by_kind"]["delete.local"] == {"done": 3}
    assert (trash(person), digests(person.work / "out")) == ([], fresh(person, study))
    assert sorted(os.listdir(person.work / "out" / study.label)) == ["sub-02"]


@pytest.mark.parametrize("size", [20, 2**20], ids=["small", "large"])
def test_a_folder_gives_way_to_a_file_and_a_file_to_a_folder(person: Person, site: Site, study: Any, size: int) -> None:
    put(study, "sub-03", "a file\n")
    mirror(person, study)
    remove(site, study, "sub-01")
    put(study, "sub-01", "now a file\n" * size)
    kept = mirror(person, study, code=3)
    assert kept["states"]["failed"] == 1
    assert "a folder is in the way" in kept["failures"][0]["reason"]
    study.delete_file("sub-03")
    put(study.add_subject(label="sub-03"), "inner.txt", "now below a folder\n" * size)
    done = mirror(person, study, "--delete")
    assert done["by_kind"]["download.file"] == {"done": 2, "unchanged": 3}
    assert done["by_kind"]["delete.local"] == {"done": 4}
    assert digests(person.work / "out") == fresh(person, study)
    inner = [f"{study.label}/sub-01/ses-1/T1w/scan-{n}.txt" for n in range(3)]
    assert trash(person) == [*inner, f"{study.label}/sub-03"]
    assert mirror(person, study, "--delete")["states"] == {"unchanged": 5}


def test_a_folder_that_holds_something_else_gives_no_way(person: Person, site: Site, study: Any) -> None:
    mirror(person, study)
    remove(site, study, "sub-01")
    put(study, "sub-01", "now a file\n")
    notes = person.work / f"out/{study.label}/sub-01/notes.txt"
    notes.write_text("mine\n")
    done = mirror(person, study, "--delete", code=3)
    assert "a folder is in the way" in done["failures"][0]["reason"]
    assert (notes.read_text(), done["by_kind"]["delete.local"]) == ("mine\n", {"done": 3})
    notes.unlink()
    mirror(person, study, "--delete", "permanent")
    assert digests(person.work / "out") == fresh(person, study)


def test_a_folder_that_gives_way_for_good_leaves_no_trash(person: Person, site: Site, study: Any) -> None:
    mirror(person, study)
    remove(site, study, "sub-01")
    put(study, "sub-01", "now a file\n")
    done = mirror(person, study, "--delete", "permanent")
    assert done["by_kind"]["delete.local"] == {"done": 3}
    assert (trash(person), digests(person.work / "out")) == ([], fresh(person, study))


def test_the_trash_is_emptied_when_asked(person: Person, study: Any) -> None:
    mirror(person, study)
    acquisition_of(study, "sub-01").delete_file("scan-0.txt")
    mirror(person, study, "--delete")
    acquisition_of(study, "sub-01").delete_file("scan-1.txt")
    later = in_days(person, 20)
    second = mirror(later, study, "--delete", "--trash-days", "30")
    assert second["states"] == {"done": 1, "unchanged": 4}
    kept = [f"{study.label}/sub-01/ses-1/T1w/scan-{n}.txt" for n in (0, 1)]
    assert trash(person) == kept, "neither is older than 30 days"
    outside = person.home / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("of somebody")
    below = person.work / "out/.fwsync/trash"
    first = min(below.iterdir())
    (first / "link").symlink_to(outside)
    (below / "2001-01-01T00-00-00-abcd").symlink_to(outside)
    (below / "by-hand").mkdir()
    (below / "by-hand/note.txt").write_text("mine")
    after = in_days(person, 60)
    assert mirror(after, study)["warnings"] == [], "never, unless asked"
    (blocked := person.work / f"out/{study.label}/sub-02/new.txt").write_text("in the way")
    put(subject(study, "sub-02"), "new.txt", "of the site\n")
    mirror(after, study, "--trash-days", "30", code=3)
    assert len(trash(person)) == 3, "nothing goes after an incomplete run"
    blocked.unlink()
    assert "trash" not in " ".join(mirror(after, study, "--trash-days", "30", "--dry-run")["warnings"])
    done = mirror(after, study, "--trash-days", "30")
    assert done["warnings"] == ["3 files that had been in the trash for 30 days are removed"]
    assert sorted(path.name for path in below.iterdir()) == ["2001-01-01T00-00-00-abcd", "by-hand"]
    assert (trash(person), (outside / "kept.txt").read_text()) == (["note.txt"], "of somebody")


def in_days(person: Person, days: int) -> Person:
    """The same person when the clock is so many days further."""
    clock = person.home / f"clock-{days}"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(
        f"import time\nreal = time.time\ntime.time = lambda: real() + {days * 86400}\n"
    )
    later = Person(person.home, person.env["FWSYNC_API_KEY"])
    later.env["PYTHONPATH"] = os.pathsep.join([str(clock), os.environ.get("PYTHONPATH", "")])
    return later


def test_the_brake(person: Person, study: Any) -> None:
    acquisition = acquisition_of(study, "sub-01")
    for number in range(60):
        put(acquisition, f"more-{number}.txt", f"{number}\n")
    mirror(person, study)
    for number in range(60):
        acquisition.delete_file(f"more-{number}.txt")
    put(acquisition, "new.txt", "new\n")
    before = set(digests(person.work / "out"))
    tripped = mirror(person, study, "--delete", code=3)
    assert [one["reason"] for one in tripped["failures"]] == [
        "60 of 66 files would be removed; none is: look at --dry-run, and let them go by --max-delete 60"
    ]
    now = set(digests(person.work / "out"))
    assert now == {*before, f"{study.label}/sub-01/ses-1/T1w/new.txt"}, "the transfers happen all the same"
    assert mirror(person, study, "--delete", "--max-delete", "59", code=3)["by_kind"]["delete.local"] == {"failed": 1}
    assert mirror(person, study, "--delete", "--max-delete", "50%", code=3)["by_kind"]["delete.local"] == {"failed": 1}
    assert mirror(person, study, "--delete", "--max-delete", "60")["by_kind"]["delete.local"] == {"done": 60}
    assert digests(person.work / "out") == fresh(person, study)
    done = person.types("mirror", "--project", f"lab/{study.label}", "--to", "out", "--max-delete", "lots")
    assert (done.returncode, "--max-delete 'lots': write a number" in done.stderr) == (2, True)


def test_nothing_is_removed_when_nothing_is_selected(person: Person, site: Site, study: Any) -> None:
    mirror(person, study)
    for label in ("sub-01", "sub-02"):
        remove(site, study, label)
    done = mirror(person, study, "--delete", "--allow-empty", code=3)
    assert [one["reason"] for one in done["failures"]] == ["nothing is selected, and 6 files are here; none is removed"]
    assert len(digests(person.work / "out")) == 6


def test_nothing_is_removed_when_something_could_not_be_looked_at(person: Person, study: Any) -> None:
    acquisition = acquisition_of(study, "sub-01")
    put(acquisition, "broken.zip", "this is no zip\n")
    mirror(person, study, "--member", "*.txt", code=3)
    flags = ("--member", "*.txt", "--allow-empty")
    mirror(person, study, *flags, code=3)
    put(acquisition, "keep.txt", "kept\n")
    mirror(person, study, "--unzip", code=3)
    acquisition.delete_file("scan-0.txt")
    done = mirror(person, study, "--unzip", "--delete", code=3)
    assert "1 files are no longer selected; none is removed, since 1 items could not be looked at" in done["warnings"]
    assert "delete.local" not in done["by_kind"]
    acquisition.delete_file("broken.zip")
    assert mirror(person, study, "--unzip", "--delete")["by_kind"]["delete.local"] == {"done": 1}


def test_two_selections_feed_one_tree(person: Person, study: Any) -> None:
    """Each removes only what it alone has fetched; what both want stays until neither does."""
    one, both = ("--include", "scan-0.txt"), ("--include", "scan-0.txt", "--include", "scan-1.txt")
    mirror(person, study, *one)
    mirror(person, study, *both)
    kinds = mirror(person, study, *one, "--delete")["by_kind"]
    assert kinds.keys() == {"download.file"}, "scan-1 is the other selection's"
    acquisition_of(study, "sub-01").delete_file("scan-0.txt")
    assert mirror(person, study, *one, "--delete")["by_kind"].keys() == {"download.file"}, "the other still claims it"
    assert mirror(person, study, *both, "--delete")["by_kind"]["delete.local"] == {"done": 1}
    assert digests(person.work / "out").keys() == {
        f"{study.label}/{path}"
        for path in ("sub-01/ses-1/T1w/scan-1.txt", "sub-02/ses-1/T1w/scan-0.txt", "sub-02/ses-1/T1w/scan-1.txt")
    }


def test_a_file_that_was_downloaded_by_hand_is_never_removed(person: Person, study: Any) -> None:
    mirror(person, study)
    path = f"lab/{study.label}/sub-01/ses-1/T1w/scan-0.txt"
    (person.work / "byhand").mkdir()
    assert person.types("download", path, "--to", "byhand").returncode == 0
    mirror(person, study, "--layout", "flat", to="byhand")
    acquisition_of(study, "sub-01").delete_file("scan-0.txt")
    mirror(person, study, "--layout", "flat", "--delete", to="byhand")
    assert (person.work / "byhand/scan-0.txt").exists()


# --- local changes ----------------------------------------------------------------------------------------------------


def test_local_changes_are_kept_replaced_or_refused(person: Person, study: Any) -> None:
    mirror(person, study)
    below = f"{study.label}/sub-01/ses-1/T1w"
    edited, gone = person.work / f"out/{below}/scan-0.txt", person.work / f"out/{below}/scan-1.txt"
    edited.write_text("mine\n")
    gone.unlink()
    kept = mirror(person, study)
    assert kept["by_kind"]["download.file"] == {"skipped": 1, "done": 1, "unchanged": 4}
    assert kept["reasons"] == {"changed locally; kept as it is": 1}
    assert (edited.read_text(), gone.exists()) == ("mine\n", True)
    gone.unlink()
    refused = person.types(*("mirror", "--project", f"lab/{study.label}", "--to", "out"), "--local-changes", "error")
    assert refused.returncode == 3
    assert f"1 files are changed locally ({below}/scan-0.txt); nothing was done" in refused.stderr
    assert not gone.exists()
    done = mirror(person, study, "--local-changes", "overwrite")
    assert done["by_kind"]["download.file"] == {"done": 2, "unchanged": 4}
    assert digests(person.work / "out") == fresh(person, study)
    assert trash(person) == [f"{below}/scan-0.txt"]
    assert next((person.work / "out/.fwsync/trash").rglob("scan-0.txt")).read_text() == "mine\n"


def test_a_new_version_replaces_the_old_one(person: Person, study: Any) -> None:
    mirror(person, study)
    put(acquisition_of(study, "sub-01"), "scan-0.txt", "a new version\n")
    done = mirror(person, study, "--delete")
    assert done["by_kind"] == {"download.file": {"done": 1, "unchanged": 5}}
    assert digests(person.work / "out") == fresh(person, study)


# --- which tree it is -------------------------------------------------------------------------------------------------


def test_a_known_root_without_its_marker_is_refused(person: Person, study: Any) -> None:
    mirror(person, study)
    out = person.work / "out"
    shutil.move(out, person.work / "unmounted")
    out.mkdir()
    refused = person.types("mirror", "--project", f"lab/{study.label}", "--to", "out")
    assert refused.returncode == 3
    assert "its marker .fwsync/root.json is missing; mount the right disk, or say --new-tree" in refused.stderr
    assert list(out.iterdir()) == [], "nothing was written"
    assert person.types("mirror", "--project", f"lab/{study.label}", "--to", "out", "--dry-run").returncode == 3
    assert mirror(person, study, "--new-tree")["states"] == {"done": 6}
    assert mirror(person, study)["states"] == {"unchanged": 6}
    moved = mirror(person, study, to="unmounted")
    assert sum(moved["states"].values()) == 6


def test_another_tree_in_its_place_is_refused(person: Person, study: Any) -> None:
    mirror(person, study)
    mirror(person, study, to="other")
    shutil.move(person.work / "out", person.work / "away")
    shutil.move(person.work / "other", person.work / "out")
    refused = person.types("mirror", "--project", f"lab/{study.label}", "--to", "out")
    assert (refused.returncode, "another tree is marked there now" in refused.stderr) == (3, True)


def test_a_tree_that_was_moved_or_copied_is_recognised(person: Person, site: Site, study: Any) -> None:
    mirror(person, study)
    shutil.move(person.work / "out", person.work / "there")
    moved = mirror(person, study, to="there")
    assert (moved["states"], moved["bytes"]) == ({"unchanged": 6}, 0)
    assert any("the tree that was at" in line for line in moved["warnings"])
    shutil.copytree(person.work / "there", person.work / "copy")
    copied = mirror(person, study, to="copy")
    assert (copied["states"], copied["bytes"]) == ({"unchanged": 6}, 0)
    assert any("a copy of the tree at" in line for line in copied["warnings"])
    marks = {(person.work / name / ".fwsync/root.json").read_text() for name in ("there", "copy")}
    assert len(marks) == 2
    remove(site, study, "sub-01")
    assert mirror(person, study, "--delete", to="copy")["by_kind"]["delete.local"] == {"done": 3}
    assert mirror(person, study, "--delete", to="there")["by_kind"]["delete.local"] == {"done": 3}


def test_a_first_run_into_a_folder_in_use_touches_nothing_there(person: Person, study: Any) -> None:
    own = person.work / f"out/{study.label}/sub-01/ses-1/T1w/scan-0.txt"
    own.parent.mkdir(parents=True)
    own.write_text("someone's\n")
    done = mirror(person, study, "--delete", code=3)
    assert done["failures"][0]["reason"] == "a local file is in the way; move it away, then run again"
    assert own.read_text() == "someone's\n"


def test_a_lost_index_is_rebuilt_from_the_manifest(person: Person, site: Site, study: Any) -> None:
    mirror(person, study)
    edited = person.work / f"out/{study.label}/sub-02/ses-1/T1w/scan-0.txt"
    edited.write_text("mine\n")
    shutil.rmtree(person.home / "state")
    remove(site, study, "sub-01")
    done = mirror(person, study, "--delete", code=3)
    assert any("5 files are known again by the tree's manifest" in line for line in done["warnings"])
    assert done["by_kind"]["delete.local"] == {"done": 3}, "with the claims of the selection"
    assert done["by_kind"]["download.file"] == {"unchanged": 2, "failed": 1}
    assert edited.read_text() == "mine\n"


# --- dry run and requests ---------------------------------------------------------------------------------------------


def test_a_dry_run_tells_files_and_bytes_of_each_kind(person: Person, study: Any) -> None:
    mirror(person, study)
    subject(study, "sub-01").update(label="patient-7")
    acquisition = acquisition_of(study, "sub-02")
    acquisition.delete_file("scan-0.txt")
    put(acquisition, "new.txt", "x" * 2500)
    before = digests(person.work / "out")
    done = person.types("mirror", "--project", f"lab/{study.label}", "--to", "out", "--delete", "--dry-run")
    lines = done.stdout.splitlines()
    below = study.label
    assert f"would download {below}/sub-02/ses-1/T1w/new.txt (2.5 kB)" in lines
    old, new = f"{below}/sub-01/ses-1/T1w/scan-1.txt", f"{below}/patient-7/ses-1/T1w/scan-1.txt"
    assert f"would move {old} > {new} (180 B)" in lines
    assert f"would delete {below}/sub-02/ses-1/T1w/scan-0.txt (180 B)" in lines
    counts = [" ".join(line.split()) for line in lines]
    assert "files 1 to come (2.5 kB), 2 unchanged" in counts
    assert "local files 3 to move (540 B), 0 unchanged" in counts
    assert "local files 1 to delete (180 B), 0 unchanged" in counts
    assert digests(person.work / "out") == before


def build(data: Path, subjects: int, files: int, size: int = 300) -> None:
    """A data folder with project `lab/study`, by the sandbox's own store: by HTTP it would take minutes."""
    import asyncio

    from fwsync.sandbox.demo.builder import Builder
    from fwsync.sandbox.options import SandboxOptions
    from fwsync.sandbox.site import Site as Store

    def fill(conn: Any) -> None:
        builder = Builder(conn, store.blobs)
        project = builder.add("project", "study", builder.group("lab", "Lab"))
        for number in range(subjects):
            session = builder.add("session", "ses-1", builder.add("subject", f"sub-{number:03}", project))
            acquisition = builder.add("acquisition", "T1w", session)
            for part in range(files):
                builder.file(acquisition, f"scan-{part:04}.txt", random.Random(number * 10_000 + part).randbytes(size))

    store = Store(SandboxOptions(api_key=SECRET), data)

    async def run() -> None:
        await store.db.write(fill)

    asyncio.run(run())
    store.close()


def test_a_renamed_subject_of_a_thousand_files_and_a_run_that_finds_nothing_to_do(tmp_path: Path) -> None:
    build(tmp_path / "data", subjects=3, files=1000)
    with sandbox("--data", str(tmp_path / "data")) as site:
        person = Person(tmp_path, site.key)
        project = site.sdk().lookup("lab/study")
        assert mirror(person, project)["states"] == {"done": 3000}
        subject(project, "sub-001").update(label="sub-999")
        moved = mirror(person, project, "--delete")
        assert moved["by_kind"] == {"move.local": {"done": 1000}, "download.file": {"unchanged": 2000}}
        assert moved["bytes"] == 0
        before = site.stats()["requests"]
        again = mirror(person, project, "--delete")
        assert (again["states"], again["bytes"]) == ({"unchanged": 3000}, 0)
        # Signing in, the project, three levels of containers, and a page for each thousand files.
        assert again["requests"] <= 10
        assert before is not None


# --- killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_moves_and_removals_killed_ten_times_end_as_if_undisturbed(tmp_path: Path) -> None:
    """Names go round in a circle, files vanish: after kills at random moments all is in its place and nothing lost."""
    build(tmp_path / "data", subjects=6, files=250)
    with sandbox("--data", str(tmp_path / "data")) as site:
        person = Person(tmp_path, site.key)
        project = site.sdk().lookup("lab/study")
        assert mirror(person, project)["states"] == {"done": 1500}
        values = random.Random(5)
        alive, patience = 0, 1.6
        for turn in range(MOVE_KILLS):
            names = [f"sub-{number:03}" for number in range(5)]
            for old, new in (
                *((name, f"{name}-x") for name in names),
                *zip((f"{name}-x" for name in names), names[1:] + names[:1], strict=True),
            ):
                subject(project, old).update(label=new)
            last = subject(project, "sub-005").sessions()[0].acquisitions()[0]
            for number in range(5):
                last.delete_file(f"scan-{turn * 5 + number:04}.txt")
            process = person.start("mirror", "--project", "lab/study", "--to", "out", "--delete")
            time.sleep(values.uniform(0.3, 1) * patience)
            killed = process.poll() is None
            alive, patience = alive + killed, patience * (1.05 if killed else 0.8)  # however quick this machine is
            process.kill()
            process.communicate()
        assert alive >= 2, "some were killed at work"
        done = mirror(person, project, "--delete")
        assert (done["ok"], done["bytes"]) == (True, 0), "nothing was fetched again"
        out = person.work / "out"
        assert digests(out) == fresh(person, project)
        assert not list(out.rglob(".fw~*"))
        assert len(trash(person)) == 5 * MOVE_KILLS, "everything that was removed is in the trash, once"
        assert mirror(person, project, "--delete")["states"] == {"unchanged": 1500 - 5 * MOVE_KILLS}
