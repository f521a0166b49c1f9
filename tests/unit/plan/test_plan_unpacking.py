"""What of a zip may be unpacked: every trick of hostile archives is refused by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.model import ZipMember
from fwsync.plan.paths import is_contained
from fwsync.plan.unpacking import Limits, judge


def member(path: str, size: int = 10, packed: int | None = 10, **more: object) -> ZipMember:
    return ZipMember(path=path, size=size, packed=packed, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (member("../../etc/passwd"), "leaves its folder by `..`"),
        (member("a/../../b"), "leaves its folder by `..`"),
        (member("a\\..\\..\\b"), "leaves its folder by `..`"),
        (member("/etc/passwd"), "is an absolute path"),
        (member("\\\\host\\share"), "is an absolute path"),
        (member("C:\\windows\\x"), "is an absolute path"),
        (member("c:x"), "is an absolute path"),
        (member("link", link=True), "is a symbolic link"),
        (member("a\x00b"), "has no usable name"),
        (member("./."), "has no usable name"),
        (member("bomb", size=50_000_000, packed=50_000), "more than --zip-ratio 200 times"),
    ],
)
def test_a_member_that_is_refused(one: ZipMember, reason: str) -> None:
    good, refused = judge([member("fine"), one], Limits())
    assert [held.path for held in good] == ["fine"]
    assert [no.path for no in refused] == [one.path]
    assert reason in refused[0].reason


def test_an_archive_past_its_limits_is_refused_whole() -> None:
    many = [member(f"m{n}", size=100) for n in range(11)]
    for limits, part in ((Limits(members=10), "11 members"), (Limits(bytes=1000), "1,100 bytes")):
        good, refused = judge(many, limits)
        assert (good, len(refused), refused[0].path) == ([], 1, "")
        assert part in refused[0].reason
    over_each_other = [member("a", offset=0, packed=100), member("b", offset=50, packed=100)]
    assert "lie over each other" in judge(over_each_other, Limits())[1][0].reason
    beside = [member("a", offset=0, packed=100), member("b", offset=140, packed=100)]
    assert judge(beside, Limits()) == (beside, [])


def test_what_is_a_file_and_a_folder_at_once_is_refused_and_the_last_of_two_counts() -> None:
    good, refused = judge([member("a"), member("a/b"), member("A/c")], Limits())
    assert [held.path for held in good] == ["a/b", "A/c"]
    assert [no.path for no in refused] == ["a"]
    good, refused = judge([member("x", size=1), member("x", size=2), member("folder/", size=0)], Limits())
    assert ([held.size for held in good], refused) == ([2], [])


@given(st.lists(st.text(alphabet="ab./\\:C\x00", max_size=8), max_size=8))
def test_what_is_left_stays_in_its_folder(paths: list[str]) -> None:
    good, refused = judge([member(path) for path in paths], Limits())
    for held in good:
        parts = [part for part in held.path.replace("\\", "/").split("/") if part]
        assert is_contained("/".join(part for part in parts if part != "."))
    folders = {path for path in paths if path.endswith(("/", "\\"))}
    assert {held.path for held in good} | {no.path for no in refused} == set(paths) - folders
