"""Copies, project templates, contents uploaded before their file entry, ticketed gears, more ways to analyses."""

from __future__ import annotations

import hashlib
import urllib.request
from collections.abc import Iterator
from typing import Any

import flywheel
import pytest
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(demo=True, signed_urls=True)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def fw(running: ThreadedSandbox) -> Any:
    return flywheel.Client(running.key)


@pytest.fixture(scope="module")
def raw(running: ThreadedSandbox) -> Raw:
    return Raw(running)


def refused(call: Any, *args: Any) -> int:
    with pytest.raises(flywheel.ApiException) as error:
        call(*args)
    return int(error.value.status)


def test_a_project_is_copied_whole(fw: Any) -> None:
    original = fw.lookup("scitran/BIDS-Sample")
    made = fw.project_copy(original.id, {"group_id": "demo", "project_label": "copy"})
    copied = fw.get_project(made.project_id)
    assert (copied.label, copied.parents.group, copied.copy_of) == ("copy", "demo", original.id)
    assert len(copied.subjects()) == len(original.subjects())
    for project in (original, copied):
        assert len(fw.files.find(f"parents.project={project.id}")) == 94
    before = {one.hash for one in fw.files.find(f"parents.project={original.id}")}
    assert {one.hash for one in fw.files.find(f"parents.project={copied.id}")} == before
    assert {one.file_id for one in fw.files.find(f"parents.project={copied.id}")}.isdisjoint(
        one.file_id for one in fw.files.find(f"parents.project={original.id}")
    )
    assert refused(fw.project_copy, original.id, {"group_id": "demo", "project_label": "copy"}) == 409
    assert fw.get_project_delete_status(copied.id).delete_status is None


def test_copies_with_filters(fw: Any) -> None:
    session = fw.lookup("demo/neuro-study/sub-001/ses-1")
    session.add_tag("t")
    target = fw.lookup("demo/first-import")
    rules = {"include_rules": ["file.type=nifti"], "exclude_rules": ["file.name=~T2w"], "exclude_analysis": True}
    rules |= {"exclude_tags": True, "exclude_empty_containers": True}
    made = fw.session_copy(session.id, {"dst_project_id": target.id, "dst_session_label": "new", "filter": rules})
    copied = fw.get_session(made.id)
    assert (copied.label, copied.parents.project, copied.tags, copied.analyses) == ("new", target.id, [], [])
    assert fw.get_subject(copied.parents.subject).label == "sub-001"
    assert {one.label for one in copied.acquisitions()} == {
        "T1w_MPR", "rfMRI_REST_AP", "rfMRI_REST_AP_SBRef", "dMRI_dir98_AP",
    }  # fmt: skip
    assert {file.type for one in copied.acquisitions() for file in one.files} == {"nifti"}
    scan = copied.acquisitions.find_first()
    again = fw.acquisition_copy(scan.id, {"dst_session_id": session.id, "label": "by hand"})
    assert fw.get_acquisition(again.id).original_copy_of == scan.original_copy_of
    subject = fw.get_subject(session.parents.subject)
    assert (
        refused(fw.subject_copy, subject.id, {"dst_project_id": subject.project, "dst_subject_label": subject.label})
        == 409
    )
    twin = fw.subject_copy(subject.id, {"dst_project_id": subject.project, "dst_subject_label": "twin"})
    assert len(fw.get_subject(twin.id).sessions()) == len(subject.sessions())
    assert len(fw.get_subject(twin.id).sessions()[0].reload().analyses) == len(session.reload().analyses)


def test_templates(fw: Any) -> None:
    project = fw.lookup("scitran/BIDS-Sample")
    run = "run-0[1-4]$"
    fw.set_project_template(project.id, {
        "session": {"label": "^ses"},
        "acquisitions": [{"label": run, "minimum": 4, "files": [{"minimum": 1, "classification": "T2*"}]}],
    })  # fmt: skip
    assert len(fw.recalc_project(project.id).sessions_changed) == 16
    fits = {fw.get_subject(one.parents.subject).label: one.satisfies_template for one in project.sessions()}
    assert {label for label, fit in fits.items() if not fit} == {"sub-13", "sub-14"}
    assert fw.recalc_all_projects().sessions_changed == []
    fw.remove_project_template(project.id)
    assert len(fw.recalc_project(project.id).sessions_changed) == 16
    assert refused(fw.set_project_template, project.id, {"session": {"label": "(a+)+"}}) == 422
    assert refused(fw.set_project_template, project.id, {"acquisitions": [{"minimum": -1}]}) == 422


def test_contents_before_their_file_entry(fw: Any, raw: Raw) -> None:
    project = fw.lookup("demo/first-import")
    content = b"bytes" * 1000
    link = fw.create_signed_upload_url({"size": len(content)})
    for _ in range(2):
        put = urllib.request.Request(link.upload_urls[0], data=content, method="PUT")
        with urllib.request.urlopen(put) as answer:
            assert answer.status == 200
    body = {"uuid": link.uuid, "provider_id": link.provider_id, "name": "b.txt", "size": len(content), "info": {"k": 1},
            "parent_ref": {"type": "project", "id": project.id}}  # fmt: skip
    made = fw.upsert_file(body)
    assert (made.upsert_result, made.version, made.info) == ("created", 1, {"k": 1})
    assert made.hash.endswith(hashlib.sha384(content).hexdigest())
    assert fw.upsert_file(body).upsert_result == "ignored"
    assert fw.upsert_file(body, force_update=True).version == 2
    stored = raw.json("PUT", "/api/upload/fs-file", b"other")
    assert fw.upsert_file({**body, "uuid": stored["uuid"], "size": 5}).upsert_result == "updated"
    assert project.reload().read_file("b.txt") == b"other"
    assert raw.refused("POST", "/api/files", {**body, "uuid": "none"})[0] == 404
    assert raw.refused("POST", "/api/files", {**body, "size": 1})[0] == 409
    assert raw.refused("POST", "/api/files", {**body, "parent_ref": {"id": "none"}})[0] == 404
    assert raw.refused("POST", "/api/files", {"uuid": link.uuid})[0] == 422
    put = urllib.request.Request(link.upload_urls[0][:-1] + "x", data=b"", method="PUT")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(put)


def test_gears_by_ticket(fw: Any) -> None:
    gear = {"name": "ticketed", "label": "t", "version": "1", "inputs": {}, "config": {}, "author": "a", "description": "",
            "license": "Other", "source": "", "url": ""}  # fmt: skip
    ticket = fw.prepare_add_gear({"category": "utility", "gear": gear})
    ident = ticket if isinstance(ticket, str) else ticket.ticket
    assert ident in fw.get_my_gear_tickets()
    assert fw.get_gear_ticket(ident).geardoc.gear.name == "ticketed"
    saved = fw.save_gear({"ticket": ident, "repo": "registry/x", "pointer": "sha256:0"})
    assert fw.lookup("gears/ticketed").id == saved.id
    assert ident not in fw.get_my_gear_tickets()
    assert fw.determine_provider_for_job({"gear_id": saved.id}).provider_class == "compute"


def test_analyses_by_level_and_their_inputs(fw: Any, raw: Raw) -> None:
    project = fw.lookup("demo/neuro-study")
    by_level = fw.get_analyses("projects", project.id, "sessions")
    assert len(by_level) > 30
    assert {one.parent.type for one in by_level} == {"session"}
    assert {one.parent.type for one in fw.get_analyses("projects", project.id, "subjects")} == {"subject"}
    session = fw.lookup("demo/neuro-study/sub-001/ses-1")
    scan = session.acquisitions.find_first("label=T1w_MPR").reload()
    analysis = session.add_analysis(label="inputs", inputs=[scan.files[0].ref()])
    assert [one.name for one in fw.get_analysis_input_files(analysis.id, scan.files[0].name)] == [scan.files[0].name]
    raw.upload(f"/api/analyses/{analysis.id}/files", {"o.txt": b"out"})
    _, _, content = raw("GET", f"/api/containers/{session.id}/analyses/{analysis.id}/files/o.txt?view=true")
    assert content == b"out"
