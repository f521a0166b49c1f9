"""The commands as a person types them, and every mistake as one clear line with the right exit code."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_ import SECRET, Person, Site, add_project, sandbox, write_rows

SPEC = """Subject ID,FirstName,LastName,sex,age,time of scan
sub001,Lisa,Simpson,female,34,10/03/2019 15:32
sub002,Bart,Simpson,male,23,09/23/2019 12:02
subxxx,,,,,
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture
def person(tmp_path: Path, demo: Site) -> Person:
    return Person(tmp_path, demo.key)


def one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("fwsync: ") and not line.endswith("...")]
    assert "Traceback" not in text
    assert lines, text
    return lines[-1]


def test_the_spec_s_csv_becomes_containers_with_their_metadata(person: Person, demo: Site) -> None:
    project = add_project(demo, "spec", group="spec")
    (person.work / "subjects.csv").write_text(SPEC)
    command = ("import", "subjects.csv", "--project", "spec/spec", "--timezone", "Europe/Zurich")
    dry = person.types(*command, "--dry-run")
    assert dry.returncode == 0
    assert "would create spec/spec/sub001/Session1/Struct_T1" in dry.stdout
    assert len(project.reload().subjects()) == 0
    done = person.types(*command)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "complete"), done.stderr
    lisa = project.subjects.find_one("label=sub001")
    session = lisa.sessions.find_one("label=Session1")
    scan = session.acquisitions.find_one("label=Struct_T1")
    assert (lisa.firstname, lisa.lastname, lisa.sex) == ("Lisa", "Simpson", "female")
    assert session.age_years == 34.0
    assert scan.timestamp.isoformat() == "2019-10-03T13:32:00+00:00"
    assert scan.timezone == "Europe/Zurich"
    nobody = project.subjects.find_one("label=subxxx")
    assert nobody.firstname is None
    assert nobody.sessions.find_one("label=Session1").age is None
    again = person.types(*command, "--json")
    summary = json.loads(again.stdout)
    assert (summary["writes"], summary["states"], summary["exit_code"]) == (0, {"unchanged": 9}, 0)


def test_the_two_lines_of_the_readme_work_from_a_config_file(person: Person, demo: Site) -> None:
    add_project(demo, "card", group="card")
    assert person.types("init", "--project", "card/card", "--timezone", "Europe/Zurich", "--to", "out").returncode == 0
    assert person.types("init").returncode == 2
    assert SECRET not in (person.work / "fwsync.toml").read_text()
    (person.work / "subjects.csv").write_text(SPEC)
    assert person.types("import", "subjects.csv").returncode == 0
    assert person.types("mirror", "--gear", "mriqc").stdout.splitlines()[-1] == "complete: nothing to do"


def test_mirror_brings_members_of_the_latest_complete_run(person: Person) -> None:
    command = ("mirror", "--project", "demo/neuro-study", "--gear", "bids-freesurfer", "--to", "out")
    done = person.types(*command, "--member", "*/stats/aseg.stats")
    assert done.returncode == 0, done.stderr
    found = sorted((person.work / "out").rglob("*_aseg.stats"))
    assert len(found) == 17
    assert all(path.read_text().startswith("# Title Segmentation Statistics") for path in found)
    assert all("_aseg.stats" in path.name and path.parts[-4] != ".." for path in found)
    again = person.types(*command, "--member", "*/stats/aseg.stats")
    assert "0 downloaded, 17 unchanged" in again.stdout
    names = (person.work / "out/.fwsync/names.csv").read_text()
    assert '"slash/subject","neuro-study/slash_subject"' in names


def test_a_changed_local_file_is_kept(person: Person) -> None:
    command = (
        "mirror",
        "--project",
        "demo/neuro-study",
        "--gear",
        "bids-freesurfer",
        "--to",
        "out",
        "--include",
        "*.csv",
    )
    assert person.types(*command).returncode == 0
    one = next((person.work / "out").rglob("*.csv"))
    one.write_text("mine")
    again = person.types(*command)
    assert again.returncode == 0
    assert "1 skipped" in again.stdout
    assert "changed locally" in again.stdout
    assert one.read_text() == "mine"


def test_a_foreign_file_in_the_way_is_never_overwritten(person: Person) -> None:
    command = (
        "mirror",
        "--project",
        "demo/neuro-study",
        "--gear",
        "bids-freesurfer",
        "--to",
        "out",
        "--include",
        "*.csv",
    )
    assert person.types(*command).returncode == 0
    one, two = sorted((person.work / "out").rglob("*volumes.csv"))[:2]
    held = two.read_bytes()
    one.write_text("not ours")
    fresh = Person(person.home / "other", person.env["FWSYNC_API_KEY"])
    done = fresh.types(*command[:-4], "--to", str(person.work / "out"), "--include", "*.csv")
    assert done.returncode == 3, done.stdout
    assert "a local file is in the way" in done.stdout
    assert "fwsync retry" in done.stdout
    assert one.read_text() == "not ours"
    assert two.read_bytes() == held
    run = next(line.split()[-1] for line in done.stdout.splitlines() if line.startswith("again"))
    one.unlink()
    retried = fresh.types("retry", run)
    assert retried.returncode == 0, retried.stdout + retried.stderr
    assert "1 downloaded, 0 unchanged" in retried.stdout


def test_upload_and_download_keep_every_byte(person: Person, demo: Site) -> None:
    add_project(demo, "files", group="files")
    sizes = {"empty.bin": 0, "small.csv": 10, "two words (1).bin": 700_000, "größe.bin": 3_000_000}
    for name, size in sizes.items():
        (person.work / name).write_bytes(os.urandom(size))
    done = person.types("upload", *sizes, "--to", "files/files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 unchanged" in person.types("upload", *sizes, "--to", "files/files").stdout
    got = person.types("download", "files/files", "--to", "got")
    assert got.returncode == 0, got.stdout + got.stderr
    for name in sizes:
        assert (person.work / "got/files" / name).read_bytes() == (person.work / name).read_bytes()
    (person.work / "small.csv").write_text("changed")
    person.types("upload", "small.csv", "--to", "files/files")
    entry = next(f for f in demo.sdk().lookup("files/files").files if f.name == "small.csv")
    assert entry.version == 2


def test_looking_around(person: Person) -> None:
    assert "neuro-study" in person.types("ls", "demo").stdout
    tree = person.types("tree", "scitran", "--depth", "2").stdout
    assert "BIDS-Sample" in tree
    assert "sub-16" in tree
    found = person.types("find", "subject", "label=~^sub-0[12]$", "--project", "scitran/BIDS-Sample", "--json")
    assert [json.loads(line)["label"] for line in found.stdout.splitlines()] == ["sub-01", "sub-02"]
    assert person.types("find", "subject", "label", "--project", "scitran/BIDS-Sample").returncode == 2


def test_login_keeps_the_key_to_oneself(tmp_path: Path, demo: Site) -> None:
    person = Person(tmp_path, "")
    done = person.types("login", stdin=demo.key + "\n")
    assert done.returncode == 0, done.stderr
    kept = tmp_path / "config/fwsync/keys/default"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    shown = person.types("whoami")
    assert "fwsync login" in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr + done.stdout + done.stderr
    assert not (tmp_path / ".config/flywheel").exists()


def test_the_cli_s_login_is_the_last_resort(tmp_path: Path, demo: Site) -> None:
    person = Person(tmp_path, "")
    (tmp_path / ".config/flywheel").mkdir(parents=True)
    (tmp_path / ".config/flywheel/user.json").write_text(json.dumps({"key": demo.key}))
    assert "user.json" in person.types("whoami").stdout
    (tmp_path / "key.txt").write_text(demo.key)
    assert "--api-key-file" in person.types("whoami", "--api-key-file", str(tmp_path / "key.txt")).stdout


@pytest.mark.parametrize(
    ("key", "code", "part"),
    [
        ("", 4, "no API key"),
        ("nonsense", 4, "malformed"),
        ("{host}:__force_insecure:wrong-secret-000", 4, "refuses the API key"),
        ("no-such-host.invalid:secret", 5, "unknown host"),
        ("127.0.0.1:9:__force_insecure:secret", 5, "can't connect"),
    ],
)
def test_bad_keys_are_one_line(tmp_path: Path, demo: Site, key: str, code: int, part: str) -> None:
    person = Person(tmp_path, key.format(host=demo.host))
    (person.work / "subjects.csv").write_text(SPEC)
    done = person.types("import", "subjects.csv", "--project", "demo/tutorial")
    assert done.returncode == code, done.stderr
    assert part in one_line(done.stderr)


@pytest.mark.parametrize(
    ("content", "code", "part"),
    [
        (None, 2, "is a folder"),
        (b"", 2, "is empty"),
        (b"\x00\x01\x02\xff" * 50, 2, "null bytes"),
        (b"PK\x03\x04rest", 2, "Excel"),
        (b"name,age\nx,3\n", 2, "no subject column"),
        (b"Subject ID,time of scan\ns1,01/02/2019 10:00\n", 2, "--month-first"),
    ],
)
def test_bad_tables_are_one_line(person: Person, content: bytes | None, code: int, part: str) -> None:
    path = person.work / "bad.csv"
    path.mkdir() if content is None else path.write_bytes(content)
    done = person.types("import", "bad.csv", "--project", "demo/tutorial")
    assert done.returncode == code, done.stderr
    assert part in one_line(done.stderr)
    assert "bad.csv" in one_line(done.stderr)


def test_a_bad_row_names_line_and_column_and_the_rest_goes_on(person: Person, demo: Site) -> None:
    project = add_project(demo, "rows", group="rows")
    rows = SPEC.replace("34,10/03/2019 15:32", "34,10/33/2019 15:32").replace("male,23", "male,-5")
    (person.work / "bad.csv").write_text(rows)
    done = person.types("import", "bad.csv", "--project", "rows/rows", "--month-first")
    assert done.returncode == 3
    assert "line 2, time of scan: '10/33/2019 15:32'" in done.stdout
    assert "line 3, age: '-5'" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("incomplete: 2 rejected")
    assert [s.label for s in project.subjects()] == ["subxxx"]
    strict = person.types("import", "bad.csv", "--project", "rows/rows", "--month-first", "--strict")
    assert strict.returncode == 3
    assert "nothing was sent" in one_line(strict.stderr)


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (("import", "ok.csv", "--project", "demo/tutoral"), 2, "did you mean demo/tutorial"),
        (("import", "ok.csv"), 2, "--project"),
        (("import", "gone.csv", "--project", "demo/tutorial"), 2, "gone.csv"),
        (("import", "ok.csv", "--project", "demo/tutorial", "--timezone", "Europe/Zurch"), 2, "Europe/Zurich"),
        (("mirror", "--gear", "bids-freesurfr", "--project", "demo/neuro-study", "--to", "o"), 2, "bids-freesurfer"),
        (("mirror", "--gear", "bids-freesurfer", "--project", "demo/neuro-study"), 2, "--to"),
        (("mirror", "--project", "demo/neuro-study", "--to", "o", "--run", "latest"), 2, "--gear"),
        (("mirror", "--gear", "bids-freesurfer", "--project", "demo/neuro-study", "--to", "ok.csv"), 3, "is a file"),
        (
            ("mirror", "--gear", "bids-freesurfer", "--project", "demo/neuro-study", "--to", "o", "--member", "zz"),
            2,
            "zz",
        ),
        (("download", "demo/nothing", "--to", "o"), 2, "not found"),
        (("upload", "gone.bin", "--to", "demo/tutorial"), 2, "gone.bin"),
        (("retry", "no-such-run"), 2, "not in the journal"),
        (("improt", "ok.csv"), 2, "did you mean import"),
        (("import", "ok.csv", "--no-such-flag"), 2, "--no-such-flag"),
    ],
)
def test_mistakes_are_one_line(person: Person, arguments: tuple[str, ...], code: int, part: str) -> None:
    (person.work / "ok.csv").write_text(SPEC)
    done = person.types(*arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert part in one_line(done.stderr)


def test_a_known_gear_that_never_ran_is_no_error(person: Person) -> None:
    done = person.types("mirror", "--gear", "dicom-mr-classifier", "--project", "demo/neuro-study", "--to", "out")
    assert done.returncode == 0
    assert "ran on no session" in done.stdout
    assert done.stdout.splitlines()[-1] == "complete: nothing to do"


def test_a_full_target_ends_the_run_with_one_line(person: Person) -> None:
    # /dev/full is a file that is always full; a quota on a folder would need root.
    done = person.types(
        "mirror", "--gear", "bids-freesurfer", "--project", "demo/neuro-study", "--to", "/proc/fwsync-no-such-place"
    )
    assert done.returncode == 3
    assert "/proc/fwsync-no-such-place" in one_line(done.stderr)


def test_a_second_run_on_one_target_leaves_with_a_clear_line(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    with sandbox("--data", data, "--latency", "300") as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", 3000)
        first = person.start("import", "rows.csv", "--project", "lab/study")
        seen = ""
        while first.poll() is None and "working" not in seen:
            assert first.stderr is not None
            seen += first.stderr.readline()
        second = person.types("import", "rows.csv", "--project", "lab/study")
        first.kill()
        first.communicate()
        assert second.returncode == 6, second.stdout + second.stderr
        assert "another run is at work" in one_line(second.stderr)


def test_ctrl_c_leaves_a_consistent_state(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    with sandbox("--data", data) as site:
        add_project(site, "study")
    with sandbox("--data", data, "--latency", "200", "--without", "upsert-hierarchy") as site:
        person = Person(tmp_path / "home", site.key)
        write_rows(person.work / "rows.csv", 300)
        process = person.start("import", "rows.csv", "--project", "lab/study", "--json")
        assert process.stderr is not None
        while "working" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(2)
        _out, err = process.communicate(timeout=60)
        assert process.returncode == 130, err
        assert "again" in err
    with sandbox("--data", data) as site:
        person = Person(tmp_path / "home", site.key)
        done = person.types("import", "rows.csv", "--project", "lab/study", "--json")
        summary = json.loads(done.stdout)
        assert (summary["ok"], sum(summary["states"].values())) == (True, 900)


def test_a_key_that_sees_one_project_needs_no_project(tmp_path: Path) -> None:
    with sandbox() as site:
        person = Person(tmp_path, site.key)
        (person.work / "ok.csv").write_text(SPEC)
        none = person.types("import", "ok.csv")
        assert (none.returncode, "none at all" in none.stderr) == (2, True)
        project = add_project(site, "only")
        assert person.types("import", "ok.csv").returncode == 0
        assert len(project.subjects()) == 3
        by_id = person.types("ls", f"lab/<id:{project.id}>")
        assert "sub001" in by_id.stdout


def test_version_and_completion(person: Person) -> None:
    assert person.types("--version").stdout.startswith("fwsync 0.")
    for shell in ("bash", "zsh", "fish"):
        assert "_FWSYNC_COMPLETE" in person.types("completion", shell).stdout


def test_a_download_goes_on_where_a_killed_one_stopped(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    size = 40_000_000
    with sandbox("--data", data) as site:
        add_project(site, "study")
        person = Person(tmp_path / "home", site.key)
        (person.work / "big.bin").write_bytes(os.urandom(1000) * (size // 1000))
        assert person.types("upload", "big.bin", "--to", "lab/study").returncode == 0
    with sandbox("--data", data, "--faults", "slow_body=100%:4") as site:
        process = person.start("download", "lab/study", "--to", "got", FWSYNC_API_KEY=site.key)
        parts: list[Path] = []
        while not parts or parts[0].stat().st_size < size // 4:
            assert process.poll() is None
            parts = list((person.work / "got").rglob(".fw~*"))
        process.kill()
        process.communicate()
        held = parts[0].stat().st_size
        assert not (person.work / "got/study/big.bin").exists()
    with sandbox("--data", data) as site:
        # Another port is another site for the journal's runs, but the same tree: its parts are known by root.
        done = person.types("download", "lab/study", "--to", "got", "--json", FWSYNC_API_KEY=site.key)
        summary = json.loads(done.stdout)
    assert (summary["ok"], summary["bytes"]) == (True, size - held)
    assert (person.work / "got/study/big.bin").read_bytes() == (person.work / "big.bin").read_bytes()
    assert not list((person.work / "got").rglob(".fw~*"))


def test_no_secret_in_any_output(person: Person, demo: Site) -> None:
    (person.work / "ok.csv").write_text(SPEC)
    outputs = [
        person.types("whoami", "--json"),
        person.types("import", "ok.csv", "--project", "demo/tutorial", "-v", "--log-format", "json"),
        person.types("import", "ok.csv", FWSYNC_API_KEY=demo.key + "x"),
        person.types("import", "ok.csv", FWSYNC_API_KEY=SECRET),
    ]
    for one in outputs:
        assert SECRET not in one.stdout + one.stderr
    state = b"".join(path.read_bytes() for path in (person.home / "state").rglob("*") if path.is_file())
    assert SECRET.encode() not in state


def test_a_sandbox_that_can_t_listen_is_one_line_and_leaves_nothing(person: Person, demo: Site) -> None:
    port = demo.key.split(":")[1]
    for flags, part in ((("--port", port), "in use"), (("--faults", "x"), "fault"), (("--without", "x"), "known are")):
        done = person.types("sandbox", *flags)
        assert done.returncode == 2, done.stdout + done.stderr
        assert part in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert not list(person.home.glob("fwsync-sandbox-*"))
