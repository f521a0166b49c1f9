"""Which containers a selection means, compared with what the SDK reads of each; and what it costs on a large site."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import flywheel
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from test_gathering import PROJECT, QUICK
from test_gathering import Site as Large

from fwsync.client import paging
from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings, SelectionSettings, Settings
from fwsync.errors import UsageError
from fwsync.operations.selected import Asked, Selected
from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

LEVELS = ("subject", "session", "acquisition")
NEURO = "demo/neuro-study"
YEAR = 31_557_600

Chain = dict[str, Any]
Wish = tuple[str, Callable[[Any], bool]]


class Picture(NamedTuple):
    """What the SDK reads of a project: each container with those above it, by level; each file with its containers."""

    chains: dict[str, list[Chain]]
    files: list[tuple[Chain, Any]]

    def means(self, level: str, wishes: tuple[Wish, ...], file: Callable[[Any], bool] | None) -> set[str]:
        """The ids of the containers of a level that wishes about containers (level, predicate) and files mean."""

        def fits(chain: Chain) -> bool:
            return all(at in chain and holds(chain[at]) for at, holds in wishes)

        if file is not None:
            return {chain[level].id for chain, one in self.files if level in chain and file(one) and fits(chain)}
        depth = max(LEVELS.index(at) for at in (level, *(at for at, _ in wishes)))
        return {chain[level].id for chain in self.chains[LEVELS[depth]] if fits(chain)}


class Demo(NamedTuple):
    """The demo site with some tags and a collection, and the picture of its largest project."""

    key: str
    picture: Picture
    sdk: Any


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    with ThreadedSandbox(SandboxOptions(demo=True)) as running:
        fw = flywheel.Client(running.key)
        project = fw.projects.find_one("label=neuro-study")
        project.subjects.find_one("label=sub-003").add_tag("odd")
        scans = fw.acquisitions.find(f'parents.project={project.id},label="T1w_MPR"')
        scans[2].add_tag("qc-pass")
        scans[3].reload().files[0].add_tag("good")
        mine = fw.get_collection(fw.add_collection({"label": "mine"}))
        mine.add_acquisitions(*scans[4:7])
        yield Demo(running.key, photograph(project.reload()), fw)


def photograph(project: Any) -> Picture:
    """Everything of a project, one container after the other."""
    picture = Picture({level: [] for level in LEVELS}, [])

    def see(container: Any, above: Chain, level: str) -> Chain:
        whole = container.reload()
        chain = {**above, level: whole}
        picture.chains[level].append(chain)
        picture.files.extend((chain, one) for one in whole.files)
        return chain

    for subject in project.subjects.iter():
        of_subject = see(subject, {}, "subject")
        for session in subject.sessions.iter():
            of_session = see(session, of_subject, "session")
            for scan in session.acquisitions.iter():
                see(scan, of_session, "acquisition")
    return picture


async def gathered(key: str, *paths: str, levels: tuple[str, ...] = LEVELS, unit: str = "", **wishes: Any) -> Selected:
    """What a selection finds."""
    asked = Asked.of(Settings(), wishes, paths)
    selected = Selected(asked.selection, levels, unit=unit)
    async with Flywheel.from_key(key, NetworkSettings()) as fw:
        await selected.gather(fw, asked)
    return selected


def ids(selected: Selected, level: str) -> list[str]:
    return [found.above[level].id for found in selected.of(level)]


def labelled(*labels: str) -> Callable[[Any], bool]:
    return lambda one: one.label in labels


def is_type(kind: str) -> Callable[[Any], bool]:
    return lambda one: one.type == kind


ALL = "all of it"
CASES: dict[str, tuple[tuple[str, ...], dict[str, Any], tuple[Wish, ...], Callable[[Any], bool] | None]] = {
    ALL: ((NEURO,), {}, (), None),
    "subjects": ((), {"project": (NEURO,), "subject": ("sub-00*",)},
                 (("subject", lambda one: one.label.startswith("sub-00")),), None),
    "sessions": ((NEURO,), {"session": ("ses-2",)}, (("session", labelled("ses-2")),), None),
    "acquisitions": ((NEURO,), {"acquisition": ("T2w*", "nothing"), "allow_empty": True},
                     (("acquisition", labelled("T2w_SPC")),), None),
    "conditions": ((NEURO,), {"where": ("session.age>=50y,subject.sex=female",)},
                   (("session", lambda one: (one.age or 0) >= 50 * YEAR),
                    ("subject", lambda one: one.sex == "female")), None),
    "conditions on info": ((NEURO,), {"where": ("subject.info.handedness=L",)},
                           (("subject", lambda one: one.info.get("handedness") == "L"),), None),
    "levels together": ((NEURO,), {"session": ("ses-1",), "acquisition": ("dMRI*",), "subject": ("sub-01*",)},
                        (("session", labelled("ses-1")), ("acquisition", labelled("dMRI_dir98_AP")),
                         ("subject", lambda one: one.label.startswith("sub-01"))), None),
    "types": ((NEURO,), {"type": ("dicom",)}, (), is_type("dicom")),
    "files on sessions": ((NEURO,), {"include": ("brain_volumes.csv",)}, (), lambda one: "brain" in one.name),
    "a level of files": ((NEURO,), {"level": ("session",)}, (), lambda one: "brain" in one.name),
    "sizes": ((NEURO,), {"min_size": "1000"}, (), lambda one: one.size >= 1000),
    "conditions on files": ((NEURO,), {"where": ("file.size>1000",)}, (), lambda one: one.size > 1000),
    "tags of files": ((NEURO,), {"tagged": ("good",)}, (), lambda one: "good" in one.tags),
    "files and labels": ((NEURO,), {"type": ("nifti",), "session": ("ses-2",)}, (("session", labelled("ses-2")),),
                         is_type("nifti")),
    "a subject's path": ((f"{NEURO}/sub-004",), {}, (("subject", labelled("sub-004")),), None),
    "a session's path": ((f"{NEURO}/sub-004/ses-2",), {},
                         (("subject", labelled("sub-004")), ("session", labelled("ses-2"))), None),
    "an acquisition's path": ((f"{NEURO}/sub-004/ses-2/T1w_MPR",), {},
                              (("subject", labelled("sub-004")), ("session", labelled("ses-2")),
                               ("acquisition", labelled("T1w_MPR"))), None),
    "a path and a label": ((f"{NEURO}/sub-004", f"{NEURO}/sub-005"), {"acquisition": ("T1w_MPR",)},
                           (("subject", labelled("sub-004", "sub-005")), ("acquisition", labelled("T1w_MPR"))), None),
    "a path and files": ((f"{NEURO}/sub-004",), {"type": ("dicom",)}, (("subject", labelled("sub-004")),),
                         is_type("dicom")),
    "the path of a file": ((f"{NEURO}/sub-004/ses-2/files/brain_volumes.csv",), {},
                           (("subject", labelled("sub-004")), ("session", labelled("ses-2"))),
                           lambda one: "brain" in one.name),
    "the path of a file, short": ((f"{NEURO}/sub-004/ses-2/T1w_MPR/T1w_MPR.nii.gz",), {},
                                  (("subject", labelled("sub-004")), ("session", labelled("ses-2"))),
                                  lambda one: one.name == "T1w_MPR.nii.gz"),
    "a subject's tag": ((NEURO,), {"tag": ("odd",)}, (("subject", lambda one: "odd" in one.tags),), None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_containers_are_those_that_the_sdk_finds_one_by_one(demo: Demo, name: str) -> None:
    paths, given, wishes, file = CASES[name]
    selected = await gathered(demo.key, *paths, **given)
    for level in LEVELS:
        found = ids(selected, level)
        wanted = demo.picture.means(level, wishes, file)
        assert set(found) == wanted
        assert len(found) == len(set(found))
        if name == ALL:
            assert wanted == {chain[level].id for chain in demo.picture.chains[level]}
    assert any(ids(selected, level) for level in LEVELS)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", ["sessions", "types", "an acquisition's path", "a session's path"])
async def test_one_level_alone_is_the_same(demo: Demo, name: str, level: str) -> None:
    paths, given, wishes, file = CASES[name]
    selected = await gathered(demo.key, *paths, levels=(level,), **given)
    assert set(ids(selected, level)) == demo.picture.means(level, wishes, file)


async def test_they_come_by_labels_with_what_is_above_them(demo: Demo) -> None:
    selected = await gathered(demo.key, NEURO)
    for level in LEVELS:
        depth = LEVELS[: LEVELS.index(level) + 1]
        wanted = [[(chain[one].label, chain[one].id) for one in depth] for chain in demo.picture.chains[level]]
        found = [[(one.above[at].label, one.above[at].id) for at in depth] for one in selected.of(level)]
        assert found == sorted(wanted)
        assert all(tuple(one.above) == ("project", *depth) for one in selected.of(level))
        assert {one.above["project"].label for one in selected.of(level)} == {"neuro-study"}


@pytest.mark.parametrize("path", [NEURO, ""])
async def test_a_tag_of_an_acquisition_means_it_and_what_it_is_in(demo: Demo, path: str) -> None:
    given = {} if path else {"project": (NEURO,)}
    selected = await gathered(demo.key, *([path] if path else []), tag=("qc-pass",), **given)
    for level in LEVELS:
        assert set(ids(selected, level)) == demo.picture.means(level, (("acquisition", lambda one: one.tags),), None)
        assert len(ids(selected, level)) == 1


async def test_a_collection(demo: Demo) -> None:
    mine = next(one for one in demo.sdk.collections() if one.label == "mine")
    wanted = [one.reload() for one in demo.sdk.get_collection_acquisitions(mine.id)]
    selected = await gathered(demo.key, collection="mine")
    assert set(ids(selected, "acquisition")) == {one.id for one in wanted}
    assert set(ids(selected, "session")) == {one.parents.session for one in wanted}
    assert set(ids(selected, "subject")) == {one.parents.subject for one in wanted}
    assert len(wanted) == 3


async def test_a_query(demo: Demo) -> None:
    query = 'file.type = dicom AND subject.sex = female AND project.label = "neuro-study"'
    hits = demo.sdk.search({"structured_query": query, "return_type": "file"}, size=10_000)
    selected = await gathered(demo.key, query=query)
    assert set(ids(selected, "session")) == {hit.session.id for hit in hits}
    assert set(ids(selected, "subject")) == {hit.subject.id for hit in hits}
    assert len(hits) > 5


async def test_the_outputs_of_a_gear(demo: Demo) -> None:
    wanted: dict[str, set[str]] = {level: set() for level in LEVELS}
    for level in ("subject", "session"):
        for chain in demo.picture.chains[level]:
            for analysis in chain[level].analyses or []:
                whole = demo.sdk.get_analysis(analysis.id, inflate_job=True)
                if whole.gear_info.name == "bids-freesurfer" and whole.job.state == "complete" and whole.files:
                    for at in chain:
                        wanted[at].add(chain[at].id)
    selected = await gathered(demo.key, NEURO, gear="bids-freesurfer")
    assert {level: set(ids(selected, level)) for level in LEVELS} == wanted
    assert 0 < len(wanted["session"]) < len(demo.picture.chains["session"])


@pytest.mark.parametrize("unit", ["subject", "session"])
async def test_of_a_unit_and_above_it_only_wishes_about_these_count(demo: Demo, unit: str) -> None:
    given = {"acquisition": ("T2w*",), "type": ("nifti",), "subject": ("sub-00*",), "session": ("ses-2",)}
    selected = await gathered(demo.key, NEURO, unit=unit, **given)
    subjects: Wish = ("subject", lambda one: one.label.startswith("sub-00"))
    sessions: Wish = ("session", labelled("ses-2"))
    scans: Wish = ("acquisition", labelled("T2w_SPC"))
    of_unit = (subjects,) if unit == "subject" else (subjects, sessions)
    assert set(ids(selected, "subject")) == demo.picture.means("subject", of_unit, None)
    if unit == "session":
        assert set(ids(selected, "session")) == demo.picture.means("session", of_unit, None)
    whole = demo.picture.means("acquisition", (subjects, sessions, scans), is_type("nifti"))
    assert set(ids(selected, "acquisition")) == whole


async def test_many_projects(demo: Demo) -> None:
    selected = await gathered(demo.key, all_projects=True)
    everybody = [one for project in demo.sdk.projects() for one in project.subjects()]
    assert sorted(ids(selected, "subject")) == sorted(one.id for one in everybody)
    assert selected.place == f"{len(demo.sdk.projects()):,} projects"
    places = [f"{one.above['project'].note}/{one.above['project'].label}" for one in selected.of("subject")]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("paths", "given", "line"),
    [
        ((f"{NEURO}/sub-0044",), {}, r"neuro-study/sub-0044: matches nothing; did you mean demo/neuro-study/sub-004"),
        ((f"{NEURO}/sub-004/ses-9",), {}, "ses-9: matches nothing"),
        ((f"{NEURO}/sub-004/files/none.txt",), {}, "none.txt: matches nothing"),
        ((NEURO,), {"session": ("ses-9",)}, "--session ses-9: matches nothing; did you mean ses-"),
        ((NEURO,), {"acquisition": ("T1",)}, "--acquisition T1: matches nothing"),
        ((NEURO,), {"type": ("niftii",)}, "--type niftii: matches nothing; did you mean nifti"),
        ((NEURO,), {"tag": ("none",)}, "--tag none: matches nothing"),
        ((NEURO,), {"where": ("session.age>=200y",)}, "matches no session"),
        ((NEURO,), {"gear": "bids-freesurfr"}, "did you mean bids-freesurfer"),
        ((NEURO,), {"project": ("demo/tutorial",)}, "--project and demo/neuro-study"),
        (("demo",), {}, "a path begins with group/project"),
    ],
)
async def test_what_matches_nothing_is_a_mistake(
    demo: Demo, paths: tuple[str, ...], given: dict[str, Any], line: str
) -> None:
    with pytest.raises(UsageError, match=line):
        await gathered(demo.key, *paths, **given)


async def test_nothing_is_accepted_where_that_is_said(demo: Demo) -> None:
    selected = await gathered(demo.key, f"{NEURO}/sub-0044", allow_empty=True)
    assert [ids(selected, level) for level in LEVELS] == [[], [], []]


async def test_an_empty_project_is_no_mistake(demo: Demo) -> None:
    demo.sdk.get_group("demo").add_project(label="nobody")
    selected = await gathered(demo.key, "demo/nobody")
    assert [ids(selected, level) for level in LEVELS] == [[], [], []]
    assert selected.place == "demo/nobody"


def test_what_is_asked_says_nothing_of_the_inside_and_the_past_of_files() -> None:
    selections = {"mine": SelectionSettings(members=("*.stats",), unzip=True, file_version="all", type=("archive",))}
    asked = Asked.of(Settings(selections=selections), {"select": "mine"}, ("lab/study",))
    assert asked.selection.types == ("archive",)
    assert (asked.selection.members, asked.selection.unzip, asked.selection.versions) == ((), False, "latest")


async def large(site: Large, levels: tuple[str, ...], **wishes: Any) -> Selected:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", site.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        key = f"127.0.0.1:{server.port}:__force_insecure:secret-of-selected"
        asked = Asked.of(Settings(), wishes, ("lab/big",))
        selected = Selected(asked.selection, levels)
        async with Flywheel.from_key(key, QUICK) as fw:
            await selected.gather(fw, asked)
        return selected


async def test_a_large_project_costs_its_pages_and_nothing_for_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "QUICK", float("inf"))  # a busy machine must not count as a slow site
    site = Large(12_000)
    selected = await large(site, ("subject", "session"))
    assert (len(ids(selected, "subject")), len(ids(selected, "session"))) == (600, 6000)
    below = f"projects/{PROJECT}"
    assert dict(site.asked) == {"lookup": 1, f"{below}/subjects": 1, f"{below}/sessions": 4}


async def test_files_are_listed_where_they_are_wished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "QUICK", float("inf"))
    site = Large(6000)
    selected = await large(site, ("session",), type=("nifti",), include=("1?.nii.gz",))
    assert len(ids(selected, "session")) == 5
    below = f"projects/{PROJECT}"
    assert dict(site.asked) == {
        "lookup": 1, f"{below}/subjects": 1, f"{below}/sessions": 2, f"{below}/acquisitions": 2, "files": 4
    }  # fmt: skip


async def test_what_is_kept_of_a_container_comes_with_it(demo: Demo) -> None:
    asked = Asked.of(Settings(), {}, (NEURO,))
    selected = Selected(asked.selection, ("subject",), lambda one, _level: one.info, info=True)
    async with Flywheel.from_key(demo.key, NetworkSettings()) as fw:
        await selected.gather(fw, asked)
    wanted = {chain["subject"].id: dict(chain["subject"].info) for chain in demo.picture.chains["subject"]}
    assert {one.above["subject"].id: one.kept for one in selected.of("subject")} == wanted


async def test_every_selected_file_is_told(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "paths.txt").write_text(f"{NEURO}/sub-004\n{NEURO}/sub-005\n", encoding="utf-8")
    asked = Asked.of(Settings(), {"from_file": str(tmp_path / "paths.txt"), "type": ("nifti",)})
    told: list[str] = []
    selected = Selected(asked.selection, LEVELS, file=lambda one: told.append(one.entry.file_id or ""))
    async with Flywheel.from_key(demo.key, NetworkSettings()) as fw:
        await selected.gather(fw, asked)
    subjects = ("sub-004", "sub-005")
    wanted = [one.file_id for chain, one in demo.picture.files
              if one.type == "nifti" and chain["subject"].label in subjects]  # fmt: skip
    assert sorted(told) == sorted(wanted)
