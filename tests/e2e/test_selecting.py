"""Any selection of files in a local tree: as the official SDK reads them, laid out as asked, and every mistake a line."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, add_project, digests, sandbox

NEURO = ("mirror", "--project", "demo/neuro-study", "--to", "out")
DAY = 86_400


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture
def person(tmp_path: Path, demo: Site) -> Person:
    return Person(tmp_path, demo.key)


def everything(project: Any, *, analyses: bool = False) -> Iterator[tuple[list[Any], Any, Any]]:
    """(containers from the project down, the file's container, file) of every file, one container after the other."""

    def of(above: list[Any], container: Any) -> Iterator[tuple[list[Any], Any, Any]]:
        whole = container.reload()
        above = [*above, whole]
        for entry in whole.files:
            yield above, whole, entry
        for analysis in (whole.analyses or []) if analyses else []:
            for entry in analysis.reload().files or []:
                yield [*above, analysis], analysis, entry

    yield from of([], project)
    for subject in project.subjects.iter():
        yield from of([project], subject)
        for session in subject.sessions.iter():
            yield from of([project, subject], session)
            for scan in session.acquisitions.iter():
                yield from of([project, subject, session], scan)


def sdk_digests(found: Iterator[tuple[list[Any], Any, Any]]) -> dict[str, str]:
    """Path by labels, and SHA-384 of the bytes that the SDK reads."""
    out = {}
    for above, container, entry in found:
        path = "/".join([*(one.label for one in above), entry.name])
        out[path] = hashlib.sha384(container.read_file(entry.name)).hexdigest()
    return out


def summary(done: Any) -> dict[str, Any]:
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def names(person: Person, folder: str = "out") -> list[str]:
    return sorted(path.rsplit("/", 1)[-1] for path in digests(person.work / folder))


def test_a_whole_project_is_what_the_sdk_reads(person: Person, demo: Site) -> None:
    command = ("mirror", "--project", "scitran/BIDS-Sample", "--to", "out", "--json")
    first = summary(person.types(*command))
    assert digests(person.work / "out") == sdk_digests(everything(demo.sdk().lookup("scitran/BIDS-Sample")))
    assert (first["ok"], first["states"]) == (True, {"done": 94})
    again = summary(person.types(*command))
    assert (again["states"], again["bytes"], again["writes"]) == ({"unchanged": 94}, 0, 0)
    assert again["requests"] <= 7, "listings of the whole project, never one request per container"


def test_a_project_with_careful_labels_and_its_analyses_has_every_byte(person: Person, demo: Site) -> None:
    done = summary(person.types(*NEURO, "--analyses", "--json"))
    expected = sdk_digests(everything(demo.sdk().lookup("demo/neuro-study"), analyses=True))
    held = digests(person.work / "out")
    assert Counter(held.values()) == Counter(expected.values())
    assert done["states"] == {"done": len(expected)}
    plain = {path: digest for path, digest in expected.items() if "/sub-0" in path}
    assert len(plain) > 150
    assert plain.items() <= held.items()


@pytest.mark.parametrize(
    ("wish", "keeps"),
    [
        (("--type", "nifti"), lambda above, f: f.type == "nifti"),
        (("--type", "nifti,dicom"), lambda above, f: f.type in ("nifti", "dicom")),
        (("--modality", "MR"), lambda above, f: f.modality == "MR"),
        (
            ("--classification", "Intent=Structural", "--classification", "Measurement=T1"),
            lambda above, f: (
                "Structural" in f.classification.get("Intent", []) and "T1" in f.classification.get("Measurement", [])
            ),
        ),
        (("--include", "*.qa.html", "--exclude", "rfMRI*"), lambda above, f: f.name == "T1w_MPR_mriqc.qa.html"),
        (("--min-size", "560", "--max-size", "10k"), lambda above, f: 560 <= f.size <= 10_000),
        (("--subject", "sub-00*"), lambda above, f: len(above) > 1 and above[1].label.startswith("sub-00")),
        (("--session", "ses-2", "--type", "nifti"), lambda above, f: above[2].label == "ses-2" and f.type == "nifti"),
        (("--acquisition", "T1w*"), lambda above, f: len(above) == 4 and above[3].label.startswith("T1w")),
        (("--level", "session"), lambda above, f: len(above) == 3),
        (
            ("--where", "session.age>=20y,subject.sex=female"),
            lambda above, f: len(above) > 2 and (above[2].age or 0) >= 20 * 31_557_600 and above[1].sex == "female",
        ),
        (("--where", "file.size>560"), lambda above, f: f.size > 560),
        (("--where", "acquisition.label=~SBRef$"), lambda above, f: len(above) == 4 and "SBRef" in above[3].label),
    ],
)
def test_selections_are_what_the_sdk_finds_one_by_one(person: Person, demo: Site, wish: Any, keeps: Any) -> None:
    done = summary(person.types(*NEURO, *wish, "--json"))
    found = everything(demo.sdk().lookup("demo/neuro-study"))
    expected = Counter(entry.name for above, _, entry in found if keeps(above, entry))
    assert Counter(names(person)) == expected
    assert done["states"] == {"done": expected.total()}


def test_tags_times_and_versions(person: Person, demo: Site) -> None:
    project = add_project(demo, "tagged", group="tags")
    subjects = [project.add_subject(label=label) for label in ("s1", "s2")]
    for subject in subjects:
        for name in ("a.txt", "b.txt"):
            (person.work / name).write_text(f"{subject.label} {name}")
            subject.upload_file(str(person.work / name))
    subjects[1].add_tag("wanted")
    demo.sdk().get(subjects[0].id).get_file("b.txt").add_tag("qc")
    (person.work / "a.txt").write_text("a second version")
    subjects[0].upload_file(str(person.work / "a.txt"))
    command = ("mirror", "--project", "tags/tagged")
    assert summary(person.types(*command, "--to", "t", "--tag", "want*", "--json"))["ok"]
    assert sorted(digests(person.work / "t")) == ["tagged/s2/a.txt", "tagged/s2/b.txt"]
    assert summary(person.types(*command, "--to", "q", "--tagged", "qc", "--json"))["ok"]
    assert sorted(digests(person.work / "q")) == ["tagged/s1/b.txt"]
    assert summary(person.types(*command, "--to", "v", "--file-version", "all", "--include", "a.txt", "--json"))["ok"]
    held = {path: (person.work / "v" / path).read_text() for path in digests(person.work / "v")}
    assert held == {
        "tagged/s1/a.txt": "a second version", "tagged/s1/a~v1.txt": "s1 a.txt", "tagged/s2/a.txt": "s2 a.txt"
    }  # fmt: skip
    nothing = person.types(*command, "--to", "n", "--older", "1h")
    assert nothing.stdout.splitlines()[-1] == "complete: nothing to do"
    assert summary(person.types(*command, "--to", "n", "--newer", "1h", "--json"))["states"] == {"done": 4}


def test_many_projects_groups_and_the_whole_site(person: Person, demo: Site) -> None:
    for number in (1, 2):
        project = add_project(demo, f"many-{number}", group="many")
        (person.work / "x.txt").write_text(str(number))
        project.upload_file(str(person.work / "x.txt"))
    both = ["many-1/x.txt", "many-2/x.txt"]
    for number, flags in enumerate(
        (("--group", "many"), ("--project", "many/many-*"), ("--project", "many/many-1", "--project", "many/many-2"))
    ):
        done = person.types("mirror", *flags, "--to", f"m{number}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(digests(person.work / f"m{number}")) == both
    assert person.types("mirror", "--all-projects", "--include", "x.txt", "--to", "all").returncode == 0
    assert sorted(digests(person.work / "all")) == both


def test_paths_from_a_file(person: Person) -> None:
    (person.work / "paths.txt").write_text(
        "# what the reader asked for\ndemo/neuro-study/sub-001/ses-1/T1w_MPR\n"
        "fw://scitran/BIDS-Sample/sub-02/ses-/T1w/T1w.nii.gz\n"
    )
    done = person.types("mirror", "--from-file", "paths.txt", "--to", "out")
    assert done.returncode == 0, done.stderr
    assert sorted(digests(person.work / "out")) == [
        "BIDS-Sample/sub-02/ses-/T1w/T1w.nii.gz",
        "neuro-study/sub-001/ses-1/T1w_MPR/T1w_MPR.nii.gz",
        "neuro-study/sub-001/ses-1/T1w_MPR/T1w_MPR_mriqc.qa.html",
    ]
    run = next(line.split()[-1] for line in done.stdout.splitlines() if line.startswith("report"))
    assert "nothing to do" in person.types("retry", run).stdout


def test_the_summary_says_how_many_sessions_have_no_run_and_why(person: Person, demo: Site) -> None:
    done = summary(person.types(*NEURO, "--gear", "grp13-container-export", "--json", "--dry-run"))
    project = demo.sdk().lookup("demo/neuro-study")
    why: Counter[str] = Counter()
    for session in project.sessions.iter():
        states = [str(a.job.state) for a in session.reload().analyses if a.gear_info.name == "grp13-container-export"]
        if "complete" not in states:
            why["never ran" if not states else "failed" if "failed" in states else "still running"] += 1
    (note,) = done["warnings"]
    assert note.startswith(f"{why.total()} of 32 sessions have no run of grp13-container-export to take: ")
    assert all(f"{count} {reason}" in note for reason, count in why.items())


def test_gears_by_version_and_with_everything_else(person: Person) -> None:
    gear = summary(person.types(*NEURO, "--gear", "bids-freesurfer/1.2.1", "--include", "*.csv", "--json"))
    assert gear["ok"]
    assert len(digests(person.work / "out")) == 16
    wrong = person.types(*NEURO, "--gear", "bids-freesurfer/9.9")
    assert wrong.returncode == 2
    assert "no such version" in wrong.stderr
    both = ("--gear", "bids-freesurfer", "--analyses", "--include", "*.csv", "--to", "both", "--json")
    assert summary(person.types(*NEURO[:3], *both))["states"] == {"done": 16 + 32}


def test_inputs_of_analyses(person: Person, demo: Site) -> None:
    project = add_project(demo, "inputs", group="inputs")
    (person.work / "in.txt").write_text("in")
    (person.work / "out.txt").write_text("out")
    project.upload_file(str(person.work / "in.txt"))
    analysis = project.add_analysis(label="by hand", inputs=[project.reload().get_file("in.txt").ref()])
    analysis.upload_output(str(person.work / "out.txt"))
    command = ("mirror", "--project", "inputs/inputs", "--analyses")
    for side, expected in (
        ("outputs", ["inputs/by hand/out.txt", "inputs/in.txt"]),
        ("both", ["inputs/by hand/inputs/in.txt", "inputs/by hand/out.txt", "inputs/in.txt"]),
    ):
        done = person.types(*command, "--analysis-files", side, "--to", side)
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(digests(person.work / side)) == expected


def hostile_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("fine/data.txt", "fine")
        made.writestr("../../escaped.txt", "no")
        made.writestr("/absolute.txt", "no")
        made.writestr("C:\\windows.txt", "no")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        made.writestr(link, "/etc/passwd")
        made.writestr("zeros", bytes(30_000_000))
    return out.getvalue()


def test_whole_zips_are_unpacked_and_tricks_are_refused_by_name(person: Person, demo: Site) -> None:
    project = add_project(demo, "zips", group="zips")
    (person.work / "hostile.zip").write_bytes(hostile_zip())
    (person.work / "plain.txt").write_text("no zip")
    for name in ("hostile.zip", "plain.txt"):
        project.upload_file(str(person.work / name))
    command = ("mirror", "--project", "zips/zips", "--unzip", "--to", "out")
    done = person.types(*command)
    assert done.returncode == 3, done.stderr
    assert {path: (person.work / "out" / path).read_text() for path in digests(person.work / "out")} == {
        "zips/hostile/fine/data.txt": "fine",
        "zips/plain.txt": "no zip",
    }
    for part in ("escaped.txt", "absolute.txt", "windows.txt", "link", "symbolic link", "zeros", "--zip-ratio"):
        assert part in done.stdout
    assert not (person.work / "escaped.txt").exists()
    assert "incomplete: 5 failed" in done.stdout
    many = person.types(*command[:-1], "few", "--zip-members", "3")
    assert (many.returncode, "6 members, more than --zip-members 3" in many.stdout) == (3, True)
    one = person.types(*command[:-3], "--member", "data.txt", "--to", "one")
    assert one.returncode == 0, one.stdout
    assert sorted(digests(person.work / "one")) == ["zips/hostile/fine/data.txt"]


def test_layouts_sidecars_links_and_modes(person: Person, demo: Site) -> None:
    wish = ("--subject", "sub-001", "--type", "nifti")
    assert person.types(*NEURO, *wish, "--layout", "flat").returncode == 0
    assert "sub-001_ses-1_T1w_MPR_T1w_MPR.nii.gz" in digests(person.work / "out")
    own = ("--layout", "{file.type}/{subject}/{session.date}-{file.stem}{file.ext}", "--to", "own")
    assert person.types(*NEURO[:3], *own, *wish).returncode == 0
    session = next(iter(demo.sdk().lookup("demo/neuro-study/sub-001").sessions.iter()))
    assert f"nifti/sub-001/{session.timestamp:%Y-%m-%d}-T1w_MPR.nii.gz" in digests(person.work / "own")
    more = ("--to", "more", "--sidecar", "json", "--link", "--chmod", "640", "--json")
    done = summary(person.types(*NEURO[:3], *more))
    files = {path for path in digests(person.work / "more") if not path.endswith(".json")}
    assert done["by_kind"]["write.sidecar"] == {"done": len(files)}
    one = person.work / "more/neuro-study/sub-001/ses-1/T1w_MPR/T1w_MPR.nii.gz"
    told = json.loads(one.with_name("T1w_MPR.nii.gz.json").read_text())
    assert (told["file"]["type"], told["subject"]["label"]) == ("nifti", "sub-001")
    assert told["subject"]["info"]["handedness"] in ("L", "R")
    assert told["project"]["info"] == {"pi": "Nobody"}
    assert stat.S_IMODE(one.stat().st_mode) == 0o640
    pages = list((person.work / "more").rglob("T1w_MPR_mriqc.qa.html"))
    assert len(pages) == 32
    assert {page.stat().st_ino for page in pages} == {pages[0].stat().st_ino}
    entry = demo.sdk().lookup("demo/neuro-study/sub-001/ses-1/T1w_MPR/files/T1w_MPR.nii.gz")
    assert one.stat().st_mtime == entry.modified.timestamp()
    again = summary(person.types(*NEURO[:3], *more))
    assert (set(again["states"]), again["bytes"]) == ({"unchanged"}, 0)
    os.umask(umask := os.umask(0o022))
    assert stat.S_IMODE((person.work / "out").stat().st_mode) == 0o777 & ~umask


def test_a_template_that_maps_two_files_to_one_path(person: Person) -> None:
    wish = (*NEURO, "--layout", "{file.name}", "--include", "brain_volumes.csv")
    refused = person.types(*wish, "--on-collision", "error")
    assert refused.returncode == 3
    assert "1 paths are wanted by several" in refused.stderr
    assert not (person.work / "out").exists()
    assert person.types(*wish).returncode == 0
    held = sorted(digests(person.work / "out"))
    assert len(held) == 32
    assert "brain_volumes.csv" in held
    assert all(path.startswith("brain_volumes") and path.endswith(".csv") for path in held)
    assert person.types(*wish, "--json").stdout.count('"unchanged":32') >= 1


def test_bids_layouts(person: Person, demo: Site) -> None:
    project = add_project(demo, "curated", group="bids")
    scan = project.add_subject(label="S1").add_session(label="1").add_acquisition(label="t1")
    for name in ("raw.nii.gz", "left-out.txt"):
        (person.work / name).write_text(name)
        scan.upload_file(str(person.work / name))
    info = {"BIDS": {"Path": "sub-S1/ses-1/anat", "Filename": "sub-S1_ses-1_T1w.nii.gz", "ignore": False}}
    scan.reload().get_file("raw.nii.gz").update_info(info)
    done = person.types("mirror", "--project", "bids/curated", "--layout", "bids", "--to", "out")
    assert done.returncode == 0, done.stderr
    assert list(digests(person.work / "out")) == ["curated/sub-S1/ses-1/anat/sub-S1_ses-1_T1w.nii.gz"]
    assert "1 files have no BIDS info" in done.stdout


def test_a_named_selection(person: Person) -> None:
    (person.work / "fwsync.toml").write_text(
        '[mirror]\nproject = "demo/neuro-study"\nto = "out"\n'
        '[selections.t1]\ninclude = ["T1w*.nii.gz"]\nwhere = "session.age>=20y, subject.sex=female"\n'
    )
    done = person.types("mirror", "--select", "t1")
    assert done.returncode == 0, done.stderr
    assert set(names(person)) == {"T1w_MPR.nii.gz"}
    flags_win = person.types("mirror", "--select", "t1", "--include", "T2w*.nii.gz", "--to", "t2")
    assert flags_win.returncode == 0
    assert set(names(person, "t2")) == {"T2w_SPC.nii.gz"}
    wrong = person.types("mirror", "--select", "t2")
    assert wrong.returncode == 2
    assert "there is no selection 't2'; there is t1; add a table [selections.t2]" in wrong.stderr


@pytest.mark.parametrize(
    ("flags", "code", "part"),
    [
        (("--include", "*.cvs"), 2, "--include *.cvs: matches nothing; there is"),
        (("--type", "nift"), 2, "did you mean nifti?"),
        (("--subject", "sub-01"), 2, "did you mean sub-01"),
        (("--session", "nope*"), 2, "--session nope*: matches nothing"),
        (("--tagged", "x"), 2, "--tagged x: matches nothing"),
        (("--tag", "x"), 2, "--tag x: matches nothing"),
        (("--where", "session.aged>=20y"), 2, "matches no session"),
        (("--where", "sesion.age>=20y"), 2, "did you mean session"),
        (("--where", "session.age"), 2, "is not LEVEL.FIELD OP VALUE"),
        (("--where", "session.label=~("), 2, "pattern"),
        (("--where", "file.label=~("), 2, "pattern"),
        (("--layout", "{project.lable}/{file.name}"), 2, "no field"),
        (("--layout", "../{file.name}"), 2, "relative to the target"),
        (("--chmod", "rwx"), 2, "three octal digits"),
        (("--min-size", "huge"), 2, "--min-size 'huge': not a size"),
        (("--newer", "yesterday"), 2, "--newer 'yesterday': not a time"),
        (("--classification", "Structural"), 2, "KEY=VALUE"),
        (("--level", "sesion"), 2, "--level"),
        (("--group", "demo"), 2, "--project and --group: name one of them"),
        (("--analysis-files", "inputs"), 2, "needs --analyses or --gear"),
        (("--from-file", "gone.txt"), 2, "gone.txt"),
        (("--collection", "mine"), 2, "--collection mine"),
        (("--member", "zz", "--analyses"), 2, "--member zz: matches nothing"),
        (("--zip-bytes", "much"), 2, "not a size"),
    ],
)
def test_mistakes_are_one_line(person: Person, flags: tuple[str, ...], code: int, part: str) -> None:
    done = person.types(*NEURO, *flags)
    assert done.returncode == code, done.stdout + done.stderr
    (line,) = [one for one in done.stderr.splitlines() if one.startswith("fwsync: ") and part in one]
    assert "Traceback" not in done.stderr
    if "matches nothing" in part:
        allowed = person.types(*NEURO, *flags, "--allow-empty", "--dry-run")
        assert allowed.returncode == 0, line


@pytest.mark.parametrize("without", ["files-listing", "pagination"])
def test_sites_with_less_give_the_same_tree(tmp_path: Path, without: str) -> None:
    with sandbox("--demo", "--without", without, "--page-limit", "50") as site:
        person = Person(tmp_path, site.key)
        done = person.types(*NEURO, "--type", "nifti")
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(digests(person.work / "out")) == 160
        wish = person.types(*NEURO, "--where", "file.size>1")
        assert wish.returncode == (2 if without == "files-listing" else 0)
