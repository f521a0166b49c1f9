"""Gears and jobs: example 17 of the tutorial, the life of a job in every mode, batches, the engine's side."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import flywheel
import pytest
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox


def started(mode: str) -> Iterator[tuple[Any, Raw]]:
    with ThreadedSandbox(SandboxOptions(demo=True, jobs=mode)) as sandbox:
        yield flywheel.Client(sandbox.key), Raw(sandbox)


@pytest.fixture(scope="module")
def manual() -> Iterator[tuple[Any, Raw]]:
    yield from started("manual")


@pytest.fixture(scope="module")
def instant() -> Iterator[tuple[Any, Raw]]:
    yield from started("instant")


def add_gear(fw: Any, name: str, category: str = "utility", **manifest: Any) -> Any:
    whole = {
        "name": name, "label": name, "version": "1.0.0", "description": "d", "author": "a", "license": "Other",
        "url": "", "source": "", "config": {}, "inputs": {}, **manifest,
    }  # fmt: skip
    fw.api_client.call_api(
        "/gears/" + name, "POST", body={"category": category, "gear": whole}, auth_settings=["ApiKey"]
    )
    return fw.lookup(f"gears/{name}")


FILE_INPUT = {"image": {"base": "file", "type": {"enum": ["nifti"]}}}


def test_freesurfer_on_every_subject(manual: tuple[Any, Raw]) -> None:
    """Example 17."""
    fw, _ = manual
    project = fw.lookup("demo/neuro-study")
    reconall_gear = fw.lookup("gears/freesurfer-recon-all")
    input_order = ["anatomical", "t1w_anatomical_2", "t1w_anatomical_3", "t1w_anatomical_4", "t1w_anatomical_5"]
    job_list = []
    for subject in project.subjects.iter():
        current_anat, have_t2, full_t1, inputs = 0, False, False, {}
        for session in subject.sessions.iter():
            for acq in session.acquisitions.iter():
                for file_obj in acq.files:
                    if file_obj.type == "nifti" and "Structural" in file_obj.classification.get("Intent"):
                        if not full_t1 and file_obj.classification.get("Measurement") == ["T1"]:
                            inputs[input_order[current_anat]] = file_obj
                            current_anat += 1
                            full_t1 = current_anat > 4
                        if not have_t2 and file_obj.classification.get("Measurement") == ["T2"]:
                            inputs["t2w_anatomical"] = file_obj
                            have_t2 = True
        label = f"Freesurfer_Recon_all_{datetime.now().strftime('%d-%m-%Y_%H-%M-%S')}"
        job_id = reconall_gear.run(
            analysis_label=label, inputs=inputs, destination=subject, config={"gear-FREESURFER_LICENSE": ""}
        )
        job_list.append(job_id)
    assert len(set(job_list)) == 24
    analyses = [fw.get_analysis(ident) for ident in job_list]
    assert {one.job.state for one in analyses} == {"pending"}
    with_inputs = next(one for one in analyses if one.inputs)
    assert with_inputs.inputs[0].name.endswith(".nii.gz")
    assert with_inputs.gear_info.name == "freesurfer-recon-all"
    assert with_inputs.job.config.config["hippocampal_subfields"] is False
    assert with_inputs.job.destination.id == with_inputs.id


def test_a_utility_gear(instant: tuple[Any, Raw]) -> None:
    fw, _ = instant
    gear = add_gear(fw, "copier", inputs=FILE_INPUT, config={"n": {"type": "integer", "default": 3}})
    scan = fw.lookup("demo/neuro-study/sub-001/ses-1/T1w_MPR")
    job_id = gear.run(
        inputs={"image": scan.get_file("T1w_MPR.nii.gz")}, destination=scan, tags=["mine"], priority="high"
    )
    job = fw.get_job(job_id)
    assert (job.state, job.priority, job.attempt) == ("complete", "high", 1)
    assert job.tags == ["mine", "copier"]
    assert job.inputs["image"].name == "T1w_MPR.nii.gz"
    assert (job.destination.type, job.destination.id) == ("acquisition", scan.id)
    assert job.transitions.pending <= job.transitions.running <= job.transitions.complete
    assert [one.name for one in job.outputs] == ["copier.json"] == job.saved_files
    made = scan.reload().get_file("copier.json")
    assert (made.origin.type, made.origin.id, made.gear_info.name) == ("job", job_id, "copier")
    assert json.loads(made.read())["config"] == {"n": 3}
    detail = fw.get_job_detail(job_id)
    assert detail.inputs["image"].object.size > 0
    assert detail.parent_info.subject.label == "sub-001"
    assert fw.get_job_config(job_id).config == {"n": 3}
    out = io.StringIO()
    job.print_logs(out)
    assert "wrote copier.json" in out.getvalue()


def test_an_analysis_gear_and_its_script(instant: tuple[Any, Raw]) -> None:
    fw, _ = instant
    script = {"outputs": {"a.csv": "x,y\n1,2\n", "b.txt": "b"}, "log": ["hello"], "info": {"q": 1}}
    gear = add_gear(fw, "scripted", "analysis", custom={"sandbox": script})
    session = fw.lookup("demo/neuro-study/sub-001/ses-1")
    analysis = fw.get_analysis(gear.run(destination=session, analysis_label="run"))
    assert (analysis.label, analysis.job.state) == ("run", "complete")
    assert {one.name for one in analysis.files} == {"a.csv", "b.txt"}
    assert analysis.read_file("a.csv") == b"x,y\n1,2\n"
    assert analysis.get_file("b.txt").info == {"q": 1}
    assert [one.msg for one in fw.get_job_logs(analysis.job.id).logs][1] == "hello\n"
    in_list = [one for one in session.reload().analyses if one.label == "run"]
    assert in_list[0].job.state == "complete"


def test_failure_and_retry_move_the_analysis_on(instant: tuple[Any, Raw]) -> None:
    fw, _ = instant
    gear = add_gear(fw, "flaky", "analysis")
    session = fw.lookup("demo/neuro-study/sub-001/ses-1")
    analysis = fw.get_analysis(gear.run(destination=session, tags=["sandbox:fail-once"]))
    failed = analysis.job
    assert (failed.state, failed.failure_reason) == ("failed", "gear_failure")
    again = fw.retry_job(failed.id)
    analysis = fw.get_analysis(analysis.id)
    assert (analysis.job.id, analysis.job.state, analysis.job.attempt) == (again, "complete", 2)
    assert analysis.job.previous_job_id == failed.id
    assert session.reload().analyses[-1].job.id == again
    assert fw.get_job(failed.id).retried is not None
    with pytest.raises(flywheel.ApiException) as twice:
        fw.retry_job(failed.id)
    assert twice.value.status == 409
    with pytest.raises(flywheel.ApiException) as complete:
        fw.retry_job(again)
    assert complete.value.status == 409
    assert fw.retry_job(again, ignore_state=True)


def test_a_missing_required_input_fails_the_run(instant: tuple[Any, Raw]) -> None:
    fw, _ = instant
    gear = add_gear(fw, "needy", inputs=FILE_INPUT)
    job = fw.get_job(gear.run(destination=fw.lookup("demo/tutorial")))
    assert job.state == "failed"
    assert "required input image" in fw.get_job_logs(job.id).logs[-1].msg


def test_states_priorities_and_cancel(manual: tuple[Any, Raw]) -> None:
    fw, raw = manual
    gear = add_gear(fw, "waiting")
    project = fw.lookup("demo/tutorial")
    jobs = [fw.get_job(gear.run(destination=project)) for _ in range(4)]
    assert {one.state for one in jobs} == {"pending"}
    jobs[0].update_priority("critical")
    assert fw.get_job(jobs[0].id).priority == "critical"
    assert fw.update_jobs_priority({"job_ids": [jobs[1].id, jobs[2].id], "priority": "low"}).modified == 2
    jobs[0].change_state("running")
    jobs[0].change_state("complete")
    assert fw.get_job(jobs[0].id).transitions.complete is not None
    jobs[1].change_state("cancelled")
    told = raw.json("PUT", "/api/jobs/cancel/bulk", {"job_ids": [one.id for one in jobs]})
    assert told["modified"] == 2
    assert [fw.get_job(one.id).state for one in jobs] == ["complete", "cancelled", "cancelled", "cancelled"]
    retried = raw.json("PUT", "/api/jobs/retry/bulk", {"job_ids": [one.id for one in jobs]})
    assert retried["modified"] == 3
    assert {fw.get_job(ident).state for ident in retried["job_ids"]} == {"pending"}
    assert raw.refused("PUT", f"/api/jobs/{jobs[0].id}", {"state": "running"})[0] == 409
    assert raw.refused("PUT", f"/api/jobs/{jobs[0].id}", {"state": "sleeping"})[0] == 422
    assert raw.refused("PUT", "/api/jobs/priority", {"job_ids": [jobs[0].id], "priority": "low"})[0] == 409
    assert raw.refused("PUT", "/api/jobs/priority", {"job_ids": [], "priority": "low"})[0] == 400
    assert raw.json("POST", "/sandbox/jobs/run")["run"] >= 3
    assert {fw.get_job(ident).state for ident in retried["job_ids"]} == {"complete"}


def test_lists_and_counts(manual: tuple[Any, Raw]) -> None:
    fw, raw = manual
    project = fw.lookup("demo/neuro-study")
    session = next(one for one in project.sessions() if fw.get_session(one.id).analyses)
    listed = fw.jobs.find(f"parents.session={session.id},gear_info.name=bids-freesurfer")
    assert {one.parents.session for one in listed} == {session.id}
    of_session = fw.get_session_jobs(session.id).jobs
    assert {one.id for one in listed} <= {one.id for one in of_session}
    of_project = raw.json("GET", f"/api/projects/{project.id}/jobs?limit=3")
    assert len(of_project) == 3
    assert all(isinstance(one["inputs"], list) for one in of_project)
    stats = fw.get_jobs_stats()
    everything = fw.jobs()
    assert stats["total"] == len(everything)
    assert stats["by_state"]["failed"] == len([one for one in everything if one.state == "failed"])
    mine = fw.get_current_user_jobs(gear="bids-freesurfer")
    assert mine.total == len([one for one in everything if one.gear_info.name == "bids-freesurfer"])
    assert mine.stats.failed == stats["by_state"]["failed"]


def test_jobs_that_take_a_while() -> None:
    for fw, _ in started("0.3"):
        gear = add_gear(fw, "slow")
        project = fw.lookup("demo/tutorial")
        job_id = gear.run(destination=project)
        seen = []
        deadline = time.monotonic() + 30
        while (state := fw.get_job(job_id).state) != "complete" and time.monotonic() < deadline:
            seen.append(str(state))
            time.sleep(0.02)
        assert state == "complete"
        assert "running" in seen
        demo_runs = fw.jobs.find("gear_info.name=grp13-container-export,state=running")
        assert demo_runs  # the demo's own running jobs stay what they are


def test_a_stopped_site_goes_on_with_its_jobs(tmp_path: Path) -> None:
    options = SandboxOptions(data=tmp_path, jobs="600", demo=True)
    with ThreadedSandbox(options) as running:
        fw = flywheel.Client(running.key)
        job_id = add_gear(fw, "slow").run(destination=fw.lookup("demo/tutorial"))
        deadline = time.monotonic() + 30
        while fw.get_job(job_id).state != "running" and time.monotonic() < deadline:
            time.sleep(0.02)
    with ThreadedSandbox(SandboxOptions(data=tmp_path, jobs="0.05")) as running:
        fw = flywheel.Client(running.key)
        while fw.get_job(job_id).state != "complete" and time.monotonic() < deadline:
            time.sleep(0.02)
        assert fw.get_job(job_id).state == "complete"


def test_batches(manual: tuple[Any, Raw]) -> None:
    fw, raw = manual
    gear = add_gear(fw, "batched", inputs={**FILE_INPUT, "more": {"base": "file", "optional": True}})
    session = fw.lookup("demo/neuro-study/sub-001/ses-1")
    nobody = fw.lookup("demo/tutorial")
    proposal = gear.propose_batch([session, nobody], tags=["b"], priority="low")
    assert proposal.state == "pending"
    assert len(proposal.matched) == 5
    assert len(proposal.not_matched) == 3
    assert proposal.ambiguous == []
    jobs = proposal.run()
    assert len(jobs) == 5
    assert {one.state for one in jobs} == {"pending"}
    assert {fw.get_job(one.id).batch for one in jobs} == {proposal.id}
    assert {fw.get_job(one.id).priority for one in jobs} == {"low"}
    batch = fw.get_batch(proposal.id)
    assert (batch.state, len(batch.jobs)) == ("running", 5)
    assert len(raw.json("GET", f"/api/batch/{proposal.id}?jobs=true")["jobs"][0]["inputs"]) == 1
    assert raw.refused("POST", f"/api/batch/{proposal.id}/run")[0] == 409
    fw.get_job(jobs[0].id).change_state("running")
    assert fw.cancel_batch(proposal.id) == 4
    assert fw.get_batch(proposal.id).state == "cancelled"
    assert proposal.id in [one.id for one in fw.get_all_batches()]
    assert raw.refused("POST", f"/api/batch/{proposal.id}/cancel")[0] == 409


def test_batches_of_an_analysis_gear_and_ready_made_jobs(instant: tuple[Any, Raw]) -> None:
    fw, raw = instant
    gear = add_gear(fw, "batched-analysis", "analysis", inputs=FILE_INPUT)
    session = fw.lookup("demo/neuro-study/sub-002/ses-1")
    proposal = gear.propose_batch(session.acquisitions(), analysis_label="of a batch")
    jobs = proposal.run()
    made = [one for one in session.reload().analyses if one.label == "of a batch"]
    assert {one.job.id for one in made} == {one.id for one in jobs}
    assert fw.get_batch(proposal.id).state == "complete"
    utility = add_gear(fw, "ready", inputs={})
    job = {"gear_id": utility.id, "destination": {"type": "session", "id": session.id}, "config": {}, "inputs": {}}
    premade = fw.create_batch_job_from_jobs({"jobs": [job, job]})
    assert len(fw.start_batch(premade.id)) == 2
    assert raw.refused("POST", "/api/batch/jobs", {"jobs": []})[0] == 422
    assert raw.refused("POST", "/api/batch", {"gear_id": gear.id, "targets": []})[0] == 422
    wrong = {"gear_id": gear.id, "targets": [{"type": "session", "id": "5dc091c169d4f3002d16f32f"}]}
    assert raw.refused("POST", "/api/batch", wrong)[0] == 404


def test_the_engine_s_side(manual: tuple[Any, Raw]) -> None:
    fw, raw = manual
    raw.json("POST", "/sandbox/jobs/run")
    gear = add_gear(fw, "engined", "analysis")
    session = fw.lookup("demo/neuro-study/sub-002/ses-1")
    analyses = [fw.get_analysis(gear.run(destination=session, priority=p)) for p in ("low", "critical")]
    taken = raw.json("GET", "/api/jobs/next?tags=analysis")
    assert taken["id"] == analyses[1].job.id
    assert taken["state"] == "running"
    raw.json("PUT", f"/api/jobs/{taken['id']}/heartbeat")
    assert fw.prepare_complete_job(taken["id"]).ticket
    fw.add_job_logs(taken["id"], [{"fd": 1, "msg": "working\n"}])
    raw.upload(f"/api/analyses/{analyses[1].id}/files", {"out.txt": b"out"})
    fw.update_job_profile(taken["id"], {"elapsed_time_ms": 5})
    raw.json("PUT", f"/api/jobs/{taken['id']}/complete", {"success": True})
    done = fw.get_job(taken["id"])
    assert (done.state, done.saved_files, done.profile.elapsed_time_ms) == ("complete", ["out.txt"], 5)
    asked = raw.json("POST", "/api/jobs/ask", {"whitelist": {"gear-name": ["engined"]}, "return": {"jobs": 5}})
    assert [one["id"] for one in asked["jobs"]] == [analyses[0].job.id]
    raw.json("POST", f"/api/jobs/{analyses[0].job.id}/complete", {"success": False})
    assert fw.get_analysis(analyses[0].id).job.state == "failed"
    assert raw.refused("GET", "/api/jobs/next")[0] == 400
    assert raw.json("POST", "/api/jobs/ask/pending", {})["count"] == 0


def test_more_about_gears(manual: tuple[Any, Raw]) -> None:
    fw, raw = manual
    gear = add_gear(
        fw, "described", inputs={**FILE_INPUT, "ctx": {"base": "context"}}, config={"n": {"type": "integer"}}
    )
    gear.print_details()
    assert fw.get_gear_invocation(gear.id)["properties"]["config"]["properties"]["n"]["type"] == "integer"
    scan = fw.lookup("demo/neuro-study/sub-001/ses-1/T1w_MPR")
    suggested = {one.name: one.suggested["image"] for one in gear_suggestions(fw, gear, scan)}
    assert suggested["T1w_MPR.nii.gz"] is True
    assert suggested["T1w_MPR_mriqc.qa.html"] is False
    fw.get_subject(scan.parents.subject).update_info({"context": {"ctx": 7}})
    assert raw.json("GET", f"/api/gears/{gear.id}/context/acquisitions/{scan.id}")["ctx"]["value"] == 7
    fw.add_gear_permission("described", "users", {"_id": "someone@example.org"})
    assert fw.get_gear_series("described").permissions.users == ["someone@example.org"]
    fw.delete_gear_permission("described", "users", "someone@example.org")
    assert fw.get_gear_series("described").permissions.users == []
    fw.delete_gear(gear.id)
    with pytest.raises(flywheel.ApiException) as gone:
        fw.lookup("gears/described")
    assert gone.value.status == 404


def gear_suggestions(fw: Any, gear: Any, scan: Any) -> Any:
    return fw.get_gear_suggest(gear.id, "acquisitions", scan.id).files


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"gear_id": "5dc091c169d4f3002d16f32f"}, 404),
        ({"inputs": []}, 422),
        ({"inputs": {"nonsense": {"type": "project", "id": "x"}}}, 422),
        ({"inputs": {"image": 3}}, 422),
        ({"inputs": {"image": {"type": "project", "id": "x", "name": "y"}}}, 404),
        ({"inputs": {"image": {"file_id": "x", "version": {}}}}, 422),
        ({"inputs": {"image": {"file_id": "x", "version": 1}}}, 404),
        ({"config": []}, 422),
        ({"config": {"n": "three"}}, 422),
        ({"config": {"n": True}}, 422),
        ({"priority": "yesterday"}, 422),
        ({"tags": "x"}, 422),
        ({"destination": {"type": "project", "id": "x"}}, 404),
        ({"destination": None}, 422),
    ],
)
def test_wrong_jobs_are_refused(manual: tuple[Any, Raw], change: dict[str, Any], status: int) -> None:
    fw, raw = manual
    try:
        gear = fw.lookup("gears/strict")
    except flywheel.ApiException:
        gear = add_gear(fw, "strict", inputs=FILE_INPUT, config={"n": {"type": "integer"}})
    project = fw.lookup("demo/tutorial")
    given = {"gear_id": gear.id, "inputs": {}, "destination": {"type": "project", "id": project.id}, **change}
    assert raw.refused("POST", "/api/jobs/add", given)[0] == status
    if "destination" not in change:
        analysis = {"label": "x", "job": given}
        before = len(fw.get_project(project.id).analyses)
        assert raw.refused("POST", f"/api/projects/{project.id}/analyses?job=true", analysis)[0] == status
        assert len(fw.get_project(project.id).analyses) == before


def test_a_wrong_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="manual, instant or a number"):
        SandboxOptions(jobs="sometimes")
