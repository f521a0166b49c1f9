"""The tutorial's examples, run by the unmodified official SDK on the demo site."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import flywheel
import pytest
import pytz

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox


@pytest.fixture(scope="module", params=[False, True], ids=["direct", "signed"])
def fw(request: pytest.FixtureRequest) -> Iterator[Any]:
    with ThreadedSandbox(SandboxOptions(demo=True, signed_urls=request.param)) as running:
        yield flywheel.Client(running.key)


def test_connect_and_print(fw: Any) -> None:
    user = fw.get_current_user()
    assert (user.firstname, user.email) == ("Sandbox", "admin@example.org")
    assert "label" in str(fw.subjects.find_first())
    assert fw.sessions.find_first().parents["group"] == "demo"


def test_print_hierarchy(fw: Any) -> None:
    acquisition = fw.acquisitions.find_first()
    labels = [fw.get(acquisition.parents.group).label]
    labels += [fw.get(acquisition.parents.get(level)).label for level in ("project", "subject", "session")]
    assert labels[:2] == ["Demo", "neuro-study"]
    assert fw.get(acquisition.id).container_type == "acquisition"


def test_finders(fw: Any) -> None:
    project = fw.projects.find_one("label=neuro-study")
    everyone = project.subjects()
    over_40 = project.subjects.find("info.age>40")
    male = project.subjects.find("sex=male,info.age>40")
    female = project.subjects.find("sex=female,info.age>40")
    other = project.subjects.find("sex=other,info.age>40")
    assert len(everyone) == 24
    assert 0 < len(over_40) < 24
    assert len(male) + len(female) + len(other) == len(over_40)
    assert all(s.reload().info["age"] > 40 for s in over_40)


def test_projects_of_each_group(fw: Any) -> None:
    found = {group.id: [project.label for project in group.projects()] for group in fw.groups()}
    assert found == {"demo": ["neuro-study", "tutorial", "first-import"], "scitran": ["BIDS-Sample"]}


def test_bulk_add(fw: Any) -> None:
    project = fw.projects.find_one("label=first-import")
    moment = pytz.utc.localize(datetime.strptime("10/03/2019 15:32", "%m/%d/%Y %H:%M"))
    subject = project.add_subject({"label": "sub001", "firstname": "Lisa", "lastname": "Simpson", "sex": "female"})
    session = subject.add_session({"label": "Session1", "age": float("34") * 365 * 24 * 60 * 60})
    acquisition = session.add_acquisition({"label": "Struct_T1", "timestamp": moment})
    again = fw.get(acquisition.id)
    assert again.timestamp == moment
    assert again.parents.subject == subject.id
    assert fw.get(session.id).age == 1072224000
    with pytest.raises(flywheel.ApiException) as refused:
        project.add_subject({"label": "sub001"})
    assert refused.value.status in (409, 422)


def test_demographics(fw: Any) -> None:
    project = fw.lookup("demo/tutorial")
    ages = {}
    for subject in project.subjects():
        session = subject.reload().sessions.find_first().reload()
        ages[subject.label] = (subject.sex, session.age_years)
    assert ages == {"sub001": ("female", 34.0), "sub002": ("male", 23.0), "subxxx": (None, None)}


def test_overview_and_missing(fw: Any) -> None:
    project = fw.projects.find_one("label=BIDS-Sample")
    held: dict[str, set[str]] = {}
    for subject in project.subjects.iter():
        for session in subject.sessions.iter():
            held.setdefault(subject.label, set()).update(a.label for a in session.acquisitions.iter())
    expected = {f"task-balloonanalogrisktask_run-0{n}" for n in (1, 2, 3, 4)} | {"inplaneT2", "T1w"}
    missing = {label: expected - found for label, found in held.items() if expected - found}
    run_4 = {"task-balloonanalogrisktask_run-04"}
    assert missing == {"sub-13": run_4, "sub-14": run_4}


def test_quality_control_with_tags(fw: Any) -> None:
    project = fw.projects.find_one("label=neuro-study")
    rows, tagged = [], []
    for session in list(project.sessions.iter())[:12]:
        for acquisition in session.acquisitions.iter():
            acquisition = acquisition.reload()
            for file in [f for f in acquisition.files if "mriqc.qa" in f.name][:1]:
                assert session.subject.label
                if "T2*" in file.classification.get("Measurement"):
                    rows.append((file.info.get("snr"), file.info.get("fd_mean")))
                    if file.info.get("snr") < 1.0 and "LOW_SNR" not in acquisition.tags:
                        acquisition.add_tag("LOW_SNR")
                        tagged.append(acquisition)
                elif "T1" in file.classification.get("Measurement"):
                    rows.append((file.info.get("snr_total"), "NA"))
    assert len(rows) == 24
    assert tagged
    assert all("LOW_SNR" in a.reload().tags for a in tagged)


def test_gear_status_and_upload_of_the_report(fw: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = fw.projects.find_one("label=neuro-study")
    states = []
    for session in project.sessions.iter():
        session = session.reload()
        matches = [a for a in session.analyses if a.gear_info.get("name") == "grp13-container-export"]
        states.append(max(matches, key=lambda a: a.created).job.get("state") if matches else "NA")
    assert {"complete", "failed", "running", "NA"} == set(states)
    monkeypatch.chdir(tmp_path)
    with open("report.csv", "w", newline="") as out:
        csv.writer(out).writerows([["status"], *[[state] for state in states]])
    project.upload_file("report.csv")
    held = project.reload().get_file("report.csv")
    assert held.size == (tmp_path / "report.csv").stat().st_size
    project.download_file("report.csv", "back.csv")
    assert Path("back.csv").read_bytes() == Path("report.csv").read_bytes()


def test_download_of_aseg_stats(fw: Any, tmp_path: Path) -> None:
    project = fw.projects.find_one("label=neuro-study")
    fetched = 0
    for session in project.sessions.iter():
        session = session.reload()
        matches = [a for a in session.analyses if a.gear_info.get("name") == "bids-freesurfer"]
        matches = [a for a in matches if a.job.get("state") == "complete"]
        if not matches:
            continue
        match = max(matches, key=lambda a: a.created).reload()
        file = next(f for f in match.files if f.mimetype == "application/zip")
        members = match.get_file_zip_info(file.name)["members"]
        wanted = next(m["path"] for m in members if "/aseg.stats" in m["path"])
        target = tmp_path / f"{session.id}_aseg.stats"
        match.download_file_zip_member(file.name, wanted, str(target))
        assert wanted.startswith(match.id)
        assert "Left-Hippocampus" in target.read_text()
        fetched += 1
    assert fetched == 16


def test_versions_tickets_classification_and_moves(fw: Any, tmp_path: Path) -> None:
    project = fw.lookup("demo/tutorial")
    path = tmp_path / "a b+c(1).txt"
    path.write_text("one")
    project.upload_file(str(path), metadata={"classification": {"Intent": ["Structural"]}, "info": {"k": 1}})
    file = project.reload().get_file(path.name)
    assert (file.version, file.info["k"], file.classification["Intent"]) == (1, 1, ["Structural"])
    path.write_text("two")
    project.upload_file(str(path))
    file = project.reload().get_file(path.name)
    assert (file.version, file.read()) == (2, b"two")
    assert fw.get_file(file.file_id, version=1).version == 1
    file.update_info({"x": {"y": 2}})
    file.add_tag("seen")
    project.update_file_classification(path.name, {"Intent": ["Functional"]})
    file = project.reload().get_file(path.name)
    assert (file.info["x"], file.tags) == ({"y": 2}, ["seen"])
    assert "Functional" in file.classification["Intent"]
    url = project.get_file_download_url(path.name)
    assert "ticket=" in url
    project.delete_file(path.name)
    assert project.reload().get_file(path.name) is None


def test_info_notes_and_permissions(fw: Any) -> None:
    subject = fw.lookup("demo/tutorial/sub002")
    subject.update_info({"a": 1, "b": {"c": 2}})
    subject.delete_info("a")
    assert subject.reload().info["b"] == {"c": 2}
    assert "a" not in subject.reload().info
    subject.add_note("hello")
    assert subject.reload().notes[0].text == "hello"
    subject.update(firstname="El Barto")
    assert fw.get(subject.id).firstname == "El Barto"
    project = fw.lookup("demo/tutorial")
    project.add_permission({"_id": "someone@example.org", "access": "ro"})
    assert "someone@example.org" in [p.id for p in project.reload().permissions]


def test_resolve_lookup_and_gears(fw: Any) -> None:
    resolved = fw.resolve("scitran/BIDS-Sample/sub-01")
    assert [node.label for node in resolved.path] == ["Scitran", "BIDS-Sample", "sub-01"]
    assert [child.label for child in resolved.children] == ["ses-"]
    gear = fw.lookup("gears/freesurfer-recon-all")
    assert set(gear.gear.inputs) >= {"anatomical", "t1w_anatomical_5", "t2w_anatomical"}
    assert len(fw.gears()) == 5
    with pytest.raises(flywheel.ApiException) as missing:
        fw.lookup("demo/nothing")
    assert missing.value.status == 404


def test_deleting_a_project_takes_all_below(fw: Any) -> None:
    project = fw.get_group("scitran").add_project(label="to-delete")
    session = project.add_subject(label="s").add_session(label="x")
    fw.delete_project(project.id)
    with pytest.raises(flywheel.ApiException) as gone:
        fw.get_session(session.id)
    assert gone.value.status == 404
