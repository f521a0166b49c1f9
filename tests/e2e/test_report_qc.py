"""`fwsync report qc` against a real site, compared with the tutorial's own loop in the official SDK."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from site_ import SECRET, Person, Site, add_project, sandbox
from yarl import URL

import fwsync

NEURO = "demo/neuro-study"
BAD = 14
"""Acquisitions of the demo that the tutorial's rules flag."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox("--demo") as running:
        yield running


@pytest.fixture(scope="module")
def person(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Person:
    return Person(tmp_path_factory.mktemp("home"), site.key)


def rows_of(person: Person, *arguments: str) -> list[dict[str, str]]:
    done = person.types("report", "qc", *arguments, "--format", "csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


Row = tuple[str, str, str, str, str, str, str]


def by_the_tutorial(fw: Any, path: str) -> tuple[list[Row], dict[str, set[str]]]:
    """Its rows (subject, session, acquisition, file, snr, mean FD, type), and the tags that it would add, by
    acquisition."""
    rows: list[Row] = []
    tags: dict[str, set[str]] = {}
    for session in fw.lookup(path).sessions.iter():
        for acq in session.acquisitions.iter():
            acq = acq.reload()
            for file in [file for file in acq.files if "mriqc.qa" in file.name][:1]:
                where = (session.subject.label, session.label, acq.label, file.name)
                measurement = file.classification.get("Measurement")
                if "T2*" in measurement:
                    snr, mfd = file.info.get("snr"), file.info.get("fd_mean")
                    rows.append((*where, str(snr), str(mfd), "T2*"))
                    if snr < 1.0:
                        tags.setdefault(acq.id, set()).add("LOW_SNR")
                    if mfd > 2.5:
                        tags.setdefault(acq.id, set()).add("HIGH_FD")
                elif "T1" in measurement:
                    snr = file.info.get("snr_total")
                    rows.append((*where, str(snr), "NA", "T1"))
                    if snr < 6.0:
                        tags.setdefault(acq.id, set()).add("LOW_SNR")
    return rows, tags


def tags_of(fw: Any, path: str) -> dict[str, set[str]]:
    """The tags of all acquisitions of a project that have any."""
    found = fw.acquisitions.iter_find(f"parents.project={fw.lookup(path).id}")
    return {one.id: set(one.tags) for one in found if one.tags}


def test_the_rows_are_those_of_the_tutorial(site: Site, person: Person) -> None:
    rows = rows_of(person, NEURO)
    wanted, flags = by_the_tutorial(site.sdk(), NEURO)
    found = [
        (
            row["subject"], row["session"], row["acquisition"], row["file"], row["snr"] or row["snr_total"],
            row["fd_mean"] or "NA", row["measurement"],
        )
        for row in rows
    ]  # fmt: skip
    assert sorted(found) == sorted(wanted)
    assert len(rows) == 64
    assert Counter(row["flags"] for row in rows if row["flags"]) == Counter(
        " ".join(sorted(held, reverse=True)) for held in flags.values()
    )
    assert {row["no_value"] for row in rows} == {""}


def test_a_handful_of_requests_and_nothing_written(site: Site, person: Person) -> None:
    before = Counter(site.stats()["requests"])
    rows_of(person, NEURO)
    asked = Counter(site.stats()["requests"]) - before
    assert asked.total() <= 7, asked
    assert not [route for route in asked if not route.startswith("GET") and "lookup" not in route]


def test_tags_are_those_of_the_tutorial_and_are_written_once(tmp_path: Path) -> None:
    with sandbox("--demo") as site:
        fw, person = site.sdk(), Person(tmp_path, site.key)
        _, wanted = by_the_tutorial(fw, NEURO)
        assert len(wanted) == BAD
        dry = person.types("report", "qc", NEURO, "--write-tags", "--dry-run")
        assert dry.returncode == 0
        assert dry.stdout.splitlines()[-1] == f"dry run: {BAD} to do, nothing was changed"
        assert sum(line.startswith("would tag demo/neuro-study/") for line in dry.stdout.splitlines()) == BAD
        assert tags_of(fw, NEURO) == {}
        done = person.types("report", "qc", NEURO, "--write-tags")
        assert done.returncode == 0, done.stderr
        assert f"acquisitions   {BAD} tagged, 50 unchanged" in done.stdout
        assert done.stdout.splitlines()[-1] == "complete"
        assert tags_of(fw, NEURO) == wanted
        again = person.types("report", "qc", NEURO, "--write-tags")
        assert "acquisitions   0 tagged, 64 unchanged" in again.stdout
        assert "(0 writes)" in again.stdout
        # Other rules: what holds no more stays, unless it is asked for; the tags of people stay always.
        some = fw.get(next(ident for ident, held in wanted.items() if held == {"LOW_SNR"}))
        some.add_tag("mine")
        stricter = (
            "--flag",
            "LOW_SNR: snr < 0.1 where Measurement=T2*",
            "--flag",
            "LOW_SNR: snr_total<0.1 where Measurement=T1",
        )
        assert person.types("report", "qc", NEURO, *stricter, "--write-tags").returncode == 0
        assert tags_of(fw, NEURO) == {**wanted, some.id: {"LOW_SNR", "mine"}}
        done = person.types("report", "qc", NEURO, *stricter, "--write-tags", "--clear-tags")
        assert done.returncode == 0
        left = {ident: held - {"LOW_SNR"} for ident, held in wanted.items()} | {some.id: {"mine"}}
        assert tags_of(fw, NEURO) == {ident: held for ident, held in left.items() if held}
        assert "(0 writes)" in person.types("report", "qc", NEURO, *stricter, "--write-tags", "--clear-tags").stdout


FAULTS = "drop_request=10%,create:drop_reply=30%,modify:drop_reply=30%,status_503=10%,status_429=5%:0.1"


@pytest.mark.timeout(300)
def test_lost_answers_and_kills_end_the_same(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--demo", "--data", data, "--faults", FAULTS, "--fault-seed", "5", "--latency", "60") as site:
        person, values = Person(tmp_path, site.key), random.Random(4)
        command = ("report", "qc", NEURO, "--write-tags", "-q")
        killed = 0
        for _ in range(5):
            process = person.start(*command)
            time.sleep(values.uniform(0.5, 2.0))
            killed += process.poll() is None
            process.kill()
            process.communicate()
        done = person.types(*command)
        assert killed
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[-1] == "complete"
        assert {fault.split(":")[-1] for fault in site.stats()["faults"]} >= {"drop_reply", "drop_request"}
        cleared = person.types("report", "qc", f"{NEURO}/sub-003", "--flag", "LOW_SNR: none < 0 where x=y",
                               "--write-tags", "--clear-tags", "-q")  # fmt: skip
        assert cleared.returncode == 0, cleared.stderr
    with sandbox("--data", data) as site:
        fw = site.sdk()
        _, wanted = by_the_tutorial(fw, NEURO)
        gone = {one.id for one in fw.acquisitions.iter_find(f"parents.subject={fw.lookup(f'{NEURO}/sub-003').id}")}
        assert gone & wanted.keys()
        assert tags_of(fw, NEURO) == {ident: held for ident, held in wanted.items() if ident not in gone}


def test_stopped_while_it_reads(tmp_path: Path) -> None:
    with sandbox("--demo", "--faults", "list:latency=100%:5") as site:
        process = Person(tmp_path, site.key).start("report", "qc", NEURO, "--write-tags")
        assert process.stderr is not None
        while "reading files" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (130, "")
        assert err.splitlines()[-1] == "fwsync: stopped; run the same command again to go on from here"


def test_a_failure_is_named_and_tried_again(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--demo", "--data", data, "--read-only-key", "reader-secret-0001") as site:
        reader = Person(tmp_path / "reader", site.key.replace("e2e-test-secret-0001", "reader-secret-0001"))
        done = reader.types("report", "qc", NEURO, "--write-tags")
        assert done.returncode == 3, done.stderr
        assert f"{BAD} failed" in done.stdout
        run = done.stdout.split("fwsync retry ")[1].split()[0]
        _, wanted = by_the_tutorial(site.sdk(), NEURO)
        assert tags_of(site.sdk(), NEURO) == {}
        again = reader.types("retry", run, FWSYNC_API_KEY=site.key)
        assert again.returncode == 0, again.stdout + again.stderr
        assert f"{BAD} tagged" in again.stdout
        assert tags_of(site.sdk(), NEURO) == wanted


# --- values of any kind -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(site: Site) -> str:
    """A project whose files have values of every kind; its path."""
    project = add_project(site, "odd")
    session = project.add_subject(label="s").add_session(label="x")
    infos: dict[str, Any] = {
        "missing": {}, "null": {"snr": None}, "text": {"snr": "n/a"}, "number-text": {"snr": "0.5"}, "nan": {"snr": "NaN"},
        "list": {"snr": [1, 2]}, "dict": {"snr": {"mean": 0.2}}, "true": {"snr": True}, "low": {"snr": 0.5},
        "fine": {"snr": 3}, "formula": {"snr": "=1+1"},
    }  # fmt: skip
    for label, info in infos.items():
        scan = session.add_acquisition(label=label)
        scan.upload_file(_file(f"{label}_mriqc.qa.html"))
        scan.update_file_classification(f"{label}_mriqc.qa.html", {"Measurement": ["T2*"]})
        if info:
            scan.update_file_info(f"{label}_mriqc.qa.html", info)
    return "lab/odd"


def _file(name: str, text: str = "<html></html>") -> Any:
    import flywheel

    return flywheel.FileSpec(name, text, "text/html")


RULE = "LOW_SNR: snr < 1 where Measurement=T2*"


def test_values_of_any_kind_never_crash_and_what_is_lacking_is_told(person: Person, odd: str) -> None:
    rows = {row["acquisition"]: row for row in rows_of(person, odd, "--flag", RULE)}
    assert {label for label, row in rows.items() if row["flags"]} == {"low", "number-text"}
    assert {label for label, row in rows.items() if row["no_value"] == "snr"} == rows.keys() - {
        "low", "number-text", "fine",
    }  # fmt: skip
    assert rows["dict"]["snr"] == '{"mean": 0.2}'
    assert rows["formula"]["snr"] == "'=1+1", "a spreadsheet must not run it"
    nested = {row["acquisition"]: row for row in rows_of(person, odd, "--flag", "LOW: snr.mean < 1")}
    assert {label for label, row in nested.items() if row["flags"]} == {"dict"}
    done = person.types("report", "qc", odd, "--flag", RULE, "--require", "-q")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "fwsync: 10 of 11 files are flagged or lack a value"
    assert person.types("report", "qc", odd, "--flag", "A: snr < -5 where Measurement=T1", "--require").returncode == 0


def test_a_tag_stays_where_nobody_knows(site: Site, person: Person, odd: str) -> None:
    fw = site.sdk()
    for label in ("missing", "fine"):
        fw.lookup(f"{odd}/s/x/{label}").add_tag("LOW_SNR")
    done = person.types("report", "qc", odd, "--flag", RULE, "--write-tags", "--clear-tags")
    assert done.returncode == 0, done.stderr
    held = {one.label for one in fw.lookup(f"{odd}/s/x").acquisitions() if "LOW_SNR" in one.tags}
    assert held == {"missing", "low", "number-text"}


def test_the_newest_file_of_an_acquisition_counts(site: Site, person: Person) -> None:
    project = add_project(site, "twice")
    scan = project.add_subject(label="s").add_session(label="x").add_acquisition(label="a")
    for name, snr in (("b_mriqc.qa.html", 0.1), ("a_mriqc.qa.html", 2.0)):
        scan.upload_file(_file(name))
        scan.update_file_info(name, {"snr": snr})
        time.sleep(0.02)
    done = person.types("report", "qc", "lab/twice", "--flag", "LOW: snr < 1", "--format", "csv")
    [row] = csv.DictReader(io.StringIO(done.stdout))
    assert (row["file"], row["flags"]) == ("a_mriqc.qa.html", "")
    assert "note: 1 files are left out: their containers have a newer one" in done.stderr


def test_any_files_and_metrics(site: Site, person: Person) -> None:
    rows = rows_of(person, NEURO, "--include", "*.dcm.zip", "--metric", "EchoTime", "--metric", "RepetitionTime")
    assert list(rows[0])[6:] == ["EchoTime", "RepetitionTime", "flags", "no_value"]
    assert Counter(row["EchoTime"] for row in rows) == {"0.037": 24, "": 8}
    some = rows_of(person, NEURO, "--session", "ses-1", "--type", "dicom", "--include", "*", "--metric", "EchoTime")
    assert {row["session"] for row in some} == {"ses-1"}
    one = rows_of(person, f"{NEURO}/sub-001/ses-1/T1w_MPR")
    assert [(row["acquisition"], row["measurement"]) for row in one] == [("T1w_MPR", "T1")]
    done = person.types("report", "qc", NEURO, "--metric", "fd_maen")
    assert "note: no file has fd_maen; did you mean fd_mean?" in done.stderr
    told = [json.loads(line) for line in person.types("report", "qc", NEURO, "--json").stdout.splitlines()]
    assert told[-1]["facts"]["flagged"] == BAD
    assert {type(record["snr"]) for record in told[:-1]} == {float, type(None)}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            (NEURO, "--flag", "LOW: snr << 1"),
            "--flag 'LOW: snr << 1': at character 11 there is '< 1'; wanted: a number",
        ),
        ((NEURO, "--dry-run"), "--dry-run: is for --write-tags"),
        ((NEURO, "--write-tags", "--format", "csv"), "--format: a summary follows the table with --write-tags"),
        ((NEURO, "--clear-tags"), "--clear-tags: is for --write-tags"),
        (("scitran/BIDS-Sample",), "--include *mriqc.qa*: matches nothing"),
        (("demo/nothing",), "not found"),
    ],
)
def test_mistakes_are_one_line(person: Person, arguments: tuple[str, ...], told: str) -> None:
    done = person.types("report", "qc", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("without", ["files-listing", "pagination"])
def test_an_older_site_gives_the_same(person: Person, tmp_path: Path, without: str) -> None:
    with sandbox("--demo", "--without", without) as other:
        assert rows_of(Person(tmp_path, other.key), NEURO) == rows_of(person, NEURO)


async def test_from_python_it_is_the_same_table(site: Site, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(person.home / "state"))
    rows = rows_of(person, NEURO, "--session", "ses-1", "--flag", "HIGH_FD: fd_mean > 0.3", "--metric", "snr")
    async with fwsync.connect(api_key=site.key) as fw:
        table = await fw.qc(NEURO, session="ses-1", flags="HIGH_FD: fd_mean > 0.3", metrics=["snr"])
        told = [{name: "" if cell is None else str(cell) for name, cell in one.items()} for one in table.records()]
        assert told == rows
        assert (await fw.qc(NEURO)).facts["flagged"] == BAD
        with pytest.raises(fwsync.UsageError, match="wanted: a number"):
            await fw.qc(NEURO, flags="LOW: snr < low")
        with pytest.raises(fwsync.UsageError, match="there is mriqc"):
            await fw.qc(NEURO, preset="fmriprep")


def test_from_a_notebook_it_is_the_same_table(site: Site, person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(person.home / "state"))
    with fwsync.connect_blocking(api_key=site.key) as fw:
        frame = fw.qc(NEURO).to_pandas()
    assert frame["flags"].notna().sum() == BAD
    assert frame["fd_mean"].mean() > 0


def test_the_example_of_the_guide_runs(site: Site, person: Person) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/quality-control.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (person.work / "example.py").write_text(example)
    done = subprocess.run(
        [sys.executable, "example.py"], cwd=person.work, env=person.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "16"
    assert "HIGH_FD" in done.stdout


def test_every_command_of_the_guide_is_understood(person: Person) -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/quality-control.md").read_text(encoding="utf-8")
    lines = [line.strip().split("  ")[0] for line in guide.splitlines() if line.startswith("    fwsync ")]
    assert len(lines) >= 6
    for line in lines:
        _, *arguments = shlex.split(line.replace("lab/study", NEURO).replace("bids-fmriprep", "bids-freesurfer"))
        dry = [*arguments, *(["--dry-run"] if "--write-tags" in arguments and "--dry-run" not in arguments else [])]
        done = person.types(*dry)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("null", [False, True], ids=["left out", "null where there is none"])
async def test_a_site_whose_listings_have_no_info(
    site: Site, person: Person, monkeypatch: pytest.MonkeyPatch, null: bool
) -> None:
    """The info of each matching file is asked for, unless the listing tells that of others."""
    monkeypatch.setenv("XDG_STATE_HOME", str(person.home / "state"))
    asked: Counter[str] = Counter()

    async def handle(request: web.Request) -> web.Response:
        asked["one by one" if "/files/" in request.path else "listed"] += 1
        query = {name: value for name, value in request.query.items() if null or name != "include_all_info"}
        headers = {name: value for name, value in request.headers.items() if name.lower() != "host"}
        url = URL(f"http://{site.host}").with_path(request.path).with_query(query)
        async with client.request(request.method, url, headers=headers, data=await request.read()) as answer:
            text = await answer.text()
        return web.Response(status=answer.status, text=text.replace('"info":{}', '"info":null'),
                            content_type=answer.content_type)  # fmt: skip

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    async with aiohttp.ClientSession() as client, TestServer(app) as server:
        key = f"{server.host}:{server.port}:__force_insecure:{SECRET}"
        async with fwsync.connect(api_key=key) as fw:
            table = await fw.qc(NEURO)
    async with fwsync.connect(api_key=site.key) as fw:
        assert (await fw.qc(NEURO)).rows == table.rows
    assert asked["one by one"] == (0 if null else 64)
    assert any("one by one" in note for note in table.notes) == (not null)
