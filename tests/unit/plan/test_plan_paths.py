"""Hostile names: never outside the root, never colliding, stable over runs and over the order of listing."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.plan.paths import MOST_BYTES, Step, _component, component, fold, is_contained, lay_out

PLATFORMS: list[Any] = ["linux", "windows", "macos", "universal"]
HOSTILE = [
    "..", ".", "", " ", "a/b", "a\\b", "../../etc/passwd", "C:\\x", "\\\\host\\share", "CON", "con.txt", " AUX", "aux .x",
    "COM\u00b9", "CONIN$", "nul.nii.gz", "trailing.", "trailing ", "a\x00b", "a\nb", "\u202egpj.exe", "x" * 300,
    "\u00e9" * 200, "Zo\u00e9", "Zoe\u0301", "stra\u00dfe", "STRASSE", ".fwsync", ".FWSYNC", ".fw~0123", ".fw\u200dsync", "\ufeff.fw~0", "FWSYNC~1", "~", "a:b", "\ud800",
]  # fmt: skip

names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text(alphabet="aA.\u0301/ ", max_size=6))


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_one_safe_component(platform: Any, name: str) -> None:
    safe = component(name, platform)
    assert is_contained(safe)
    assert "/" not in safe
    assert 0 < len(safe.encode()) <= MOST_BYTES
    assert fold(safe) != ".fwsync"
    assert not fold(safe).startswith(".fw~")
    if platform in ("windows", "universal"):
        assert safe[-1] not in ". "
        assert fold(safe) != "fwsync~1", "the short name of fwsync's own folder"
        assert safe.lstrip().split(".")[0].rstrip().casefold() not in {"con", "aux", "nul", "conin$", "com\u00b9"}


def test_harmless_names_are_kept_as_they_are() -> None:
    for name in ("sub-01", "T1w_MPR.nii.gz", "visit \U0001f9e0", "Zo\u00e9", "trailing-dot.", "(1) + x=y"):
        assert component(name, "linux") == name


@given(name=names, platform=st.sampled_from(PLATFORMS))
def test_a_safe_name_stays_as_it_is(name: str, platform: Any) -> None:
    safe = component(name, platform)
    assert component(safe, platform) == safe


places = st.lists(
    st.tuples(st.integers(0, 6), names, st.integers(0, 6), names).map(
        lambda t: (Step(f"s{t[0]}", t[1]), Step(f"f{t[0]}-{t[2]}", t[3]))
    ),
    max_size=25,
    unique_by=lambda steps: steps[1].id,
)


def consistent(found: list[tuple[Step, Step]]) -> list[tuple[Step, Step]]:
    """One id has one name."""
    folders: dict[str, str] = {}
    return [(Step(a.id, folders.setdefault(a.id, a.name)), b) for a, b in found]


@given(found=places, platform=st.sampled_from(PLATFORMS), seed=st.integers(0, 99))
def test_no_two_places_are_the_same_file_anywhere(found: Any, platform: Any, seed: int) -> None:
    found = consistent(found)
    paths, _ = lay_out(found, platform)
    assert all(is_contained(path) for path in paths)
    assert len({fold(path) for path in paths}) == len(paths)
    folders = {fold(path.split("/")[0]) for path in paths}
    assert len(folders) == len({steps[0].id for steps in found})
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    again, _ = lay_out(shuffled, platform)
    assert dict(zip(map(str, found), paths, strict=True)) == dict(zip(map(str, shuffled), again, strict=True))


def test_the_lowest_id_keeps_the_plain_name() -> None:
    paths, renamed = lay_out([(Step("2", "visit"),), (Step("1", "Visit"),), (Step("3", "VISIT"),)], "linux")
    assert paths[1] == "Visit"
    assert [path.split("~")[0] for path in paths] == ["visit", "Visit", "VISIT"]
    assert len(paths[0]) == len("visit~12345678")
    assert {one.id for one in renamed} == {"2", "3"}


def test_a_folder_and_a_file_of_one_name_are_told_apart() -> None:
    paths, _ = lay_out([(Step("a", "x"), Step("b", "y")), (Step("c", "x"),)], "linux")
    assert paths[0] == "x/y"
    assert paths[1].startswith("x~")


@given(name=st.text(alphabet="abCON1_ .-+=", min_size=1, max_size=12), platform=st.sampled_from(PLATFORMS))
def test_names_that_need_no_care_are_what_care_would_make_of_them(name: str, platform: Any) -> None:
    assert component(name, platform) == _component(name, platform)
