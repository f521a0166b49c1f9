"""The shelf settles paths as `plan.paths.lay_out` does, outside memory, and in any order of listing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fwsync.plan.paths import Step, fold, is_contained, lay_out, too_long
from fwsync.run.shelf import Shelf
from fwsync.work import FetchFile

NAMES = st.one_of(
    st.sampled_from(["..", "a/b", "CON", "Zo\u00e9", "Zoe\u0301", "x" * 300, "stra\u00dfe", "STRASSE", ".fwsync", "a"]),
    st.text(alphabet="aA.\u0301/ \x00\ud800", max_size=5),
)
PLATFORMS = st.sampled_from(["linux", "windows", "macos", "universal"])


def fetch(ident: str, size: int = 1) -> FetchFile:
    return FetchFile(container_type="session", container_id="s", name=ident, path="", file_id=ident, size=size)


@st.composite
def places(draw: Any) -> list[list[Step]]:
    folders: dict[str, str] = {}
    out = []
    for number in range(draw(st.integers(0, 14))):
        steps = [Step(f"{at}-{draw(st.integers(0, 3))}", "") for at in range(draw(st.integers(0, 2)))]
        named, above = [], ""
        for step in steps:
            above += step.id
            named.append(Step(step.id, folders.setdefault(above, draw(NAMES))))
        out.append([*named, Step(f"file-{number:02}", draw(NAMES))])
    return out


def settled(folder: Path, found: list[list[Step]], platform: Any) -> tuple[dict[str, str], set[tuple[str, str]]]:
    with Shelf(folder, platform) as shelf:
        shelf.add((steps, fetch(steps[-1].id)) for steps in found)
        shelf.settle()
        paths = {str(one.fetch.file_id): one.fetch.path for some in shelf.wanted() for _, one in some}
        return paths, {(one.id, one.path) for one in shelf.renamed()}


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=places(), platform=PLATFORMS, data=st.data())
def test_paths_are_those_of_the_pure_function_in_any_order(
    tmp_path: Path, found: list[list[Step]], platform: Any, data: Any
) -> None:
    expected, renamed = lay_out(found, platform)
    paths, told = settled(tmp_path, found, platform)
    wanted = {steps[-1].id: path for steps, path in zip(found, expected, strict=True)}
    long_ = {ident for ident, path in wanted.items() if too_long(path, platform)}
    assert {k: v for k, v in paths.items() if k not in long_} == {k: v for k, v in wanted.items() if k not in long_}
    assert not any(too_long(path, platform) for path in paths.values())
    assert {one for one in told if one[0] not in long_} == {
        (one.id, one.path) for one in renamed if one.id not in long_
    }
    assert all(is_contained(path) for path in paths.values())
    assert len({fold(path) for path in paths.values()}) == len(found)
    again, _ = settled(tmp_path, data.draw(st.permutations(found)), platform)
    assert again == paths


def test_a_file_that_is_listed_twice_is_wanted_once(tmp_path: Path) -> None:
    with Shelf(tmp_path, "linux") as shelf:
        steps = [Step("p", "study"), Step("f", "a.txt")]
        shelf.add([(steps, fetch("f")), (steps, fetch("f"))])
        shelf.add([(steps, fetch("f"))])
        assert shelf.files == 1
        assert shelf.settle() == []


def test_collisions_are_told(tmp_path: Path) -> None:
    with Shelf(tmp_path, "linux") as shelf:
        shelf.add([([Step("p", "study"), Step(ident, name)], fetch(ident)) for ident, name in (("1", "a"), ("2", "A"))])
        assert [path.casefold() for path in shelf.settle()] == ["study/a"]


def test_the_judgement_is_kept_and_sums_up(tmp_path: Path) -> None:
    with Shelf(tmp_path, "linux") as shelf:
        shelf.add([([Step(str(n), f"{n:04}")], fetch(str(n), size=n)) for n in range(2500)])
        shelf.settle()
        numbers = [(number, one) for some in shelf.wanted() for number, one in some]
        assert [one.target for _, one in numbers] == [f"{n:04}" for n in range(2500)]
        shelf.judge((number, "download" if at % 2 else "unchanged") for at, (number, _) in enumerate(numbers))
        assert shelf.bytes_to_come() == sum(range(1, 2500, 2))
        assert [state for _, state in shelf.judged()][:3] == ["unchanged", "download", "unchanged"]


def test_a_path_that_is_too_long_gets_a_short_one_of_its_own(tmp_path: Path) -> None:
    deep = [Step("p", "study"), Step("s", "subject " * 12), Step("e", "session " * 12), Step("a", "scan " * 12)]
    long_ = [([*deep, Step(f"f{n}", f"part-{n}.nii.gz")], fetch(f"f{n}")) for n in range(3)]
    beside = [([Step("p", "study"), Step("x", "~LONG"), Step("f9", "a.txt")], fetch("f9"))]
    for platform, kept in (("linux", True), ("universal", False)):
        with Shelf(tmp_path, platform) as shelf:  # type: ignore[arg-type]
            shelf.add([*long_, *beside])
            shelf.settle()
            found = {str(one.fetch.file_id): one.fetch.path for some in shelf.wanted() for _, one in some}
            told = {one.id: one.path for one in shelf.renamed()}
        assert found["f9"] == "study/~LONG/a.txt"
        assert found["f1"].endswith("/part-1.nii.gz") is kept
        if not kept:
            assert len({fold(path) for path in found.values()}) == 4
            assert all(len(path) < 60 and path.startswith("study/~long~") for key, path in found.items() if key != "f9")
            assert all(path.endswith(".nii.gz") for key, path in found.items() if key != "f9")
            assert told["f1"] == found["f1"]


def test_a_hundred_thousand_files_need_little_memory(tmp_path: Path) -> None:
    def many() -> Any:
        for n in range(100_000):
            scan = n // 2
            steps = [
                Step("p", "study"),
                Step(f"s{scan // 100}", f"sub-{scan // 100}"),
                Step(f"a{scan}", f"scan-{scan}"),
            ]
            yield [*steps, Step(f"f{n}", f"{n}.nii.gz")], fetch(f"f{n}")

    tracemalloc.start()
    try:
        with Shelf(tmp_path, "linux") as shelf:
            shelf.add(many())
            shelf.settle()
            assert sum(len(some) for some in shelf.wanted()) == 100_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 25_000_000
