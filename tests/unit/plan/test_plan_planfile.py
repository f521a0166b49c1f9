"""A plan as a file: written and read back, and every cut or edit that can be noticed is, with its line."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fwsync.errors import InputFileError
from fwsync.plan.importing import ImportOptions
from fwsync.plan.planfile import (
    Head,
    by_subject,
    container_line,
    end_line,
    header_line,
    read_head,
    read_lines,
    wrong_line,
)
from fwsync.plan.row import RowError
from fwsync.plan.wanted import Wanted

HEAD = Head(
    site="https://fw.example",
    source="/data/t.csv",
    rows=3,
    options=ImportOptions(project_id="p", project_path="lab/study", on_conflict="update", tag="t"),
)
WANTED = [
    Wanted(0, "s/1", {"sex": "male", "info.x": 1.5, "tags": ["a"], "~age": 3}, 2, "create"),
    Wanted(1, "v", {"timestamp": "2019-10-03T15:32:00+02:00"}, 2, "equal"),
    Wanted(2, '"T1"\n', {"files": [{"name": "a", "source": "/a", "size": 1, "mtime_ns": 2}]}, 3, "create"),
    Wanted(0, "s2", {}, 9, "differs: sex male > female"),
]


def written(lines: Iterable[Wanted | RowError], head: Head = HEAD) -> bytes:
    out = [header_line(head)]
    out += [wrong_line(one) if isinstance(one, RowError) else container_line(one, one.was) for one in lines]
    return b"".join([*out, end_line(len(out))])


def read(data: bytes) -> tuple[Head, list[Wanted | RowError]]:
    file = io.BytesIO(data)
    head = read_head(file, "plan.jsonl")
    return head, list(read_lines(file, "plan.jsonl"))


def test_a_plan_reads_back() -> None:
    lines = [RowError(7, "age", "'-3' is a negative age"), *WANTED]
    head, found = read(written(lines))
    assert head == HEAD
    assert found == lines


def test_it_is_for_people_to_read() -> None:
    first, second, *_, last = written(WANTED).splitlines()
    assert msgspec.json.decode(first)["options"]["project_path"] == "lab/study"
    assert msgspec.json.decode(second) == {
        "do": "create",
        "level": "subject",
        "label": "s/1",
        "fields": {"sex": "male", "info.x": 1.5, "tags": ["a"], "~age": 3},
        "line": 2,
    }
    assert msgspec.json.decode(last) == {"end": 5}


def test_containers_come_one_subject_after_the_other() -> None:
    assert [[one.label for one in group] for group in by_subject(WANTED)] == [["s/1", "v", '"T1"\n'], ["s2"]]
    assert list(by_subject([])) == []


# --- cut and edited -----------------------------------------------------------------------------------------------


def refused(data: bytes) -> InputFileError:
    with pytest.raises(InputFileError) as caught:
        read(data)
    assert caught.value.path == "plan.jsonl"
    return caught.value


LINES = written(WANTED).splitlines(keepends=True)


@pytest.mark.parametrize(
    ("lines", "line", "part"),
    [
        ([], 1, "is no plan of fwsync"),
        ([b"Subject ID,sex\n"], 1, "is no plan of fwsync"),
        ([b"\xff\xfe\n"], 1, "is no plan of fwsync"),
        ([b"[" * 50_000], 1, "is no plan of fwsync"),
        ([b"{}\n"], 1, "is no plan of fwsync"),
        ([LINES[0].replace(b'"fwsync_plan":1', b'"fwsync_plan":2'), *LINES[1:]], 1, "another version"),
        (LINES[:1], 1, "is cut off"),
        (LINES[:-1], 5, "is cut off"),
        ([*LINES[:3], LINES[3][:10]], 4, "is no line of a plan"),
        ([*LINES[:2], *LINES[3:]], 3, "is out of order"),
        ([*LINES[:4], *LINES[5:]], 5, "has lost or gained lines"),
        ([*LINES[:4], LINES[4], LINES[4], *LINES[5:]], 7, "has lost or gained lines"),
        ([*LINES, LINES[4]], 7, "goes on after its end"),
        ([LINES[0], LINES[2], LINES[1], *LINES[3:]], 2, "is out of order"),
        ([*LINES[:2], b"\n", *LINES[2:]], 3, "is no line of a plan"),
        ([*LINES[:2], b'{"do": "create"}\n', *LINES[2:]], 3, "is no line of a plan"),
        ([*LINES[:2], b'{"do": "create", "level": "project", "label": "x"}\n', *LINES[2:]], 3, "is out of order"),
        ([*LINES[:2], b'{"do": "create", "level": "subject", "label": ""}\n', *LINES[2:]], 3, "is out of order"),
        ([*LINES[:2], b'{"wrong": "x", "column": "a", "message": "b"}\n', *LINES[2:]], 3, "is no line of a plan"),
        ([*LINES[:2], b'{"do": "\xff", "level": "subject", "label": "x"}\n', *LINES[2:]], 3, "is no line of a plan"),
        ([*LINES[:2], b'{"do":"x","level":"subject","label":"x","fields":{"a":' + b"[" * 9999, b""], 3, "is no line"),
    ],
)
def test_what_is_no_whole_plan(lines: list[bytes], line: int, part: str) -> None:
    error = refused(b"".join(lines))
    assert part in str(error)
    assert error.line_number == line


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
ERRORS = st.builds(RowError, st.integers(1, 10**9), TEXT, TEXT)


@st.composite
def plans(draw: st.DrawFn) -> list[Wanted | RowError]:
    out: list[Wanted | RowError] = [*draw(st.lists(ERRORS, max_size=2))]
    depth = -1
    for _ in range(draw(st.integers(0, 6))):
        depth = draw(st.integers(0, min(depth + 1, 2)))
        fields = draw(st.dictionaries(TEXT, VALUES, max_size=2))
        out.append(Wanted(depth, draw(TEXT), fields, draw(st.integers(1, 10**9)), draw(TEXT)))
    return out


@given(plans())
def test_any_plan_reads_back(lines: list[Wanted | RowError]) -> None:
    assert read(written(lines)) == (HEAD, lines)


@given(plans(), st.data())
def test_a_cut_is_noticed_wherever_it_is(lines: list[Wanted | RowError], data: st.DataObject) -> None:
    whole = written(lines)
    cut = data.draw(st.integers(0, len(whole) - 2))
    assert refused(whole[:cut]).line_number is not None


@given(plans(), st.data())
def test_a_lost_line_is_noticed(lines: list[Wanted | RowError], data: st.DataObject) -> None:
    whole = written(lines).splitlines(keepends=True)
    assume(len(whole) > 2)
    del whole[data.draw(st.integers(1, len(whole) - 2))]
    assert refused(b"".join(whole)).line_number is not None


@given(plans(), st.data(), st.binary(min_size=1, max_size=3))
def test_any_edit_reads_or_is_an_error_of_the_file(
    lines: list[Wanted | RowError], data: st.DataObject, noise: bytes
) -> None:
    whole = bytearray(written(lines))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at : at + data.draw(st.integers(0, 3))] = noise
    try:
        read(bytes(whole))
    except InputFileError as error:
        assert error.line_number is not None
