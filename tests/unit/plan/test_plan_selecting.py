"""What is in, what is out and why, and what a pattern that matches nothing says."""

from __future__ import annotations

from typing import Any

import pytest

from fwsync.model import Analysis, FileEntry, GearInfo, Job, Parents, Reference, ZipMember
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.selecting import Paths, Rules, Tally, Tree, choose_runs, unmet
from fwsync.selection import Condition, Selection, split_path

PROJECT = Above("project", "p1", "study", note="lab")
NIFTI: dict[str, Any] = {
    "name": "T1w.nii.gz", "file_id": "f1", "type": "nifti", "modality": "MR", "size": 1000, "tags": ["qc-pass"],
    "classification": {"Intent": ["Structural"], "Measurement": ["T1"]}, "modified": "2024-03-01T00:00:00+00:00",
}  # fmt: skip


def candidate(level: str = "acquisition", **fields: Any) -> Candidate:
    above = {"project": PROJECT, level: Above(level, "x1", "label")}
    return Candidate(entry=FileEntry(**{**NIFTI, **fields}), above=above, held_by=(level, "x1"))


@pytest.mark.parametrize(
    ("wish", "taken"),
    [
        ({}, True),
        ({"levels": ("acquisition",)}, True),
        ({"levels": ("project", "subject")}, False),
        ({"include": ("*.nii.gz",)}, True),
        ({"include": ("*.csv", "T1*")}, True),
        ({"include": ("*.csv",)}, False),
        ({"exclude": ("*.csv",)}, True),
        ({"include": ("T1*",), "exclude": ("*.nii.gz",)}, False),
        ({"types": ("nifti", "dicom")}, True),
        ({"types": ("dicom",)}, False),
        ({"modalities": ("MR",)}, True),
        ({"modalities": ("CT",)}, False),
        ({"classification": (("Intent", "Structural"),)}, True),
        ({"classification": (("Intent", "Functional"), ("Intent", "Structural"))}, True),
        ({"classification": (("Intent", "Structural"), ("Measurement", "T2"))}, False),
        ({"classification": (("Measurement", "T?"),)}, True),
        ({"tagged": ("qc-*",)}, True),
        ({"tagged": ("bad",)}, False),
        ({"newer": "2024-02-01T00:00:00+00:00"}, True),
        ({"newer": "2024-03-01T00:00:00+00:00"}, False),
        ({"older": "2024-03-02T00:00:00+00:00"}, True),
        ({"older": "2024-03-01T00:00:00+00:00"}, False),
        ({"min_size": 1000, "max_size": 1000}, True),
        ({"min_size": 1001}, False),
        ({"max_size": 999}, False),
        ({"members": ("x",)}, False),
        ({"members": ("x",), "unzip": True}, True),
    ],
)
def test_one_wish_at_a_time(wish: dict[str, Any], taken: bool) -> None:
    tally = Tally()
    assert Rules(Selection(**wish), tally).takes(candidate()) is taken
    assert (tally.seen, bool(tally.out)) == (1, not taken)


def test_what_is_not_known_of_a_file_is_no_reason_to_take_it() -> None:
    bare = candidate(type=None, modality=None, size=None, tags=None, classification=None, modified=None)
    for wish in (
        {"types": ("nifti",)}, {"modalities": ("MR",)}, {"min_size": 0}, {"tagged": ("x",)}, {"newer": "2024-01-01"},
        {"classification": (("Intent", "x"),)},
    ):  # fmt: skip
        assert not Rules(Selection(**wish), Tally()).takes(bare)  # type: ignore[arg-type]
    assert Rules(Selection(), Tally()).takes(bare)


def test_a_query_decides_by_container_and_name() -> None:
    hits = frozenset({("x1", "T1w.nii.gz")})
    assert Rules(Selection(query="q"), Tally(), hits).takes(candidate())
    assert not Rules(Selection(query="q"), Tally(), hits).takes(candidate(name="other"))


@pytest.mark.parametrize(
    ("wish", "line"),
    [
        ({"include": ("*.nii.gz",)}, ""),
        ({"include": ("*.nii.gz", "T1w.nii")}, "--include T1w.nii: matches nothing; did you mean T1w.nii.gz?"),
        ({"types": ("nift",)}, "--type nift: matches nothing; did you mean nifti?"),
        (
            {"classification": (("Intent", "Structral"),)},
            "--classification Intent=Structral: matches nothing; did you mean Intent=Structural?",
        ),
        ({"tagged": ("zzz",)}, "--tagged zzz: matches nothing; there is qc-pass"),
        ({"newer": "2030-01-01T00:00:00+00:00"}, ""),
        ({"include": ("*.nii.gz",), "newer": "2030-01-01T00:00:00+00:00"}, ""),
        ({"include": ("T1*",), "exclude": ("T1*",)}, "the wishes together match none of 1 files (1 by excluded)"),
        ({"exclude": ("nothing-like-it",)}, ""),
    ],
)
def test_a_pattern_that_matches_nothing_says_what_is_near(wish: dict[str, Any], line: str) -> None:
    tally = Tally()
    selection = Selection(**wish)
    tally.taken += Rules(selection, tally).takes(candidate())
    assert unmet(selection, tally) == line


def test_where_nothing_was_seen_no_file_pattern_is_to_blame() -> None:
    assert unmet(Selection(include=("*.csv",)), Tally()) == ""
    assert unmet(Selection(subjects=("sub-9",)), Tally()) == "--subject sub-9: matches nothing"


def test_members_are_matched_with_slashes_of_either_kind() -> None:
    rules = Rules(Selection(members=("*/stats/aseg.stats",)), Tally())
    assert rules.takes_member(ZipMember(path="a\\stats\\aseg.stats"))
    assert not rules.takes_member(ZipMember(path="aseg.stats"))


# --- containers -------------------------------------------------------------------------------------------------------


def tree(**wish: Any) -> Tree:
    made = Tree(PROJECT, Selection(**wish), Tally())
    made.add(PROJECT, ["public"])
    made.add(Above("subject", "s1", "sub-01", "p1"), [])
    made.add(Above("subject", "s2", "sub-02", "p1"), ["keep"])
    made.add(Above("session", "e1", "ses-1", "s1"), [])
    made.add(Above("session", "e2", "ses-2", "s2"), [])
    made.add(Above("acquisition", "a1", "T1w", "e1"), [])
    made.add(Above("acquisition", "a2", "T2w", "e2"), [])
    return made


@pytest.mark.parametrize(
    ("wish", "kept"),
    [
        ({}, ["p1", "s1", "s2", "e1", "e2", "a1", "a2"]),
        ({"subjects": ("sub-01",)}, ["s1", "e1", "a1"]),
        ({"sessions": ("ses-*",)}, ["e1", "e2", "a1", "a2"]),
        ({"subjects": ("sub-02",), "acquisitions": ("T1w", "T2w")}, ["a2"]),
        ({"tags": ("keep",)}, ["s2", "e2", "a2"]),
        ({"tags": ("public",)}, ["p1", "s1", "s2", "e1", "e2", "a1", "a2"]),
        ({"where": (Condition("session", "age", ">", "1"),)}, ["e1", "e2", "a1", "a2"]),
        ({"collection": "mine"}, ["a1", "a2"]),
    ],
)
def test_a_wish_about_a_level_leaves_out_what_is_above_it(wish: dict[str, Any], kept: list[str]) -> None:
    made = tree(**wish)
    ids = {
        "p1": {"project": "p1"}, "s1": {"subject": "s1"}, "s2": {"subject": "s2"}, "e1": {"session": "e1"},
        "e2": {"session": "e2"}, "a1": {"acquisition": "a1"}, "a2": {"acquisition": "a2"},
    }  # fmt: skip
    assert [name for name, held in ids.items() if made.chain(made.full(held)) is not None] == kept


def test_a_container_that_the_listing_did_not_have_goes_by_its_id_unless_it_was_to_be_judged() -> None:
    ids = {"subject": "s1", "session": "new"}
    chain = tree().chain(ids)
    assert chain is not None
    assert chain["session"].label == "new"
    assert tree(sessions=("ses-*",)).chain(ids) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("lab/study", True),
        ("lab/study/sub-01", True),
        ("fw://lab/study/sub-01/T1w.nii.gz", True),
        ("lab/study/sub-01/files/T1w.nii.gz", True),
        ("lab/<id:p1>/<id:s1>", True),
        ("lab/study/sub-0", False),
        ("lab/study/sub-01/T1w.nii.gz/x", False),
        ("lab/other/sub-01", False),
    ],
)
def test_paths_name_containers_and_files(path: str, found: bool) -> None:
    names = [("lab", "lab"), ("study", "p1"), ("sub-01", "s1"), ("T1w.nii.gz", "f1")]
    assert Paths([path], [split_path(path)]).find(names) == ([path] if found else [])


# --- runs -------------------------------------------------------------------------------------------------------------


def run(ident: str, state: str, session: str | None = "e1", parent: str = "session") -> Analysis:
    where = Reference(type=parent, id=session or "s1")
    parents = Parents(project="p1", subject="s1", session=session)
    job = Job(id=f"job-{ident}", state=state)
    about = GearInfo(name="gear", version="1")
    return Analysis(id=ident, created=ident, parent=where, parents=parents, job=job, gear_info=about)


@pytest.mark.parametrize(
    ("choice", "taken", "without"),
    [
        ("latest-complete", ["2"], {}),
        ("latest", ["3"], {}),
        ("all", ["1", "2", "3"], {}),
        ("failed", ["3"], {}),
    ],
)
def test_which_runs_of_a_session(choice: Any, taken: list[str], without: dict[str, int]) -> None:
    runs = [run("3", "failed"), run("1", "complete"), run("2", "complete")]
    chosen = choose_runs(runs, Selection(gear="gear", run=choice), {"e1": "s1"})
    assert [one.id for one in chosen.analyses] == taken
    assert chosen.without == without


def test_why_sessions_have_none() -> None:
    runs = [
        run("1", "failed", "e1"),
        run("2", "running", "e2"),
        run("3", "complete", "e3"),
        run("4", "cancelled", "e5"),
    ]
    sessions = {f"e{number}": f"s{number}" for number in range(1, 6)}
    chosen = choose_runs(runs, Selection(gear="gear"), sessions)
    assert chosen.without == {"failed": 1, "still running": 1, "never ran": 1, "cancelled": 1}


def test_a_run_on_the_subject_or_on_an_acquisition_covers_the_session() -> None:
    on_subject = run("1", "complete", None, "subject")
    assert choose_runs([on_subject], Selection(gear="gear"), {"e1": "s1", "e2": "s2"}).without == {"never ran": 1}
    on_scan = Analysis(
        id="2", created="2", parent=Reference(type="acquisition", id="a1"), job=Job(state="complete"),
        parents=Parents(project="p1", subject="s1", session="e1", acquisition="a1"),
    )  # fmt: skip
    assert choose_runs([on_scan], Selection(gear="gear"), {"e1": "s1", "e2": "s2"}).without == {"never ran": 1}
