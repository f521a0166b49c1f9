"""`fwsync report gear-status` against a real site, compared with the tutorial's own loop in the official SDK."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, add_project, sandbox

import fwsync

NEURO = "demo/neuro-study"
GEARS = ("bids-freesurfer", "grp13-container-export")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox("--demo") as running:
        yield running


@pytest.fixture(scope="module")
def person(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(tmp_path_factory.mktemp("home"), site.key)


def rows_of(person: Person, *arguments: str) -> list[dict[str, str]]:
    done = person.types("report", "gear-status", *arguments, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def by_the_tutorial(fw: Any, path: str, gear: str) -> dict[tuple[str, str], tuple[bool, str]]:
    """Subject and session to whether the gear ran and how, by the loop of the tutorial. Where there is one match it
    takes the state of the last analysis of the session, whichever gear made it; here it is that of the match."""
    out = {}
    for session in fw.lookup(path).sessions.iter():
        session = session.reload()
        matches = [one for one in session.analyses if one.gear_info.get("name") == gear]
        newest = max(matches, key=lambda one: one.created) if matches else None
        state = str(newest.job.get("state")) if newest else "never ran"
        out[session.subject.label, session.label] = (newest is not None, state)
    return out


@pytest.mark.parametrize("gear", GEARS)
def test_every_session_stands_as_the_loop_of_the_tutorial_says(site: Site, person: Person, gear: str) -> None:
    rows = rows_of(person, gear, NEURO)
    found = {(row["subject"], row["session"]): (row["ran"] == "true", row["state"]) for row in rows}
    assert found == by_the_tutorial(site.sdk(), NEURO, gear)
    assert len(rows) == 32
    assert {state for _, state in found.values()} >= {"complete", "failed", "never ran"}
    assert rows == rows_of(person, gear, "--project", NEURO)


def test_each_row_tells_of_the_run_that_counts(site: Site, person: Person) -> None:
    fw = site.sdk()
    sessions = {(one.subject.label, one.label): one.reload() for one in fw.lookup(NEURO).sessions.iter()}
    for state_of in ("latest", "latest-complete"):
        for row in rows_of(person, "bids-freesurfer", NEURO, "--state-of", state_of):
            runs = [
                a for a in sessions[row["subject"], row["session"]].analyses if a.gear_info.name == "bids-freesurfer"
            ]
            complete = [a for a in runs if str(a.job.state) == "complete"]
            assert (int(row["runs"]), int(row["complete"])) == (len(runs), len(complete))
            wanted = (complete or runs) if state_of == "latest-complete" else runs
            newest = max(wanted, key=lambda a: a.created, default=None)
            assert (row["id"], row["analysis"]) == ((newest.id, newest.label) if newest else ("", ""))
            assert row["version"] == ("1.2.1" if newest else "")
    again = Counter(row["state"] for row in rows_of(person, "bids-freesurfer", NEURO, "--state-of", "latest-complete"))
    assert again["complete"] > Counter(row["state"] for row in rows_of(person, "bids-freesurfer", NEURO))["complete"]


def test_a_handful_of_requests_whatever_the_size(site: Site, person: Person) -> None:
    before = Counter(site.stats()["requests"])
    rows_of(person, "bids-freesurfer", NEURO)
    asked = Counter(site.stats()["requests"]) - before
    assert asked.total() <= 8, asked


def test_runs_elsewhere_are_told_and_count_at_their_level(site: Site, person: Person) -> None:
    done = person.types("report", "gear-status", "bids-freesurfer", NEURO)
    assert "note: 1 run of bids-freesurfer on a subject counts for no session; --by subject shows them" in done.stderr
    subjects = rows_of(person, "bids-freesurfer", NEURO, "--by", "subject")
    assert (len(subjects), Counter(row["state"] for row in subjects)["complete"]) == (24, 1)
    assert "session" not in subjects[0]
    [whole] = rows_of(person, "bids-freesurfer", NEURO, "--by", "project")
    assert (whole["project"], whole["state"]) == ("demo/neuro-study", "never ran")


def test_any_selection_narrows_it(site: Site, person: Person) -> None:
    every = rows_of(person, "bids-freesurfer", NEURO)
    first = rows_of(person, "bids-freesurfer", NEURO, "--session", "ses-1")
    assert first == [row for row in every if row["session"] == "ses-1"]
    one = rows_of(person, "bids-freesurfer", f"{NEURO}/sub-001")
    assert one == [row for row in every if row["subject"] == "sub-001"]
    assert rows_of(person, "bids-freesurfer", f"{NEURO}/sub-001/ses-1/T1w_MPR") == one, "it is in that session"
    women = rows_of(person, "bids-freesurfer", NEURO, "--where", "subject.sex=female")
    held = {subject.label for subject in site.sdk().lookup(NEURO).subjects() if subject.sex == "female"}
    assert {row["subject"] for row in women} == {row["subject"] for row in every} & held
    both = rows_of(person, "grp13-container-export", NEURO, "--gear", "bids-freesurfer")
    assert 0 < len(both) < 32, "only sessions with outputs of the other gear"
    done = person.types("report", "gear-status", "bids-freesurfer", f"{NEURO}/sub-0x1")
    assert done.returncode == 2
    assert re.search(r"demo/neuro-study/sub-0x1: matches nothing; did you mean demo/neuro-study/sub-0\d\d", done.stderr)


def test_what_the_site_does_not_know_is_told_with_near_names(person: Person) -> None:
    for gear, told in (
        ("bids-freesurfe", "did you mean bids-freesurfer"),
        ("bids-freesurfer/9.9", "no such version"),
        ("/1.0", "give its name"),
    ):
        done = person.types("report", "gear-status", gear, NEURO, "-q")
        assert (done.returncode, done.stdout) == (2, ""), gear
        assert told in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert {row["state"] for row in rows_of(person, "bids-freesurfer/1.0.0", NEURO)} == {"never ran"}
    assert {row["state"] for row in rows_of(person, "mriqc", NEURO)} == {"never ran"}, "known, and never run"


def test_require_ends_in_3_where_a_complete_run_is_missing(person: Person) -> None:
    done = person.types("report", "gear-status", "bids-freesurfer", NEURO, "--require", "-q")
    assert done.returncode == 3
    assert done.stderr == "fwsync: bids-freesurfer has no complete run on 16 of 32 sessions\n"
    held = rows_of(person, "bids-freesurfer", NEURO)
    # A later failure takes nothing away from a run that was complete.
    fine = next(row for row in held if row["state"] == "failed" and int(row["complete"]))
    path = f"{NEURO}/{fine['subject']}/{fine['session']}"
    assert person.types("report", "gear-status", "bids-freesurfer", path, "--require").returncode == 0
    assert person.types("report", "gear-status", "bids-freesurfer", NEURO).returncode == 0


def test_forms(person: Person) -> None:
    done = person.types("report", "gear-status", "bids-freesurfer", NEURO)
    lines = done.stdout.splitlines()
    assert lines[0] == "bids-freesurfer by session, of demo/neuro-study"
    assert [line.split() for line in lines[1:3]] == [["sessions", "32"], ["complete", "8"]]
    told = [json.loads(line) for line in person.types(
        "report", "gear-status", "bids-freesurfer", NEURO, "--json").stdout.splitlines()]  # fmt: skip
    assert len(told) == 33
    assert told[-1]["facts"]["without a complete run"] == 16
    assert told[0]["ran"] in (True, False)
    done = person.types("report", "gear-status", "bids-freesurfer", NEURO, "--out", "runs.tsv")
    assert (done.returncode, done.stdout) == (0, "")
    assert len((person.work / "runs.tsv").read_text().splitlines()) == 33
    assert person.types("report", "gear-status", "bids-freesurfer", NEURO, "--out", "runs.txt").returncode == 2
    done = person.types("report", "gear-status", "bids-freesurfer", NEURO, "--upload", "--format", "csv")
    assert (done.returncode, done.stdout) == (2, "")


def test_the_report_is_attached_to_its_project_once(tmp_path: Path) -> None:
    with sandbox("--demo", "--faults", "upload:drop_reply=60%", "--fault-seed", "3") as site:
        person = Person(tmp_path, site.key)
        done = person.types("report", "gear-status", "grp13-container-export", NEURO, "--upload")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "complete"
        assert site.stats()["faults"], "an answer was lost"
        files = [file for file in site.sdk().lookup(NEURO).files if "RunReport" in file.name]
        [file] = files
        assert re.fullmatch(r"grp13-container-export_RunReport_\d\d_\d\d_\d{4}-\d\d_\d\d_\d\d\.csv", file.name)
        assert file.version == 1
        csv_text = person.types("report", "gear-status", "grp13-container-export", NEURO, "--format", "csv").stdout
        assert site.sdk().lookup(NEURO).read_file(file.name).decode() == csv_text
        assert list((tmp_path / "state/fwsync/reports").iterdir()) == [], "it is not kept"
        done = person.types("report", "gear-status", "bids-freesurfer", "--group", "demo", "--upload")
        assert done.returncode == 2
        assert "the report is about 3 projects; name one" in done.stderr


def add_job(fw: Any, container: Any, state: str) -> None:
    """A run of a gear that makes no analysis, which is in a state."""
    gear = fw.lookup("gears/dicom-mr-classifier")
    body = {"gear_id": gear.id, "inputs": {}, "destination": {"type": container.container_type, "id": container.id}}
    call = fw.api_client.call_api
    made = call("/jobs/add", "POST", body=body, auth_settings=["ApiKey"], response_type=object)
    ident = (made[0] if isinstance(made, tuple) else made)["_id"]
    call(f"/jobs/{ident}", "PUT", body={"state": state}, auth_settings=["ApiKey"])


@pytest.mark.parametrize("flags", [(), ("--without", "analyses-listing,pagination")], ids=["whole", "smaller"])
def test_a_gear_that_makes_no_analyses_is_found_by_its_jobs(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with sandbox("--demo", *flags) as site:
        fw, person = site.sdk(), Person(tmp_path, site.key)
        project = add_project(site, "jobs")
        sessions = [project.add_subject(label=f"s{n}").add_session(label="x") for n in range(4)]
        scans = [[one.add_acquisition(label=label) for label in "ab"] for one in sessions]
        add_job(fw, scans[0][0], "failed")
        add_job(fw, scans[0][0], "complete")
        add_job(fw, scans[0][1], "complete")
        add_job(fw, scans[1][0], "complete")
        add_job(fw, scans[1][1], "failed")
        add_job(fw, sessions[2], "running")
        rows = rows_of(person, "dicom-mr-classifier", "lab/jobs")
        assert [(row["state"], row["runs"], row["complete"]) for row in rows] == [
            ("complete", "3", "2"), ("failed", "2", "1"), ("running", "1", "0"), ("never ran", "0", "0"),
        ]  # fmt: skip
        assert rows[0]["version"] == "1.4.1"
        scanned = rows_of(person, "dicom-mr-classifier", "lab/jobs", "--by", "acquisition", "--subject", "s1")
        assert [(row["acquisition"], row["state"]) for row in scanned] == [("a", "complete"), ("b", "failed")]
        done = person.types("report", "gear-status", "dicom-mr-classifier", "lab/jobs", "--require", "--subject", "s0")
        assert done.returncode == 0, "the failed one was run again"
        done = person.types("report", "gear-status", "dicom-mr-classifier", "lab/jobs", "--require", "--subject", "s1")
        assert done.returncode == 3


@pytest.mark.parametrize("without", ["analyses-listing", "pagination", "files-listing"])
def test_an_older_site_gives_the_same(person: Person, tmp_path: Path, without: str) -> None:
    with sandbox("--demo", "--without", without) as other:
        assert rows_of(Person(tmp_path, other.key), GEARS[0], NEURO) == rows_of(person, GEARS[0], NEURO)


async def test_from_python_it_is_the_same_table(site: Site, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(person.home / "state"))
    rows = rows_of(person, "bids-freesurfer", NEURO, "--session", "ses-1")
    async with fwsync.connect(api_key=site.key) as fw:
        table = await fw.gear_status("bids-freesurfer", NEURO, session="ses-1")
        assert [record["state"] for record in table.records()] == [row["state"] for row in rows]
        assert "".join(table.csv_lines()).splitlines()[1:] == [",".join(row.values()) for row in rows]
        subjects = await fw.gear_status("bids-freesurfer", NEURO, by="subject", state_of="latest-complete")
        assert subjects.facts["complete"] == 1
        both = await fw.gear_status("grp13-container-export", NEURO, gear="bids-freesurfer")
        assert 0 < len(both.rows) < 32
        for wrong in ({"by": "file"}, {"state_of": "first"}):
            with pytest.raises(fwsync.UsageError):
                await fw.gear_status("bids-freesurfer", NEURO, **wrong)
        with pytest.raises(fwsync.UsageError, match="did you mean mriqc"):
            await fw.gear_status("mriq", NEURO)


def test_from_a_notebook_it_is_the_same_table(site: Site, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(person.home / "state"))
    with fwsync.connect_blocking(api_key=site.key) as fw:
        frame = fw.gear_status("bids-freesurfer", NEURO).to_pandas()
    assert frame["state"].value_counts().to_dict() == {"failed": 16, "complete": 8, "never ran": 8}
