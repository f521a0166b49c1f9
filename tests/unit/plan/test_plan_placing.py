"""Layouts read backwards: what was written by a layout is read back by it, and what can't be is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import UsageError
from fwsync.plan.placing import Layout, Placed

DEFAULT = "{subject}/{session}/{acquisition}/{file.name}"
LABELS = st.text(st.characters(blacklist_characters="/\x00", blacklist_categories=("Cs",)), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("layout", "path", "labels", "name"),
    [
        (DEFAULT, "readme.txt", (), "readme.txt"),
        (DEFAULT, "s1/notes.txt", ("s1",), "notes.txt"),
        (DEFAULT, "s1/v1/notes.txt", ("s1", "v1"), "notes.txt"),
        (DEFAULT, "s1/v1/T1w/a.nii.gz", ("s1", "v1", "T1w"), "a.nii.gz"),
        ("{file.name}", "a b.txt", (), "a b.txt"),
        ("sub-{subject}/ses-{session}/{acquisition}/{file.name}", "sub-01/ses-a/anat/x", ("01", "a", "anat"), "x"),
        ("{subject.label}_{session}/{file.name}", "a_b_c/x", ("a", "b_c"), "x"),
        ("{subject}/{session=Baseline}{acquisition}/{file.name}", "s/T1w/x", ("s", "Baseline", "T1w"), "x"),
        ("{subject}/{session=Baseline}{acquisition}/{file.name}", "s/x", ("s",), "x"),
        ("{_}/{subject}/{session}/{acquisition}/{file.name}", "site A/s/v/a/x", ("s", "v", "a"), "x"),
        ("{_}/{subject}/{session}/{acquisition}/{file.name}", "site A/x", (), "x"),
        ("{project}/{subject}/{file.name}", "study/s/x", ("s",), "x"),
        ("sub-{subject}/sub-{subject}_{file.name}", "sub-01/sub-01_T1w.nii", ("01",), "T1w.nii"),
        ("{subject}/{session}/{acquisition}_{file.name}", "s/v/T1w_a.nii", ("s", "v", "T1w"), "a.nii"),
        ("{{{subject}}}/{file.name}", "{s}/x", ("s",), "x"),
    ],
)
def test_paths_are_read(layout: str, path: str, labels: tuple[str, ...], name: str) -> None:
    assert Layout.parse(layout, {"project": "study"}).place(path) == Placed(labels, name)


@pytest.mark.parametrize(
    ("layout", "path", "reason"),
    [
        (DEFAULT, "s/v/a/deeper/x", "lies deeper than the layout"),
        ("sub-{subject}/{file.name}", "s01/x", "does not fit the layout"),
        ("sub-{subject}/{file.name}", "sub-/x", "does not fit the layout"),
        ("sub-{subject}/sub-{subject}_{file.name}", "sub-01/sub-02_x", "does not fit the layout"),
        ("{project}/{subject}/{file.name}", "other/s/x", "is of project 'other', not of 'study'"),
        ("{session}/{subject}/{file.name}", "v/x", "lies below a session before its subject is known"),
    ],
)
def test_paths_that_can_t_be_read_say_why(layout: str, path: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Layout.parse(layout, {"project": "study"}).place(path)


@pytest.mark.parametrize(
    ("layout", "reason"),
    [
        ("{subject}/{session}", "must end in {file.name}"),
        ("{subject}//{file.name}", "has an empty part"),
        ("/{subject}/{file.name}", "has an empty part"),
        ("", "has an empty part"),
        ("{subjct}/{file.name}", "did you mean subject?"),
        ("{subject}{session}/{file.name}", "nothing between {session} and the field before it"),
        ("{subject}/{acquisition}/{file.name}", "names a acquisition but no session; {session=LABEL}"),
        ("{subject/{file.name}", "has a single {"),
        ("{file.name}/{subject}/x", "has {file.name} before its last part"),
        ("{file.name}-{file.name}", "has {file.name} twice"),
        ("{file.name=x}", "a label for all is written once"),
        ("{session=}/{file.name}", "a label for all is written once"),
    ],
)
def test_layouts_that_can_t_be_used_are_one_line(layout: str, reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        Layout.parse(layout)
    assert reason in caught.value.line


@given(st.lists(LABELS, min_size=0, max_size=3), LABELS)
def test_any_labels_come_back_by_the_plain_layout(labels: list[str], name: str) -> None:
    path = "/".join([*labels, name])
    assert Layout.parse(DEFAULT).place(path) == Placed(tuple(labels), name)


@given(st.tuples(LABELS, LABELS, LABELS), LABELS, st.text("ab-_. {}()*+?[]|^$\\", max_size=4))
def test_any_text_around_the_fields_is_text(labels: tuple[str, str, str], name: str, mark: str) -> None:
    quoted = mark.replace("{", "{{").replace("}", "}}")
    layout = f"{quoted}{{subject}}/{{session}}{quoted}/x{quoted}{{acquisition}}/{{file.name}}"
    path = f"{mark}{labels[0]}/{labels[1]}{mark}/x{mark}{labels[2]}/{name}"
    if labels[1].find(mark) < 0 or not mark:
        assert Layout.parse(layout).place(path) == Placed(labels, name)


@given(st.text("{}sujectionfl.nam/_=- ", max_size=40), st.text("ab/.", max_size=10))
def test_no_layout_and_no_path_does_anything_but_answer_or_refuse(layout: str, path: str) -> None:
    try:
        read = Layout.parse(layout)
    except UsageError:
        return
    try:
        placed = read.place(path)
    except ValueError:
        return
    assert placed.name
    assert all(placed.labels)
