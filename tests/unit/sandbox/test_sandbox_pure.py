"""The sandbox's own parsers: filters, ranges, fault specs."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.sandbox import faults
from fwsync.sandbox.errors import ApiError
from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.query import filters, listing
from fwsync.sandbox.store import schema
from fwsync.sandbox.transfer import ranges

DOCUMENT = {
    "_id": "5dc091c169d4f3002d16f32f",
    "label": "sub-01",
    "age": 34,
    "tags": ["a", "b"],
    "parents": {"project": "p"},
    "info": {"n": {"m": 2}, "flag": True, "text": "a,b"},
    "files": [{"type": "nifti", "size": 5}, {"type": "dicom", "size": 9}],
    "created": "2020-01-02T03:04:05+00:00",
    "nothing": None,
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("label=sub-01", True), ("label=sub-02", False), ("label!=sub-02", True), ("gone!=x", True), ("gone=null", True),
        ("nothing=null", True), ("label=null", False), ("age>33,age<=34", True), ("age>34", False), ("age=34.0", True),
        ("age>x", False), ("tags=b", True), ("tags=c", False), ("tags!=c", True), ("files.type=dicom", True),
        ("files.size>8", True), ("files.size>9", False), ("info.n.m=2", True), ("info.flag=true", True),
        ("info.text=a\\,b", True), ('info.text="a\\,b"', True), ("parents.project=p", True),
        ("_id=5dc091c169d4f3002d16f32f", True), ("label=~^((?!SBRef).)*$", True), ("label=~^SUB", False),
        ("created>2020-01-01", True), ("created<2020-01-01T00:00:00Z", False), ("label=|[x|sub-01]", True),
        ("label=|[x;y]", False), ("", True),
    ],
)  # fmt: skip
def test_the_filter_language(text: str, holds: bool) -> None:
    assert filters.predicate(filters.parse(text))(DOCUMENT) is holds


@pytest.mark.parametrize("text", ["label", "=x", "label=~(", "a=1,b", "label~x", "<3"])
def test_a_bad_filter_is_422(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        filters.parse(text)
    assert refused.value.status == 422


@given(st.text(max_size=60))
def test_no_filter_breaks_the_server(text: str) -> None:
    try:
        clauses = filters.parse(text)
    except ApiError as error:
        assert error.status == 422
    else:
        assert filters.predicate(clauses)(DOCUMENT) in (True, False)


def test_24_hex_characters_are_an_id_before_they_are_a_number() -> None:
    assert filters.cast("659200000000000000000001") == "659200000000000000000001"
    assert filters.cast("65920000000000000000000e") == "65920000000000000000000e"


@pytest.mark.parametrize(
    "query",
    [{"limit": "-1"}, {"limit": "x"}, {"page": "0", "limit": "5"}, {"page": "1"}, {"page": "1", "limit": "5", "skip": "1"},
     {"after_id": "x", "sort": "label"}, {"sort": "label:up"}, {"limit": "9" * 30}],
)  # fmt: skip
def test_bad_list_parameters_are_422(query: dict[str, str]) -> None:
    with pytest.raises(ApiError) as refused:
        listing.Listing.from_query(query)
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("header", "found"),
    [("bytes=0-9", [(0, 9)]), ("bytes=90-", [(90, 99)]), ("bytes=-10", [(90, 99)]), ("bytes=0-0,50-200", [(0, 0), (50, 99)]),
     ("bytes=5-1", []), ("lines=1-2", []), ("bytes=x", []), (None, []), ("bytes=-500", [(0, 99)])],
)  # fmt: skip
def test_ranges(header: str | None, found: list[tuple[int, int]]) -> None:
    assert ranges.parse(header, 100) == found


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=200-300,400-"])
def test_ranges_past_the_end_are_416(header: str) -> None:
    with pytest.raises(ranges.UnsatisfiableError):
        ranges.parse(header, 100)


@given(st.text(alphabet="bytes=0123456789-, x", max_size=30), st.integers(0, 1000))
def test_a_range_is_always_inside(header: str, size: int) -> None:
    try:
        found = ranges.parse(header, size)
    except ranges.UnsatisfiableError:
        return
    assert all(0 <= first <= last < size for first, last in found)


def test_fault_specs() -> None:
    one, two = faults.parse("create:drop_reply=3%,stall=1.5%:60")
    assert (one.classes, one.percent) == (("create",), 3.0)
    assert (two.classes, two.value) == (faults.CLASSES, 60.0)


@pytest.mark.parametrize("spec", ["drop", "x=3%", "zzz:stall=1%", "list:cut_body=5%", "stall=101%", "stall=3"])
def test_a_bad_fault_spec_says_so(spec: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        faults.parse(spec)


def test_draws_depend_on_nothing_but_their_arguments() -> None:
    held = [faults.draw(1, "stall", "GET", "/api/x", n) for n in range(2000)]
    assert held == [faults.draw(1, "stall", "GET", "/api/x", n) for n in range(2000)]
    assert 0.45 < sum(held) / len(held) < 0.55
    assert faults.draw(2, "stall", "GET", "/api/x", 0) != held[0]


@pytest.mark.parametrize(
    ("method", "path", "group"),
    [("GET", "/api/projects", "list"), ("GET", "/api/projects/x", "get"), ("GET", "/api/projects/x/subjects", "list"),
     ("POST", "/api/subjects", "create"), ("POST", "/api/lookup", "get"), ("PUT", "/api/subjects/x", "modify"),
     ("POST", "/api/projects/x/files", "upload"), ("GET", "/api/projects/x/files/a.b", "download"),
     ("PUT", "/signed/upload/t/0/0", "upload"), ("GET", "/signed/download/abc", "download"), ("GET", "/api/auth/status", "get")],
)  # fmt: skip
def test_request_classes(method: str, path: str, group: str) -> None:
    assert faults.class_of(method, path) == group


def test_unknown_capabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="known are"):
        SandboxOptions(without=frozenset({"nonsense"}))


@pytest.mark.parametrize(
    "where",
    ["kind = 'acquisition' and project_id = 'p' and id > 'x'", "kind = 'acquisition' and id > 'x'",
     "kind = 'session' and subject_id = 'p' and id > 'x'", "kind = 'subject' and project_id = 'p' and label = 'x' and id > 'x'"],
)  # fmt: skip
def test_a_page_is_a_walk_of_an_index_and_needs_no_sorting(tmp_path: Path, where: str) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        for statement in schema.STATEMENTS:
            connection.execute(statement)
        plan = " ".join(
            row[3]
            for row in connection.execute(f"explain query plan select * from nodes where {where} order by id limit 500")
        )
    assert "USING INDEX" in plan
    assert "id>?" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("label=|[a,b]", ["a", "b"]),
        ('label=|["a,b",c],x=1', ["a,b", "c"]),
        ("x=1,label=|[5dc091c169d4f3002d16f32f,12,true]", ["5dc091c169d4f3002d16f32f", 12, True]),
        ("label=|[a|b;c]", ["a", "b", "c"]),
    ],
)
def test_lists_keep_their_commas(text: str, values: list[object]) -> None:
    (clause,) = [one for one in filters.parse(text) if one.operator == "=|"]
    assert clause.value == values
    assert len(filters.parse(text)) == text.count("=")
