"""Collections: a set of acquisitions, however they were added; example 13 of the tutorial."""

from __future__ import annotations

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
def collection(fw: Any) -> Iterator[Any]:
    made = fw.get_collection(fw.add_collection({"label": "c", "description": "d", "info": {"k": 1}}))
    yield made
    fw.delete_collection(made.id)


def test_finders_into_a_collection(fw: Any) -> None:
    """Example 13: sessions by age, acquisitions by label, files by classification, then one collection."""
    matching = []
    age_20, age_30 = 20 * 365 * 24 * 60 * 60, 30 * 365 * 24 * 60 * 60
    for session in fw.sessions.find(f"age>={age_20},age<{age_30}"):
        for acquisition in session.acquisitions.find("label=~^((?!SBRef).)*$"):
            acquisition = acquisition.reload()
            for file in acquisition.files:
                if file.classification.get("Intent") == ["Structural"] and file.classification.get("Measurement") == [
                    "T1"
                ]:
                    matching.append(acquisition)
                    break
    assert matching
    collection_id = fw.add_collection({"label": "SiteWide_structural_decade_20_finder"})
    collection = fw.get_collection(collection_id)
    for result in matching:
        collection.add_acquisitions(result.id)
    assert {one.id for one in collection.acquisitions()} == {one.id for one in matching}
    assert {one.id for one in collection.sessions()} == {one.parents.session for one in matching}


def test_nodes_expand_to_acquisitions(fw: Any, collection: Any) -> None:
    project = fw.lookup("scitran/BIDS-Sample")
    session = project.sessions.find_first()
    collection.add_sessions(session)
    inside = {one.id for one in session.acquisitions()}
    assert {one.id for one in collection.acquisitions()} == inside
    late = session.add_acquisition(label="scanned later")
    assert {one.id for one in fw.get_collection_acquisitions(collection.id)} == inside
    fw.delete_acquisition(late.id)


def test_any_number_of_nodes_at_once_and_again(fw: Any, raw: Raw, collection: Any) -> None:
    project = fw.lookup("scitran/BIDS-Sample")
    nodes = [{"_id": project.id, "level": "project"}]
    nodes += [{"_id": one.id, "level": "acquisition"} for one in fw.acquisitions()]
    for _ in range(2):
        body = {"contents": {"operation": "add", "nodes": nodes}}
        assert raw.json("PUT", f"/api/collections/{collection.id}", body)["modified"] == 1
        assert len(fw.get_collection_acquisitions(collection.id)) == len(fw.acquisitions())
    told = fw.get_collection(collection.id)
    assert told.session_count == len([one for one in fw.sessions() if one.acquisitions.find_first()])
    removal = {"contents": {"operation": "remove", "nodes": nodes[:1]}}
    for _ in range(2):
        raw.json("PUT", f"/api/collections/{collection.id}", removal)
        left = fw.get_collection_acquisitions(collection.id)
        assert project.id not in {one.parents.project for one in left}
        assert len(left) == len(fw.acquisitions()) - len(fw.acquisitions.find(f"parents.project={project.id}"))


def test_reads_by_collection(fw: Any, raw: Raw, collection: Any) -> None:
    sessions = fw.lookup("demo/neuro-study").sessions.find(limit=2)
    collection.add_sessions(*sessions)
    inside = {one.id for one in fw.get_collection_acquisitions(collection.id)}
    listed = raw.json("GET", f"/api/acquisitions?collection_id={collection.id}")
    assert {one["_id"] for one in listed} == inside
    assert all(one["collections"] == [collection.id] for one in listed)
    of_one = fw.get_collection_acquisitions(collection.id, session=sessions[0].id)
    assert {one.parents.session for one in of_one} == {sessions[0].id}
    found = collection.acquisitions.find("label=T1w_MPR")
    assert [one.label for one in found] == ["T1w_MPR"] * 2
    paged = [one["_id"] for one in _pages(raw, f"/api/collections/{collection.id}/acquisitions")]
    assert paged == sorted(inside)
    assert [one.label for one in collection.acquisitions.iter_find("label=T1w_MPR", sort="label:desc")] == [
        "T1w_MPR"
    ] * 2


def _pages(raw: Raw, path: str) -> Iterator[dict[str, Any]]:
    after = ""
    while page := raw.json("GET", f"{path}?limit=3{after}"):
        yield from page
        after = f"&after_id={page[-1]['_id']}"


def test_what_is_deleted_leaves_its_collections(fw: Any, collection: Any) -> None:
    session = fw.lookup("demo/first-import").add_subject(label="gone").add_session(label="s")
    scan = session.add_acquisition(label="a")
    collection.add_acquisitions(scan)
    assert fw.get_acquisition(scan.id).collections == [collection.id]
    fw.delete_subject(session.parents.subject)
    assert fw.get_collection_acquisitions(collection.id) == []
    other = fw.get_collection(fw.add_collection({"label": "other"}))
    member = fw.acquisitions.find_first()
    other.add_acquisitions(member)
    fw.delete_collection(other.id)
    assert fw.get_acquisition(member.id).collections == []


def test_files_analyses_info_tags_notes(fw: Any, collection: Any, tmp_path: Path) -> None:
    path = tmp_path / "readme.txt"
    path.write_text("hello")
    collection.upload_file(str(path))
    collection.update_info({"l": 2})
    collection.add_tag("t")
    collection.add_note("n")
    collection.update(label="renamed")
    again = fw.get(collection.id)
    assert (again.label, again.info, again.tags, again.notes[0].text) == ("renamed", {"k": 1, "l": 2}, ["t"], "n")
    assert again.read_file("readme.txt") == b"hello"
    assert [one.label for one in fw.collections.find("label=renamed")] == ["renamed"]
    assert fw.get_all_collections_curators()[0].id == "admin@example.org"


def test_analyses_on_a_collection(raw: Raw, fw: Any, collection: Any) -> None:
    made = raw.json("POST", f"/api/collections/{collection.id}/analyses", {"label": "group mean"})
    assert fw.get_analysis(made["_id"]).parent.id == collection.id
    assert [one.label for one in fw.get_collection(collection.id).analyses] == ["group mean"]
    assert [one["_id"] for one in raw.json("GET", f"/api/collections/{collection.id}/all/analyses")] == [made["_id"]]


def test_permissions(fw: Any, collection: Any) -> None:
    fw.add_collection_permission(collection.id, {"_id": "someone@example.org", "access": "ro"})
    assert fw.get_collection_user_permission(collection.id, "someone@example.org").access == "ro"
    fw.modify_collection_user_permission(collection.id, "someone@example.org", {"access": "rw"})
    assert fw.get_collection_user_permission(collection.id, "someone@example.org").access == "rw"
    fw.delete_collection_user_permission(collection.id, "someone@example.org")
    with pytest.raises(flywheel.ApiException) as refused:
        fw.get_collection_user_permission(collection.id, "someone@example.org")
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("contents", "status"),
    [
        ([], 400),
        ({"operation": "toggle", "nodes": []}, 400),
        ({"operation": "add", "nodes": "x"}, 400),
        ({"operation": "add", "nodes": [1]}, 400),
        ({"operation": "add", "nodes": [{"_id": "x", "level": "file"}]}, 400),
        ({"operation": "add", "nodes": [{"_id": "5dc091c169d4f3002d16f32f", "level": "session"}]}, 404),
    ],
)
def test_wrong_contents_are_refused_and_change_nothing(
    raw: Raw, collection: Any, fw: Any, contents: Any, status: int
) -> None:
    scan = fw.acquisitions.find_first()
    if isinstance(contents, dict) and isinstance(contents["nodes"], list):
        contents = {**contents, "nodes": [{"_id": scan.id, "level": "acquisition"}, *contents["nodes"]]}
    assert raw.refused("PUT", f"/api/collections/{collection.id}", {"contents": contents})[0] == status
    assert fw.get_collection_acquisitions(collection.id) == []


def test_delete_many(raw: Raw, fw: Any) -> None:
    made = [fw.add_collection({"label": "x"}) for _ in range(3)]
    result = fw.delete_collections_by_ids([*made, "5dc091c169d4f3002d16f32f"], delete_reason="tests")
    assert (result.deleted, result.not_found) == (3, 1)
    assert raw.refused("GET", f"/api/collections/{made[0]}")[0] == 404
    assert raw.refused("GET", f"/api/collections/{made[0]}/acquisitions")[0] == 404
    assert raw.refused("POST", "/api/collections", {})[0] == 422
