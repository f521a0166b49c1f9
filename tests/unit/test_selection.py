"""What people write to select: patterns, conditions, sizes, times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import UsageError
from fwsync.selection import (
    Condition,
    Selection,
    matches,
    parse_classification,
    parse_moment,
    parse_size,
    parse_where,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("aseg.stats", "5dee/sub-01/stats/aseg.stats", True),
        ("*/stats/aseg.stats", "5dee/sub-01/stats/aseg.stats", True),
        ("/sub-*/x", "a/sub-1/x", False),
        ("/sub-*/x", "sub-1/x", True),
        ("a/**/b", "a/b", True),
        ("a/**/b", "a/1/2/b", True),
        ("*.nii", "x.NII", False),
        ("?.nii", "ab.nii", False),
        ("**", "anything/at/all", True),
        ("[a]", "a", False),
        ("[a]", "[a]", True),
    ],
)
def test_patterns_match_from_the_right(pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


names = st.text(alphabet="ab./*?", min_size=1, max_size=8)


@given(include=st.lists(names, max_size=4), exclude=st.lists(names, max_size=3), name=names, data=st.data())
def test_the_order_of_patterns_never_matters(include: Any, exclude: Any, name: str, data: Any) -> None:
    one = Selection(include=tuple(include), exclude=tuple(exclude))
    other = Selection(
        include=tuple(data.draw(st.permutations(include))), exclude=tuple(data.draw(st.permutations(exclude)))
    )
    assert one.takes_name(name) is other.takes_name(name)
    expected = (not include or any(matches(p, name) for p in include)) and not any(matches(p, name) for p in exclude)
    assert one.takes_name(name) is expected


@given(name=st.text(min_size=1, max_size=30))
def test_a_name_without_wild_cards_matches_itself_at_any_depth(name: str) -> None:
    plain = name.replace("*", "x").replace("?", "x").lstrip("/") or "x"
    assert matches(plain, plain)
    assert matches(plain, f"above/{plain}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("session.age>=20y", [Condition("session", "age", ">=", "631152000")]),
        ("session.age < 18mo", [Condition("session", "age", "<", "47336400")]),
        (
            "session.age>=20y,subject.sex=female",
            [Condition("session", "age", ">=", "631152000"), Condition("subject", "sex", "=", "female")],
        ),
        ("subject.label=a\\,b", [Condition("subject", "label", "=", "a\\,b")]),
        ('subject.label="a,b"', [Condition("subject", "label", "=", '"a,b"')]),
        ("file.size>10M", [Condition("file", "size", ">", "10000000")]),
        ("file.size>1.5KiB", [Condition("file", "size", ">", "1536")]),
        ("subject.info.age>40", [Condition("subject", "info.age", ">", "40")]),
        ("subject.label=20y", [Condition("subject", "label", "=", "20y")]),
        ("acquisition.label=~^((?!SBRef).)*$", [Condition("acquisition", "label", "=~", "^((?!SBRef).)*$")]),
    ],
)
def test_conditions_with_units(text: str, expected: list[Condition]) -> None:
    assert list(parse_where(text)) == expected


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("age>20", "is not LEVEL.FIELD OP VALUE"),
        ("session.age", "is not LEVEL.FIELD OP VALUE"),
        ("sesion.age>20y", "did you mean session"),
        ("session.age>20q", "no unit 'q'"),
    ],
)
def test_conditions_that_are_none(text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse_where(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("10", 10), ("10M", 10_000_000), ("1.5 GiB", 1_610_612_736), ("2kb", 2000)]
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text, "--min-size") == expected


@pytest.mark.parametrize("text", ["", "M", "10X", "-1", "1e3", "ten"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="not a size"):
        parse_size(text, "--min-size")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-01", "2026-04-01T00:00:00+00:00"),
        ("2026-04-01T08:00+02:00", "2026-04-01T06:00:00+00:00"),
        ("7d", "2026-04-24T12:00:00+00:00"),
        ("12h", "2026-05-01T00:00:00+00:00"),
    ],
)
def test_moments(text: str, expected: str) -> None:
    assert parse_moment(text, "--newer", NOW) == expected
    assert parse_moment(expected, "--newer", NOW) == expected


@pytest.mark.parametrize("text", ["yesterday", "7q", "", "2026-13-01", "9999999y"])
def test_moments_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--newer"):
        parse_moment(text, "--newer", NOW)


def test_classifications() -> None:
    assert parse_classification("Intent = Structural") == ("Intent", "Structural")
    for text in ("Intent", "=x", "Intent="):
        with pytest.raises(UsageError, match="KEY=VALUE"):
            parse_classification(text)
