"""Search over the demo site: examples 14 and 15 of the tutorial, every return type, against a plain model."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import flywheel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

SEARCH = "/api/dataexplorer/search"
YEAR = 365 * 24 * 60 * 60


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


@pytest.fixture(scope="module")
def site(fw: Any) -> list[dict[str, Any]]:
    """Every acquisition with its session, subject and files, as the model sees the site."""
    sessions = {one.id: one for one in fw.sessions(include_all_info=True)}
    projects = {one.id for one in fw.projects() if one.label in ("neuro-study", "tutorial", "BIDS-Sample")}
    return [
        {"acquisition": one, "session": sessions[one.parents.session], "files": one.files}
        for one in fw.get_all_acquisitions(include_all_info=True)
        if one.parents.project in projects
    ]


def found(fw: Any, query: str, kind: str = "acquisition", **more: Any) -> list[Any]:
    return list(fw.search({"structured_query": query, "return_type": kind, **more}, size=10000))


def test_a_query_into_a_collection(fw: Any, site: list[dict[str, Any]]) -> None:
    """Example 14, and that the query finds what the finders of example 13 find."""
    age_20, age_30 = 20 * YEAR, 30 * YEAR
    meas, intent = "T1", "Structural"
    query = (
        f"session.age >= {age_20} AND session.age < {age_30} AND "
        f"file.classification.Measurement = {meas} AND "
        f"file.classification.Intent = {intent} AND "
        f"NOT acquisition.label CONTAINS .*SBRef.*"
    )
    matching = fw.search({"structured_query": query, "return_type": "acquisition"}, size=10000)
    model = {
        one["acquisition"].id
        for one in site
        if one["session"].age is not None
        and age_20 <= one["session"].age < age_30
        and any(f.classification == {"Intent": [intent], "Measurement": [meas]} for f in one["files"])
        and "SBRef" not in one["acquisition"].label
    }
    assert model
    assert {one.acquisition.id for one in matching} == model
    collection = fw.get_collection(fw.add_collection({"label": "SiteWide_Structural_decade_20_query"}))
    for result in matching:
        collection.add_acquisitions(result.acquisition.id)
    assert {one.id for one in collection.acquisitions()} == model
    assert {one.acquisition.id for one in found(fw, f"collection.label = {collection.label}")} == model


def test_decade_collections(fw: Any) -> None:
    """Example 15: ten queries, a collection for each that finds something."""
    made = {}
    one_decade = 10 * YEAR
    for decade in [20, 30, 40, 50, 60]:
        from_age = decade * YEAR
        to_age = from_age + one_decade - 1
        for measurement, intent in zip(["T2*, BOLD", "T1"], ["Functional", "Structural"], strict=True):
            query = (
                f"session.age >= {from_age} AND session.age <= {to_age} AND "
                f"file.classification.Measurement IN [{measurement}] AND "
                f"file.classification.Intent = {intent} AND "
                f"file.classification.Features != SBRef AND "
                f"NOT acquisition.label CONTAINS .*SBRef.*"
            )
            results = fw.search({"structured_query": query, "return_type": "acquisition", "all_data": True}, size=10000)
            if len(results) > 0:
                label = f"SiteWide_{intent}_decade_{decade}"
                collection = fw.get_collection(fw.add_collection({"label": label}))
                for result in results:
                    collection.add_acquisitions(result.acquisition.id)
                made[label] = {one.label for one in collection.acquisitions()}
    assert len(made) == 10
    assert set.union(*made.values()) == {"rfMRI_REST_AP", "T1w_MPR"}


def test_every_return_type(fw: Any) -> None:
    project = fw.lookup("demo/neuro-study")
    within = "project.label = neuro-study"
    assert [one.project.id for one in found(fw, within, "project")] == [project.id]
    assert len(found(fw, within, "subject")) == 24
    assert len(found(fw, within, "session")) == 32
    assert len(found(fw, within, "acquisition")) == 160
    analyses = fw.analyses.find(f"parents.project={project.id}")
    assert {one.analysis.id for one in found(fw, within, "analysis")} == {one.id for one in analyses}
    nifti = found(fw, f"{within} AND file.type = nifti", "file")
    assert len(nifti) == 32 * 5
    hit = nifti[0]
    assert (hit.file.type, hit.parent.container_type, hit.project.label) == ("nifti", "acquisition", "neuro-study")
    assert hit.parent.id == fw.get_acquisition(hit.acquisition.id).get_file(hit.file.name).parent_ref.id
    session = found(fw, within, "session")[0]
    assert session.return_type == "session"
    assert session.acquisition is None
    assert session.file is None
    assert fw.get_session(session.session.id).parents.subject == session.subject.id
    assert fw.get_subject(session.subject.id).label == session.subject.code
    assert session.permissions == []  # as on the project


def test_levels_above_and_below(fw: Any) -> None:
    with_sbref = found(fw, "acquisition.label = rfMRI_REST_AP_SBRef", "subject")
    assert len(with_sbref) == 22
    # an empty subject has no acquisition: what is missing satisfies a negation, as a record of its own
    without = found(fw, "project.label = neuro-study AND NOT acquisition.label EXISTS", "subject")
    assert {one.subject.code for one in without} == {"sub-014", "sub-015"}
    of_gear = found(fw, "analysis.gear_info.name = bids-freesurfer", "session")
    assert 0 < len(of_gear) < 32
    outputs = found(fw, "file.name LIKE %_volumes.csv AND analysis.label EXISTS", "file")
    assert {one.parent.container_type for one in outputs} == {"analysis"}
    assert {one.session.label for one in found(fw, "session.label = ses-2", "session")} == {"ses-2"}


def test_all_conditions_on_files_are_on_one_file(fw: Any) -> None:
    assert found(fw, "file.name = T1w_MPR.nii.gz AND file.type = HTML") == []
    assert len(found(fw, "file.name = T1w_MPR.nii.gz AND file.type = nifti")) == 32


def test_free_text_filters_sort_and_size(fw: Any, raw: Raw) -> None:
    spoken = raw.json("POST", SEARCH + "?simple=true", {"search_string": "T1W_mpr ses-2", "return_type": "acquisition"})
    assert {(one["acquisition"]["label"], one["session"]["label"]) for one in spoken} == {("T1w_MPR", "ses-2")}
    body: dict[str, Any] = {
        "return_type": "file",
        "filters": [{"terms": {"file.type": ["nifti", "dicom"]}}, {"range": {"file.size": {"gte": 1}}}],
        "structured_query": "project.label = neuro-study",
    }
    assert len(raw.json("POST", SEARCH + "?simple=true", body)) == 32 * 6
    assert len(raw.json("POST", SEARCH + "?simple=true&size=7", body)) == 7
    assert len(raw.json("POST", SEARCH + "?simple=true", {**body, "size": 5})) == 5
    assert len(raw.json("POST", SEARCH + "?simple=true&size=all", body)) == 32 * 6
    assert raw.json("POST", SEARCH + "?simple=true&size=0", body) == []
    body["sort"] = {"field": "file.size", "order": "desc"}
    sizes = [one["file"]["size"] for one in raw.json("POST", SEARCH + "?simple=true&size=9", body)]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) == sizes[0] > 0
    more = {"filters": [{"exists": {"field": "file.info.EchoTime"}}, {"term": {"file.modality": "MR"}}]}
    assert len(raw.json("POST", SEARCH + "?simple=true", {"return_type": "file", **more})) == 24


def test_the_enveloped_form_and_csv(raw: Raw) -> None:
    body = {"return_type": "session", "structured_query": "session.label = ses-2"}
    flat = raw.json("POST", SEARCH + "?simple=true", body)
    told = raw.json("POST", SEARCH, body)
    assert [one["_source"] for one in told["results"]] == flat
    assert [one["_id"] for one in told["results"]] == [one["session"]["_id"] for one in flat]
    _, _, text = raw("POST", SEARCH + "?csv=true", body)
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert [row["session._id"] for row in rows] == [one["session"]["_id"] for one in flat]


def test_parse_and_suggest(fw: Any, raw: Raw) -> None:
    good = fw.parse_search_query({"structured_query": "file.type = dicom"})
    assert (good.valid, good.errors) == (True, [])
    bad = fw.parse_search_query({"structured_query": "file.type = dicom\nAND"})
    assert not bad.valid
    assert (bad.errors[0].line, bad.errors[0].pos) == (2, 4)
    suggested = fw.get_search_query_suggestions({"structured_query": "session.label = x AND fi"})
    assert [one.value for one in suggested.suggestions] == ["file."]
    fields = fw.get_search_query_suggestions({"structured_query": "file.na"})
    assert [one.value for one in fields.suggestions] == ["file.name"]
    assert fw.get_search_status().status == "up-to-date"
    assert fw.get_mapped_fields(path="session")["label"] == "string"
    assert "session" in fw.get_mapped_fields()


def test_saved_searches(fw: Any) -> None:
    search = {"structured_query": "file.type = dicom", "return_type": "file"}
    made = fw.save_search({"label": "mine", "search": search, "parent": {"type": "user", "id": "admin@example.org"}})
    assert fw.get_saved_search(made).search.structured_query == "file.type = dicom"
    assert [one.label for one in fw.get_all_saved_searches()] == ["mine"]
    fw.replace_search(made, {"label": "yours", "search": search})
    assert fw.get_saved_search(made).label == "yours"
    assert fw.delete_save_search(made).deleted == 1
    assert fw.get_all_saved_searches() == []


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", {}, 400),
        ("POST", [], 400),
        ("POST", {"return_type": "galaxy"}, 400),
        ("POST", {"return_type": "file", "structured_query": 3}, 400),
        ("POST", {"return_type": "file", "structured_query": "file.type ="}, 400),
        ("POST", {"return_type": "file", "structured_query": "acquisition.label CONTAINS (a+)+$"}, 400),
        ("POST", {"return_type": "file", "filters": {}}, 400),
        ("POST", {"return_type": "file", "filters": [{"bool": {"must": []}}]}, 400),
        ("POST", {"return_type": "file", "filters": [{"term": {"nonsense": 1}}]}, 400),
        ("POST", {"return_type": "file", "sort": {"field": "x"}}, 400),
        ("POST", {"return_type": "file", "size": "x"}, 400),
        ("DELETE", {"return_type": "file"}, 400),
    ],
)
def test_wrong_searches_are_refused(raw: Raw, method: str, body: Any, status: int) -> None:
    assert raw.refused(method, SEARCH, body)[0] == status


def test_delete_by_search(fw: Any) -> None:
    project = fw.lookup("demo/first-import")
    for label in ("a", "b", "c"):
        project.add_subject(label=label).add_session(label="s").add_acquisition(label="x")
    query = "project.label = first-import AND subject.label IN [a, b]"
    assert fw.delete_by_search({"return_type": "subject", "structured_query": query}).deleted == 2
    assert [one.label for one in project.subjects()] == ["c"]


_labels = st.sampled_from(["T1w_MPR", "rfMRI_REST_AP", "rfMRI_REST_AP_SBRef", "T2w_SPC", "nothing"])
_leaf = st.one_of(
    st.tuples(st.just("label="), _labels),
    st.tuples(st.just("label!="), _labels),
    st.tuples(st.just("contains"), st.sampled_from(["SBRef", "^T", "w_", "zzz"])),
    st.tuples(st.just("age>="), st.integers(20, 70)),
    st.tuples(st.just("age<"), st.integers(20, 70)),
    st.tuples(st.just("type="), st.sampled_from(["nifti", "dicom", "HTML", "pdf"])),
    st.tuples(st.just("measurement in"), st.sampled_from([("T1",), ("T2*", "BOLD"), ("Diffusion", "T2")])),
    st.tuples(st.just("features!="), st.just("SBRef")),
)
_tree = st.recursive(
    _leaf,
    lambda inner: st.one_of(st.tuples(st.sampled_from(["AND", "OR"]), inner, inner), st.tuples(st.just("NOT"), inner)),
    max_leaves=5,
)


def _spoken(tree: Any) -> str:
    match tree:
        case ("AND" | "OR", left, right):
            return f"({_spoken(left)}) {tree[0]} ({_spoken(right)})"
        case ("NOT", inner):
            return f"NOT ({_spoken(inner)})"
        case ("label=" | "label!=", value):
            return f"acquisition.{tree[0]}{value}"
        case ("contains", value):
            return f"acquisition.label CONTAINS {value}"
        case ("age>=" | "age<", years):
            return f"session.{tree[0]} {years * YEAR}"
        case ("type=", value):
            return f"file.type = {value}"
        case ("measurement in", values):
            return f"file.classification.Measurement IN [{', '.join(values)}]"
    return f"file.classification.Features != {tree[1]}"


def _holds(tree: Any, one: dict[str, Any], file: Any) -> bool:
    label, age = one["acquisition"].label, one["session"].age
    held = (file.classification if file else None) or {}
    match tree:
        case ("AND", left, right):
            return _holds(left, one, file) and _holds(right, one, file)
        case ("OR", left, right):
            return _holds(left, one, file) or _holds(right, one, file)
        case ("NOT", inner):
            return not _holds(inner, one, file)
        case ("label=", value):
            return bool(label == value)
        case ("label!=", value):
            return bool(label != value)
        case ("contains", "^T"):
            return bool(label.startswith("T"))
        case ("contains", value):
            return value in label
        case ("age>=", years):
            return age is not None and age >= years * YEAR
        case ("age<", years):
            return age is not None and age < years * YEAR
        case ("type=", value):
            return file is not None and file.type == value
        case ("measurement in", values):
            return bool(set(values) & set(held.get("Measurement", ())))
    return tree[1] not in held.get("Features", ())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=_tree)
def test_random_queries_find_what_the_model_finds(fw: Any, site: list[dict[str, Any]], tree: Any) -> None:
    query = f"project.label IN [neuro-study, tutorial, BIDS-Sample] AND ({_spoken(tree)})"
    speaks_of_files = "file." in query
    model = {
        one["acquisition"].id
        for one in site
        if any(_holds(tree, one, file) for file in ((one["files"] or [None]) if speaks_of_files else [None]))
    }
    assert {hit.acquisition.id for hit in found(fw, query)} == model
