"""Collections: what the tutorial's loops put into them by the SDK, by one command; built again, made exact, killed."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import SECRET, Person, Site, sandbox

import fwsync

GUIDE = Path(__file__).parents[2] / "docs/guides/collections.md"
YEAR = 365 * 24 * 60 * 60
AGES = f"session.age>={20 * YEAR},session.age<{30 * YEAR}"
NO_SBREF = "acquisition.label=~^((?!SBRef).)*$"
FINDERS = (
    "--all-projects", "--where", AGES, "--where", NO_SBREF, "--classification", "Intent=Structural",
    "--classification", "Measurement=T1",
)  # fmt: skip
QUERY = (
    f"session.age >= {20 * YEAR} AND session.age < {30 * YEAR} AND file.classification.Measurement = T1 AND "
    "file.classification.Intent = Structural AND NOT acquisition.label CONTAINS .*SBRef.*"
)


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture
def person(tmp_path: Path, demo: Site) -> Person:
    return Person(tmp_path, demo.key)


@pytest.fixture(scope="module")
def fw(demo: Site) -> Any:
    return demo.sdk()


@pytest.fixture(autouse=True)
def no_collections(fw: Any) -> Iterator[None]:
    yield
    for one in fw.collections():
        fw.delete_collection(one.id)


def summary(done: Any, code: int = 0) -> dict[str, Any]:
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def the_one(fw: Any, label: str) -> Any:
    (found,) = [one for one in fw.collections() if one.label == label]
    return found


def members(fw: Any, label: str) -> set[str]:
    """The ids of what a collection holds, as the SDK lists it."""
    return {one.id for one in fw.get_collection_acquisitions(the_one(fw, label).id)}


def built(person: Person, *arguments: str, code: int = 0) -> dict[str, Any]:
    return summary(person.types("collection", "build", *arguments, "--json"), code)


def by_finders(fw: Any) -> set[str]:
    """The tutorial's loop over finders."""
    found = set()
    for session in fw.sessions.find(AGES.replace("session.", "")):
        for acquisition in session.acquisitions.find(NO_SBREF.replace("acquisition.", "")):
            for file in acquisition.reload().files:
                kinds = file.classification
                if kinds.get("Intent") == ["Structural"] and kinds.get("Measurement") == ["T1"]:
                    found.add(acquisition.id)
    return found


def by_query(fw: Any, query: str) -> set[str]:
    """The tutorial's search."""
    hits = fw.search({"structured_query": query, "return_type": "acquisition"}, size=10_000)
    return {hit.acquisition.id for hit in hits}


def acquisitions(fw: Any, project: str) -> list[Any]:
    return [one for session in fw.lookup(project).sessions() for one in session.acquisitions()]


# --- the tutorial -----------------------------------------------------------------------------------------------------


def test_the_tutorials_finders_are_one_command(person: Person, fw: Any) -> None:
    first = built(person, "t1", *FINDERS)
    wanted = by_finders(fw)
    assert wanted
    assert members(fw, "t1") == wanted
    assert first["by_kind"] == {"create.collection": {"done": 1}, "add.acquisition": {"done": len(wanted)}}
    assert (first["planned"], first["writes"]) == (1 + len(wanted), 2), "one create, one request for all of them"
    again = built(person, "t1", *FINDERS)
    assert (again["states"], again["writes"]) == ({"unchanged": len(wanted)}, 0)


def test_the_tutorials_query_is_one_command(person: Person, fw: Any) -> None:
    built(person, "t1", "--query", QUERY)
    assert by_query(fw, QUERY)
    assert members(fw, "t1") == by_query(fw, QUERY)


def test_a_query_finds_acquisitions_and_not_files_alone(person: Person, fw: Any) -> None:
    """Acquisitions without any file are found too, as by the SDK's search for acquisitions."""
    empty = fw.lookup("demo/neuro-study/sub-001").sessions()[0].add_acquisition(label="without-files")
    query = "acquisition.label = without-files"
    built(person, "empty", "--query", query)
    assert members(fw, "empty") == by_query(fw, query) == {empty.id}
    assert summary(person.types("collection", "build", "empty", "--query", query, "--type", "nifti", "--allow-empty",
                                "--json"))["states"] == {}  # fmt: skip
    fw.delete_acquisition(empty.id)


# --- what goes in -----------------------------------------------------------------------------------------------------


def test_without_wishes_about_files_every_acquisition_goes_in(person: Person, fw: Any) -> None:
    done = built(person, "all", "--project", "scitran/BIDS-Sample", "--subject", "*1")
    sessions = [one for one in fw.lookup("scitran/BIDS-Sample").sessions() if one.subject.label.endswith("1")]
    wanted = {one.id for session in sessions for one in session.acquisitions()}
    assert wanted
    assert members(fw, "all") == wanted
    assert done["requests"] <= 12, "listings of the whole project, never one request per container"


def test_paths_are_containers_and_files(person: Person, fw: Any) -> None:
    scans = acquisitions(fw, "demo/neuro-study")
    one = next(scan.reload() for scan in scans if fw.get(scan.parents.subject).label == "sub-001" and scan.files)
    session = fw.get(one.parents.session)
    built(person, "session", f"demo/neuro-study/sub-001/{session.label}")
    assert members(fw, "session") == {scan.id for scan in session.acquisitions()}
    built(person, "file", f"demo/neuro-study/sub-001/{session.label}/{one.label}/{one.files[0].name}")
    assert members(fw, "file") == {one.id}
    wrong = person.types("collection", "build", "nothing", "demo/neuro-study/sub-999")
    assert (wrong.returncode, len(wrong.stderr.strip().splitlines()[-1:])) == (2, 1)
    assert "demo/neuro-study/sub-999: matches nothing" in wrong.stderr


def test_another_collection_is_a_selection_too(person: Person, fw: Any) -> None:
    built(person, "t1", *FINDERS)
    built(person, "copy", "--collection", "t1")
    assert members(fw, "copy") == members(fw, "t1")


def test_a_query_a_collection_and_a_project_narrow_each_other(person: Person, fw: Any) -> None:
    query = "acquisition.label CONTAINS T1w AND session.age > 0"
    built(person, "few", "--project", "demo/neuro-study", "--subject", "sub-00*")
    built(person, "both", "--collection", "few", "--query", query)
    wanted = by_query(fw, query) & members(fw, "few")
    assert wanted < members(fw, "few")
    assert wanted < by_query(fw, query)
    assert members(fw, "both") == wanted
    built(person, "there", "--project", "demo/neuro-study", "--query", query, "--level", "acquisition")
    of_project = {one.id for one in acquisitions(fw, "demo/neuro-study") if one.reload().files}
    assert members(fw, "there") == by_query(fw, query) & of_project


def test_it_adds_to_what_is_there(person: Person, fw: Any) -> None:
    scans = acquisitions(fw, "scitran/BIDS-Sample")
    ident = fw.add_collection({"label": "mine", "description": "by hand"})
    fw.get_collection(ident).add_acquisitions(scans[0].id)
    path = f"scitran/BIDS-Sample/{fw.get(scans[-1].parents.subject).label}"
    done = built(person, "mine", path, "--description", "half by hand")
    assert done["by_kind"]["update.collection"] == {"done": 1}
    assert members(fw, "mine") > {scans[0].id}
    assert fw.get_collection(ident).description == "half by hand"
    built(person, f"<id:{ident}>", path, "--exact", "--max-remove", "1")
    assert scans[0].id not in members(fw, "mine")


# --- exact ------------------------------------------------------------------------------------------------------------


def test_exact_removes_what_is_not_selected_within_the_brake(person: Person, fw: Any) -> None:
    everything = built(person, "study", "--project", "demo/neuro-study")["states"]["done"] - 1
    assert everything > 100
    nifti = ("study", "--project", "demo/neuro-study", "--subject", "sub-001", "--exact")
    refused = built(person, *nifti, code=3)
    assert refused["states"]["failed"] == 1
    assert "acquisitions would be removed; none is: look at --dry-run, and let them go by --max-remove" in str(
        refused["failures"]
    )
    assert len(members(fw, "study")) == everything
    shown = person.types("collection", "build", *nifti, "--max-remove", "100%", "--dry-run")
    assert (
        shown.stdout.count("would remove ")
        == summary(person.types("collection", "build", *nifti, "--max-remove", "100%", "--json"))["by_kind"][
            "remove.acquisition"
        ]["done"]
    )
    scans = fw.lookup("demo/neuro-study/sub-001").sessions()
    assert members(fw, "study") == {one.id for session in scans for one in session.acquisitions()}


def test_nothing_selected_removes_nothing(person: Person, fw: Any) -> None:
    built(person, "t1", *FINDERS)
    held = members(fw, "t1")
    empty = ("t1", "--project", "demo/neuro-study", "--subject", "nobody", "--exact")
    assert "matches nothing" in person.types("collection", "build", *empty).stderr
    refused = built(person, *empty, "--allow-empty", "--max-remove", "100%", code=3)
    assert "nothing is selected, so nothing is removed" in str(refused["failures"])
    assert members(fw, "t1") == held


def test_an_empty_selection_makes_no_collection(person: Person, fw: Any) -> None:
    small = ("none", "--project", "demo/neuro-study", "--max-size", "0")
    refused = person.types("collection", "build", *small)
    assert refused.returncode == 2
    assert "the selection holds no acquisition; --allow-empty accepts nothing" in refused.stderr
    done = built(person, *small, "--allow-empty")
    assert (done["verdict"], done["writes"]) == ("complete: nothing to do", 0)
    assert fw.collections() == []


# --- many at once -----------------------------------------------------------------------------------------------------


MATRIX = f"""
label = "SiteWide_{{intent}}_decade_{{decade}}"

[axes]
decade = [20, 30, 90]

[[axes.kind]]
intent = "Functional"
measurement = "T2*, BOLD"

[[axes.kind]]
intent = "Structural"
measurement = "T1"

[selection]
query = '''session.age >= {{decade*{YEAR}}} AND session.age <= {{decade*{YEAR}+{10 * YEAR - 1}}} AND \
file.classification.Measurement IN [{{measurement}}] AND file.classification.Intent = {{intent}} AND \
file.classification.Features != SBRef AND NOT acquisition.label CONTAINS .*SBRef.*'''
"""


def by_decades(fw: Any, decades: tuple[int, ...] = (20, 30, 90)) -> dict[str, set[str]]:
    """The tutorial's loop over decades, measurements and intents."""
    found = {}
    for decade in decades:
        from_age = decade * YEAR
        to_age = from_age + 10 * YEAR - 1
        for measurement, intent in zip(["T2*, BOLD", "T1"], ["Functional", "Structural"], strict=True):
            query = (
                f"session.age >= {from_age} AND session.age <= {to_age} AND "
                f"file.classification.Measurement IN [{measurement}] AND "
                f"file.classification.Intent = {intent} AND "
                "file.classification.Features != SBRef AND NOT acquisition.label CONTAINS .*SBRef.*"
            )
            if results := by_query(fw, query):
                found[f"SiteWide_{intent}_decade_{decade}"] = results
    return found


def test_the_tutorials_decades_are_one_file(person: Person, fw: Any) -> None:
    (person.work / "decades.toml").write_text(MATRIX.replace("'''", '"""'))
    command = ("collection", "matrix", "decades.toml", "--json")
    shown = summary(person.types(*command, "--dry-run"))
    assert fw.collections() == []
    first = summary(person.types(*command))
    wanted = by_decades(fw)
    assert len(wanted) == 4
    assert {one.label: members(fw, one.label) for one in fw.collections()} == wanted
    assert shown["would"] == {kind: states["done"] for kind, states in first["by_kind"].items()}
    assert "2 of 6 selections are empty: SiteWide_Functional_decade_90" in first["warnings"][0]
    assert first["writes"] == 8, "one create and one request for the acquisitions of each"
    again = summary(person.types(*command))
    assert (again["writes"], again["states"]) == (0, {"unchanged": sum(map(len, wanted.values()))})
    assert again["requests"] < 20


def test_a_matrix_by_finders_has_any_selection(person: Person, fw: Any) -> None:
    text = """
    label = "{label}"
    exact = true
    [axes]
    label = ["sub-001", "sub-002"]
    [selection]
    project = "demo/neuro-study"
    subject = "{label}"
    type = ["nifti"]
    """
    (person.work / "m.toml").write_text(text)
    done = summary(person.types("collection", "matrix", "m.toml", "--json"))
    for label in ("sub-001", "sub-002"):
        scans = [one.reload() for one in acquisitions(fw, f"demo/neuro-study/{label}")]
        wanted = {one.id for one in scans if any(file.type == "nifti" for file in one.files)}
        assert wanted
        assert members(fw, label) == wanted
    assert summary(person.types("retry", done["run"], "--json"))["verdict"] == "complete: nothing to do"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("label = ", "m.toml: is not TOML"),
        ('label = "x{n}"\n[axes]\nn = [1]\n[selection]\nwhere = 5', "m.toml: selection.where: Expected `array`"),
        ('label = "x{n}"\n[axes]\nn = [1]\n[selection]\nunzip = true', "m.toml: selection.unzip: there is no such key"),
        ('label = "x{n}"\n[axes]\nn = [1]\n[selection]\nselect = "t1"', "there is no selection 't1'"),
        ('label = "x{n}"\n[axes]\nn = [1]\n[selection]\nquery = "subject.label = nobody{n}"', "none of 1 selections"),
        ('label = "x{n}"\n[axes]\nn = [1]\n[selection]\nquery = "subject.label ="', "--query 'subject.label ='"),
    ],
)
def test_a_wrong_matrix_is_one_line(person: Person, fw: Any, text: str, told: str) -> None:
    (person.work / "m.toml").write_text(text)
    done = person.types("collection", "matrix", "m.toml", "--progress", "none")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert told in line
    assert fw.collections() == []


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_several_of_one_label_are_named_by_their_ids(person: Person, fw: Any) -> None:
    ids = [fw.add_collection({"label": "twice"}) for _ in range(2)]
    for command in (("build", "twice", "scitran/BIDS-Sample"), ("show", "twice")):
        done = person.types("collection", *command)
        assert done.returncode == 2
        assert all(f"<id:{ident}>" in done.stderr for ident in ids)
    built(person, f"<id:{ids[1]}>", "scitran/BIDS-Sample")
    assert fw.get_collection_acquisitions(ids[0]) == []
    assert len(fw.get_collection_acquisitions(ids[1])) == len(acquisitions(fw, "scitran/BIDS-Sample"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "t2"), "t2: not found; did you mean t1?"),
        (("show", "<id:0123456789abcdef01234567>"), "has no collection with this id"),
        (("build", "<id:0123456789abcdef01234567>", "scitran/BIDS-Sample"), "has no collection with this id"),
        (("build", " ", "scitran/BIDS-Sample"), "a collection needs a label"),
        (("build", "x", "scitran/BIDS-Sample", "--max-remove", "5"), "--max-remove: is for --exact"),
        (("build", "x", "scitran/BIDS-Sample", "--exact", "--max-remove", "few"), "--max-remove 'few': write a number"),
        (("build", "x", "scitran/BIDS-Sample", "--group", "demo"), "--group and scitran/BIDS-Sample: name what"),
        (("build", "x"), "which project?"),
        (("bild", "x"), "did you mean build?"),
    ],
)
def test_mistakes_are_one_line(person: Person, fw: Any, arguments: tuple[str, ...], told: str) -> None:
    fw.add_collection({"label": "t1"})
    done = person.types("collection", *arguments, "--progress", "none")
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert told in line
    assert [one.label for one in fw.collections()] == ["t1"]


# --- looking ----------------------------------------------------------------------------------------------------------


def test_list_and_show(person: Person, fw: Any) -> None:
    built(person, "t1", *FINDERS, "--description", "from 20 to 30")
    fw.add_collection({"label": "\x1b[31mred"})
    listed = person.types("collection", "list", "--format", "csv").stdout.splitlines()
    assert listed[0] == "label,id,curator,created,description"
    assert any(line.startswith(f"t1,{the_one(fw, 't1').id},") and "from 20 to 30" in line for line in listed)
    assert "\x1b" not in person.types("collection", "list").stdout
    before = fw.get_collection_acquisitions(the_one(fw, "t1").id)
    shown = person.types("collection", "show", "t1", "--json").stdout.splitlines()
    rows = {row["id"]: row for row in map(json.loads, shown[:-1])}
    assert rows.keys() == {one.id for one in before}
    for one in before:
        project = fw.get(one.parents.project)
        assert rows[one.id] == {
            "id": one.id, "project": f"{one.parents.group}/{project.label}",
            "subject": fw.get(one.parents.subject).label, "session": fw.get(one.parents.session).label,
            "acquisition": one.label, "timestamp": rows[one.id]["timestamp"],
        }  # fmt: skip
    assert json.loads(shown[-1])["facts"]["acquisitions"] == len(before)


def test_any_label_names_one_collection(demo: Site, fw: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    labels = [
        "a,b",
        'say "hi"',
        "5dc091c169d4f3002d16f32f",
        "null",
        "20",
        "back\\slash",
        "new\nline",
        "Zo\u00eb",
        "=1+1",
        "-n",
    ]
    with fwsync.connect_blocking(api_key=demo.key) as site:
        for label in labels:
            states = [site.build_collection(label, "scitran/BIDS-Sample").wait().states for _ in range(2)]
            assert states[0]["done"] == states[1]["unchanged"] + 1
            assert len(site.collection(label).rows) == states[1]["unchanged"]
        assert sorted(one.label or "" for one in site.collections()) == sorted(labels)
    assert sorted(one.label for one in fw.collections()) == sorted(labels)


# --- the guide --------------------------------------------------------------------------------------------------------


def test_the_guides_commands_do_what_the_tutorial_does(person: Person, fw: Any) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"```\n(.*?)```", text[text.index("## The tutorial's") : text.index("## Many")], re.DOTALL)
    commands = [shlex.split(block.replace("\\\n", ""))[1:] for block in blocks]
    assert [command[:2] for command in commands] == [["collection", "build"]] * 2
    for command, wanted in zip(commands, (by_finders(fw), by_query(fw, QUERY)), strict=True):
        summary(person.types(*command, "--json"))
        assert members(fw, command[2]) == wanted
        fw.delete_collection(the_one(fw, command[2]).id)
    (person.work / "decades.toml").write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    summary(person.types("collection", "matrix", "decades.toml", "--json"))
    assert {one.label: members(fw, one.label) for one in fw.collections()} == by_decades(fw, (20, 30, 40, 50, 60))


def test_the_guides_python_runs(person: Person, fw: Any) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    code = code.replace("lab/study", "demo/neuro-study")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=person.work, env=person.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("complete\n")
    assert f"[{len(members(fw, 't1'))} rows x 6 columns]" in done.stdout


# --- troubles ---------------------------------------------------------------------------------------------------------


def test_two_at_a_time_take_turns(tmp_path: Path) -> None:
    with sandbox("--demo", "--latency", "150") as site:
        person = Person(tmp_path, site.key)
        command = ("collection", "build", "study", "--project", "demo/neuro-study", "--progress", "lines")
        first = person.start(*command)
        assert first.stderr is not None
        while "listing" not in first.stderr.readline():
            assert first.poll() is None
        first.send_signal(signal.SIGSTOP)
        second = person.types(*command)
        first.send_signal(signal.SIGCONT)
        assert (second.returncode, "another run" in second.stderr) == (6, True), second.stderr
        assert person.types(*command, "--wait").returncode == 0
        assert first.wait() == 0
        first.communicate()
        assert len(site.sdk().collections()) == 1


def test_lost_answers_make_no_second_collection(tmp_path: Path) -> None:
    faults = "create:drop_reply=70%,modify:drop_reply=40%,modify:status_503=20%"
    with sandbox("--demo", "--faults", faults) as site:
        person, fw = Person(tmp_path, site.key), site.sdk()
        wanted = {one.id for one in acquisitions(fw, "demo/neuro-study")}
        for number in range(4):
            built(person, f"study-{number}", "--project", "demo/neuro-study")
            assert members(fw, f"study-{number}") == wanted
        assert site.stats()["faults"]


def test_a_late_create_makes_no_second_collection(tmp_path: Path) -> None:
    """The site makes it a second after the connection died; the grace time is longer."""
    with sandbox("--demo", "--faults", "create:late_commit=100%:1") as site:
        person, fw = Person(tmp_path, site.key), site.sdk()
        done = built(person, "late", "--project", "scitran/BIDS-Sample")
        assert done["by_kind"]["create.collection"] == {"done": 1}
        assert len(members(fw, "late")) == len(acquisitions(fw, "scitran/BIDS-Sample"))


def test_killed_again_and_again_it_ends_the_same(tmp_path: Path) -> None:
    with sandbox("--demo", "--latency", "40") as site:
        person, fw = Person(tmp_path, site.key), site.sdk()
        command = ("collection", "build", "study", "--project", "demo/neuro-study", "--json")
        for number in range(6):
            process = person.start(*command)
            time.sleep(0.5 + 0.12 * number)
            process.kill()
            process.communicate()
        built(person, "study", "--project", "demo/neuro-study")
        assert members(fw, "study") == {one.id for one in acquisitions(fw, "demo/neuro-study")}


def test_retry_does_what_was_left(tmp_path: Path) -> None:
    with sandbox("--demo", "--read-only-key", "read-only-secret-0001") as site:
        person, fw = Person(tmp_path, site.key), site.sdk()
        read_only = site.key.replace(SECRET, "read-only-secret-0001")
        done = person.types("collection", "build", "t1", *FINDERS, "--json", FWSYNC_API_KEY=read_only)
        failed = summary(done, 3)
        assert failed["by_kind"]["create.collection"] == {"failed": 1}
        assert failed["by_kind"]["add.acquisition"].keys() == {"skipped"}
        again = summary(person.types("retry", failed["run"], "--json"))
        assert again["states"] == {"done": sum(failed["states"].values())}
        undone = person.types("undo", failed["run"], "--yes")
        assert (undone.returncode, "only imports are undone" in undone.stderr) == (2, True)
        assert members(fw, "t1") == by_finders(fw)


# --- from Python ------------------------------------------------------------------------------------------------------


def test_from_python(demo: Site, fw: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with fwsync.connect_blocking(api_key=demo.key) as site:
        wishes: dict[str, Any] = {"where": [AGES, NO_SBREF], "classification": ["Intent=Structural", "Measurement=T1"]}
        run = site.build_collection("t1", all_projects=True, description="by Python", **wishes)
        assert next(iter(run.dry_run())).kind == "create.collection"
        assert run.wait().ok
        assert members(fw, "t1") == by_finders(fw)
        assert [(one.label, one.description) for one in site.collections()] == [("t1", "by Python")]
        assert list(site.collections().to_pandas()["description"]) == ["by Python"]
        table = site.collection("t1")
        assert {record["id"] for record in table.records()} == by_finders(fw)
        (tmp_path / "m.toml").write_text(
            'label = "m{n}"\n[axes]\nn = [1]\n[selection]\nproject = "scitran/BIDS-Sample"\n'
        )
        assert site.build_collections(tmp_path / "m.toml").wait().ok
        assert members(fw, "m1") == {one.id for one in acquisitions(fw, "scitran/BIDS-Sample")}
        with pytest.raises(fwsync.ConfigError, match=r"build_collection\(unzip=...\): there is no such setting"):
            site.build_collection("t1", unzip=True)  # type: ignore[call-arg]
    assert SECRET not in repr(run)
