"""`fwsync gear`: what is started is what the official SDK's loops start, once, whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pytest
from site_ import Person, Site, add_project, sandbox

import fwsync

NEURO = "demo/neuro-study"
RECON = "freesurfer-recon-all"
T1, T2 = "anatomical,t1w_anatomical_2..5=*,Measurement=T1", "t2w_anatomical=*,Measurement=T2"
KILLS = int(6 * float(os.environ.get("FWSYNC_TEST_SCALE", "1")))


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    """Where fwsync starts gears."""
    with sandbox("--demo", "--jobs", "instant") as site:
        yield site


@pytest.fixture(scope="module")
def other() -> Iterator[Site]:
    """The same site, where the SDK starts them."""
    with sandbox("--demo", "--jobs", "instant") as site:
        yield site


@pytest.fixture
def person(demo: Site, tmp_path: Path) -> Person:
    return Person(tmp_path / "home", demo.key)


def summary(person: Person, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = person.types("gear", "run", *arguments, "--json")
    assert done.returncode == code, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def add_gear(site: Site, name: str, category: str = "analysis", **manifest: Any) -> None:
    whole = {"name": name, "label": name, "version": "1.0.0", "config": {}, "inputs": {}, **manifest}
    body = {"category": category, "gear": whole}
    site.sdk().api_client.call_api(f"/gears/{name}", "POST", body=body, auth_settings=["ApiKey"])


# --- as the SDK has it ------------------------------------------------------------------------------------------------


def recon_by_the_tutorial(fw: Any) -> None:
    """The tutorial's loop over subjects."""
    project = fw.lookup(NEURO)
    reconall_gear = fw.lookup(f"gears/{RECON}")
    input_order = ["anatomical", "t1w_anatomical_2", "t1w_anatomical_3", "t1w_anatomical_4", "t1w_anatomical_5"]
    for subject in project.subjects.iter():
        current_anat, have_t2, full_t1, inputs = 0, False, False, {}
        for session in subject.sessions.iter():
            for acq in session.acquisitions.iter():
                for file_obj in acq.files:
                    if file_obj.type == "nifti" and "Structural" in file_obj.classification.get("Intent", []):
                        if not full_t1 and file_obj.classification.get("Measurement") == ["T1"]:
                            inputs[input_order[current_anat]] = file_obj
                            current_anat += 1
                            full_t1 = current_anat > 4
                        if not have_t2 and file_obj.classification.get("Measurement") == ["T2"]:
                            inputs["t2w_anatomical"] = file_obj
                            have_t2 = True
        if inputs:  # the tutorial starts the others too, and these fail
            reconall_gear.run(
                analysis_label="Recon", inputs=inputs, destination=subject, config={"gear-FREESURFER_LICENSE": ""}
            )


def described(fw: Any, job: Any) -> dict[str, Any]:
    """All that a request decides of a job; what it made itself is named by where it is."""
    whole = fw.get_job(job.id)
    parents = {level: ident for level, ident in whole.parents.to_dict().items() if level != "analysis"}
    return {
        "gear": whole.gear_info.to_dict(),
        "gear_id": whole.gear_id,
        "inputs": {name: (ref.type, ref.id, ref.name) for name, ref in whole.inputs.items()},
        "config": whole.config["config"],
        "destination": (whole.destination.type, None if whole.destination.type == "analysis" else whole.destination.id),
        "tags": sorted(whole.tags),
        "priority": whole.priority,
        "parents": parents,
        "state": whole.state,
        "attempt": whole.attempt,
        "saved": whole.saved_files,
        "origin": whole.origin.to_dict(),
    }


def analysed(analysis: Any) -> dict[str, Any]:
    told = {name: getattr(analysis, name) for name in ("label", "description", "info", "tags")}
    gear = analysis.gear_info.to_dict()
    inputs = sorted((file.name, file.file_id, file.version) for file in analysis.inputs)
    parent = (analysis.parent.type, analysis.parent.id)
    return {**told, "gear": gear, "inputs": inputs, "parent": parent, "files": sorted(f.name for f in analysis.files)}


def everything(site: Site, gear: str) -> tuple[list[Any], list[Any]]:
    """All jobs and all analyses of a gear, in an order that both sites share."""
    fw = site.sdk()
    jobs = [described(fw, job) for job in fw.jobs.find(f"gear_info.name={gear}")]
    found = [analysed(fw.get_analysis(one.id)) for one in fw.analyses.find(f"gear_info.name={gear}")]
    return sorted(jobs, key=repr), sorted(found, key=repr)


def test_recon_on_every_subject_is_what_the_tutorial_s_loop_starts(demo: Site, other: Site, person: Person) -> None:
    recon_by_the_tutorial(other.sdk())
    told = summary(
        person, RECON, NEURO, "--on", "subject", "--pick", "first", "--input", T1, "--input", T2, "--type", "nifti",
        "--classification", "Intent=Structural", "--set", "gear-FREESURFER_LICENSE=", "--label", "Recon",
    )  # fmt: skip
    jobs, analyses = everything(other, RECON)
    assert len(jobs) == 22
    assert any(len(job["inputs"]) > 2 for job in jobs), "several sessions: a series was filled"
    assert everything(demo, RECON) == (jobs, analyses)
    assert told["states"] == {"done": 22}
    assert told["writes"] == 22
    assert told["requests"] - told["writes"] < 15, "listings, and nothing for one subject"


def test_a_utility_gear_makes_the_sdk_s_jobs(demo: Site, other: Site, person: Person) -> None:
    fw = other.sdk()
    mriqc = fw.lookup("gears/mriqc")
    for acquisition in fw.acquisitions.iter_find("label=T1w_MPR"):
        scan = acquisition.get_file("T1w_MPR.nii.gz")
        mriqc.run(inputs={"nifti": scan}, destination=acquisition, tags=["night", "first"], priority="high")
    told = summary(
        person, "mriqc/0.7.0", NEURO, "--on", "acquisition", "--acquisition", "T1w_MPR", "--input", "nifti=*.nii.gz",
        "--job-tag", "night", "--job-tag", "first", "--priority", "high",
    )  # fmt: skip
    assert told["states"] == {"done": 32}
    assert everything(demo, "mriqc") == everything(other, "mriqc")


def test_the_label_of_the_sdk_where_none_is_given(demo: Site, person: Person) -> None:
    fw = demo.sdk()
    subject = fw.lookup(f"{NEURO}/sub-001")
    fw.lookup("gears/grp13-container-export").run(destination=subject)
    summary(person, "grp13-container-export", f"{NEURO}/sub-001", "--on", "subject", "--rerun", "always")
    labels = [one.label for one in subject.reload().analyses if one.gear_info.name == "grp13-container-export"]
    assert len(labels) == 2
    shapes = {"".join("9" if char.isdigit() else char for char in label.partition(" ")[2]) for label in labels}
    assert shapes == {"9999-99-99 99:99:99"}


# --- what is there already --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project with three sessions of one file each, and two gears that fail or not."""
    with sandbox("--jobs", "instant", "--data", str(tmp_path_factory.mktemp("small"))) as site:
        project = add_project(site, "study")
        for number in range(3):
            session = project.add_subject(label=f"sub-{number}").add_session(label="ses")
            session.upload_file(flywheel.FileSpec("scan.nii.gz", f"bytes {number}", "application/octet-stream"))
        for name, category in (("maker", "analysis"), ("helper", "utility")):
            add_gear(site, name, category, inputs={"image": {"base": "file"}})
        yield site


def runs_of(site: Site, gear: str) -> int:
    return len(site.sdk().jobs.find(f"gear_info.name={gear}"))


@pytest.mark.parametrize("gear", ["maker", "helper"])
def test_what_ran_on_the_same_files_runs_again_only_where_that_is_wanted(
    small: Site, tmp_path: Path, gear: str
) -> None:
    person = Person(tmp_path / "home", small.key)
    flags = (gear, "lab/study", "--input", "image=scan*")
    failing = (*flags, "--job-tag", "sandbox:fail")
    assert summary(person, *failing)["states"] == {"done": 3}
    assert summary(person, *flags)["states"] == {"unchanged": 3}
    assert summary(person, *flags, "--rerun", "failed", "--session", "ses")["states"] == {"done": 3}
    assert summary(person, *flags, "--rerun", "failed")["states"] == {"unchanged": 3}
    assert summary(person, *flags, "--rerun", "always", "--subject", "sub-1")["states"] == {"done": 1}
    assert runs_of(small, gear) == 7
    session = small.sdk().lookup("lab/study/sub-2/ses")
    session.upload_file(flywheel.FileSpec("scan.nii.gz", f"newer bytes for {gear}", "application/octet-stream"))
    changed = summary(person, *flags)
    assert changed["states"] == {"unchanged": 2, "done": 1}, "a new version of a file is another input"
    assert summary(person, *flags)["states"] == {"unchanged": 3}


def test_a_run_is_retried_for_what_was_refused(small: Site, tmp_path: Path) -> None:
    with sandbox("--jobs", "instant", "--read-only-key", "may-only-read-000001") as site:
        project = add_project(site, "study")
        project.add_subject(label="sub").add_session(label="ses")
        add_gear(site, "maker")
        person = Person(tmp_path / "home", f"{site.host}:__force_insecure:may-only-read-000001")
        told = summary(person, "maker", "lab/study", "--label", "again {subject}", code=3)
        assert told["states"] == {"failed": 1}
        assert "403" in next(iter(told["reasons"]))
        done = person.types("retry", told["run"], FWSYNC_API_KEY=site.key)
        assert done.returncode == 0, done.stderr
        assert "1 started" in done.stdout
        (analysis,) = site.sdk().lookup("lab/study/sub/ses").reload().analyses
        assert analysis.label == "again sub"
        assert "1 unchanged" in person.types("gear", "run", "maker", "lab/study", FWSYNC_API_KEY=site.key).stdout


def test_outputs_of_one_gear_are_inputs_of_the_next(small: Site, tmp_path: Path) -> None:
    add_gear(small, "first")
    add_gear(small, "second", inputs={"values": {"base": "file"}})
    person = Person(tmp_path / "home", small.key)
    assert summary(person, "first", "lab/study")["states"] == {"done": 3}
    flags = ("second", "lab/study", "--analyses", "--input", "values=first.json")
    assert summary(person, *flags)["states"] == {"done": 3}
    assert summary(person, *flags)["states"] == {"unchanged": 3}
    fw = small.sdk()
    for job in fw.jobs.find("gear_info.name=second"):
        assert fw.get_job(job.id).inputs["values"].type == "analysis"


# --- a dry run, and what can't be -------------------------------------------------------------------------------------


def test_a_file_by_its_path_is_all_that_counts(small: Site, tmp_path: Path) -> None:
    add_gear(small, "exact", inputs={"image": {"base": "file"}})
    person = Person(tmp_path / "home", small.key)
    flags = ("exact", "--input", "image=scan*")
    assert summary(person, *flags, "lab/study/sub-1/ses/files/scan.nii.gz")["states"] == {"done": 1}
    assert summary(person, *flags, "lab/study/sub-1", "lab/study/sub-2/ses")["states"] == {"done": 1, "unchanged": 1}
    told = summary(person, *flags, "lab/study", "--on", "project", "--level", "project", "--allow-empty")
    assert told["states"] == {}
    assert runs_of(small, "exact") == 2


def test_a_dry_run_tells_each_run_and_starts_none(demo: Site, person: Person) -> None:
    before = len(demo.sdk().jobs.find())
    done = person.types("gear", "run", RECON, NEURO, "--on", "subject", "--input", "anatomical=T1*.nii.gz", "--dry-run")
    assert done.returncode == 3, "where several files fit, none is chosen"
    assert "would launch demo/neuro-study/sub-001: freesurfer-recon-all/2.0.1 on anatomical=T1w_MPR.nii.gz" in (
        done.stderr + done.stdout
    )
    assert "no file for the input anatomical (T1*.nii.gz)" in done.stdout
    assert "several files fit one input, choose by --pick" in done.stdout
    assert len(demo.sdk().jobs.find()) == before
    assert person.types("runs").stdout == ""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["recon", NEURO], "gear recon: 127.0.0.1:{port} has none of this name"),
        (["freesurfer-recon-al", NEURO], "did you mean freesurfer-recon-all"),
        ([f"{RECON}/9.9", NEURO], "no such version"),
        ([RECON, NEURO], "needs the input anatomical; name its files by --input anatomical=GLOB"),
        ([RECON, NEURO, "--input", "anatomical"], "write NAME=GLOB"),
        ([RECON, NEURO, "--input", "anatomicl=*"], "did you mean anatomical or"),
        ([RECON, NEURO, "--input", "anatomical=*", "--set", "subjct_id=5"], "did you mean subject_id?"),
        ([RECON, NEURO, "--input", "anatomical=*", "--set", "hippocampal_subfields=5"], "is no boolean"),
        ([RECON, NEURO, "--input", "anatomical=*", "--set", "subject_id"], "write KEY=VALUE"),
        ([RECON, NEURO, "--input", "anatomical=*", "--label", "{acquisition}"], "there is no {acquisition} here"),
        ([RECON, "demo/nothing", "--input", "anatomical=*"], "demo/nothing: not found"),
        ([RECON, NEURO, "--input", "anatomical=*", "--subject", "sub-1*x"], "--subject sub-1*x: matches nothing"),
        ([RECON, NEURO, "--input", "anatomical=*.mgz"], "--input anatomical: no selected file fits *.mgz"),
        ([RECON, NEURO, "--on", "visit"], "visit"),
        ([RECON, NEURO, "--gear", "x"], "no such option"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_nothing_starts(demo: Site, person: Person, arguments: list[str], line: str) -> None:
    before = len(demo.sdk().jobs.find())
    done = person.types("gear", "run", *arguments, "--progress", "none")
    assert done.returncode == 2, done.stdout
    assert line.replace("{port}", demo.host.partition(":")[2]).lower() in done.stderr.lower()
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert len(demo.sdk().jobs.find()) == before


# --- gears and jobs as tables -----------------------------------------------------------------------------------------


def test_gears_are_listed_and_shown(demo: Site, person: Person) -> None:
    def rows(*arguments: str) -> list[dict[str, Any]]:
        done = person.types("gear", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()][:-1]

    known = {gear.gear.name: gear for gear in demo.sdk().gears()}
    listed = rows("list")
    assert [(row["gear"], row["version"], row["category"]) for row in listed] == sorted(
        (name, gear.gear.version, gear.category) for name, gear in known.items()
    )
    assert [row["version"] for row in rows("list", "bids-*", "--all-versions")] == ["1.0.0", "1.2.1"]
    shown = rows("show", RECON)
    manifest = known[RECON].gear
    assert [row["name"] for row in shown] == [*manifest.inputs, *manifest.config]
    assert [row["name"] for row in shown if row["needed"]] == ["anatomical"]
    assert {row["choices"] for row in shown if row["what"] == "input"} == {"nifti"}
    assert person.types("gear", "show", "bids-freesurfer/1.0.0").returncode == 0
    none = person.types("gear", "list", "none-*")
    assert (none.returncode, "has none" in none.stderr) == (2, True)


def test_jobs_are_listed_below_any_place(demo: Site, person: Person) -> None:
    def listed(*arguments: str) -> list[dict[str, Any]]:
        done = person.types("gear", "jobs", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()][:-1]

    fw = demo.sdk()
    every = fw.jobs.find()
    assert {row["job"] for row in listed()} == {job.id for job in every}
    subject = fw.lookup(f"{NEURO}/sub-001")
    below = {job.id: job for job in every if job.parents.subject == subject.id}
    found = listed(f"{NEURO}/sub-001")
    assert {row["job"] for row in found} == set(below)
    assert all(row["destination"].startswith("demo/neuro-study/sub-001") for row in found)
    failed = listed(NEURO, "--state", "failed", "--gear", "bids-freesurfer/1.2.1")
    wanted = {job.id for job in every if job.state == "failed" and job.gear_info.name == "bids-freesurfer"}
    assert {row["job"] for row in failed} == wanted
    assert listed("--project", "demo/tutorial") == []
    path = person.work / "jobs.csv"
    assert person.types("gear", "jobs", NEURO, "--out", str(path)).returncode == 0
    assert path.read_text().startswith("job,gear,version,state,destination,created,attempt,failure_reason\n")
    assert path.stat().st_mode & 0o777 == 0o600
    nowhere = person.types("gear", "jobs", "demo")
    assert (nowhere.returncode, "name a project or what is below it" in nowhere.stderr) == (2, True)


def test_waiting_ends_with_the_jobs_and_tells_of_failures(tmp_path: Path) -> None:
    with sandbox("--jobs", "0.5") as site:
        project = add_project(site, "study")
        for number in range(6):
            project.add_subject(label=f"sub-{number}").add_session(label="ses")
        add_gear(site, "maker")
        person = Person(tmp_path / "home", site.key)
        summary(person, "maker", "lab/study")
        done = person.types("gear", "jobs", "lab/study", "--wait", "--json")
        assert done.returncode == 0, done.stderr
        assert "jobs have not ended" in done.stderr
        assert Counter(json.loads(line).get("state") for line in done.stdout.splitlines())["complete"] == 6
        summary(person, "maker", "lab/study", "--rerun", "always", "--job-tag", "sandbox:fail", "--subject", "sub-1")
        failed = person.types("gear", "jobs", "lab/study", "--wait")
        assert failed.returncode == 3
        assert "1 jobs failed" in failed.stderr
        summary(person, "maker", "lab/study", "--rerun", "always", "--subject", "sub-1")
        assert person.types("gear", "jobs", "lab/study", "--wait").returncode == 0, "it was made good"


def test_waiting_gives_up_in_time(tmp_path: Path) -> None:
    with sandbox("--jobs", "manual") as site:
        add_project(site, "study").add_subject(label="sub").add_session(label="ses")
        add_gear(site, "maker")
        person = Person(tmp_path / "home", site.key)
        summary(person, "maker", "lab/study")
        done = person.types("gear", "jobs", "lab/study", "--wait", "--timeout", "1s")
        assert done.returncode == 3
        assert "have not ended within 1s" in done.stderr
        assert "pending" in done.stdout
        assert person.types("gear", "jobs", "lab/study", "--timeout", "1s").returncode == 2


def change(person: Person, *flags: str, code: int = 0) -> dict[str, Any]:
    done = person.types("gear", "jobs", *flags, "--json")
    assert done.returncode == code, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def states_of(site: Site) -> Counter[str]:
    return Counter(job.state for job in site.sdk().jobs.find())


def test_jobs_that_have_not_ended_are_cancelled(tmp_path: Path) -> None:
    with sandbox("--jobs", "manual") as site:
        project = add_project(site, "study")
        for number in range(4):
            project.add_subject(label=f"sub-{number}").add_session(label="ses")
        add_gear(site, "maker")
        person = Person(tmp_path / "home", site.key)
        summary(person, "maker", "lab/study")
        unsure = person.types("gear", "jobs", "lab/study", "--cancel")
        assert unsure.returncode == 2
        assert "would cancel 4 jobs: look at them with --dry-run, then say --yes" in unsure.stderr
        shown = person.types("gear", "jobs", "lab/study", "--cancel", "--dry-run")
        assert "would cancel maker/1.0.0 on lab/study/sub-2/ses, job" in shown.stdout + shown.stderr
        assert states_of(site) == {"pending": 4}
        assert change(person, "lab/study/sub-1", "--cancel", "--yes")["states"] == {"done": 1}
        assert states_of(site) == {"pending": 3, "cancelled": 1}
        assert change(person, "lab/study", "--cancel", "--yes")["states"] == {"done": 3}
        assert change(person, "lab/study", "--cancel", "--yes")["states"] == {}
        assert states_of(site) == {"cancelled": 4}
        assert summary(person, "maker", "lab/study")["states"] == {"unchanged": 4}
        assert summary(person, "maker", "lab/study", "--rerun", "failed")["states"] == {"done": 4}


@pytest.mark.parametrize("faults", ["", "create:drop_reply=50%,create:status_503=20%"])
def test_failed_jobs_are_tried_again_once(tmp_path: Path, faults: str) -> None:
    data = tmp_path / "data"
    populated(data, 6)
    with sandbox("--data", str(data), "--jobs", "instant") as site:
        person = Person(tmp_path / "home", site.key)
        for gear in ("maker", "helper"):
            summary(person, gear, "lab/study", "--input", "image=scan*", "--job-tag", "sandbox:fail-once")
        assert states_of(site) == {"failed": 12}
    with sandbox("--data", str(data), "--jobs", "instant", *(["--faults", faults] if faults else [])) as site:
        person = Person(tmp_path / "home", site.key)
        assert change(person, "lab/study", "--retry-failed", "--dry-run")["would"] == {"retry.job": 12}
        done = person.types("gear", "jobs", "lab/study", "--retry-failed", "--json", FWSYNC_NETWORK_READ_TIMEOUT="2")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["states"] == {"done": 12}
        assert change(person, "lab/study", "--retry-failed")["states"] == {}
    with sandbox("--data", str(data)) as site:
        jobs = site.sdk().jobs.find()
        assert Counter((job.state, job.attempt) for job in jobs) == {("failed", 1): 12, ("complete", 2): 12}
        assert len({job.previous_job_id for job in jobs if job.previous_job_id}) == 12


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--cancel", "--retry-failed"], "choose one of them"), (["--cancel", "--wait"], "a command of its own"),
        (["--yes"], "--yes: is for --cancel"), (["--dry-run"], "--dry-run: is for --cancel"),
        (["--cancel", "--format", "csv"], "are for the list of jobs"), (["--wait", "--timeout", "soon"], "not an interval"),
    ],
)  # fmt: skip
def test_flags_that_do_not_go_together(small: Site, tmp_path: Path, flags: list[str], line: str) -> None:
    done = Person(tmp_path / "home", small.key).types("gear", "jobs", "lab/study", *flags)
    assert done.returncode == 2
    assert line in done.stderr


# --- whatever happens on the way --------------------------------------------------------------------------------------


def populated(data: Path, sessions: int) -> None:
    """A site with a project of that many sessions with a file each, and a gear of either kind."""
    with sandbox("--data", str(data)) as site:
        project = add_project(site, "study")
        for number in range(sessions):
            session = project.add_subject(label=f"sub-{number:02}").add_session(label="ses")
            session.upload_file(flywheel.FileSpec("scan.nii.gz", f"bytes {number}", "application/octet-stream"))
        add_gear(site, "maker", inputs={"image": {"base": "file"}})
        add_gear(site, "helper", "utility", inputs={"image": {"base": "file"}})


def one_each(site: Site, gear: str, sessions: int) -> None:
    """Each session has just one run of the gear."""
    jobs = site.sdk().jobs.find(f"gear_info.name={gear}")
    held = Counter(job.parents.session for job in jobs)
    assert len(held) == sessions
    assert set(held.values()) == {1}, held.most_common(3)


FAULTS = "create:drop_reply=20%,create:late_commit=20%:0.5,create:drop_request=10%,status_503=10%,list:status_502=10%"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("gear", ["maker", "helper"])
def test_lost_answers_start_nothing_twice(tmp_path: Path, gear: str) -> None:
    populated(tmp_path / "data", 20)
    with sandbox("--data", str(tmp_path / "data"), "--jobs", "instant", "--faults", FAULTS) as site:
        person = Person(tmp_path / "home", site.key)
        done = person.types(
            "gear", "run", gear, "lab/study", "--input", "image=*", "--json", FWSYNC_NETWORK_READ_TIMEOUT="2"
        )
        assert done.returncode == 0, done.stderr[-2000:]
        assert json.loads(done.stdout.splitlines()[-1])["states"] == {"done": 20}
        assert sum(count for name, count in site.stats()["faults"].items() if name.startswith("create:")) > 3
    with sandbox("--data", str(tmp_path / "data")) as calm:
        one_each(calm, gear, 20)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("gear", ["maker", "helper"])
def test_a_run_killed_again_and_again_starts_nothing_twice(tmp_path: Path, gear: str) -> None:
    populated(tmp_path / "data", 40)
    values = random.Random(len(gear))
    faults = "create:latency=100%:0.3,create:late_commit=15%:0.6"
    command = ["gear", "run", gear, "lab/study", "--input", "image=*", "--progress", "none"]
    env = {"FWSYNC_NETWORK_READ_TIMEOUT": "2", "FWSYNC_NETWORK_CALLS": "2", "FWSYNC_NETWORK_MAX_CALLS": "3"}
    with sandbox("--data", str(tmp_path / "data"), "--faults", faults) as site:
        person = Person(tmp_path / "home", site.key)
        alive = 0
        for _ in range(KILLS):
            process = person.start(*command, **env)
            time.sleep(values.uniform(0.8, 2.0))
            alive += process.poll() is None
            process.kill()
            process.communicate()
        assert alive > KILLS // 2
        done = person.types(*command, **env)
        assert done.returncode == 0, done.stderr[-2000:]
        one_each(site, gear, 40)
        again = person.types(*command, "--json", **env)
        assert json.loads(again.stdout.splitlines()[-1])["states"] == {"unchanged": 40}


# --- from Python ------------------------------------------------------------------------------------------------------


async def test_from_python(small: Site, tmp_path: Path) -> None:
    add_gear(small, "py", inputs={"image": {"base": "file"}}, config={"n": {"type": "integer", "default": 1}})
    state = tmp_path / "state"
    async with fwsync.connect(api_key=small.key, state_folder=state) as fw:
        run = fw.run_gear("py", "lab/study", inputs={"image": "scan*"}, config={"n": 5}, subject="sub-[01]")
        with pytest.raises(fwsync.UsageError, match="matches nothing"):
            await run
        run = fw.run_gear("py", "lab/study", inputs={"image": "scan*"}, config={"n": 5}, subject=["sub-0", "sub-1"])
        assert [item.target async for item in run.dry_run()] == ["lab/study/sub-0/ses", "lab/study/sub-1/ses"]
        refs = [outcome.ref async for outcome in run]
        assert len(refs) == 2
        with pytest.raises(fwsync.UsageError, match="is no integer"):
            await fw.run_gear("py", "lab/study", inputs={"image": "scan*"}, config={"n": "5x"})
        with pytest.raises(fwsync.ConfigError, match="there is no such setting"):
            fw.run_gear("py", "lab/study", run="latest")  # type: ignore[call-arg]
    sdk = small.sdk()
    assert {sdk.get_analysis(ref).job.config["config"]["n"] for ref in refs} == {5}
    with fwsync.connect_blocking(api_key=small.key, state_folder=state) as blocking:
        told = blocking.run_gear("py", project="lab/study", inputs={"image": "scan*"}, config={"n": 5}).wait()
        assert told.states == {"unchanged": 2, "done": 1}


def test_the_commands_of_the_guide_run(demo: Site, person: Person) -> None:
    """Every `fwsync gear` line of the guide, on the demo's project."""
    guide = Path(__file__).parents[2] / "docs/guides/running-gears.md"
    blocks = re.findall(r"```\n(.*?)```", guide.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if "fwsync gear" in line]
    assert len(lines) >= 10
    (person.work / "again.txt").write_text(f"{NEURO}/sub-002\n")
    add_gear(demo, "maker", inputs={"image": {"base": "file"}})
    for line in lines:
        told = line.partition(" #")[0].partition("&&")[0].replace("lab/study", NEURO).replace("lab/*", "demo/neuro*")
        told = told.replace("/sub-01 ", "/sub-001 ")
        arguments = shlex.split(told)[1:]
        arguments += ["--dry-run"] if arguments[1] == "run" and "--dry-run" not in arguments else []
        arguments = [one for one in arguments if one != "--wait" and one != "--timeout" and one != "12h"]
        done = person.types(*arguments)
        assert done.returncode in (0, 3), (line, done.stderr)
        assert "Traceback" not in done.stderr
    (block,) = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    script = person.work / "script.py"
    script.write_text(f"{block}\n\nimport asyncio\n\nasyncio.run(recon({NEURO!r}))\n")
    ran = subprocess.run(
        [sys.executable, str(script)], env=person.env, cwd=person.work, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "done demo/neuro-study/sub-002 " in ran.stdout
