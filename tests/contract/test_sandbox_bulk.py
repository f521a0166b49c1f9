"""Much at once: archives as tar and zip, summaries, targets, trees, bulk tags and moves, placed uploads, deletes."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pytest
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(demo=True)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def fw(running: ThreadedSandbox) -> Any:
    return flywheel.Client(running.key)


@pytest.fixture(scope="module")
def raw(running: ThreadedSandbox) -> Raw:
    return Raw(running)


@pytest.fixture
def project(fw: Any, raw: Raw, request: pytest.FixtureRequest) -> Any:
    """Two subjects, a session each (both with the same label), two acquisitions with files of several types."""
    project = fw.get_group("demo").add_project(label=request.node.name)
    raw.upload(f"/api/projects/{project.id}/files", {"readme.txt": b"read me"})
    for label in ("s/1", "s2"):
        session = project.add_subject(label=label).add_session(label="ses")
        raw.upload(f"/api/sessions/{session.id}/files", {"table.csv": b"a,b\n"})
        for name in ("T1", "T1"):
            scan = session.add_acquisition(label=name)
            raw.upload(f"/api/acquisitions/{scan.id}/files", {"a.nii.gz": b"n" * 700, "a.dcm.zip": label.encode()})
        analysis = session.add_analysis(label="seg", inputs=[scan.reload().files[0].ref()])
        raw.upload(f"/api/analyses/{analysis.id}/files", {"out.txt": b"out"})
    return project.reload()


def test_tar_and_zip_hold_every_file(fw: Any, project: Any, tmp_path: Path) -> None:
    base = f"scitran/demo/{project.label}"
    expected = {f"{base}/readme.txt": b"read me"}
    for label, held in (("s_1", b"s/1"), ("s2", b"s2")):
        expected[f"{base}/{label}/ses/table.csv"] = b"a,b\n"
        for scan in ("T1", "T1_1"):
            expected[f"{base}/{label}/ses/{scan}/a.nii.gz"] = b"n" * 700
            expected[f"{base}/{label}/ses/{scan}/a.dcm.zip"] = held
    summary = project.download_tar(str(tmp_path / "p.tar"))
    assert (summary.file_cnt, summary.size) == (len(expected), sum(map(len, expected.values())))
    with tarfile.open(tmp_path / "p.tar") as archive:
        assert {m.name: archive.extractfile(m).read() for m in archive.getmembers()} == expected
    fw.download_zip([project], str(tmp_path / "p.zip"))
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == expected


def test_filters_of_types_tags_and_containers(fw: Any, raw: Raw, project: Any, tmp_path: Path) -> None:
    project.download_tar(str(tmp_path / "n.tar"), include_types=["nifti"])
    with tarfile.open(tmp_path / "n.tar") as archive:
        assert {Path(name).name for name in archive.getnames()} == {"a.nii.gz"}
    project.download_tar(str(tmp_path / "n.tar"), exclude_types=["nifti", "dicom"])
    with tarfile.open(tmp_path / "n.tar") as archive:
        assert {Path(name).name for name in archive.getnames()} == {"readme.txt", "table.csv"}
    subject = project.subjects.find_first()
    subject.add_tag("mine")
    node = {"level": "project", "_id": project.id}
    tagged = {"nodes": [node], "container_filters": [{"type": "subject", "tags": {"plus": ["mine"]}}]}
    assert raw.json("POST", "/api/download", tagged)["file_cnt"] == 6  # the project's own file, and one subject's
    without = {"nodes": [node], "container_filters": [{"tags": {"-": ["mine"]}}]}
    assert raw.json("POST", "/api/download", without)["file_cnt"] == 6
    late = {"nodes": [node], "filters": [{"since": "2999-01-01"}]}
    assert raw.refused("POST", "/api/download", late)[0] == 404


def test_nodes_of_every_level(fw: Any, raw: Raw, project: Any) -> None:
    session = project.sessions.find_first()
    scan = session.acquisitions.find_first()
    analysis = session.reload().analyses[0]
    collection = fw.add_collection({"label": "c", "contents": {
        "operation": "add", "nodes": [{"level": "session", "_id": session.id}]}})  # fmt: skip
    for level, ident, count in (
        ("subject", session.parents.subject, 5), ("session", session.id, 5), ("acquisition", scan.id, 2),
        ("analysis", analysis.id, 1), ("collection", collection, 4),
    ):  # fmt: skip
        told = raw.json("POST", "/api/download", {"nodes": [{"level": level, "_id": ident}]})
        assert told["file_cnt"] == count, level
    both = {"nodes": [{"level": "session", "_id": session.id}, {"level": "acquisition", "_id": scan.id}]}
    assert raw.json("POST", "/api/download", both)["file_cnt"] == 5  # nothing twice
    missing = {"nodes": [{"level": "session", "_id": "x"}, {"level": "acquisition", "_id": scan.id}]}
    assert raw.refused("POST", "/api/download", missing)[0] == 404
    assert raw.json("POST", "/api/download", {**missing, "optional": True})["file_cnt"] == 2
    bulk = {"files": [{"container_name": "acquisition", "container_id": scan.id, "filename": "a.nii.gz"}]}
    ticket = raw.json("POST", "/api/download?type=bulk", bulk)["ticket"]
    status, headers, body = raw("GET", f"/api/download?ticket={ticket}")
    assert (status, headers["Content-Type"]) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == [f"acquisition/{scan.id}/a.nii.gz"]


def test_the_full_layout_with_analyses_and_sidecars(raw: Raw, project: Any) -> None:
    body = {"nodes": [{"level": "project", "_id": project.id}]}
    made = raw.json("POST", "/api/download?type=full&analyses=true&metadata=true&prefix=out", body)
    _, _, content = raw("GET", f"/api/download?ticket={made['ticket']}&format=zip")
    base = f"out/demo/{project.label}"
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = set(archive.namelist())
        assert f"{base}/FILES/readme.txt" in names
        assert f"{base}/SUBJECTS/s2/SESSIONS/ses/ACQUISITIONS/T1/FILES/a.nii.gz" in names
        assert f"{base}/SUBJECTS/s2/SESSIONS/ses/ANALYSES/seg/OUTPUT/out.txt" in names
        assert f"{base}/SUBJECTS/s2/SESSIONS/ses/ANALYSES/seg/INPUT/a.nii.gz" in names
        told = json.loads(archive.read(f"{base}/SUBJECTS/s2/SESSIONS/ses/ses.flywheel.json"))
        assert (told["label"], told["container_type"]) == ("ses", "session")
        about = json.loads(archive.read(f"{base}/FILES/readme.txt.flywheel.json"))
        assert (about["name"], about["size"]) == ("readme.txt", 7)


def test_summary_and_targets(fw: Any, raw: Raw, project: Any) -> None:
    nodes = [{"level": "project", "_id": project.id}]
    told = raw.json("POST", "/api/download/summary", nodes)
    assert told["nifti"]["count"] == 4
    assert told["nifti"]["mb_total"] == pytest.approx(4 * 700 / 1e6)
    status, _, body = raw(
        "POST", "/api/download/targets?type=full&prefix=&analyses=True&metadata=True", {"nodes": nodes}
    )
    assert status == 200
    lines = [json.loads(line) for line in body.splitlines()]
    files = [line for line in lines if line["download_type"] == "file"]
    sidecars = [line for line in lines if line["download_type"] == "metadata_sidecar"]
    assert len(files) == 15  # 11 files, two outputs, two inputs
    assert all(line["dst_path"].startswith(f"/demo/{project.label}/") for line in lines)
    assert {line["metadata"]["container_type"] for line in sidecars} >= {"project", "session", "file", "analysis"}
    for line in files[:3]:
        status, _, content = raw("GET", f"/api/containers/{line['container_id']}/files/{line['filename']}")
        assert (status, len(content)) == (200, line["size"])


def test_an_archive_of_many_megabytes(fw: Any, raw: Raw, tmp_path: Path) -> None:
    project = fw.get_group("demo").add_project(label="large")
    content = bytes(range(256)) * 4096 * 3
    raw.upload(f"/api/projects/{project.id}/files", {f"{n}.bin": content + str(n).encode() for n in range(4)})
    project.download_tar(str(tmp_path / "l.tar"))
    with tarfile.open(tmp_path / "l.tar") as archive:
        assert {archive.extractfile(m).read()[:-1] == content for m in archive.getmembers()} == {True}
    fw.download_zip([project], str(tmp_path / "l.zip"))
    with zipfile.ZipFile(tmp_path / "l.zip") as zipped:
        assert zipped.testzip() is None


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("download", {}, 400),
        ("download", {"nodes": [3]}, 400),
        ("download", {"nodes": [{"level": "file", "_id": "x"}]}, 400),
        ("download", {"nodes": [{"level": "project", "_id": "x"}]}, 404),
        ("download", {"nodes": [{"level": "project", "_id": "x"}], "filters": [{"types": []}]}, 400),
        ("download", {"nodes": [{"level": "project", "_id": "x"}], "filters": [{"since": {}}]}, 400),
        ("download", {"nodes": [{"level": "project", "_id": "x"}], "container_filters": [{"type": "x"}]}, 400),
        ("download?type=tarball", {"nodes": [{"level": "project", "_id": "x"}]}, 422),
        ("download?type=bulk", {"files": []}, 400),
        ("download?type=bulk", {"files": [{"container_id": {}, "filename": 3}]}, 404),
        ("download/summary", [], 400),
        ("tree", {}, 400),
        ("tree", {"projects": [], "groups": {}}, 400),
        ("tree", {"galaxies": {}}, 400),
        ("tree", {"projects": {"fields": "label"}}, 400),
        ("tree", {"projects": {"stars": {}}}, 400),
        ("tree", {"projects": {"filter": "nonsense"}}, 422),
        ("tree", {"projects": {"limit": -1}}, 422),
        ("bulk/add/tags", {"containers": [], "tags": ["x"]}, 400),
        ("bulk/add/tags", {"containers": ["x"], "tags": []}, 400),
        ("bulk/add/tags", {"containers": ["x"], "tags": ["y"]}, 404),
        ("bulk/move/sessions", {"sources": ["x"], "destinations": ["y"]}, 422),
        (
            "bulk/move/sessions",
            {"sources": ["x"], "destinations": ["y"], "destination_container_type": "projects"},
            404,
        ),
        ("upload/label", {}, 400),
    ],
)
def test_wrong_requests_are_refused(raw: Raw, path: str, body: Any, status: int) -> None:
    assert raw.refused("POST", f"/api/{path}", body)[0] == status


def test_tickets_of_archives(raw: Raw, project: Any) -> None:
    assert raw.refused("GET", "/api/download")[0] == 400
    assert raw.refused("GET", "/api/download?ticket=unknown")[0] == 404
    made = raw.json("POST", "/api/download", {"nodes": [{"level": "project", "_id": project.id}]})
    assert raw.refused("GET", f"/api/download?ticket={made['ticket']}&format=rar")[0] == 422


def test_trees(fw: Any, project: Any) -> None:
    found = fw.fetch_tree({
        "projects": {
            "filter": f"_id={project.id}",
            "fields": ["label"],
            "group": {"fields": ["label"]},
            "subjects": {
                "fields": ["label"],
                "sort": "label:desc",
                "sessions": {
                    "fields": ["label", "parents.project"],
                    "acquisitions": {"fields": ["label"], "limit": 1,
                                     "files": {"fields": ["name", "size"], "filter": "type=nifti"}},
                    "analyses": {"fields": ["label"], "files": {"fields": ["name"]}},
                },
            },
        }
    })  # fmt: skip
    assert len(found) == 1
    top = found[0]
    assert (top["_id"], top["label"], top["group"]["label"]) == (project.id, project.label, "Demo")
    assert [one["label"] for one in top["subjects"]] == ["s2", "s/1"]
    session = top["subjects"][0]["sessions"][0]
    assert set(session) == {"_id", "label", "parents", "acquisitions", "analyses"}
    assert session["parents"] == {"project": project.id}
    assert len(session["acquisitions"]) == 1
    files = session["acquisitions"][0]["files"]
    assert [(one["name"], one["size"]) for one in files] == [("a.nii.gz", 700)]
    assert session["analyses"][0]["files"][0]["name"] == "out.txt"
    graph = fw.get_tree_graph()
    assert graph["projects"].connections["subjects"].foreign == "parents.project"


def test_bulk_tags(fw: Any, raw: Raw, project: Any) -> None:
    session = project.sessions.find_first()
    scan = session.acquisitions.find_first()
    file = scan.files[0]
    everyone = [{"type": "session", "id": session.id}, scan.id, {"type": "file", "id": file.file_id}]
    assert raw.json("POST", "/api/bulk/add/tags", {"containers": everyone, "tags": ["x", "y"]})["modified"] == 3
    raw.json("POST", "/api/bulk/remove/tags", {"containers": everyone, "tags": ["y"]})
    assert (session.reload().tags, scan.reload().tags, fw.get_file(file.file_id).tags) == (["x"], ["x"], ["x"])
    assert raw.refused("POST", "/api/bulk/add/tags", {"containers": [scan.id, "nobody"], "tags": ["z"]})[0] == 404
    assert scan.reload().tags == ["x"]


def test_bulk_moves(fw: Any, raw: Raw, project: Any) -> None:
    other = fw.get_group("demo").add_project(label="other " + project.label)
    first, second = sorted(project.sessions(), key=lambda one: one.subject.label)
    body = {"sources": [first.id], "destinations": [other.id], "destination_container_type": "projects"}
    assert fw.bulk_move_sessions({**body, "conflict_mode": "dry"}) == []
    assert fw.get_session(first.id).parents.project == project.id
    assert fw.bulk_move_sessions(body) == []
    moved = fw.get_session(first.id)
    assert (moved.parents.project, moved.subject.label) == (other.id, "s/1")
    assert {one.parents.project for one in moved.acquisitions()} == {other.id}
    assert len(fw.files.find(f"parents.project={other.id}")) == 6
    # both sessions have one label: at one subject that is a conflict
    subject = moved.parents.subject
    clash = {"sources": [second.id], "destinations": [subject], "destination_container_type": "subjects"}
    told = fw.bulk_move_sessions(clash)
    assert [(one.id, one.conflict_with.id) for one in told] == [(second.id, first.id)]
    assert fw.get_session(second.id).parents.project == project.id
    fw.bulk_move_sessions({**clash, "conflict_mode": "skip"})
    assert fw.get_session(second.id).parents.project == project.id
    fw.bulk_move_sessions({**clash, "conflict_mode": "move"})
    assert fw.get_session(second.id).parents.subject == subject
    empty = next(one for one in project.subjects() if one.label == "s2")
    raw.json("POST", "/api/bulk/move/subjects", {
        "sources": [empty.id], "destinations": [other.id], "destination_container_type": "projects"})  # fmt: skip
    assert fw.get_subject(empty.id).parents.project == other.id


def test_uploads_that_are_placed_by_label(fw: Any, raw: Raw) -> None:
    metadata = {
        "group": {"_id": "demo"},
        "project": {"label": "placed", "files": [{"name": "p.txt"}]},
        "session": {"label": "ses-1", "subject": {"label": "sub-1", "sex": "male"}},
        "acquisition": {"label": "T1", "files": [{"name": "a.nii.gz", "modality": "MR", "info": {"k": 1}}]},
    }
    for version in (1, 2):
        made = raw.upload("/api/upload/label", {"p.txt": b"p", "a.nii.gz": b"n"}, metadata)
        assert [(one["name"], one["version"]) for one in made] == [("p.txt", version), ("a.nii.gz", version)]
    scan = fw.lookup("demo/placed/sub-1/ses-1/T1")
    assert (scan.files[0].modality, scan.files[0].info) == ("MR", {"k": 1})
    assert fw.get_subject(scan.parents.subject).sex == "male"
    assert len(fw.lookup("demo/placed").sessions()) == 1


def test_uploads_that_are_placed_by_uid(fw: Any, raw: Raw) -> None:
    metadata: dict[str, Any] = {
        "group": {"_id": "demo"},
        "project": {"label": "by uid"},
        "session": {"uid": "1.2.3", "label": "first", "subject": {"code": "s"}},
        "acquisition": {"uid": "1.2.3.4", "files": [{"name": "a.txt"}]},
    }
    raw.upload("/api/upload/uid", {"a.txt": b"1"}, metadata)
    metadata["session"] = {"uid": "1.2.3", "subject": {"code": "s"}}
    metadata["acquisition"] = {"uid": "1.2.3.4", "label": "named later", "files": [{"name": "b.txt"}]}
    raw.upload("/api/upload/uid", {"b.txt": b"2"}, metadata)
    scan = fw.lookup("demo/by uid/s/first/named later")
    assert {one.name for one in scan.files} == {"a.txt", "b.txt"}
    metadata["group"] = {"_id": "nowhere"}
    raw.upload("/api/upload/reaper", {"b.txt": b"2"}, metadata)
    assert len(fw.lookup("unknown/Unsorted").sessions()) == 1


def test_files_without_a_place_are_refused(fw: Any, raw: Raw) -> None:
    metadata = {"group": {"_id": "demo"}, "project": {"label": "refused"}}
    with pytest.raises(AssertionError, match="says nothing about the file"):
        raw.upload("/api/upload/label", {"x.txt": b""}, metadata)
    with pytest.raises(AssertionError, match="names a file of this request"):
        raw.upload("/api/upload/label", {}, {**metadata, "acquisition": {"label": "a", "files": [{"name": "y"}]}})
    with pytest.raises(flywheel.ApiException):
        fw.lookup("demo/refused")


def test_delete_many_of_every_kind(fw: Any, project: Any) -> None:
    session = project.sessions.find_first()
    scans = session.acquisitions()
    files = [one.file_id for one in scans[0].files]
    assert fw.delete_files_by_ids([*files, "x"], delete_reason="tests").deleted == 2
    result = fw.delete_acquisitions_by_ids([one.id for one in scans] + ["nobody"])
    assert (result.deleted, result.not_found) == (2, 1)
    assert fw.delete_analyses_by_ids([one.id for one in session.reload().analyses]).deleted == 1
    assert fw.delete_sessions_by_ids([session.id]).deleted == 1
    assert fw.delete_subjects_by_ids([one.id for one in project.subjects()]).deleted == 2
    assert fw.delete_projects_by_ids([project.id]).deleted == 1
    with pytest.raises(flywheel.ApiException) as gone:
        fw.get_project(project.id)
    assert gone.value.status == 404
