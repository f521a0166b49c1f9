"""`fwsync import`, `plan`, `apply`, `undo` as a person types them, against a real sandbox; the SDK tells what came of it."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from site_ import Person, Site, add_project, counts, sandbox, write_rows

_names = itertools.count()


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        yield running


@pytest.fixture
def person(site: Site, tmp_path: Path) -> Person:
    return Person(tmp_path / "home", site.key)


class Study:
    """An empty project of its own, and its path for `--project`."""

    def __init__(self, site: Site) -> None:
        self.project = add_project(site, f"study{next(_names)}")
        self.path = f"lab/{self.project.label}"

    def subjects(self) -> dict[str, Any]:
        return {s.label: s.reload() for s in self.project.subjects.iter()}

    def sessions(self, subject: str) -> dict[str, Any]:
        return {s.label: s.reload() for s in self.subjects()[subject].sessions.iter()}

    def acquisitions(self, subject: str, session: str) -> dict[str, Any]:
        return {a.label: a.reload() for a in self.sessions(subject)[session].acquisitions.iter()}


@pytest.fixture
def study(site: Site) -> Study:
    return Study(site)


def write(person: Person, name: str, text: str, encoding: str = "utf-8") -> str:
    (person.work / name).write_bytes(text.encode(encoding))
    return name


def summary(done: Any) -> dict[str, Any]:
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


# --- reading ------------------------------------------------------------------------------------------------------


def test_a_german_excel_export_with_fields_at_every_level(person: Person, study: Study) -> None:
    write(
        person, "probanden.csv",
        "Probanden-ID;Vorname;Geschlecht;Alter;Gewicht;Besuch;Serienbeschreibung;Untersuchungsdatum;Standort;Score\r\n"
        "007;Jürgen;männlich;34,5;81,5;V1;T1w;03.10.2019 15:32;Köln;1,5\r\n"
        "007;Jürgen;männlich;34,5;81,5;V1;T2w;03.10.2019 15:52;Köln;2\r\n"
        "008;Zoë;w;n/a;;V1;T1w;23.10.2019 09:00;Köln;\r\n",
        "cp1252",
    )  # fmt: skip
    done = person.types(
        "import", "probanden.csv", "--project", study.path, "--timezone", "Europe/Berlin",
        "--map", "Standort=subject.info.site", "--map", "Score=acquisition.info.score",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Windows-1252 (e.g. 'Jürgen')" in done.stdout
    assert set(study.subjects()) == {"007", "008"}
    subject = study.subjects()["007"]
    assert (subject.firstname, subject.sex, subject.info) == ("Jürgen", "male", {"site": "Köln"})
    session = study.sessions("007")["V1"]
    assert (session.age_years, session.weight) == (34.5, 81.5)
    scans = study.acquisitions("007", "V1")
    assert set(scans) == {"T1w", "T2w"}
    assert scans["T1w"].timestamp.isoformat() == "2019-10-03T13:32:00+00:00"
    assert scans["T1w"].timezone == "Europe/Berlin"
    assert scans["T1w"].info == {"score": 1.5}
    assert study.sessions("008")["V1"].age is None


def test_workbook_gzip_stdin_and_remote_file_say_the_same(person: Person, study: Study, site: Site) -> None:
    rows = [
        ["Subject ID", "age", "scan date", "scan time"],
        ["007", 34, "2019-10-03", "15:32"],
        ["8", 23.5, "2019-10-04", "09:00"],
    ]
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(person.work / "t.xlsx")
    text = "\n".join(",".join(map(str, row)) for row in rows)
    (person.work / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    write(person, "t.csv", text)
    study.project.upload_file(str(person.work / "t.csv"))
    first = person.types("import", "t.xlsx", "--project", study.path, "--timezone", "UTC")
    assert first.returncode == 0, first.stdout + first.stderr
    assert counts(study.project) == (2, 2, 2)
    assert study.acquisitions("007", "Session1")["Struct_T1"].timestamp.isoformat() == "2019-10-03T15:32:00+00:00"
    for source, stdin in (("t.csv.gz", ""), ("-", text), (f"fw://{study.path}/t.csv", "")):
        again = person.types("import", source, "--project", study.path, "--timezone", "UTC", stdin=stdin)
        assert again.returncode == 0, again.stdout + again.stderr
        assert "(0 writes)" in again.stdout, source
        assert "skipped" not in again.stdout


def test_bids_tables_work_as_they_are(person: Person, study: Study) -> None:
    write(
        person, "participants.tsv", "participant_id\tage\tsex\thandedness\nsub-01\t34\tF\tright\nsub-02\tn/a\tM\tleft\n"
    )
    folder = person.work / "sub-01"
    folder.mkdir()
    (folder / "sub-01_sessions.tsv").write_text("session_id\tacq_time\nses-1\t2019-10-03T15:32:00\nses-2\tn/a\n")
    assert person.types("import", "participants.tsv", "--project", study.path).returncode == 0
    assert counts(study.project) == (2, 0, 0)
    assert study.subjects()["sub-01"].info == {"age": 34}
    assert study.subjects()["sub-02"].info == {}
    done = person.types("import", "sub-01/sub-01_sessions.tsv", "--project", study.path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert counts(study.project) == (2, 2, 0)
    assert study.sessions("sub-01")["ses-1"].timestamp.isoformat() == "2019-10-03T15:32:00+00:00"


def test_unknown_columns_never_reach_the_site_unasked(person: Person, study: Study) -> None:
    write(person, "t.csv", "Subject ID,diagnosis,code\ns1,secret,007\n")
    done = person.types("import", "t.csv", "--project", study.path)
    assert "ignored: diagnosis, code" in done.stdout
    assert study.subjects()["s1"].info == {}
    refused = person.types("import", "t.csv", "--project", study.path, "--extra", "error")
    assert refused.returncode == 2
    assert "'diagnosis', 'code'" in refused.stderr
    asked = person.types("import", "t.csv", "--project", study.path, "--extra", "info", "--on-conflict", "update")
    assert asked.returncode == 0
    assert study.subjects()["s1"].info == {"diagnosis": "secret", "code": "007"}


def test_explain_mapping_needs_no_site(person: Person) -> None:
    write(person, "t.csv", "Subject ID,sex,when,site,x\n007,F,10/23/2019 15:32,A,1\n008,M,1/1/2019 8:00,B,2\n")
    done = person.types(
        "import", "t.csv", "--explain-mapping", "--map", "when=acquisition.timestamp", "--map", "x=session.info.x",
        FWSYNC_API_KEY="",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = {line.split("  ")[0]: line for line in done.stdout.splitlines()}
    assert "subject.label" in lines["Subject ID"]
    assert "'007', '008'" in lines["Subject ID"]
    assert "time, month-first" in lines["when"]
    assert "session.info.x" in lines["x"]
    assert "int" in lines["x"]
    assert "nothing" in lines["site"]


@pytest.mark.parametrize(
    ("text", "flags", "part"),
    [
        ("Subject ID,time of scan\ns1,01/02/2019 10:00\n", (), "t.csv, column 'time of scan': day and month"),
        ("Subject ID,age\ns1,3\n", ("--map", "agge=session.age"), "no column 'agge', which --map names; did you mean 'age'"),
        ("Subject ID,age\ns1,3\n", ("--map", "age=session.agge"), "'session.agge' is no field; did you mean session.age"),
        ("Subject ID,age\ns1,3\n", ("--map", "age"), "--map age: write it as 'column=field'"),
        ("Subject ID,age\ns1,3\n", ("--session-label", "{visit}"), "no column 'visit'"),
        ("Subject ID,age\ns1,3\n", ("--require", "timestamp"), "no column for 'timestamp', which --require wants"),
        ("Subject ID,age\ns1,3\n", ("--timezone", "Europe/Zurch"), "did you mean Europe/Zurich"),
        ("Subject ID,age\ns1,3\n", ("--date-format", "%d.%m"), "--date-format"),
        ("Subject ID,Subject-ID\ns1,3\n", (), "columns 'Subject ID' and 'Subject-ID' both mean subject.label"),
        ('Subject ID,age\ns1,"3\n', (), "t.csv, line 2: has a cell that begins here and never ends"),
    ],
)  # fmt: skip
def test_mistakes_in_a_table_are_one_line(
    person: Person, study: Study, text: str, flags: tuple[str, ...], part: str
) -> None:
    write(person, "t.csv", text)
    done = person.types("import", "t.csv", "--project", study.path, *flags)
    assert done.returncode == 2, done.stdout + done.stderr
    last = done.stderr.splitlines()[-1]
    assert part in last
    assert "Traceback" not in done.stderr
    assert counts(study.project) == (0, 0, 0)


# --- rows in error ------------------------------------------------------------------------------------------------

BAD = "Subject ID,sex,age,note\ns1,F,34,fine\ns2,X,20,=1+1\n,M,20,nobody\ns4,M,-3,\n"


def test_rejects_are_corrected_and_imported_again(person: Person, study: Study) -> None:
    write(person, "t.csv", BAD)
    done = person.types("import", "t.csv", "--project", study.path)
    assert done.returncode == 3
    assert counts(study.project) == (1, 1, 1)
    path = person.work / "t.rejects.csv"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open(newline="") as file:
        held = list(csv.DictReader(file))
    assert [row["Subject ID"] for row in held] == ["s2", "", "s4"]
    assert held[0]["note"] == "'=1+1"
    assert held[0]["error"] == "line 3, sex: 'X' is no known sex; use male, female, other or unknown"
    assert "'-3' is a negative age" in held[2]["error"]
    path.write_text(
        path.read_text().replace("X,20", "M,20").replace("-3", "3").replace(",M,20,nobody", "s3,M,20,nobody")
    )
    again = person.types("import", "t.rejects.csv", "--project", study.path)
    assert again.returncode == 0, again.stdout
    assert counts(study.project) == (4, 4, 4)
    third = person.types("import", "t.csv", "--project", study.path)
    assert third.returncode == 3
    assert "s3,M,20,nobody" in path.read_text(), "an edited file was overwritten"
    assert (person.work / "t.rejects-2.csv").exists()
    assert person.types("import", "t.csv", "--project", study.path).returncode == 3
    assert not (person.work / "t.rejects-3.csv").exists(), "a file that nobody edited is written anew"


def test_strict_sends_nothing_and_dry_runs_write_nothing(person: Person, study: Study) -> None:
    write(person, "t.csv", BAD)
    dry = person.types("import", "t.csv", "--project", study.path, "--dry-run")
    assert dry.returncode == 3
    assert f"would create {study.path}/s1/Session1/Struct_T1" in dry.stdout
    assert not (person.work / "t.rejects.csv").exists()
    strict = person.types("import", "t.csv", "--project", study.path, "--strict")
    assert strict.returncode == 3
    assert "3 rows are wrong and nothing was sent (--strict); the first: line 3, sex" in strict.stderr
    assert counts(study.project) == (0, 0, 0)


def test_rows_that_disagree_name_each_other(person: Person, study: Study) -> None:
    write(person, "t.csv", "Subject ID,age,visit no\ns1,34,1\ns1,35,2\ns2,20,1\n")
    done = person.types("import", "t.csv", "--project", study.path)
    assert done.returncode == 3
    assert "line 2, age: line 3 gives session 'Session1' another age" in done.stdout
    assert "--session-label '{column}'" in done.stdout
    assert set(study.subjects()) == {"s2"}
    told = person.types("import", "t.csv", "--project", study.path, "--session-label", "V{visit no}")
    assert told.returncode == 0
    assert {label: s.age_years for label, s in study.sessions("s1").items()} == {"V1": 34.0, "V2": 35.0}


def test_hostile_cells_stay_text(person: Person, study: Study) -> None:
    labels = ["a/b", 'say "hi"', "x, y", "=cmd|'/C calc'!A0", "{brace}", "%2e%2e", "..", "O'Neil", "Null", "<id:5d>"]
    with (person.work / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Subject ID", "FirstName", "remark"])
        writer.writerows([label, label, label] for label in labels)
        writer.writerow(["bad\x00label", "", ""])
        writer.writerow(["long", "x" * 2_000_000, ""])
    done = person.types("import", "t.csv", "--project", study.path, "--map", "remark=acquisition.info.remark")
    assert done.returncode == 3
    assert "holds a control character" in done.stdout
    assert "has 2,000,000 characters" in done.stdout
    found = study.subjects()
    assert set(found) == set(labels)
    for label, subject in found.items():
        assert subject.firstname == label
        assert study.acquisitions(label, "Session1")["Struct_T1"].info == {"remark": label}


# --- what exists --------------------------------------------------------------------------------------------------


def test_existing_containers_are_skipped_updated_or_an_error(person: Person, study: Study) -> None:
    study.project.add_subject(label="s1", sex="male", firstname="Bart", info={"keep": 1, "site": "old"})
    write(person, "t.csv", "Subject ID,sex,site,tags\ns1,F,new,a;b\n")
    command = [
        "import",
        "t.csv",
        "--project",
        study.path,
        "--map",
        "site=subject.info.site",
        "--map",
        "tags=subject.tags",
    ]
    skipped = person.types(*command)
    assert skipped.returncode == 0
    assert 'sex male > female, info.site old > new, tags unset > ["a","b"]' in skipped.stdout
    failed = person.types(*command, "--on-conflict", "error")
    assert failed.returncode == 3
    assert study.subjects()["s1"].sex == "male"
    updated = person.types(*command, "--on-conflict", "update")
    assert updated.returncode == 0, updated.stdout
    subject = study.subjects()["s1"]
    assert (subject.sex, subject.firstname, subject.info) == ("female", "Bart", {"keep": 1, "site": "new"})
    assert sorted(subject.tags) == ["a", "b"]
    assert "(0 writes)" in person.types(*command, "--on-conflict", "update").stdout


def test_labels_that_lost_their_zeros_get_a_warning(person: Person, study: Study) -> None:
    for label in ("007", "008", "other"):
        study.project.add_subject(label=label)
    write(person, "t.csv", "Subject ID\n7\n008\n9\n")
    done = person.types("import", "t.csv", "--project", study.path)
    assert done.returncode == 0
    assert "without their leading zeros: 1 (e.g. '7' beside '007')" in done.stdout


def test_few_requests_for_few_rows_and_none_per_row_for_many(person: Person, study: Study, site: Site) -> None:
    write_rows(person.work / "many.csv", 1000)
    first = person.types("import", "many.csv", "--project", study.path, "--json")
    assert first.returncode == 0, first.stderr
    told = summary(first)
    assert told["by_kind"]["create.subject"] == {"done": 1000}
    assert told["requests"] <= 1050
    again = summary(person.types("import", "many.csv", "--project", study.path, "--json"))
    assert (again["writes"], again["states"]) == (0, {"unchanged": 3000})
    assert again["requests"] <= 20
    write_rows(person.work / "two.csv", 2)
    two = summary(person.types("import", "two.csv", "--project", study.path, "--json"))
    assert two["requests"] <= 10


def test_classic_creates_need_three_requests_a_row(tmp_path: Path) -> None:
    with sandbox("--without", "upsert-hierarchy") as site:
        person, study = Person(tmp_path / "home", site.key), Study(site)
        write_rows(person.work / "many.csv", 1000)
        done = person.types("import", "many.csv", "--project", study.path, "--json")
        assert done.returncode == 0, done.stderr
        assert summary(done)["requests"] <= 3050
        assert counts(study.project) == (1000, 1000, 1000)


def test_tag_note_and_limit(person: Person, study: Study) -> None:
    study.project.add_subject(label="s0")
    write(person, "t.csv", "Subject ID\ns0\ns1\ns2\n")
    done = person.types(
        "import", "t.csv", "--project", study.path, "--limit", "2", "--tag", "batch-1", "--note", "from the registry"
    )
    assert done.returncode == 0, done.stdout
    assert "2 read" in done.stdout
    found = study.subjects()
    assert set(found) == {"s0", "s1"}
    assert (found["s0"].tags, found["s1"].tags) == ([], ["batch-1"])
    assert [note.text for note in found["s1"].notes] == ["from the registry"]
    assert [note.text for note in study.sessions("s0")["Session1"].notes] == ["from the registry"]


# --- files --------------------------------------------------------------------------------------------------------


def test_files_go_up_with_their_rows(person: Person, study: Study) -> None:
    (person.work / "scans").mkdir()
    for name in ("a.nii", "b1.txt", "b2.txt"):
        (person.work / "scans" / name).write_text(name)
    (person.work / "outside.txt").symlink_to("/etc/hostname")
    write(
        person, "t.csv",
        "Subject ID,acquisition.file,acquisition.file.type,acquisition.file.classification.Intent,session.file,"
        "acquisition.file.info.te\n"
        "s1,scans/a.nii,nifti,Structural,scans/b*.txt,2.5\ns2,scans/missing.nii,,,,\ns3,../../secret,,,,\ns4,outside.txt,,,,\n",
    )  # fmt: skip
    done = person.types("import", "t.csv", "--project", study.path)
    assert done.returncode == 3
    assert "'scans/missing.nii': no such file" in done.stdout
    assert "is outside of" in done.stdout
    assert "leads out of" in done.stdout
    assert set(study.subjects()) == {"s1"}
    scan = study.acquisitions("s1", "Session1")["Struct_T1"]
    assert [(f.name, f.type, f.classification, f.info) for f in scan.files] == [
        ("a.nii", "nifti", {"Intent": ["Structural"]}, {"te": 2.5})
    ]
    assert sorted(f.name for f in study.sessions("s1")["Session1"].files) == ["b1.txt", "b2.txt"]
    assert scan.read_file("a.nii") == b"a.nii"
    again = person.types("import", "t.csv", "--project", study.path)
    assert "(0 writes)" in again.stdout
    (person.work / "scans" / "a.nii").write_text("new bytes")
    kept = person.types("import", "t.csv", "--project", study.path)
    assert "exists with other bytes" in kept.stdout
    person.types("import", "t.csv", "--project", study.path, "--on-conflict", "update")
    assert study.acquisitions("s1", "Session1")["Struct_T1"].read_file("a.nii") == b"new bytes"


# --- plan, apply, undo, runs --------------------------------------------------------------------------------------


def test_a_plan_is_written_read_and_applied(person: Person, study: Study) -> None:
    study.project.add_subject(label="s1", sex="male")
    study.project.add_subject(label="s2", sex="male")
    write(person, "t.csv", "Subject ID,sex\ns1,F\ns2,M\ns3,F\ns4,X\n")
    planned = person.types(
        "plan", "import", "t.csv", "--project", study.path, "--out", "p.jsonl", "--on-conflict", "update"
    )
    assert planned.returncode == 3, planned.stdout + planned.stderr  # a row is wrong
    assert counts(study.project) == (2, 0, 0)
    path = person.work / "p.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(line.get("label"), line["do"]) for line in lines if line.get("level") == "subject"} == {
        ("s1", "differs: sex male > female"), ("s2", "equal"), ("s3", "create"),
    }  # fmt: skip
    assert [line["wrong"] for line in lines if "wrong" in line] == [5]
    assert person.types("plan", "import", "t.csv", "--project", study.path, "--out", "p.jsonl").returncode == 3
    study.subjects()["s1"].update(sex="other")
    moved = person.types("apply", "p.jsonl")
    assert moved.returncode == 3
    assert "the site has changed since the plan was made: 1 containers" in moved.stdout
    assert study.subjects()["s1"].sex == "other", "an update that nobody has read was carried out"
    assert set(study.subjects()) == {"s1", "s2", "s3"}
    study.subjects()["s1"].update(sex="male")
    person.types("apply", "p.jsonl")
    assert study.subjects()["s1"].sex == "female"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    cut = person.types("apply", "p.jsonl")
    assert cut.returncode == 2
    assert "p.jsonl, line" in cut.stderr


def test_undo_takes_back_only_what_nobody_touched(person: Person, study: Study) -> None:
    study.project.add_subject(label="old")
    (person.work / "f.txt").write_text("x")
    write(person, "t.csv", "Subject ID,acquisition.file\nold,f.txt\nnew,f.txt\ntouched,\nextended,\n")
    done = person.types("import", "t.csv", "--project", study.path, "--tag", "t", "--note", "n", "--json")
    run = summary(done)["run"]
    study.sessions("touched")["Session1"].update(operator="someone")
    study.sessions("extended")["Session1"].add_acquisition(label="more")
    assert person.types("undo", run).returncode == 2
    shown = person.types("undo", run, "--dry-run")
    assert f"delete {study.path}/new" in shown.stdout
    assert f"keep {study.path}/touched/Session1: operator was changed" in shown.stdout
    assert counts(study.project) == (4, 4, 5)
    undone = person.types("undo", run, "--yes")
    assert undone.returncode == 3
    found = study.subjects()
    assert set(found) == {"old", "touched", "extended"}
    assert study.sessions("old") == {}
    assert study.acquisitions("touched", "Session1") == {}
    assert set(study.acquisitions("extended", "Session1")) == {"more"}
    assert person.types("undo", "nonsense").returncode == 2


def test_runs_show_tells_of_each_row(person: Person, study: Study) -> None:
    write(person, "t.csv", "Subject ID,sex\ns1,F\ns2,X\n")
    run = summary(person.types("import", "t.csv", "--project", study.path, "--json"))["run"]
    told = [json.loads(line) for line in person.types("runs", "show", run, "--json").stdout.splitlines()]
    by_target = {one["target"]: one for one in told}
    made = by_target[f"{study.path}/s1"]
    assert made["ref"] == study.subjects()["s1"].id
    assert (made["line"], made["request"], made["state"]) == (2, "POST /projects/{id}/upsert-hierarchy", "done")
    assert by_target["line 3"]["state"] == "rejected"
    assert made["ref"] in person.types("runs", "show", run).stdout


# --- two at once --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--without", "upsert-hierarchy,duplicate-sessions")])
def test_two_imports_at_the_same_time_make_no_doubles(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with sandbox("--latency", "10", *flags) as site:
        study = Study(site)
        people = [Person(tmp_path / name, site.key) for name in ("one", "two")]
        for person in people:
            write_rows(person.work / "rows.csv", 150)
        running = [person.start("import", "rows.csv", "--project", study.path) for person in people]
        for process in running:
            out, err = process.communicate(timeout=100)
            assert process.returncode == 0, out + err
        assert counts(study.project) == (150, 150, 150)


def test_doubles_that_a_site_allows_are_seen_and_said(tmp_path: Path) -> None:
    with sandbox("--latency", "30", "--without", "upsert-hierarchy") as site:
        study = Study(site)
        for number in range(40):
            study.project.add_subject(label=f"sub{number:04}")
        people = [Person(tmp_path / name, site.key) for name in ("one", "two")]
        for person in people:
            write_rows(person.work / "rows.csv", 40)
        running = [
            person.start("import", "rows.csv", "--project", study.path, "--map", "FirstName=") for person in people
        ]
        ended = [(*process.communicate(timeout=100), process.returncode) for process in running]
        _, sessions, scans = counts(study.project)
        if sessions > 40 or scans > 40:
            seen = [out for out, _, code in ended if code == 3]
            assert seen, "there are doubles and neither run said so"
            assert any("x is there more than once (e.g. session" in out for out in seen), ended
        assert sessions > 40, "the two did not meet: the test proves nothing, widen the window"


def test_one_person_s_second_run_waits_for_nobody(person: Person, study: Study) -> None:
    write_rows(person.work / "rows.csv", 300)
    first = person.start("import", "rows.csv", "--project", study.path)
    assert first.stderr is not None
    while "working" not in first.stderr.readline():
        assert first.poll() is None
    second = person.types("import", "rows.csv", "--project", study.path)
    first.communicate()
    assert second.returncode in (0, 6)
    if second.returncode == 6:
        assert "another run is at work on project" in second.stderr
    assert counts(study.project) == (300, 300, 300)


def test_nothing_is_left_in_the_state_folder(person: Person, study: Study) -> None:
    write(person, "t.csv", BAD)
    person.types("import", "t.csv", "--project", study.path)
    person.types("import", "nothing.csv", "--project", study.path)
    spool = person.home / "state" / "fwsync" / "spool"
    assert list(spool.iterdir()) == []
    assert os.stat(spool).st_mode & 0o777 == 0o700


# --- settings -----------------------------------------------------------------------------------------------------


def test_zones_of_sites_and_dates_without_a_time(person: Person, study: Study) -> None:
    write(
        person, "fwsync.toml",
        f'[site]\nproject = "{study.path}"\n[import]\nmapping = {{ MRN = "subject.label", Where = "subject.info.site" }}\n'
        'site_column = "Where"\ndate_formats = ["%d.%m.%Y %H:%M"]\n'
        '[import.site_zones]\nBasel = "Europe/Zurich"\nBoston = "America/New_York"\n',
    )  # fmt: skip
    write(
        person,
        "t.csv",
        "MRN,Where,scan date\n1,Basel,03.10.2019 15:32\n2,boston,03.10.2019 15:32\n3,Bern,03.10.2019 15:32\n",
    )
    done = person.types("import", "t.csv")
    assert done.returncode == 3
    assert "line 4, Where: 'Bern' has no zone in [import.site_zones]; there is Basel, Boston" in done.stdout
    scans = {label: study.acquisitions(label, "Session1")["Struct_T1"] for label in ("1", "2")}
    assert scans["1"].timestamp.isoformat() == "2019-10-03T13:32:00+00:00"
    assert scans["2"].timestamp.isoformat() == "2019-10-03T19:32:00+00:00"
    assert scans["2"].timezone == "America/New_York"
    assert study.subjects()["2"].info == {"site": "boston"}
    (person.work / "fwsync.toml").unlink()
    write(person, "d.csv", "Subject ID,scan date,timezone\n4,2019-10-03,\n5,2019-10-03,Asia/Tokyo\n")
    alone = person.types("import", "d.csv", "--project", study.path)
    assert "no time of day, and no time zone was given" in alone.stdout
    assert "midnight in Asia/Tokyo: 1 rows (first in line 3)" in alone.stdout
    assert study.acquisitions("5", "Session1")["Struct_T1"].timestamp.isoformat() == "2019-10-02T15:00:00+00:00"
    zoned = person.types("import", "d.csv", "--project", study.path, "--timezone", "Europe/Zurich")
    assert zoned.returncode == 0
    assert study.acquisitions("4", "Session1")["Struct_T1"].timestamp.isoformat() == "2019-10-02T22:00:00+00:00"


def test_gaps_and_folds_are_settled_only_when_told(person: Person, study: Study) -> None:
    write(person, "t.csv", "Subject ID,time of scan\ngap,2019-03-31 02:30\nfold,2019-10-27 02:30\n")
    command = ("import", "t.csv", "--project", study.path, "--timezone", "Europe/Zurich")
    refused = person.types(*command)
    assert refused.returncode == 3
    assert "settle it by --dst shift-forward" in refused.stdout
    assert "settle it by --dst earlier or --dst later" in refused.stdout
    assert person.types(*command, "--dst", "shift-forward", "--dst", "later").returncode == 0
    assert study.acquisitions("gap", "Session1")["Struct_T1"].timestamp.isoformat() == "2019-03-31T01:30:00+00:00"
    assert study.acquisitions("fold", "Session1")["Struct_T1"].timestamp.isoformat() == "2019-10-27T01:30:00+00:00"


def test_a_required_field_and_ages_from_birth_dates(person: Person, study: Study) -> None:
    write(
        person,
        "t.csv",
        "Subject ID,DOB,scan date\ns1,1985-10-03,2019-10-03 10:00\ns2,,2019-10-03 10:00\ns3,2020-01-01,2019-10-03 10:00\n",
    )
    done = person.types("import", "t.csv", "--project", study.path, "--require", "age")
    assert done.returncode == 3
    assert "line 3, DOB: is empty, and --require wants session.age" in done.stdout
    assert "scans before the date of birth, whose age is left unset: 1 rows (first in line 4)" in done.stdout
    subject = study.subjects()["s1"]
    assert str(subject.date_of_birth) == "1985-10-03"
    assert study.sessions("s1")["Session1"].age == 12418 * 86400
