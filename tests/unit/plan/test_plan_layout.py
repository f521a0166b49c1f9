"""Layouts: every template puts every file somewhere, and what it can't read is one clear line."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import UsageError
from fwsync.model import FileEntry, ZipMember
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.layout import FIELDS, NAMED, Layout, stem_of

PROJECT = Above("project", "p1", "study", note="lab")
SUBJECT = Above("subject", "s1", "sub-01", "p1", "code-1")
SESSION = Above("session", "e1", "ses-1", "s1", "2024-03-01T10:00:00+00:00")
SCAN = Above("acquisition", "a1", "T1w", "e1", "2024-03-01T10:05:00+00:00")
RUN = Above("analysis", "n1", "fs 2024", note="freesurfer/1.2")
FILE = FileEntry(name="T1w.nii.gz", file_id="f1", version=2, type="nifti", modality="MR")


def candidate(*above: Above, entry: FileEntry = FILE, **more: Any) -> Candidate:
    held = {one.kind: one for one in above}
    return Candidate(entry=entry, above=held, held_by=(above[-1].kind, above[-1].id), **more)


WHOLE = candidate(PROJECT, SUBJECT, SESSION, SCAN)
OUTPUT = candidate(PROJECT, SUBJECT, SESSION, RUN)
MEMBER = msgspec.structs.replace(
    OUTPUT, entry=FileEntry(name="out.zip", file_id="f2"), member=ZipMember(path="n1/sub-01/stats/aseg.stats")
)


def path(layout: str, one: Candidate, *, gear: bool = False, whole: bool = False) -> str:
    steps = Layout.parse(layout, gear=gear).places(one, whole=whole)
    assert steps is not None
    return "/".join(step.name for step in steps)


@pytest.mark.parametrize(
    ("layout", "one", "expected"),
    [
        ("", WHOLE, "study/sub-01/ses-1/T1w/T1w.nii.gz"),
        ("", candidate(PROJECT), "study/T1w.nii.gz"),
        ("", candidate(PROJECT, SUBJECT), "study/sub-01/T1w.nii.gz"),
        ("", OUTPUT, "study/sub-01/ses-1/fs 2024/T1w.nii.gz"),
        ("", MEMBER, "study/sub-01/ses-1/fs 2024/out/n1/sub-01/stats/aseg.stats"),
        ("gear", OUTPUT, "study/sub-01/ses-1/fs 2024_T1w.nii.gz"),
        ("gear", MEMBER, "study/sub-01/ses-1/fs 2024_aseg.stats"),
        ("flat", WHOLE, "sub-01_ses-1_T1w_T1w.nii.gz"),
        ("flat", candidate(PROJECT), "T1w.nii.gz"),
        ("{group}/{subject.label}/{file.name}", WHOLE, "lab/sub-01/T1w.nii.gz"),
        ("{subject}_{session}/{file.name}", candidate(PROJECT, SUBJECT), "sub-01/T1w.nii.gz"),
        ("raw/{session.date}/{file.stem}.{file.version}{file.ext}", WHOLE, "raw/2024-03-01/T1w.2.nii.gz"),
        ("{{x}}/{file.type}/{file.name}", WHOLE, "{x}/nifti/T1w.nii.gz"),
        ("{gear.name}-{gear.version}/{name}", OUTPUT, "freesurfer-1.2/T1w.nii.gz"),
        ("{subject}/{file.name}/{member.path}", MEMBER, "sub-01/out.zip/n1/sub-01/stats/aseg.stats"),
        ("{subject}/{member.name}", MEMBER, "sub-01/aseg.stats"),
        ("{subject}/{file.name}", MEMBER, "sub-01/out/n1/sub-01/stats/aseg.stats"),
    ],
)
def test_where_a_file_goes(layout: str, one: Candidate, expected: str) -> None:
    assert path(layout, one) == expected


def test_a_whole_archive_is_a_folder_of_its_own() -> None:
    assert path("gear", MEMBER, whole=True) == "study/sub-01/ses-1/fs 2024_out/n1/sub-01/stats/aseg.stats"


def test_older_versions_and_inputs_have_places_of_their_own() -> None:
    old = msgspec.structs.replace(WHOLE, superseded=True)
    assert path("", old) == "study/sub-01/ses-1/T1w/T1w~v2.nii.gz"
    assert old.ident != WHOLE.ident
    given_in = msgspec.structs.replace(OUTPUT, is_input=True)
    assert path("", given_in) == "study/sub-01/ses-1/fs 2024/inputs/T1w.nii.gz"
    assert given_in.ident != OUTPUT.ident


def test_bids_layouts_follow_the_info() -> None:
    info = {"BIDS": {"Path": "sub-01/ses-1/anat", "Filename": "sub-01_ses-1_T1w.nii.gz", "ignore": False}}
    layout = Layout.parse("bids")
    steps = layout.places(candidate(PROJECT, entry=msgspec.structs.replace(FILE, info=info)))
    assert steps is not None
    assert [step.name for step in steps] == ["study", "sub-01", "ses-1", "anat", "sub-01_ses-1_T1w.nii.gz"]
    for other in ({}, {"BIDS": "NA"}, {"BIDS": {**info["BIDS"], "ignore": True}}, {"BIDS": {"Path": "x"}}):
        assert layout.places(candidate(PROJECT, entry=msgspec.structs.replace(FILE, info=other))) is None


@pytest.mark.parametrize(
    ("layout", "part"),
    [
        ("{projct}/{file.name}", "did you mean project"),
        ("flt", "no such layout"),
        ("{project/x", "a single {"),
        ("../{file.name}", "relative to the target"),
        ("/{file.name}", "relative to the target"),
        ("{project}//{file.name}", "an empty"),
        ("{project}/{file.name}/", "an empty"),
        ("{member.path}/{file.name}", "must be the last"),
        ("{member.path}", "must be the last"),
    ],
)
def test_templates_that_are_none(layout: str, part: str) -> None:
    with pytest.raises(UsageError, match=part) as caught:
        Layout.parse(layout)
    assert "--layout" in caught.value.line


fields = st.sampled_from([name for name in FIELDS if name != "member.path"])
components = st.lists(
    st.one_of(fields.map("{{{}}}".format), st.sampled_from(["-", "_", "x", "run "])), min_size=1, max_size=4
).map("".join)
texts = st.text(alphabet="ab/\\. é\x00", min_size=1, max_size=6)


@given(
    template=st.lists(components, min_size=1, max_size=4).map("/".join),
    labels=st.lists(texts, min_size=5, max_size=5),
    depth=st.integers(1, 5),
    name=texts,
)
def test_any_template_gives_every_file_a_step_of_its_own(
    template: str, labels: list[str], depth: int, name: str
) -> None:
    if "{" not in template:
        template += "{file.name}"
    layout = Layout.parse(template)
    kinds = ("project", "subject", "session", "acquisition", "analysis")[:depth]
    above = [Above(kind, f"{kind}-id", label) for kind, label in zip(kinds, labels, strict=False)]
    one = candidate(*above, entry=FileEntry(name=name, file_id="f1"))
    other = msgspec.structs.replace(one, entry=FileEntry(name=name, file_id="f2"))
    steps, others = layout.places(one), layout.places(other)
    assert steps
    assert others
    assert all(step.name and step.id for step in steps)
    assert steps[-1].id != others[-1].id


def test_endings() -> None:
    for name, expected in (
        ("T1w.nii.gz", ("T1w", ".nii.gz")),
        ("scan.dicom.zip", ("scan", ".dicom.zip")),
        ("sub-1.5.csv", ("sub-1.5", ".csv")),
        (".hidden", (".hidden", "")),
        ("plain", ("plain", "")),
    ):
        assert stem_of(name) == expected
    assert set(NAMED) == {"default", "gear", "flat"}
