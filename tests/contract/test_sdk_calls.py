"""More of the SDK's public calls: each must come back in the kind that the SDK's models expect."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pytest

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "signed"])
def fw(request: pytest.FixtureRequest) -> Iterator[Any]:
    with ThreadedSandbox(SandboxOptions(demo=True, signed_urls=request.param)) as running:
        yield flywheel.Client(running.key)


@pytest.fixture
def scan(fw: Any) -> Any:
    return fw.lookup("demo/neuro-study/sub-001/ses-1/T1w_MPR")


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    path = tmp_path / "note.txt"
    path.write_text("hello")
    return str(path)


def test_users(fw: Any) -> None:
    assert [user.id for user in fw.users()] == ["admin@example.org"]
    assert fw.get_user("admin@example.org").root
    assert fw.get_config() is not None
    assert fw.get_version() is not None


def test_tags_of_containers(scan: Any) -> None:
    scan.add_tag("x")
    scan.rename_tag("x", "y")
    assert "y" in scan.reload().tags
    scan.delete_tag("y")
    assert "y" not in scan.reload().tags
    with pytest.raises(flywheel.ApiException) as missing:
        scan.delete_tag("y")
    assert missing.value.status == 404


def test_notes(fw: Any) -> None:
    subject = fw.lookup("demo/tutorial/sub001")
    subject.add_note("one")
    note = subject.reload().notes[0]
    assert fw.modify_subject_note(subject.id, note.id, {"text": "two"}) == 1
    assert fw.get_subject_note(subject.id, note.id).text == "two"
    subject.delete_note(note.id)
    assert subject.reload().notes == []


def test_file_metadata(scan: Any) -> None:
    scan.reload().files[0].update(type="nifti", modality="MR")
    scan.reload().files[0].replace_info({"k": 2})
    scan.reload().files[0].update_info({"l": 3})
    assert scan.reload().files[0].info == {"k": 2, "l": 3}
    scan.reload().files[0].update_classification({"Features": ["3D"]})
    assert scan.reload().files[0].classification["Features"] == ["3D"]
    scan.reload().files[0].delete_classification({"Features": ["3D"]})
    assert "Features" not in scan.reload().files[0].classification
    scan.reload().files[0].replace_classification({"Intent": ["Structural"], "Measurement": ["T1"]}, modality="MR")
    file = scan.reload().files[0]
    file.add_tag("t")
    file.rename_tag("t", "u")
    assert scan.reload().files[0].tags == ["u"]
    file.delete_tag("u")
    assert scan.reload().files[0].tags == []


def test_files_by_id(fw: Any, scan: Any) -> None:
    file = scan.files[0]
    assert fw.get_file(file.file_id).name == file.name
    assert [v.version for v in fw.get_file_versions(file.file_id)] == [1]
    assert fw.files.find_first("type=nifti").type == "nifti"
    assert len(list(fw.files.iter_find("type=nifti,parents.group=scitran"))) == 94
    session = fw.lookup("demo/neuro-study/sub-002/ses-1")
    fw.move_file(file.file_id, {"container_reference": {"type": "session", "id": session.id}, "name": "moved.nii.gz"})
    assert fw.get_file(file.file_id).parent_ref.id == session.id
    fw.move_file(file.file_id, {"container_reference": {"type": "acquisition", "id": scan.id}, "name": file.name})
    assert fw.delete_file(file.file_id).deleted == 1
    assert fw.restore_file(file.file_id, 1, False).name == file.name


def test_ad_hoc_analyses(fw: Any, scan: Any, text_file: str, tmp_path: Path) -> None:
    session = fw.get_session(scan.parents.session)
    analysis = session.add_analysis(label="by hand", inputs=[scan.reload().files[0].ref()])
    analysis.upload_output(text_file)
    analysis.update_info({"a": 1})
    analysis.update(label="by hand, twice")
    analysis.add_note("looks fine")
    analysis = analysis.reload()
    assert (analysis.label, analysis.info["a"]) == ("by hand, twice", 1)
    assert analysis.inputs[0].name == scan.files[0].name
    assert analysis.read_file("note.txt") == b"hello"
    analysis.download_file("note.txt", str(tmp_path / "back.txt"))
    assert (tmp_path / "back.txt").read_text() == "hello"
    assert analysis.id in [one.id for one in fw.get_session_analyses(session.id)]
    fw.delete_session_analysis(session.id, analysis.id)
    with pytest.raises(flywheel.ApiException):
        fw.get_analysis(analysis.id)


def test_jobs_and_gears(fw: Any) -> None:
    failed = fw.jobs.find("state=failed")
    assert failed
    assert fw.get_job(failed[0].id).state == "failed"
    project = fw.lookup("demo/neuro-study")
    session = next(s for s in project.sessions() if s.reload().analyses)
    assert session.reload().analyses[0].job.state in ("complete", "failed", "running")
    assert fw.get_analysis(session.reload().analyses[0].id).job.state
    assert [g.gear.version for g in fw.gears.find("gear.name=bids-freesurfer")] == ["1.2.1"]


def test_moving_and_changing_containers(fw: Any) -> None:
    project = fw.lookup("demo/neuro-study")
    session = fw.lookup("demo/neuro-study/sub-003/ses-1")
    session.update(age=5, timestamp="2020-01-01T00:00:00Z", weight=70.5)
    changed = session.reload()
    assert (changed.age, changed.weight) == (5, 70.5)
    target = fw.lookup("demo/neuro-study/sub-014")
    session.update(subject={"_id": target.id})
    assert session.reload().subject.label == "sub-014"
    assert session.acquisitions.find_first().parents.subject == target.id
    fw.modify_container(project.id, {"description": "changed"})
    assert fw.get_container(project.id).description == "changed"


def test_groups_and_permissions(fw: Any) -> None:
    fw.add_group(flywheel.Group(id="made", label="Made"))
    group = fw.get_group("made")
    assert group.add_project(label="p", info={"a": 1}).info["a"] == 1
    fw.add_group_permission("made", {"_id": "u@example.org", "access": "ro"})
    assert fw.modify_group_user_permission("made", "u@example.org", {"access": "rw"}).access == "rw"
    fw.delete_group_user_permission("made", "u@example.org")
    group.update(label="Made anew")
    assert fw.get_group("made").label == "Made anew"
    fw.delete_group("made")
    with pytest.raises(flywheel.ApiException):
        fw.lookup("made/p")


def test_finders_sort_limit_and_refuse(fw: Any) -> None:
    project = fw.lookup("scitran/BIDS-Sample")
    assert [s.label for s in project.subjects.find(sort="label:desc", limit=2)] == ["sub-16", "sub-15"]
    with pytest.raises(ValueError, match="more results"):
        project.subjects.find_one("label=~^sub")
    with pytest.raises(flywheel.ApiException) as refused:
        project.subjects.find("nonsense")
    assert refused.value.status == 422


def test_resolve(fw: Any) -> None:
    assert [child.label for child in fw.resolve("").children] == ["Demo", "Scitran"]
    project = fw.lookup("demo/neuro-study")
    assert fw.lookup(f"demo/<id:{project.id}>").id == project.id
    assert fw.lookup("demo/neuro-study/sub-001/ses-1/T1w_MPR/T1w_MPR.nii.gz").container_type == "file"


def test_deleting_many(fw: Any) -> None:
    session = fw.lookup("demo/neuro-study/sub-004/ses-1")
    ids = [scan.id for scan in session.acquisitions()[:2]]
    assert fw.delete_acquisitions_by_ids([*ids, "5dc091c169d4f3002d16f32f"]).deleted == 2
    assert not {scan.id for scan in session.acquisitions()} & set(ids)
