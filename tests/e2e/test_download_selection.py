"""`fwsync download` by a selection: the language of `fwsync mirror`, and by the wishes of the command alone."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, digests, sandbox

import fwsync

BIDS = "scitran/BIDS-Sample"
NEURO = "demo/neuro-study"


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture
def person(tmp_path: Path, demo: Site) -> Person:
    return Person(tmp_path, demo.key)


def summary(done: Any) -> dict[str, Any]:
    assert done.returncode in (0, 3), done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "wishes",
    [
        ("--project", BIDS),
        ("--project", NEURO, "--subject", "sub-00*", "--type", "nifti"),
        ("--project", "*/neuro-study", "--where", "session.age>=20y,subject.sex=female", "--exclude", "*SBRef*"),
        ("--project", NEURO, "--gear", "bids-freesurfer", "--member", "*/stats/aseg.stats"),
        ("--project", NEURO, "--level", "session", "--sidecar", "json"),
        ("--project", BIDS, "--layout", "flat"),
    ],
)
def test_it_brings_what_a_mirror_with_these_flags_brings(person: Person, wishes: tuple[str, ...]) -> None:
    first = summary(person.types("download", *wishes, "--to", "down", "--json"))
    summary(person.types("mirror", *wishes, "--to", "mirror", "--json"))
    held = digests(person.work / "down")
    assert held == digests(person.work / "mirror")
    assert held
    assert first["states"] == {"done": len(held)}
    again = summary(person.types("download", *wishes, "--to", "down", "--json"))
    assert (again["states"], again["bytes"]) == ({"unchanged": len(held)}, 0)


def test_with_wishes_paths_mean_what_is_at_or_below_them(person: Person) -> None:
    summary(person.types("mirror", "--project", NEURO, "--type", "nifti", "--to", "all", "--json"))
    below = ("download", f"{NEURO}/sub-001", f"{NEURO}/sub-002/ses-1", "--type", "nifti", "--to", "down", "--json")
    done = summary(person.types(*below))
    everything = digests(person.work / "all")
    wanted = ("neuro-study/sub-001/", "neuro-study/sub-002/ses-1/")
    assert digests(person.work / "down") == {p: d for p, d in everything.items() if p.startswith(wanted)}
    assert 0 < done["states"]["done"] < len(everything)


def test_paths_alone_are_what_they_were(person: Person) -> None:
    listed = person.types("tree", f"{BIDS}/sub-01", "--depth", "3", "--files", "--json").stdout.splitlines()
    entry = next(line for line in map(json.loads, listed) if line["type"] == "file")
    summary(person.types("download", entry["path"], "--to", "one", "--json"))
    assert list(digests(person.work / "one")) == [entry["label"]]


def test_a_pattern_that_matches_nothing_ends_with_2_and_near_names(person: Person) -> None:
    done = person.types("download", "--project", BIDS, "--subject", "sub-1", "--to", "down", "-q")
    assert done.returncode == 2
    assert "--subject sub-1" in done.stderr
    assert "did you mean sub-1" in done.stderr
    gone = person.types("download", f"{BIDS}/sub-1", "--type", "nifti", "--to", "down", "-q")
    assert gone.returncode == 2
    assert gone.stderr.startswith(f"fwsync: {BIDS}/sub-1: ")
    assert "--from-file" not in gone.stderr
    assert not (person.work / "down").exists()
    allowed = person.types("download", "--project", BIDS, "--subject", "sub-1", "--allow-empty", "--to", "down")
    assert allowed.returncode == 0, allowed.stderr


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ((), "name paths, or say what to select"),
        ((BIDS, "--project", NEURO), f"--project and {BIDS}: name what you want by one of them"),
        (("lab", "--type", "nifti"), "lab: a path begins with group/project; name groups by --group"),
        ((BIDS, "--layout", "flat"), "--layout: is for a selection"),
        (("--select", "t1"), "there is no selection 't1'"),
        (("--level", "sesion"), "Invalid enum value 'sesion'"),
        (("--min-size", "many", "--project", BIDS), "--min-size 'many': not a size"),
    ],
)
def test_mistakes_are_one_line(person: Person, flags: tuple[str, ...], line: str) -> None:
    done = person.types("download", *flags, "--to", "down", "-q")
    assert done.returncode == 2, done.stdout
    assert line in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (person.work / "down").exists()


def test_the_wishes_of_the_mirror_are_not_those_of_a_download(person: Person) -> None:
    (person.work / "fwsync.toml").write_text(
        f"[site]\nproject = '{BIDS}'\n"
        "[mirror]\nto = 'mirror'\ngear = 'bids-freesurfer'\nsubject = ['sub-01']\nlayout = 'flat'\nchmod = '640'\n"
        "[selections.second]\nsubject = ['sub-02']\nsession = ['*']\n"
    )
    summary(person.types("download", "--select", "second", "--to", "down", "--json"))
    held = digests(person.work / "down")
    assert held
    assert all(path.startswith("BIDS-Sample/sub-02/") for path in held), "neither subject, gear nor layout of [mirror]"
    modes = {stat.S_IMODE((person.work / "down" / path).stat().st_mode) for path in held}
    assert modes == {0o640}, "its rules for files"
    flagged = ("--select", "second", "--subject", "sub-03", "--to", "third", "--json")
    summary(person.types("download", *flagged))
    assert {path.split("/")[1] for path in digests(person.work / "third")} == {"sub-03"}, "flags win over a selection"


async def test_a_stopped_one_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fwsync.run.small_files.SMALL", -1
    )  # each file by itself, so that it can be stopped in its midst
    wishes = {"exclude": "*run-02*", "layout": "{subject}/{file.name}"}
    with sandbox("--demo", "--faults", "download:latency=100%:0.4", "--without", "archives") as slow:
        async with asyncio.timeout(90), fwsync.connect(api_key=slow.key, state_folder=tmp_path / "state") as fw:
            run = fw.download(BIDS, to=tmp_path / "down", **wishes)  # type: ignore[arg-type]
            async for _ in run:
                await run.cancel()
            before = digests(tmp_path / "down")
            assert run.summary.states == {"done": len(before), "stopped": 78 - len(before)}
            again = await fw.retry(run.summary.run)
            assert (again.job, again.states) == ("download", {"done": 78 - len(before)})
            held = digests(tmp_path / "down")
            assert before.items() < held.items()
            assert len(held) == 78
            last = await fw.download(BIDS, to=tmp_path / "down", **wishes)  # type: ignore[arg-type]
            assert last.states == {"unchanged": 78}


async def test_from_python(demo: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with fwsync.connect(api_key=demo.key, state_folder=tmp_path / "state") as fw:
        done = await fw.download(f"{BIDS}/sub-01", to="down", type="nifti", layout="flat")
        assert done.states["done"] == len(digests(tmp_path / "down")) > 0
        assert (await fw.download(project=BIDS, subject="sub-01", to="down", layout="flat")).ok
        for given, line in (
            ({"to": "x"}, "name paths, or say what to select"),
            ({"paths": BIDS}, "where to?"),
            ({"paths": BIDS, "to": "x", "layout": "flat"}, "layout=.*is for a selection"),
            ({"to": "x", "chmod": "640"}, "chmod=.*there is no such setting"),
            ({"to": "x", "select": "t1"}, "there is no selection 't1'"),
        ):
            with pytest.raises(fwsync.UsageError, match=line):
                fw.download(**given)  # type: ignore[arg-type]
