"""Users, roles, permissions, the read-only key; modalities, providers, rules, settings, UIDs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pytest
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.command import options_from
from fwsync.sandbox.pytest_plugin import ThreadedSandbox
from fwsync.sandbox.routes import ROOMS

READER = "only-to-read"


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(demo=True, read_only_key=READER)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def fw(running: ThreadedSandbox) -> Any:
    return flywheel.Client(running.key)


@pytest.fixture(scope="module")
def reader(running: ThreadedSandbox) -> Any:
    return flywheel.Client(running.key.rpartition(":")[0] + ":" + READER)


@pytest.fixture(scope="module")
def raw(running: ThreadedSandbox) -> Raw:
    return Raw(running)


def refused(call: Any, *args: Any, **kwargs: Any) -> int:
    with pytest.raises(flywheel.ApiException) as error:
        call(*args, **kwargs)
    return int(error.value.status)


def test_who_the_keys_belong_to(fw: Any, reader: Any, raw: Raw, running: ThreadedSandbox) -> None:
    assert (fw.get_current_user().id, fw.get_auth_status().user_is_admin) == ("admin@example.org", True)
    told = reader.get_auth_status()
    assert (reader.get_current_user().id, told.user_is_admin, told.roles) == ("reader@example.org", False, ["user"])
    assert [one.id for one in fw.users()] == ["admin@example.org", "reader@example.org"]
    with ThreadedSandbox() as plain:
        assert [one.id for one in flywheel.Client(plain.key).users()] == ["admin@example.org"]
        assert Raw(plain, READER).refused("GET", "/api/users/self")[0] == 401
    assert Raw(running, "neither").refused("GET", "/api/users/self")[0] == 401


def test_a_read_only_key_reads_everything(reader: Any, tmp_path: Path) -> None:
    project = reader.lookup("demo/neuro-study")
    scan = next(one for one in reader.get_project_acquisitions(project.id) if one.label == "T1w_MPR")
    assert scan.reload().files[0].read()
    assert reader.resolve("demo/neuro-study").path[-1].label == "neuro-study"
    assert len(reader.search({"structured_query": "file.type = dicom", "return_type": "file"}, size=3)) == 3
    view = flywheel.ViewBuilder(columns=["subject.label"]).build()
    assert len(reader.read_view_dataframe(view, project.id)) == 24
    assert reader.download_tar([scan], str(tmp_path / "a.tar")).file_cnt == 2
    assert reader.fetch_tree({"projects": {"fields": ["label"], "limit": 1}})
    assert reader.check_uids_exist({"sessions": [], "acquisitions": []}).sessions == []
    assert reader.get_all_roles()


def test_a_read_only_key_changes_nothing(reader: Any, fw: Any, tmp_path: Path) -> None:
    project = reader.lookup("demo/tutorial")
    subject = project.subjects.find_first()
    path = tmp_path / "x.txt"
    path.write_text("x")
    before = str(fw.get_subject(subject.id))
    for call in (
        lambda: project.add_subject(label="new"), lambda: subject.update(label="x"), lambda: subject.add_tag("t"),
        lambda: subject.update_info({"a": 1}), lambda: subject.add_note("n"), lambda: subject.upload_file(str(path)),
        lambda: reader.delete_subject(subject.id), lambda: reader.delete_subjects_by_ids([subject.id]),
        lambda: reader.add_collection({"label": "c"}), lambda: subject.add_analysis(label="a"),
        lambda: reader.add_group({"_id": "g", "label": "g"}), reader.get_next_job,
        lambda: project.add_permission({"_id": "x", "role_ids": []}),
        lambda: reader.delete_by_search({"return_type": "file", "structured_query": "file.type = pdf"}),
        lambda: reader.add_view(project.id, flywheel.ViewBuilder(label="v", columns=["subject.label"]).build()),
        lambda: reader.add_user({"_id": "u@example.org", "firstname": "U", "lastname": "U"}),
        lambda: reader.modify_site_settings({"center_gears": []}),
    ):  # fmt: skip
        assert refused(call) == 403
    assert str(fw.get_subject(subject.id)) == before
    assert len(project.subjects()) == 3


def test_every_route_of_the_api_knows_whether_it_reads(running: ThreadedSandbox) -> None:
    """A route that is neither a GET nor marked as reading is refused: nothing was forgotten, whatever its body."""
    raw, marked = Raw(running, READER), 0
    router = running.sandbox._runner.app.router
    for route in router.routes():
        path = route.resource.canonical if route.resource else ""
        if route.method in ("GET", "HEAD", "*") or not path.startswith("/api/"):
            continue
        if getattr(route.handler, "reads", False):
            marked += 1
            continue
        plain = path.replace("{kind}", "projects").replace("{parents}", "projects").replace("{how}", "label")
        plain = plain.replace("{which}", "all").replace("{", "x").replace("}", "x")
        status, message = raw.refused(route.method, plain)
        assert status == 403, (route.method, plain, status, message)
    assert marked > 10
    assert len(ROOMS) > 20


def test_users(fw: Any) -> None:
    ident = fw.add_user({"_id": "new@example.org", "email": "new@example.org", "firstname": "N", "lastname": "U"})
    assert ident == "new@example.org"
    assert refused(fw.add_user, {"_id": ident, "firstname": "N", "lastname": "U"}) == 409
    fw.modify_user(ident, {"firstname": "Changed", "disabled": True})
    held = fw.get_user(ident)
    assert (held.firstname, held.lastname, held.disabled, held.root) == ("Changed", "U", True, False)
    project = fw.lookup("demo/tutorial")
    project.add_permission({"_id": ident, "role_ids": []})
    assert [one.label for one in fw.get_user_projects(ident)] == ["tutorial"]
    assert {one.label for one in fw.get_user_sessions(ident)} == {"Session1"}
    assert len(fw.get_user_acquisitions(ident)) == 3
    assert fw.get_user_groups(ident) == []
    assert len(fw.get_user_collections("admin@example.org")) == len(fw.collections())
    fw.delete_user(ident)
    assert refused(fw.get_user, ident) == 404
    assert project.reload().permissions == []
    assert refused(fw.delete_user, "admin@example.org") == 409
    assert refused(fw.get_user_avatar, "admin@example.org") == 404


def test_info_of_oneself(fw: Any) -> None:
    fw.modify_current_user_info({"set": {"theme": "dark", "n": 1}})
    assert fw.get_current_user_info() == {"theme": "dark", "n": 1}
    assert fw.get_current_user_info(fields="n") == {"n": 1}
    fw.modify_current_user_info({"delete": ["theme"]})
    assert fw.get_current_user().info == {"n": 1}


def test_roles(fw: Any) -> None:
    standard = {one.label: one for one in fw.get_all_roles()}
    assert list(standard) == ["admin", "read-write", "read-only"]
    assert standard["admin"].default_flywheel_role == "admin"
    role = fw.add_role({"label": "curator", "actions": ["files_view_metadata"]})
    assert fw.get_role(role.id).actions == ["files_view_metadata"]
    assert fw.modify_role(role.id, {"label": "keeper"}).label == "keeper"
    group = fw.get_group("demo")
    fw.add_role_to_group(group.id, {"_id": role.id})
    assert [one.label for one in fw.get_all_group_roles(group.id)] == ["keeper"]
    assert fw.get_group_role(group.id, role.id).in_use
    fw.remove_role_from_group(group.id, role.id)
    assert refused(fw.get_group_role, group.id, role.id) == 404
    fw.delete_role(role.id)
    assert refused(fw.get_role, role.id) == 404
    assert refused(fw.modify_role, standard["admin"].id, {"label": "x"}) == 409
    assert refused(fw.add_role, {"label": ""}) == 422


def test_permissions_and_their_templates(fw: Any) -> None:
    group = fw.get_group("demo")
    role = fw.get_all_roles()[2]
    group.add_permission_template({"_id": "t@example.org", "role_ids": [role.id]})
    assert group.get_permission_template("t@example.org").role_ids == [role.id]
    group.update_permission_template("t@example.org", {"role_ids": []})
    assert group.get_permission_template("t@example.org").role_ids == []
    group.delete_permission_template("t@example.org")
    assert refused(group.get_permission_template, "t@example.org") == 404
    project = fw.lookup("demo/tutorial")
    project.add_permission({"_id": "p@example.org", "role_ids": [role.id]})
    assert project.get_permission("p@example.org").role_ids == [role.id]
    assert fw.get_role(role.id).in_use
    project.delete_permission("p@example.org")
    assert refused(project.get_permission, "p@example.org") == 404


def test_modalities(fw: Any) -> None:
    assert [one.id for one in fw.get_all_modalities()] == ["MR", "CT", "PET"]
    assert "T1" in fw.get_modality("MR").classification["Measurement"]
    assert fw.add_modality({"_id": "EEG", "classification": {"Task": ["rest"]}}) == "EEG"
    assert refused(fw.add_modality, {"_id": "EEG", "classification": {}}) == 409
    assert refused(fw.add_modality, {"_id": "MR", "classification": {}}) == 409
    fw.replace_modality("EEG", {"classification": {"Task": ["rest", "move"]}})
    assert fw.get_modality("EEG").classification == {"Task": ["rest", "move"]}
    fw.replace_modality("CT", {"classification": {"Phase": ["late"]}})
    assert fw.get_modality("CT").classification == {"Phase": ["late"]}
    fw.delete_modality("EEG")
    fw.delete_modality("PET")
    assert [one.id for one in fw.get_all_modalities()] == ["MR", "CT"]
    assert refused(fw.get_modality, "PET") == 404


def test_providers_settings_and_bookmarks(fw: Any) -> None:
    assert [one.provider_class for one in fw.get_providers()] == ["compute", "storage"]
    made = fw.add_provider({"label": "cloud", "provider_class": "storage", "provider_type": "aws", "config": {"b": 1}})
    assert fw.get_provider(made).label == "cloud"
    assert fw.get_provider_config(made) == {"b": 1}
    fw.modify_provider(made, {"label": "renamed"})
    assert fw.get_provider(made).label == "renamed"
    fw.delete_provider(made)
    assert refused(fw.get_provider, made) == 404
    assert fw.get_site_settings().providers.compute == fw.get_providers()[0].id
    assert fw.modify_site_settings({"center_gears": ["a"]}).center_gears == ["a"]
    fw.modify_bookmark_list([{"label": "home", "url": "http://example.org"}])
    assert [one.url for one in fw.get_bookmark_list()] == ["http://example.org"]
    project = fw.lookup("demo/tutorial")
    assert fw.modify_project_settings(project.id, {"external_routing_id": "x"}).external_routing_id == "x"
    assert fw.get_project_settings(project.id).external_routing_id == "x"


def test_rules_are_kept(fw: Any) -> None:
    project, other = fw.lookup("demo/tutorial"), fw.lookup("demo/first-import")
    gear = fw.lookup("gears/dicom-mr-classifier")
    given = {"name": "classify", "gear_id": gear.id, "any": [], "all": [{"type": "file.type", "value": "dicom"}],
             "not": []}  # fmt: skip
    rule = fw.add_project_rule(project.id, given)
    assert (rule.name, rule.all[0].value, rule.disabled) == ("classify", "dicom", False)
    assert [one.id for one in fw.get_project_rules(project.id)] == [rule.id]
    assert fw.get_project_rules(other.id) == []
    assert fw.modify_project_rule(project.id, rule.id, {"disabled": True}).disabled
    assert fw.get_project_rule(project.id, rule.id).revision == 2
    fw.remove_project_rule(project.id, rule.id)
    assert refused(fw.get_project_rule, project.id, rule.id) == 404
    assert refused(fw.add_project_rule, project.id, {"name": "x"}) == 422
    site = fw.add_site_rule(given)
    assert [one.name for one in fw.get_site_rules()] == ["classify"]
    fw.remove_site_rule(site.id)


def test_uids_and_master_codes(fw: Any, raw: Raw) -> None:
    project = fw.lookup("demo/first-import")
    session = project.add_subject(label="uids").add_session(label="s", uid="1.2.3")
    session.add_acquisition(label="a", uid="1.2.3.4")
    asked = {"sessions": ["1.2.3", "9"], "acquisitions": ["1.2.3.4", "9"]}
    found = fw.check_uids_exist(asked)
    assert (found.sessions, found.acquisitions) == (["1.2.3"], ["1.2.3.4"])
    other = fw.lookup("demo/tutorial")
    assert fw.check_uids_exist({**asked, "project_id": other.id}).sessions == []
    told = raw.json("POST", "/api/uids/projects", {**asked, "project_ids": [other.id, project.id]})
    assert told == {"project_ids": [project.id]}
    code = raw.json("POST", "/api/subjects/master-code", {"patient_id": "7"})["code"]
    assert raw.json("POST", "/api/subjects/master-code", {"patient_id": "7"})["code"] == code
    assert fw.verify_master_subject_code(code).code == code
    assert raw.refused("GET", "/api/subjects/master-code/none")[0] == 404


def test_deletes_with_a_reason(fw: Any) -> None:
    project = fw.get_group("demo").add_project(label="to be deleted")
    scan = project.add_subject(label="s").add_session(label="s").add_acquisition(label="a")
    assert fw.delete_acquisition(scan.id, delete_reason="test_data").deleted == 1
    assert fw.delete_session(scan.parents.session, delete_reason="duplicate_data").deleted == 1
    assert fw.delete_container(scan.parents.subject, delete_reason="test_data").deleted == 1
    assert fw.delete_project(project.id, delete_reason="test_data").deleted == 1
    assert refused(fw.get_project, project.id) == 404


@pytest.mark.parametrize("key", ["", "a b", "a:b", "same"])
def test_a_wrong_read_only_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="read-only key"):
        options_from(["--api-key", "same", "--read-only-key", key])
    assert options_from(["--read-only-key", "good", "--jobs", "instant"]).read_only_key == "good"
