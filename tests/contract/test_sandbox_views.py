"""Data views: example 16 of the tutorial, every option, files and zips read as tables; against a plain model."""

from __future__ import annotations

import csv
import fnmatch
import io
import json
import statistics
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
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


@pytest.fixture(scope="module")
def neuro(fw: Any) -> Any:
    return fw.lookup("demo/neuro-study")


def zipped(members: dict[str, str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return out.getvalue()


@pytest.fixture(scope="module")
def tables(fw: Any, raw: Raw) -> Any:
    """A project of three subjects with tables of every kind on their sessions; the last has none."""
    project = fw.get_group("demo").add_project(label="tables")
    for number, label in enumerate(["s1", "s2", "s3"], start=1):
        subject = project.add_subject(label=label, sex="male" if number % 2 else "female")
        session = subject.add_session(label="ses", age=number * 31_557_600)
        if label == "s3":
            continue
        files = {
            "v.csv": f"structure,volume\nleft,{number}.5\nright,{number}.25\n",
            "v.tsv": f"structure\tvolume\nleft\t{number}\n",
            "v.json": json.dumps([{"structure": "left", "deep": {"volume": number}}]),
            "one.json": json.dumps({"structure": "both", "deep": {"volume": -number}}),
            "spaced.txt": f"# a comment\nstructure volume\nleft {number}\n",
            "broken.json": "{",
            "empty.csv": "structure,volume\n",
        }
        raw.upload(f"/api/sessions/{session.id}/files", {name: text.encode() for name, text in files.items()})
        members = {
            "a/v.csv": f"structure,volume\nzip,{number}\n",
            "b/w.csv": "structure,volume\nother,9\n",
            "x.txt": "",
        }
        raw.upload(f"/api/sessions/{session.id}/files", {"t.zip": zipped(members)})
        analysis = session.add_analysis(label=f"volumes {number}")
        raw.upload(f"/api/analyses/{analysis.id}/files", {"out.csv": b"structure,volume\nrun,7\n"})
    return project


def frame(fw: Any, where: Any, **how: Any) -> list[dict[str, Any]]:
    """The rows of a view as pandas reads them, missing values as None."""
    columns = how.pop("columns", [])
    file_columns = how.pop("file_columns", [])
    strategy = how.pop("missing_data_strategy", None)
    zip_member = how.pop("zip_member", None)
    options = how.pop("format_options", None)
    how = {"include_ids": False, "include_labels": False, "error_column": False, **how}
    builder = flywheel.ViewBuilder(label="test", **how)
    for column in columns:
        builder.column(**column) if isinstance(column, dict) else builder.column(column)
    for column in file_columns:
        builder.file_column(**column) if isinstance(column, dict) else builder.file_column(column)
    if strategy:
        builder.missing_data_strategy(strategy)
    if zip_member:
        builder.zip_member_filter(**zip_member)
    if options:
        builder.file_format_options(**options)
    found = fw.read_view_dataframe(builder.build(), where.id)
    return [{k: None if pd.isna(v) is True else v for k, v in row.items()} for row in found.to_dict("records")]


def test_scan_parameters_of_every_project(fw: Any, tmp_path: Path) -> None:
    """Example 16, with the data frames put together as pandas 2 does it."""
    columns = [
        {"dst": None, "src": "project.label", "type": None},
        {"dst": None, "src": "subject.label", "type": None},
        {"dst": None, "src": "session.label", "type": None},
        {"dst": None, "src": "acquisition.label", "type": None},
        {"dst": "Echo Time", "src": "file.info.EchoTime", "type": None},
        {"dst": "Flip Angle", "src": "file.info.FlipAngle", "type": None},
        {"dst": "TR", "src": "file.info.RepetitionTime", "type": None},
    ]
    builder = flywheel.ViewBuilder(
        label="fMRI_scan_parameters",
        container="acquisition",
        match="all",
        process_files=False,
        include_ids=False,
        include_labels=False,
    )
    for c in columns:
        builder.column(**c)
    builder.file_filter(value="*fMRI*.dcm.zip")
    builder.file_container("acquisition")
    builder.missing_data_strategy("drop-row")
    view = builder.build()
    frames = []
    for project in fw.projects.iter():
        df = fw.read_view_dataframe(view, project.id)
        output = tmp_path / f"{project.label}_DataView_Report.csv"
        fw.save_view_data(view, project.id, str(output), format="csv")
        rows = list(csv.DictReader(output.open()))
        assert len(rows) == df.shape[0]
        frames.append(df)
    whole = pd.concat(frames, ignore_index=True)
    assert whole.shape == (24, 7)  # 32 sessions, every fourth without parameters
    assert list(whole.columns)[4:] == ["Echo Time", "Flip Angle", "TR"]
    assert set(whole["Echo Time"]) == {0.037}
    assert set(whole["acquisition.label"]) == {"rfMRI_REST_AP"}


def test_ids_labels_and_types(fw: Any, neuro: Any) -> None:
    rows = frame(
        fw, neuro, include_ids=True, include_labels=True,
        columns=["subject.sex", {"src": "session.age", "dst": "age", "type": "float"}, "session.age_years"],
    )  # fmt: skip
    assert list(rows[0])[:6] == [
        "project.id", "project.label", "subject.id", "subject.label", "session.id", "session.label",
    ]  # fmt: skip
    sessions = {one.id: one for one in neuro.sessions()}
    assert len(rows) == len(sessions) + 2  # two subjects have no session: a row each, with what there is
    for row in rows:
        if row["session.id"] is not None:
            session = sessions[row["session.id"]]
            assert row["subject.id"] == session.parents.subject
            assert row["age"] == session.age
            assert row["session.age_years"] == session.age_years
    assert [row["subject.label"] for row in rows] == sorted(row["subject.label"] for row in rows)


def test_missing_data(fw: Any, neuro: Any) -> None:
    columns = ["subject.label", "session.label", "session.age"]
    assert len(frame(fw, neuro, columns=columns)) == 34
    dropped = frame(fw, neuro, columns=columns, missing_data_strategy="drop-row")
    assert len(dropped) == len(neuro.sessions.find("age>0"))


def test_expressions_and_errors(fw: Any, tables: Any) -> None:
    rows = frame(
        fw, tables, error_column=True,
        columns=[
            "subject.label",
            {"src": "session.age", "dst": "years", "expr": "x / 31557600", "type": "int"},
            {"src": "subject.label", "dst": "bad", "type": "int"},
            {"src": "session.age", "dst": "zero", "expr": "1 // (x - x)"},
        ],
    )  # fmt: skip
    assert [(row["subject.label"], row["years"], row["bad"], row["zero"]) for row in rows] == [
        ("s1", 1, None, None), ("s2", 2, None, None), ("s3", 3, None, None),
    ]  # fmt: skip
    assert all("bad: 's" in row["errors"] and "zero" in row["errors"] for row in rows)


@pytest.mark.parametrize(
    ("accumulator", "of"),
    [
        ("count", len), ("sum", sum), ("mean", statistics.fmean), ("minimum", min), ("maximum", max),
        ("standard_deviation", statistics.pstdev),
    ],
)  # fmt: skip
def test_groups(fw: Any, neuro: Any, accumulator: str, of: Any) -> None:
    column = {"src": "session.age", "dst": "value", "accumulator": accumulator}
    rows = frame(fw, neuro, group_by="subject.sex", columns=[column])
    subjects = {one.id: one.sex for one in neuro.subjects()}
    ages: dict[str, list[int]] = {}
    for session in neuro.sessions():
        ages.setdefault(subjects[session.parents.subject], []).extend([session.age] if session.age else [])
    assert {row["subject.sex"]: pytest.approx(row["value"]) for row in rows} == {
        sex: of(held) for sex, held in ages.items()
    }


def test_every_match(fw: Any, raw: Raw) -> None:
    session = fw.get_group("demo").add_project(label="matches").add_subject(label="s").add_session(label="s")
    for name in ("b.txt", "c.txt", "a.txt"):
        raw.upload(f"/api/sessions/{session.id}/files", {name: b"x"})
    for match, names in {
        "first": ["a.txt"], "last": ["c.txt"], "oldest": ["b.txt"], "newest": ["a.txt"],
        "all": ["a.txt", "b.txt", "c.txt"],
    }.items():  # fmt: skip
        rows = frame(
            fw, session, container="session", filename="*.txt", match=match, process_files=False, columns=["file.name"]
        )
        assert [row["file.name"] for row in rows] == names, match


@pytest.mark.parametrize(
    ("filename", "file_columns", "values"),
    [
        ("v.csv", ["structure", {"src": "volume", "type": "float"}], [("left", 1.5), ("right", 1.25)]),
        ("v.tsv", ["structure", {"src": "volume", "type": "int"}], [("left", 1)]),
        ("v.json", ["structure", {"src": "deep.volume", "dst": "volume"}], [("left", 1)]),
        ("one.json", ["structure", {"src": "deep.volume", "dst": "volume"}], [("both", -1)]),
    ],
)
def test_files_read_as_tables(fw: Any, tables: Any, filename: str, file_columns: Any, values: Any) -> None:
    how = {"container": "session", "filename": filename, "file_columns": file_columns, "columns": ["subject.label"]}
    rows = frame(fw, tables, **how, missing_data_strategy="drop-row")
    assert [(row["structure"], row["volume"]) for row in rows if row["subject.label"] == "s1"] == values
    assert {row["subject.label"] for row in rows} == {"s1", "s2"}
    kept = frame(fw, tables, **how)
    assert [row["structure"] for row in kept if row["subject.label"] == "s3"] == [None]


def test_all_columns_of_a_file_and_options(fw: Any, tables: Any) -> None:
    rows = frame(fw, tables, container="session", filename="v.csv", columns=["subject.label", "file.name"])
    assert list(rows[0]) == ["subject.label", "file.name", "structure", "volume"]
    rows = frame(
        fw, tables, container="session", filename="spaced.txt", columns=["subject.label"],
        format_options={"delimiter": " ", "commentchar": "#"}, missing_data_strategy="drop-row",
    )  # fmt: skip
    assert [(row["structure"], row["volume"]) for row in rows] == [("left", 1), ("left", 2)]


def test_members_of_zips(fw: Any, tables: Any) -> None:
    def read(**member: Any) -> list[str]:
        rows = frame(
            fw, tables, container="session", filename="*.zip", file_columns=["structure"], zip_member=member,
            missing_data_strategy="drop-row",
        )  # fmt: skip
        return [row["structure"] for row in rows]

    assert read(value="v.csv") == ["zip", "zip"]
    assert read(value="*.csv", match="all") == ["zip", "other"] * 2
    assert read(value="^b/", regex=True) == ["other"] * 2
    assert read(value="nothing") == []


def test_outputs_of_analyses(fw: Any, tables: Any, neuro: Any) -> None:
    rows = frame(
        fw, tables, container="session", filename="*.csv", analysis_label="volumes*", match="all",
        columns=["subject.label", "analysis.label"], file_columns=["structure"], missing_data_strategy="drop-row",
    )  # fmt: skip
    assert [(row["analysis.label"], row["structure"]) for row in rows] == [("volumes 1", "run"), ("volumes 2", "run")]
    newest = frame(
        fw, neuro, container="session", filename="*_volumes.csv", analysis_gear_name="bids-freesurfer",
        analysis_gear_version="1.2.*", match="newest", columns=["session.id"],
        file_columns=[{"src": "volume_mm3", "type": "float"}], missing_data_strategy="drop-row",
    )  # fmt: skip
    assert len(newest) % 26 == 0
    assert len(newest) > 0
    builder = flywheel.ViewBuilder(columns=["subject.label", "session.analysis.file.name"])
    found = fw.read_view_dataframe(builder.build(), tables.id)
    assert set(found["session.analysis.file.name"]) == {"out.csv"}


def test_unreadable_files_are_errors_of_their_rows(fw: Any, tables: Any) -> None:
    how = {"container": "session", "filename": "broken.json", "columns": ["subject.label"], "file_columns": ["x"]}
    rows = frame(fw, tables, **how, error_column=True)
    assert ["can't be read" in (row["errors"] or "") for row in rows] == [True, True, False]
    assert frame(fw, tables, **how, missing_data_strategy="drop-row") == []
    empty = frame(fw, tables, **{**how, "filename": "empty.csv"}, error_column=True)
    assert "holds no rows" in empty[0]["errors"]


def test_filter_sort_skip_and_limit(fw: Any, raw: Raw, neuro: Any) -> None:
    builder = flywheel.ViewBuilder(
        columns=["subject.label", ("session.age", "age")], include_ids=False, include_labels=False, error_column=False,
        filter="age>0",
    )  # fmt: skip
    view = builder.build()
    rows = fw.read_view_dataframe(view, neuro.id, filter="subject.sex=female,age>1000000000")
    wanted = sorted(
        (s.age for s in neuro.sessions.find("age>1000000000") if fw.get(s.parents.subject).sex == "female"),
        reverse=True,
    )
    assert sorted(rows["age"], reverse=True) == wanted
    # the SDK passes `sort` on to a call that doesn't take it, so it is tried by itself
    spec = {"columns": [{"src": "session.age", "dst": "age"}, {"src": "subject.sex"}], "includeIds": False}
    query = f"containerId={neuro.id}&filter=subject.sex%3Dfemale&sort=age:desc&skip=1&limit=2&format=json-flat"
    page = raw.json("POST", f"/api/views/data?{query}", spec)
    assert [row["age"] for row in page] == wanted[1:3]


def test_formats(fw: Any, tables: Any, tmp_path: Path) -> None:
    view = flywheel.ViewBuilder(
        columns=["subject.label", "session.tags"], include_ids=False, include_labels=False, error_column=False
    ).build()
    flat = [{"subject.label": label, "session.tags": []} for label in ("s1", "s2", "s3")]
    with fw.read_view_data(view, tables.id, format="json-flat", decode=False) as told:
        assert json.loads(told.read()) == flat
    with fw.read_view_data(view, tables.id, decode=False) as told:
        assert json.loads(told.read()) == {"data": flat}
    for kind, delimiter in (("csv", ","), ("tsv", "\t")):
        path = tmp_path / f"view.{kind}"
        fw.save_view_data(view, tables.id, str(path), format=kind)
        rows = list(csv.reader(path.open(), delimiter=delimiter))
        assert rows == [["subject.label", "session.tags"], ["s1", "[]"], ["s2", "[]"], ["s3", "[]"]]


def test_saved_views(fw: Any, raw: Raw, tables: Any) -> None:
    view = flywheel.ViewBuilder(label="mine", columns=["subject.label"], include_ids=False).build()
    made = fw.add_view(tables.id, view)
    assert [one.label for one in fw.get_views(tables.id)] == ["mine"]
    assert fw.get_view(made).columns[0].src == "subject.label"
    fw.modify_view(made, {"label": "yours", "columns": [{"src": "subject.sex", "dst": "sex"}]})
    frame_ = fw.read_view_dataframe(made, tables.id)
    assert list(frame_["sex"]) == ["male", "female", "male"]
    execution = fw.get_all_data_view_executions()[-1]
    assert (execution.data_view_id, execution.data_view_label, execution.state) == (made, "yours", "completed")
    fw.delete_view_execution(execution.id)
    body = {"viewId": made, "containerType": "project", "containerId": tables.id, "filename": "table.csv"}
    saved = raw.json("POST", f"/api/views/save?containerId={tables.id}&format=csv", body)
    assert saved["name"] == "table.csv"
    assert tables.reload().read_file("table.csv").decode().splitlines()[1].endswith("male,")
    fw.delete_view(made)
    with pytest.raises(flywheel.ApiException) as gone:
        fw.get_view(made)
    assert gone.value.status == 404
    assert "subject" in {one.name for one in fw.data_view_columns()}


def test_views_of_other_containers(fw: Any, tables: Any, raw: Raw) -> None:
    session = tables.sessions.find_first()
    assert [row["subject.label"] for row in frame(fw, session, columns=["subject.label"])] == ["s1"]
    scan = session.add_acquisition(label="scan")
    assert [row["acquisition.label"] for row in frame(fw, scan, columns=["acquisition.label"])] == ["scan"]
    group = fw.get_group("demo")
    assert {row["project.label"] for row in frame(fw, group, columns=["project.label"])} >= {"tables", "neuro-study"}
    collection = fw.get_collection(fw.add_collection({"label": "c"}))
    collection.add_acquisitions(scan)
    assert [row["session.label"] for row in frame(fw, collection, columns=["session.label"])] == ["ses"]
    direct = raw("POST", f"/api/views/data?containerId={scan.id}&format=csv", {
        "columns": [{"src": "acquisition.label"}], "includeIds": False, "includeLabels": False, "errorColumn": False,
    })  # fmt: skip
    assert direct[2] == b"acquisition.label\nscan\n"
    fw.delete_acquisition(scan.id)


@pytest.mark.parametrize(
    "view",
    [
        {"columns": "x"}, {"columns": [3]}, {"columns": [{"src": ""}]}, {"columns": [{"src": "galaxy.label"}]},
        {"columns": [{"src": "subject.label", "type": "date"}]}, {"columns": [{"src": "file.name"}]},
        {"columns": [{"src": "session.age", "accumulator": "mean"}]}, {"columns": [], "groupBy": []},
        {"columns": [{"src": "session.age", "expr": "__import__('os')"}]},
        {"columns": [{"src": "session.age", "expr": "x ** 9 ** 9 ** ("}]},
        {"columns": [{"src": "session.age", "expr": "x" * 500}]}, {"columns": [{"src": "session.age", "expr": 3}]},
        {"columns": [], "missingDataStrategy": "guess"}, {"columns": [], "includeIds": "yes"},
        {"columns": [], "filter": "nonsense"}, {"columns": [], "filter": 3}, {"columns": [], "fileSpec": "x"},
        {"columns": [], "fileSpec": {"container": "galaxy"}}, {"columns": [], "fileSpec": {"container": "session"}},
        {"columns": [], "fileSpec": {"container": "session", "filter": {"value": "(a+)+", "regex": True}}},
        {"columns": [], "fileSpec": {"container": "session", "filter": {"value": "*"}, "match": "best"}},
        {"columns": [], "fileSpec": {"container": "session", "filter": {"value": "*"}, "format": "xls"}},
        {"columns": [], "fileSpec": {"container": "session", "filter": {"value": "*"}, "formatOptions": 3}},
        {"columns": [], "fileSpec": {"container": "session", "filter": {"value": "*"}, "analysisFilter": 3}},
        {"columns": [], "fileSpec": {"container": "session", "filter": {"value": "*"}, "zipMember": {}}},
    ],
)  # fmt: skip
def test_wrong_views_are_refused(raw: Raw, neuro: Any, view: Any) -> None:
    assert raw.refused("POST", f"/api/views/queue?containerId={neuro.id}", view)[0] == 422


def test_wrong_requests_are_refused(raw: Raw, neuro: Any) -> None:
    view = {"columns": [{"src": "subject.label"}]}
    assert raw.refused("POST", "/api/views/queue", view)[0] == 400
    assert raw.refused("POST", "/api/views/queue?containerId=5dc091c169d4f3002d16f32f", view)[0] == 404
    assert raw.refused("POST", f"/api/views/queue?containerId={neuro.id}", [])[0] == 400
    assert raw.refused("POST", f"/api/views/queue?containerId={neuro.id}&limit=x", view)[0] == 422
    assert raw.refused("POST", f"/api/views/5dc091c169d4f3002d16f32f/queue?containerId={neuro.id}")[0] == 404
    assert raw.refused("GET", "/api/data_view_executions/5dc091c169d4f3002d16f32f/data")[0] == 404
    made = raw.json("POST", f"/api/views/queue?containerId={neuro.id}", view)
    assert raw.refused("GET", f"/api/data_view_executions/{made['_id']}/data?file_format=xls")[0] == 422
    assert raw.refused("POST", f"/api/containers/{neuro.id}/views", view)[0] == 422


_sources = ["subject.label", "subject.sex", "session.label", "session.age", "acquisition.label", "subject.info.age"]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    columns=st.lists(st.sampled_from(_sources), min_size=1, max_size=4, unique=True),
    drop=st.booleans(),
    names=st.lists(st.sampled_from(["*.nii.gz", "T1w*", "*mriqc*", "nothing"]), max_size=1),
)
def test_random_views_give_the_rows_of_the_model(
    fw: Any, neuro: Any, columns: list[str], drop: bool, names: list[str]
) -> None:
    subjects, sessions, scans = (
        neuro.subjects(include_all_info=True),
        neuro.sessions(),
        fw.get_project_acquisitions(neuro.id),
    )
    deepest = max(["project", "subject", "session", "acquisition"].index(name.partition(".")[0]) for name in columns)
    records: list[dict[str, Any]] = []
    for subject in subjects:
        below = [s for s in sessions if s.parents.subject == subject.id] if deepest > 1 or names else []
        for session in below or [None]:
            held = [a for a in scans if session and a.parents.session == session.id] if deepest > 2 or names else []
            records += [{"subject": subject, "session": session, "acquisition": scan} for scan in held or [None]]
    how: dict[str, Any] = {"columns": list(columns), "missing_data_strategy": "drop-row" if drop else None}
    expected = []
    for record in records:
        found = [None]
        if names:
            held = record["acquisition"].files if record["acquisition"] else []
            found = [f.name for f in held if fnmatch.fnmatchcase(f.name, names[0])] or [None]
        for name in found:
            row = [_model(record, column) for column in columns] + ([name] if names else [])
            if not (drop and None in row):
                expected.append(row)
    if names:
        how |= {"container": "acquisition", "filename": names[0], "match": "all", "process_files": False}
        how["columns"] = [*columns, "file.name"]
    rows = [list(row.values()) for row in frame(fw, neuro, **how)]
    assert sorted(map(_alike, rows)) == sorted(map(_alike, expected))


def _model(record: dict[str, Any], column: str) -> Any:
    kind, _, path = column.partition(".")
    held = record[kind]
    if held is None:
        return None
    if path == "info.age":
        return held.info.get("age")
    return getattr(held, path)


def _alike(row: list[Any]) -> str:
    # pandas makes a column of whole numbers with a gap one of floats
    return repr([float(value) if isinstance(value, int) else value for value in row])
