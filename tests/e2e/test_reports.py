"""`fwsync report`: what the SDK's loops of the tutorial tell, by listings of whole projects."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from site_ import Person, Site, add_project, sandbox

import fwsync


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        yield running


@pytest.fixture
def person(tmp_path: Path, demo: Site) -> Person:
    return Person(tmp_path, demo.key)


def told(person: Person, *arguments: str, code: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a report and what is said of all of them."""
    done = person.types("report", *arguments, "--json")
    assert done.returncode == code, done.stderr
    *rows, about = [json.loads(line) for line in done.stdout.splitlines()]
    assert about["event"] == "table"
    assert about["rows"] == len(rows)
    return rows, about["facts"]


def tutorial_demographics(project: Any) -> dict[str, list[Any]]:
    """The tutorial's own loop."""
    report: dict[str, list[Any]] = {"subject": [], "age": [], "sex": []}
    for subject in project.subjects():
        subject = subject.reload()
        report["subject"].append(subject.label)
        report["sex"].append(subject.sex)
        session = subject.sessions.find_first()
        age = session.reload().age_years if session else None
        report["age"].append(age or np.nan)
    return report


@pytest.mark.parametrize("label", ["neuro-study", "tutorial", "BIDS-Sample"])
def test_demographics_are_those_of_the_tutorial(demo: Site, person: Person, label: str) -> None:
    project = demo.sdk().projects.find_one(f"label={label}")
    wanted = tutorial_demographics(project)
    rows, facts = told(person, "demographics", f"{project.group}/{label}")
    ages = np.ma.array(wanted["age"], mask=np.isnan(wanted["age"]))
    assert facts["subjects"] == len(wanted["subject"])
    assert facts["without age"] == int(np.isnan(wanted["age"]).sum())
    if ages.count():
        assert facts["mean age"] == pytest.approx(float(np.mean(ages)), rel=1e-12)
        assert facts["std of age"] == pytest.approx(float(np.std(ages)), rel=1e-12)
    else:
        assert facts["mean age"] is facts["std of age"] is None
    for sex in {one or "unknown" for one in wanted["sex"]}:
        count = sum((one or "unknown") == sex for one in wanted["sex"])
        assert facts[f"sex {sex}"] == count
        assert facts[f"percent {sex}"] == pytest.approx(count / len(wanted["sex"]) * 100)
    found = {row["subject"]: (row["age"], row["sex"]) for row in rows}
    expected = {
        one: (None if np.isnan(age) else age, sex)
        for one, age, sex in zip(wanted["subject"], wanted["age"], wanted["sex"], strict=True)
    }
    assert found == expected


def test_the_first_session_is_the_earliest(site: Site, tmp_path: Path) -> None:
    person = Person(tmp_path, site.key)
    subject = add_project(site, "visits").add_subject(label="anna", sex="female", info={"hand": {"side": "L"}})
    year = 31_557_600
    subject.add_session(label="made first", age=40 * year, timestamp="2020-05-01T10:00:00+00:00", weight=70.5)
    subject.add_session(label="earliest", age=30 * year, timestamp="2010-05-01T12:00:00+09:00", weight=60)
    subject.add_session(label="no time", age=20 * year)
    columns = ("--column", "subject.info.hand.side", "--column", "session.weight", "--column", "subject.info.none")
    rows, _ = told(person, "demographics", "lab/visits", *columns)
    assert rows == [
        {"project": "lab/visits", "subject": "anna", "sex": "female", "age": 30.0, "sessions": 3,
         "subject.info.hand.side": "L", "subject.info.none": None, "session.weight": 60.0}
    ]  # fmt: skip
    rows, facts = told(person, "demographics", "lab/visits", "--by", "session", "--column", "session.weight")
    assert [(row["session"], row["age"], row["session.weight"]) for row in rows] == [
        ("earliest", 30.0, 60.0), ("made first", 40.0, 70.5), ("no time", 20.0, None),
    ]  # fmt: skip
    assert (facts["subjects"], facts["sessions"], facts["mean age"]) == (1, 3, pytest.approx(30.0))
    rows, facts = told(person, "demographics", "lab/visits", "--where", "session.age>=35y")
    assert [(row["age"], row["sessions"]) for row in rows] == [(40.0, 1)]


def tutorial_overview(project: Any, label: str) -> list[tuple[str, str, str, str]]:
    """The tutorial's own loop."""
    out = []
    for subject in project.subjects.iter():
        for session in subject.sessions.iter():
            out += [(label, subject.label, session.label, one.label) for one in session.acquisitions.iter()]
    return out


@pytest.mark.parametrize("path", ["scitran/BIDS-Sample", "demo/neuro-study"])
def test_the_overview_is_that_of_the_tutorial(demo: Site, person: Person, path: str) -> None:
    project = demo.sdk().lookup(path)
    wanted = tutorial_overview(project, path)
    rows, facts = told(person, "overview", path)
    found = [tuple(row.values()) for row in rows]
    assert [row for row in found if row[3]] == sorted(wanted)
    empty = [one.label for one in project.subjects.iter() if not one.sessions()]
    assert [row for row in found if not row[3]] == [(path, label, None, None) for label in empty]
    subjects, sessions = len(project.subjects()), len(project.sessions())
    assert facts == {"projects": 1, "subjects": subjects, "sessions": sessions, "acquisitions": len(wanted)}


def test_an_overview_counts_files_by_type(demo: Site, person: Person) -> None:
    project = demo.sdk().lookup("demo/neuro-study")
    wanted: dict[tuple[str, str], dict[str, int]] = {}
    for session in project.sessions():
        counts: dict[str, int] = {}
        for one in (session.reload(), *(scan.reload() for scan in session.acquisitions())):
            for entry in one.files:
                for name, amount in (("files", 1), ("bytes", entry.size)):
                    for key in (name, f"{entry.type or 'untyped'} {name}"):
                        counts[key] = counts.get(key, 0) + amount
        wanted[session.subject.label, session.label] = counts
    rows, facts = told(person, "overview", "demo/neuro-study", "--by", "session", "--files")
    for row in rows:
        counts = wanted.get((row["subject"], row["session"]), {})
        counted = {name: value for name, value in row.items() if name.endswith(("files", "bytes"))}
        assert counted == {name: counts.get(name, 0) for name in counted}
        assert counts.keys() <= counted.keys()
    for name in ("files", "bytes"):
        assert facts[name] == sum(row[name] for row in rows) == sum(held[name] for held in wanted.values())
    narrowed, facts = told(person, "overview", "demo/neuro-study", "--by", "session", "--files", "--type", "nifti")
    assert facts["files"] == sum(held["nifti files"] for held in wanted.values())
    assert "dicom files" not in narrowed[0]
    done = person.types("report", "overview", "demo/neuro-study", "--files")
    assert "note: 32 files lie above the acquisitions and are in no row" in done.stderr


def tutorial_missing(project: Any, expected: list[str]) -> dict[str, list[str]]:
    """The tutorial's own loop, by subject."""
    missing = {}
    for subject in project.subjects.iter():
        labels = {one.label for session in subject.sessions.iter() for one in session.acquisitions.iter()}
        if lacking := [label for label in expected if label not in labels]:
            missing[subject.label] = lacking
    return missing


EXPECTED = [*(f"task-balloonanalogrisktask_run-0{run}" for run in (4, 3, 1, 2)), "inplaneT2", "T1w"]


def test_what_is_missing_is_what_the_tutorial_finds(demo: Site, person: Person) -> None:
    wanted = tutorial_missing(demo.sdk().lookup("scitran/BIDS-Sample"), EXPECTED)
    assert wanted == {"sub-13": [EXPECTED[0]], "sub-14": [EXPECTED[0]]}
    flags = [part for label in EXPECTED for part in ("--expect", label)]
    for by in ("subject", "session"):
        rows, facts = told(person, "missing", "scitran/BIDS-Sample", "--by", by, *flags, code=3)
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["subject"], []).append(row["missing"])
        assert found == wanted
        assert (facts[f"{by}s"], facts["complete"], facts["incomplete"]) == (16, 14, 2)
        assert facts[f"missing {EXPECTED[0]}"] == 2
    told(person, "missing", "scitran/BIDS-Sample", *flags, "--allow-missing")
    told(person, "missing", "scitran/BIDS-Sample", "--subject", "sub-0*", *flags)
    (person.work / "expected.txt").write_text("# all\n" + "\r\n".join(EXPECTED) + "\n", encoding="utf-8")
    told(person, "missing", "scitran/BIDS-Sample", "--expect-from", "expected.txt", code=3)
    rows, facts = told(person, "missing", "scitran/BIDS-Sample", "--expect-auto", "80", code=3)
    assert [row["missing"] for row in rows] == [EXPECTED[0]] * 2
    assert {name for name in facts if name.startswith("missing ")} == {f"missing {label}" for label in EXPECTED}
    told(person, "missing", "scitran/BIDS-Sample", "--expect-auto")  # 14 of 16 are less than 90 percent


def test_who_has_nothing_lacks_everything(person: Person) -> None:
    for by in ("session", "subject"):
        rows, facts = told(person, "missing", "demo/neuro-study", "--expect", "T1w*", "--by", by, code=3)
        assert [(row["subject"], row["missing"]) for row in rows] == [("sub-014", "T1w*"), ("sub-015", "T1w*")]
        assert facts["without any acquisition"] == 2
    # A wish about sessions says who is asked; one about acquisitions and files what counts.
    told(person, "missing", "demo/neuro-study", "--session", "ses-*", "--expect", "T1w*")
    rows, facts = told(person, "missing", "demo/neuro-study", "--type", "dicom", "--expect", "T1w*", code=3)
    assert (facts["sessions"], len(rows)) == (32, 34)
    rows, facts = told(person, "missing", "demo/neuro-study", "--acquisition", "T2w*", "--expect", "T1w*", code=3)
    assert (facts["sessions"], len(rows)) == (32, 34)


def test_files_are_expected_too(person: Person) -> None:
    rows, _ = told(
        person, "missing", "demo/neuro-study", "--session", "*", "--expect-file", "T1w*:*.nii.gz",
        "--expect-file", "T2w*:*.html", code=3,
    )  # fmt: skip
    assert len(rows) == 32
    assert {row["missing"] for row in rows} == {"T2w*:*.html"}


def test_a_label_that_is_nowhere_is_told_with_near_ones(person: Person) -> None:
    done = person.types("report", "missing", "scitran/BIDS-Sample", "--expect", "T1")
    assert done.returncode == 3
    assert "note: T1 is nowhere; did you mean T1w?" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("missing scitran/BIDS-Sample", "what should be there? say it by --expect"),
        ("missing scitran/BIDS-Sample --expect-auto 0", "--expect-auto 0: is a percentage"),
        ("missing scitran/BIDS-Sample --expect-file T1w", "--expect-file T1w: write ACQUISITION:FILE"),
        ("missing scitran/BIDS-Sample --expect-from none.txt", "none.txt: can't be read"),
        ("missing scitran/BIDS-Sample/sub-01/ses-/T1w --expect x", "is below a session"),
        ("missing scitran/BIDS-Sample/sub-01/ses- --by subject --expect x", "is below a subject"),
        ("demographics scitran/BIDS-Sample --column subject.sx", "subjects have no such field; did you mean sex"),
        ("demographics scitran/BIDS-Sample --column label", "write subject.FIELD or session.FIELD"),
        ("demographics scitran/BIDS-Sample/sub-1", "sub-1: matches nothing; did you mean"),
        ("overview scitran/BIDS-Sampl", "did you mean scitran/BIDS-Sample"),
        ("overview scitran/BIDS-Sample --out a.txt", "name it .csv or .tsv"),
        ("overview scitran/BIDS-Sample --type none", "--type none: matches nothing"),
        ("overvew", "did you mean overview"),
    ],
)
def test_mistakes_are_one_line(person: Person, arguments: str, line: str) -> None:
    done = person.types("report", *arguments.split(), "--progress", "none")
    assert done.returncode == 2
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


HOSTILE = ("=1+1", "a\x1b[31mred", 'comma, "quote"', "漢字")


def test_hostile_labels_harm_neither_terminal_nor_spreadsheet(site: Site, tmp_path: Path) -> None:
    person = Person(tmp_path, site.key)
    project = add_project(site, "hostile")
    for label in HOSTILE:
        project.add_subject(label=label).add_session(label=label).add_acquisition(label=label)
    for command in (["overview"], ["missing", "--expect", "T1\x1b[0m", "--allow-missing"], ["demographics"]):
        shown = person.types("report", *command, "lab/hostile")
        assert shown.returncode == 0, shown.stderr
        assert "\x1b" not in shown.stdout + shown.stderr
    done = person.types("report", "overview", "lab/hostile", "--out", "all.csv")
    assert done.returncode == 0, done.stderr
    text = (person.work / "all.csv").read_text(encoding="utf-8")
    with (person.work / "all.csv").open(encoding="utf-8", newline="") as file:
        found = {row["acquisition"] for row in csv.DictReader(file)}
    assert found == {"'=1+1", *HOSTILE[1:]}
    assert stat.S_IMODE((person.work / "all.csv").stat().st_mode) == 0o600
    printed = person.types("report", "overview", "lab/hostile", "--format", "csv", "--progress", "none")
    assert printed.stdout == text


def test_reports_cost_few_requests_and_write_nothing(demo: Site, person: Person) -> None:
    before = demo.stats()
    for command in (["demographics"], ["overview"], ["missing", "--expect", "T1w*", "--allow-missing"]):
        told(person, *command, "demo/neuro-study")
    after = demo.stats()
    assert after["total"] - before["total"] <= 3 * 6
    assert not (person.home / "state").exists()


async def test_from_python_they_are_the_same_tables(demo: Site, person: Person) -> None:
    for name in [name for name in os.environ if name.startswith("FWSYNC_")]:
        pytest.fail(f"{name} is set")
    path = "demo/neuro-study"
    async with fwsync.connect(api_key=demo.key, state_folder=person.home) as fw:
        people = await fw.demographics(path, by="session", columns="subject.info.handedness", where="session.age>=40y")
        places = await fw.overview(path, by="subject", files=True, type="nifti")
        lacking = await fw.missing(path, expect=["T1w*", "none"], by="subject", subject="sub-01*")
        with pytest.raises(fwsync.UsageError, match="there is subject, session"):
            await fw.demographics(path, by="acquisition")  # type: ignore[arg-type]
        with pytest.raises(fwsync.ConfigError, match="unzip"):
            await fw.overview(path, unzip=True)  # type: ignore[call-arg]
    column = ("--column", "subject.info.handedness")
    rows, facts = told(person, "demographics", path, "--by", "session", *column, "--where", "session.age>=40y")
    assert (list(people.records()), people.facts) == (rows, facts)
    rows, facts = told(person, "overview", path, "--by", "subject", "--files", "--type", "nifti")
    assert (list(places.records()), places.facts) == (rows, facts)
    wishes = ("--by", "subject", "--subject", "sub-01*")
    rows, facts = told(person, "missing", path, "--expect", "T1w*", "--expect", "none", *wishes, code=3)
    assert (list(lacking.records()), lacking.facts) == (rows, facts)
    assert list(places.to_pandas().columns) == [column.name for column in places.columns]
    assert len(people.to_pandas()) == len(people.rows) > 0


def test_the_blocking_twins(demo: Site, person: Person) -> None:
    with fwsync.connect_blocking(api_key=demo.key, state_folder=person.home) as fw:
        assert fw.demographics("demo/tutorial").facts["mean age"] == 28.5
        assert fw.overview(project="demo/tutorial").facts["acquisitions"] == 3
        assert len(fw.missing(["demo/tutorial"], expect="T1").rows) == 3


@pytest.mark.parametrize("flags", ["--without files-listing --without pagination", "--page-limit 7"])
def test_a_site_with_less_gives_the_same_reports(demo: Site, tmp_path: Path, flags: str) -> None:
    full = Person(tmp_path / "full", demo.key)
    with sandbox("--demo", *flags.split()) as site:
        less = Person(tmp_path / "less", site.key)
        for command in (
            "overview demo/neuro-study --files --by subject",
            "demographics demo/neuro-study --type dicom --column subject.info.age",
            "missing demo/neuro-study --expect-auto --type nifti --allow-missing",
        ):
            assert told(less, *command.split()) == told(full, *command.split())


GUIDE = Path(__file__).parents[2] / "docs/guides/reports.md"


def test_the_commands_of_the_guide_run(person: Person) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    commands = [line.removeprefix("fwsync ") for line in text.splitlines() if line.startswith("fwsync report ")]
    assert len(commands) == 5
    for command in commands:
        done = person.types(*shlex.split(command.replace("lab/study", "demo/neuro-study")))
        assert done.returncode in (0, 3), done.stderr
    assert (person.work / "visits.csv").exists()
    for target in re.findall(r"\]\(([\w./-]+)", text):
        assert (GUIDE.parent / target).exists()
