"""What a gear takes, which files become its inputs, and which runs are started: nothing of it needs a site."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import UsageError
from fwsync.model import FileEntry, Gear, GearDocument, GearInfo, ListedJob, Parents, Reference
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.gearinputs import SEVERAL, InputFile, InputWish, Wanted, input_file, ordered, same_inputs
from fwsync.plan.gears import config_of, configured, inputs_of, newest_of_each, version_rank
from fwsync.plan.launching import Destination, Label, Launch, PastRun, entries
from fwsync.report.gears import failed_for_good, jobs_table
from fwsync.work import Outcome, WorkItem

NOW = datetime(2024, 5, 1, 12, 30, 15)
IMAGE = {"base": "file", "type": {"enum": ["nifti"]}}
SERIES = ["anatomical", "t1_2", "t1_3"]


def gear(inputs: Any = None, config: Any = None, *, category: str = "analysis", **more: Any) -> Gear:
    manifest = GearDocument(name="recon", version=more.pop("version", "1.2.0"), inputs=inputs, config=config)
    return Gear(id="g" * 24, category=category, gear=manifest, **more)


RECON = gear(
    {
        "anatomical": IMAGE,
        **{name: {**IMAGE, "optional": True} for name in (*SERIES[1:], "t2")},
        "api-key": {"base": "api-key"},
    }
)


def made(name: str, number: int, *, container: str = "a1", created: str = "") -> InputFile:
    file_id = f"{container}-{name}"
    return InputFile("acquisition", container, name, file_id, 1, (f"{number:04}",), created or f"{number:04}")


# --- the manifest -----------------------------------------------------------------------------------------------------


def test_a_manifest_is_read_as_far_as_it_makes_sense() -> None:
    odd = gear({"a": IMAGE, "b": "text", "c": {"type": "nifti"}}, {"k": {"enum": "x", "minimum": "low"}, "l": None})
    assert list(inputs_of(odd)) == ["a", "c"]
    assert inputs_of(odd)["a"].types == ("nifti",)
    assert inputs_of(odd)["c"].types == ()
    assert config_of(odd)["k"].choices == ()
    assert config_of(odd)["k"].least is None
    assert (inputs_of(gear(["x"])), config_of(gear(None, 5))) == ({}, {})


CONFIG = {
    "n": {"type": "integer", "default": 4, "minimum": 1, "maximum": 16},
    "x": {"type": "number", "default": 0.5},
    "on": {"type": "boolean", "default": False},
    "how": {"type": "string", "enum": ["fast", "slow"], "default": "fast"},
    "free": {"type": "string", "optional": True},
    "many": {"type": "array", "optional": True},
    "nothing": {"type": "string", "default": None, "optional": True},
}


@pytest.mark.parametrize(
    ("key", "value", "means"),
    [
        ("n", "8", 8), ("n", 8, 8), ("x", "2", 2), ("x", "2.5", 2.5), ("on", "true", True), ("on", "No", False),
        ("on", True, True), ("how", "slow", "slow"), ("free", "5", "5"), ("free", "", ""), ("many", "[1, 2]", [1, 2]),
        ("many", (1, 2), [1, 2]),
    ],
)  # fmt: skip
def test_values_are_read_as_the_manifest_says(key: str, value: Any, means: Any) -> None:
    held = configured(gear(None, CONFIG), {key: value})
    assert held == {"n": 4, "x": 0.5, "on": False, "how": "fast", key: means}
    assert type(held[key]) is type(means)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("n", "many", "--set n=many: is no integer"), ("n", "2.5", "is no integer"), ("n", True, "is no integer"),
        ("n", "true", "is no integer"), ("n", "0", "is less than 1"), ("n", "17", "is more than 16"),
        ("x", "NaN", "is no number"), ("x", "1e", "is no number"), ("on", "perhaps", "is no boolean"),
        ("how", "medium", "is none of fast, slow"), ("many", "1", "is no array"), ("free", 5, "is no string"),
        ("hwo", "fast", "has no such setting; did you mean how?"),
        ("zzz", "1", "has no such setting; it has n, x, on"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_one_line(key: str, value: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line.replace("?", r"\?")):
        configured(gear(None, CONFIG), {key: value})


def test_a_value_that_nobody_gave_and_that_has_no_default() -> None:
    with pytest.raises(UsageError, match="needs a value for license; give it by --set license=VALUE"):
        configured(gear(None, {"license": {"type": "string"}}), {})
    assert configured(gear(None, {"license": {"type": "string"}}), {"license": "x"}) == {"license": "x"}


@given(st.text(max_size=30), st.sampled_from(sorted(CONFIG)))
def test_any_text_is_taken_or_refused_and_what_is_taken_fits(text: str, key: str) -> None:
    try:
        held = configured(gear(None, CONFIG), {key: text})[key]
    except UsageError:
        return
    kinds = {"n": int, "x": (int, float), "on": bool, "many": list}
    assert isinstance(held, kinds.get(key, str))


def test_versions_compare_by_their_numbers() -> None:
    versions = ["1.10.0", "1.9.3", "2.0.0-rc1", None]
    assert max(versions, key=version_rank) == "2.0.0-rc1"
    every = [gear(version=version) for version in versions] + [gear(version="3.0.0", disabled="2024-01-01")]
    assert [one.gear.version for one in newest_of_each(every)] == ["2.0.0-rc1"]


# --- what a person writes of inputs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names", "pattern", "conditions"),
    [
        ("a=*.nii.gz", ("a",), "*.nii.gz", ()),
        ("a,b_2..4=*T1*", ("a", "b_2", "b_3", "b_4"), "*T1*", ()),
        ("a=*.nii.gz,Measurement=T1", ("a",), "*.nii.gz", (("Measurement", "T1"),)),
        ("a=x, y.nii,type=nifti , Intent=Structural", ("a",), "x, y.nii", (("type", "nifti"), ("Intent", "Structural"))),
        ("a=b=c.nii", ("a",), "b=c.nii", ()),
    ],
)  # fmt: skip
def test_wishes_are_read(text: str, names: Any, pattern: str, conditions: Any) -> None:
    assert InputWish.parse(text) == InputWish(names, pattern, conditions)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("anatomical", "write NAME=GLOB"), ("=x", "write NAME=GLOB"), ("a=", "write NAME=GLOB"),
        ("a=*,type=nifti,b", "write NAME=GLOB"), ("a,,b=*", "names no input before a comma"),
        ("a,a=*", "names an input twice"), ("b_4..2=*", "is no range"), ("b_1..99999=*", "is no range"),
    ],
)  # fmt: skip
def test_an_unreadable_wish_is_one_line(text: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        InputWish.parse(text)


@given(st.text(max_size=60))
def test_any_wish_is_read_or_refused(text: str) -> None:
    try:
        wish = InputWish.parse(text)
    except UsageError:
        return
    assert wish.names
    assert wish.pattern


@pytest.mark.parametrize(
    ("wishes", "line"),
    [
        (["t1_2=*"], "needs the input anatomical; name its files by --input anatomical=GLOB"),
        (["anatomcal=*"], "has no such input; did you mean anatomical?"),
        (["anatomical=*", "anatomical,t2=*"], "is given twice"),
        (["anatomical=*", "api-key=*"], "takes no file \\(api-key\\); the site fills it"),
    ],
)
def test_wishes_must_fit_the_manifest(wishes: list[str], line: str) -> None:
    with pytest.raises(UsageError, match=line.replace("?", r"\?")):
        Wanted(RECON, [InputWish.parse(text) for text in wishes])


def entry(name: str, **more: Any) -> FileEntry:
    return FileEntry(name=name, **more)


def test_which_files_fit() -> None:
    wishes = ["anatomical,t1_2..3=*.nii.gz,Measurement=T1", "t2=*,Measurement=T2,modality=M?"]
    wanted = Wanted(RECON, [InputWish.parse(text) for text in wishes])
    one = {"type": "nifti", "classification": {"Measurement": ["T1"]}}
    assert wanted.fitting(entry("a.nii.gz", **one)) == [0]
    assert wanted.fitting(entry("a.nii.gz", classification={"Measurement": "T1"})) == [0]  # a type nobody knows
    assert wanted.fitting(entry("a.nii.gz", classification={"Measurement": ["T2"]}, modality="MR")) == [1]
    for other in (
        entry("a.nii.gz", type="nifti"), entry("a.txt", **one), entry("a.nii.gz", **{**one, "type": "qa"}),
        entry("b", classification={"Measurement": ["T2"]}),
    ):  # fmt: skip
        assert wanted.fitting(other) == [], other.name


# --- filling ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 50), unique=True, max_size=8), st.sampled_from(["", "first", "newest", "oldest"]))
def test_a_series_is_filled_in_order_and_what_is_left_is_counted(numbers: list[int], pick: Any) -> None:
    wanted = Wanted(RECON, [InputWish.parse("anatomical,t1_2..3=*")])
    filled = wanted.fill({0: [made(f"f{n}", n) for n in numbers]}, pick)
    if not numbers:
        assert filled.missing == "no file for the input anatomical (*)"
        return
    chosen = sorted(numbers, reverse=pick == "newest")[: len(SERIES)]
    assert list(filled.inputs) == SERIES[: len(chosen)]
    assert [file.name for file in filled.inputs.values()] == [f"f{n}" for n in chosen]
    assert filled.left == max(len(numbers) - len(SERIES), 0)


@given(st.lists(st.integers(0, 50), unique=True, min_size=2, max_size=5))
def test_several_files_for_one_input_are_refused_until_one_is_picked(numbers: list[int]) -> None:
    wanted = Wanted(RECON, [InputWish.parse("anatomical=*")])
    files = {0: [made(f"f{n}", n) for n in numbers]}
    refused = wanted.fill(files, "")
    assert refused.refused.startswith(f"{SEVERAL}: {len(numbers)} for anatomical (")
    assert not refused.inputs
    assert wanted.fill(files, "newest").inputs["anatomical"].name == f"f{max(numbers)}"
    assert wanted.fill(files, "oldest").inputs["anatomical"].name == f"f{min(numbers)}"


def test_first_goes_by_containers_and_oldest_by_files() -> None:
    early, late = made("x", 1, created="9"), made("y", 2, created="1")
    assert [file.name for file in ordered([late, early], "first")] == ["x", "y"]
    assert [file.name for file in ordered([late, early], "oldest")] == ["y", "x"]


def test_an_optional_input_without_a_file_stays_empty() -> None:
    wanted = Wanted(RECON, [InputWish.parse("anatomical=*"), InputWish.parse("t2=*")])
    assert list(wanted.fill({0: [made("f", 1)]}, "").inputs) == ["anatomical"]


def test_what_is_remembered_of_a_file() -> None:
    above = {"project": Above("project", "p1", "study"), "session": Above("session", "s1", "ses")}
    held = FileEntry(name="f", file_id="f1", version=3, created="2024-01-01T00:00:00.000Z")
    file = input_file(Candidate(entry=held, above=above, held_by=("session", "s1")))
    assert file.reference == {"type": "session", "id": "s1", "name": "f"}
    assert (file.file_id, file.version, file.order[:2]) == ("f1", 3, ("p1", "s1"))


# --- the same files ---------------------------------------------------------------------------------------------------

files = st.lists(st.integers(0, 5), max_size=5).map(lambda numbers: [made(f"f{n}", n) for n in numbers])


def held_as(file: InputFile) -> tuple[str, str, str, int]:
    return file.file_id, file.container, file.name, file.version


@given(files, st.randoms())
def test_the_same_files_in_any_order_are_the_same(wanted: list[InputFile], random: Any) -> None:
    held = [held_as(file) for file in wanted]
    random.shuffle(held)
    assert same_inputs(wanted, held)
    assert same_inputs(wanted, [("", container, name, 0) for _, container, name, _ in held])  # an older site


@given(files, files)
def test_other_files_are_others(one: list[InputFile], other: list[InputFile]) -> None:
    agree = sorted(file.name for file in one) == sorted(file.name for file in other)
    assert same_inputs(one, [held_as(file) for file in other]) == agree


def test_a_newer_version_or_another_container_is_another_file() -> None:
    file = made("f", 1)
    assert not same_inputs([file], [(file.file_id, "", "f", 2)])
    assert not same_inputs([file], [("other", "a1", "f", 1)])
    assert not same_inputs([file], [("", "a2", "f", 1)])
    assert same_inputs([file], [("", "", "f", 0)])


# --- what is started --------------------------------------------------------------------------------------------------


def place(ident: str = "s1", *, held: Any = (), runs: Any = ()) -> Destination:
    above = {
        "project": Above("project", "p1", "study", note="lab"), "subject": Above("subject", "u1", "sub-1"),
        "session": Above("session", ident, f"ses-{ident}"),
    }  # fmt: skip
    return Destination(above, {0: list(held)}, list(runs))


def planned(*places: Destination, rerun: Any = "never", of: Gear = RECON, label: str = "") -> list[WorkItem | Outcome]:
    wanted = Wanted(of, [InputWish.parse("anatomical=*")] if of.gear.inputs else [])
    told = Label(label, of, NOW, "session")
    return list(entries(of, wanted, places, pick="", rerun=rerun, label=told, config={"n": 1}, tags=("t",)))


def test_a_run_is_planned_with_all_that_its_request_needs() -> None:
    (item,) = planned(place(held=[made("f", 1)]), label="{gear} of {subject}/{session} {{{date}}}")
    assert isinstance(item, WorkItem)
    assert (item.kind, item.target) == ("launch.analysis", "lab/study/sub-1/ses-s1")
    assert item.key == "launch:recon/1.2.0:session:s1"
    launch = item.payload
    assert isinstance(launch, Launch)
    assert launch.label == "recon of sub-1/ses-s1 {2024-05-01}"
    assert launch.told == "recon/1.2.0 on anatomical=f"
    assert launch.destination == Reference(type="session", id="s1")
    assert launch.job == {
        "gear_id": "g" * 24, "inputs": {"anatomical": {"type": "acquisition", "id": "a1", "name": "f"}}, "tags": ["t"],
        "priority": "medium", "config": {"n": 1},
    }  # fmt: skip


def test_other_gears_make_jobs_and_the_label_is_the_sdk_s() -> None:
    (item,) = planned(place(), of=gear(category="utility"))
    assert isinstance(item, WorkItem)
    assert item.kind == "launch.job"
    assert item.payload.label == "recon 2024-05-01 12:30:15"


def test_the_mark_tells_files_and_versions_apart_and_nothing_else() -> None:
    def mark(*held: InputFile, label: str = "", of: Gear = RECON) -> str:
        (item,) = planned(place(held=held), label=label, of=of)
        assert isinstance(item, WorkItem)
        return str(item.payload.mark)

    newer = gear(RECON.gear.inputs, version="1.3.0")
    assert mark(made("f", 1)) == mark(made("f", 1), label="another")
    assert len({mark(made("f", 1)), mark(made("g", 1)), mark(made("f", 1), of=newer)}) == 3


past = st.lists(
    st.builds(
        PastRun,
        id=st.uuids().map(str),
        state=st.sampled_from(["pending", "running", "failed", "complete", "cancelled", ""]),
        inputs=st.sampled_from([(held_as(made("f", 1)),), (held_as(made("other", 1)),), ()]),
    ),
    max_size=4,
)


@given(past, st.sampled_from(["never", "failed", "always"]))
def test_which_runs_are_started_again(runs: list[PastRun], rerun: Any) -> None:
    (one,) = planned(place(held=[made("f", 1)], runs=runs), rerun=rerun)
    same = [run for run in runs if run.inputs == (held_as(made("f", 1)),)]
    standing = {"never": same, "failed": [r for r in same if r.state not in ("failed", "cancelled")], "always": []}
    if standing[rerun]:
        assert isinstance(one, Outcome)
        assert (one.state, one.ref) == ("unchanged", standing[rerun][-1].id)
    else:
        assert isinstance(one, WorkItem)
        assert one.payload.known == {run.id for run in same}


def test_what_can_t_run_says_why() -> None:
    two, none = planned(place("s1", held=[made("f", 1), made("g", 2)]), place("s2"))
    assert isinstance(two, Outcome)
    assert isinstance(none, Outcome)
    assert (two.state, none.state) == ("failed", "skipped")
    assert "2 for anatomical (f, g)" in two.reason
    assert none.reason == "no file for the input anatomical (*)"


@pytest.mark.parametrize(
    ("template", "line"),
    [
        ("{sbject}", "there is no {sbject} here; there is gear, version, date, time, group, project, subject, session"),
        ("{acquisition}", "there is no {acquisition} here"), ("open {", "a single {; write {{ for it"),
        ("{}", "there is no {} here"),
    ],
)  # fmt: skip
def test_a_wrong_label_is_one_line(template: str, line: str) -> None:
    with pytest.raises(UsageError) as caught:
        Label(template, RECON, NOW, "session")
    assert line in caught.value.line


# --- jobs -------------------------------------------------------------------------------------------------------------


def job(ident: str, state: str, *, session: str = "s1", file: str = "f", version: str = "1") -> ListedJob:
    return ListedJob(
        id=ident, state=state, created=ident, gear_info=GearInfo(name="recon", version=version),
        parents=Parents(project="p", session=session), inputs=[{"input": "a", "id": "x", "name": file}],
    )  # fmt: skip


def test_a_failure_that_was_made_good_does_not_count() -> None:
    jobs = [
        job("1", "failed"), job("2", "complete"), job("3", "failed", session="s2"), job("4", "failed", file="g"),
        job("5", "running", file="g", version="2"), job("6", "complete", session="s3"), job("7", "failed", session="s3"),
    ]  # fmt: skip
    assert [one.id for one in failed_for_good(reversed(jobs))] == ["3", "7"]
    bare = [ListedJob(id="8", state="failed"), ListedJob(id="9", state="failed")]
    assert len(failed_for_good(bare)) == 2


def test_jobs_as_a_table() -> None:
    table = jobs_table([job("2", "failed"), job("1", "complete")], {"1": "lab/study/sub/ses"}, "here")
    assert [row[0] for row in table.rows] == ["1", "2"]
    assert table.facts == {"jobs": 2, "complete": 1, "failed": 1}
    assert next(table.records())["destination"] == "lab/study/sub/ses"
