"""`fwsync export`: what the SDK made, exported, imported into an empty project, and exported again."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from site_ import Person, Site, add_project, counts, sandbox

from fwsync.model import Acquisition, Project, Session, Subject
from fwsync.operations.exporting import export_project
from fwsync.plan.exporting import DOUBLE, REFUSED, UNREADABLE

HOSTILE = ("a/b", 'say "hi", twice', "007", "NA", "=cmd|' /C calc'!A0", " blank ", "-", "'=x", "é;\t".strip(), "#REF!")
INFO: dict[str, Any] = {
    "code": "1",
    "count": 3,
    "ratio": 0.1,
    "whole": 2.0,
    "flag": True,
    "none": None,
    "empty": "",
    "nested": {"b": [1, "x", None], "a": {"deep": 1.5}},
    "formula": "=1+1",
    "lines": "one\ntwo\r\nthree",
    "bell": "\x07",
    "a:b": "colon",
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        yield running


@pytest.fixture
def person(tmp_path: Path, site: Site) -> Person:
    return Person(tmp_path, site.key)


def build(project: Any) -> None:
    """A project with all that a table can hold."""
    for number, label in enumerate(HOSTILE):
        subject = project.add_subject(label=label, firstname="NA" if number == 3 else f"F{number}", sex="female")
        session = subject.add_session(label=label, age=34 * 31557600 + number, weight=70.5)
        session.add_acquisition(label=label, timestamp=datetime.fromisoformat("2019-10-27T02:30:00.123+01:00"))
        session.add_acquisition(label="T1w", timezone="Asia/Kathmandu", timestamp="2020-02-29T23:59:59Z")
        subject.add_session(label="empty", timestamp="2019-07-01T12:00:00+00:00", timezone="Europe/Zurich")
    odd = project.add_subject(label="info", date_of_birth="1985-03-02", cohort="Study", race="White", strain=" x ")
    odd.update(info=INFO)
    odd.add_tag("b")
    odd.add_tag("a, quoted")
    session = odd.add_session(label="mixed", operator="Nobody", info={"k": 1, "only": False})
    session.add_acquisition(label="one", info={"k": "1"}).add_tag("scan")
    session.add_acquisition(label="two", info={"k": 1.5})
    project.add_subject(label="nothing below")


def picture(project: Any) -> dict[str, Any]:
    """Everything that the SDK tells of a project's containers, by path."""
    out: dict[str, Any] = {}
    for subject in project.reload().subjects.iter():
        subject = subject.reload()
        names = ("firstname", "lastname", "sex", "date_of_birth", "cohort", "race", "ethnicity", "strain")
        out[repr((subject.label,))] = told(subject, names)
        for session in subject.sessions():
            session = session.reload()
            place = (subject.label, session.label)
            out[repr(place)] = told(session, ("age", "weight", "operator", "timestamp", "timezone"))
            for scan in session.acquisitions():
                out[repr((*place, scan.label))] = told(scan.reload(), ("timestamp", "timezone"))
    return out


def told(container: Any, names: tuple[str, ...]) -> dict[str, Any]:
    fields = {name: repr(container.get(name)) for name in names}
    info = {key: json.dumps(value, sort_keys=True) for key, value in container.info.items()}
    return {**fields, "info": info, "tags": sorted(container.tags)}


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_export_import_export_gives_the_same_bytes_and_the_same_project(person: Person, site: Site) -> None:
    project = add_project(site, "full", group="round")
    build(project)
    first = person.types("export", "round/full", "--out", "first.csv")
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert "12 subjects, 21 sessions, 22 acquisitions: 33 rows in first.csv" in first.stderr
    data = (person.work / "first.csv").read_bytes()
    assert stat.S_IMODE((person.work / "first.csv").stat().st_mode) == 0o600
    assert sorted(os.listdir(person.work)) == ["first.csv"]

    copy = add_project(site, "copy", group="round")
    done = person.types("import", "first.csv", "--project", "round/copy", "--timezone", "America/New_York")
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture(copy) == picture(project)
    second = person.types("export", "round/copy", "--out", "second.csv")
    assert second.returncode == 0, second.stderr
    assert (person.work / "second.csv").read_bytes() == data

    again = person.types("import", "first.csv", "--project", "round/full", "--json")
    summary = json.loads(again.stdout)
    assert (summary["writes"], summary["states"]) == (0, {"unchanged": 55}), summary


def test_the_table_is_plain_csv_with_the_columns_in_order(person: Person, site: Site) -> None:
    project = add_project(site, "plain", group="plain")
    build(project)
    done = person.types("export", "plain/plain")
    text = done.stdout
    assert done.returncode == 0, done.stderr
    header = next(csv.reader(io.StringIO(text)))
    assert header[:5] == [
        "subject.label:str",
        "subject.firstname:str",
        "subject.sex",
        "subject.date_of_birth",
        "subject.cohort",
    ]
    assert [name for name in header if "info" in name] == [
        "subject.info.a:b:str", "subject.info.bell:json", "subject.info.code:str", "subject.info.count:int",
        "subject.info.empty:json", "subject.info.flag:bool", "subject.info.formula:str", "subject.info.lines:str",
        "subject.info.nested:json", "subject.info.none:json", "subject.info.ratio:float", "subject.info.whole:float",
        "session.info.k:int", "session.info.only:bool", "acquisition.info.k:json",
    ]  # fmt: skip
    rows = rows_of(text)
    assert [row["subject.label:str"] for row in rows if row["subject.label:str"] == "nothing below"] == [
        "nothing below"
    ]
    assert any(row["subject.label:str"] == "'=cmd|' /C calc'!A0" for row in rows)
    kathmandu = [row for row in rows if row["acquisition.timezone"]]
    assert {row["acquisition.timestamp"] for row in kathmandu} == {"2020-03-01T05:44:59+05:45"}
    labels = [tuple(row[name] for name in header if ".label" in name) for row in rows]
    unescaped = [tuple(cell.removeprefix("'") if cell[:2] in ("'=", "'-") else cell for cell in row) for row in labels]
    assert len(set(unescaped)) == len(rows)
    assert "\r" not in text.replace("two\r\nthree", "")


def test_an_empty_project_makes_a_table_with_a_header_alone(person: Person, site: Site) -> None:
    add_project(site, "none", group="none")
    done = person.types("export", "none/none", "--out", "-", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "subject.label,session.label,acquisition.label\n", "")
    taken = person.types("import", "-", "--project", "none/none", stdin=done.stdout)
    assert taken.returncode == 0, taken.stderr


def test_an_existing_file_is_overwritten_only_when_told(person: Person, site: Site) -> None:
    project = add_project(site, "over", group="over")
    project.add_subject(label="one")
    target = person.work / "table.csv"
    command = ("export", "over/over", "--out", "table.csv")
    assert person.types(*command).returncode == 0
    same = person.types(*command, "--json")
    told_of = json.loads(same.stdout)
    assert (same.returncode, told_of["changed"], told_of["rows"]) == (0, False, 1)
    project.add_subject(label="two")
    before = target.read_bytes()
    refused = person.types(*command)
    assert refused.returncode == 2
    assert "table.csv: exists with other content; overwrite it by --force" in refused.stderr
    assert target.read_bytes() == before
    target.chmod(0o644)
    assert person.types(*command, "--force").returncode == 0
    assert target.read_bytes() == b"subject.label,session.label,acquisition.label\none,,\ntwo,,\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(person.work) == ["table.csv"]
    (person.work / "link.csv").symlink_to("table.csv")
    project.add_subject(label="three")
    assert person.types("export", "over/over", "--out", "link.csv", "--force").returncode == 0
    assert (person.work / "link.csv").is_symlink()
    assert b"three" in target.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("wrong/here",), 2, "project wrong/here: not found"),
        (("wrong/there", "--out", "a.xlsx"), 2, "export writes plain CSV; name it a.csv"),
        (("wrong/there", "--out", "."), 2, "is no regular file"),
        (("wrong/there", "--out", "/dev/null"), 2, "is no regular file"),
        (("wrong/there", "--out", "no/such/a.csv"), 3, "no such folder"),
        (("wrong/there", "--json"), 2, "name a file by --out FILE"),
    ],
)
def test_a_mistake_is_one_line(person: Person, site: Site, arguments: tuple[str, ...], code: int, message: str) -> None:
    if not site.sdk().projects.find("label=there"):
        add_project(site, "there", group="wrong")
    done = person.types("export", *arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr.splitlines()[-1]
    assert os.listdir(person.work) == []


def test_the_project_comes_from_the_settings(person: Person, site: Site) -> None:
    add_project(site, "set", group="set").add_subject(label="mine")
    (person.work / "fwsync.toml").write_text('[site]\nproject = "set/set"\n')
    assert person.types("export").stdout.splitlines()[1] == "mine,,"
    assert person.types("export", FWSYNC_SITE_PROJECT="set/nowhere").returncode == 2


def test_what_a_table_cannot_hold_is_told_and_the_rest_is_written(person: Person, site: Site) -> None:
    project = add_project(site, "lost", group="lost")
    subject = project.add_subject(label="fine")
    subject.add_session(label="twice", operator="first").add_acquisition(label="kept")
    subject.add_session(label="twice", operator="second").add_acquisition(label="gone")
    subject.add_session(label="zone", timezone="Mars/Phobos")
    project.add_subject(label="new\nline").add_session(label="below")
    done = person.types("export", "lost/lost", "--out", "lost.csv")
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    warnings = [line for line in done.stderr.splitlines() if line.startswith("fwsync: warning: ")]
    assert [line.removeprefix("fwsync: warning: ") for line in warnings] == [
        f"{DOUBLE}: 1 (e.g. session 'fine/twice')",
        f"{UNREADABLE}: 1 (e.g. timezone of session 'fine/zone')",
        f"{REFUSED}: 1 (e.g. subject 'new\\nline')",
        "left out with the containers that they are in: 2",
    ]
    text = (person.work / "lost.csv").read_text()
    assert text.splitlines() == [
        "subject.label,session.label,session.operator,acquisition.label", "fine,twice,first,kept", "fine,zone,,",
    ]  # fmt: skip
    copy = add_project(site, "rest", group="lost")
    assert person.types("import", "lost.csv", "--project", "lost/rest").returncode == 0
    assert counts(copy) == (1, 2, 1)
    assert person.types("export", "lost/rest").stdout == text


def test_a_site_with_small_pages_and_without_counts_gives_the_same_table(tmp_path: Path) -> None:
    with sandbox("--page-limit", "3", "--without", "pagination,upsert-hierarchy,duplicate-check") as odd:
        person = Person(tmp_path, odd.key)
        project = add_project(odd, "odd", group="odd")
        build(project)
        project.add_subject(label="nothing below", sex="male")
        first = person.types("export", "odd/odd")
        assert first.returncode == 3
        assert "more than once under one parent" in first.stderr
        add_project(odd, "copy", group="odd")
        done = person.types("import", "-", "--project", "odd/copy", stdin=first.stdout)
        assert done.returncode == 0, done.stderr
        second = person.types("export", "odd/copy")
        assert (second.returncode, second.stdout) == (0, first.stdout)


def test_a_reader_that_goes_away_is_no_error(person: Person, site: Site) -> None:
    project = add_project(site, "head", group="head")
    project.add_subject(label="x", info={"long": "y" * 500_000})
    process = person.start("export", "head/head", "--quiet")
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(60) in (0, 1)  # 1 is click's own for a broken pipe
    process.stderr.close()


class Listing:
    """A kind of container on a site whose listings leave info out."""

    def __init__(self, *held: Any) -> None:
        self.held = {one.id: one for one in held}

    async def iter(self, **_: Any) -> AsyncIterator[Any]:
        for one in self.held.values():
            yield msgspec.structs.replace(one, info=None)

    async def get(self, ident: str) -> Any:
        return self.held[ident]


class OddSite:
    projects = Listing(Project(id="p", label="odd", group="lab"))
    subjects = Listing(Subject(id="s", code="sub", info={"k": 1}, info_exists=True))
    sessions = Listing(
        Session(id="e", label="ses", subject={"_id": "s"}),
        Session(id="f", label="idle", subject="s", info_exists=False),
    )
    acquisitions = Listing(
        Acquisition(id="a", label="scan", session="e"), Acquisition(id="b", label="b", session="new")
    )
    site = "odd.example.org"


async def test_info_that_a_listing_leaves_out_is_fetched_and_a_project_that_changes_is_told(tmp_path: Path) -> None:
    stream = io.BytesIO()
    fw: Any = OddSite()
    done = await export_project(fw, "<id:p>", stream, state_folder=tmp_path)
    assert stream.getvalue().decode().splitlines() == [
        "subject.label,subject.info.k:int,session.label,acquisition.label", "sub,1,idle,", "sub,1,ses,scan",
    ]  # fmt: skip
    assert (done.exit_code, len(done.warnings)) == (3, 1)
    assert "changed while it was read, and 1 containers are missing" in done.warnings[0]
    assert not list((tmp_path / "spool").iterdir())
