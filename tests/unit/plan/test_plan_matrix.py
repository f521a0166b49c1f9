"""Every combination of the axes of a matrix, its templates, and every mistake in one with its key."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.errors import InputFileError
from fwsync.plan.matrix import MOST, Combination, combinations

WISHES = ("project", "where", "query", "all_projects", "type")
DECADES = """
label = "SiteWide_{intent}_decade_{decade}"
description = "from {decade} to {decade+9}"
exact = true
max_remove = "20%"

[axes]
decade = [20, 30]

[[axes.kind]]
intent = "Functional"
measurement = "T2*, BOLD"

[[axes.kind]]
intent = "Structural"
measurement = "T1"

[selection]
all_projects = true
where = ["session.age>={decade*31536000}", "session.age<={decade*31536000+315359999}"]
query = "file.classification.Measurement IN [{measurement}]"
"""


def read(text: str) -> list[Combination]:
    return combinations(tomllib.loads(text), WISHES, "m.toml")


def labels(axes: dict[str, Any], label: str) -> list[str]:
    return [one.label for one in combinations({"label": label, "axes": axes, "selection": {}}, WISHES, "m.toml")]


def test_the_tutorials_decades() -> None:
    found = read(DECADES)
    assert [one.label for one in found] == [
        "SiteWide_Functional_decade_20",
        "SiteWide_Structural_decade_20",
        "SiteWide_Functional_decade_30",
        "SiteWide_Structural_decade_30",
    ]
    assert found[3] == Combination(
        label="SiteWide_Structural_decade_30",
        description="from 30 to 39",
        exact=True,
        max_remove="20%",
        paths=(),
        wishes={
            "all_projects": True,
            "where": [f"session.age>={30 * 365 * 86_400}", f"session.age<={40 * 365 * 86_400 - 1}"],
            "query": "file.classification.Measurement IN [T1]",
        },
    )


def test_paths_are_templates_too() -> None:
    text = 'label = "{site}"\npaths = ["lab/{site}", "lab/all"]\n[axes]\nsite = ["a", "b"]\n[selection]\n'
    assert [one.paths for one in read(text)] == [("lab/a", "lab/all"), ("lab/b", "lab/all")]


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{n}", "20"),
        ("{ n }", "20"),
        ("{n*3}", "60"),
        ("{n+5}", "25"),
        ("{n-30}", "-10"),
        ("{ n * 3 + 1 }", "61"),
        ("{{n}} {n}", "{n} 20"),
        ("{{{n}}}", "{20}"),
        ("{t}{n}", "x{y}20"),
    ],
)
def test_templates(template: str, filled: str) -> None:
    assert labels({"n": [20], "t": ["x{y}"]}, template) == [filled]


@given(st.integers(-1000, 1000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_numbers_are_made_as_written(n: int, factor: int, more: int) -> None:
    assert labels({"n": [n]}, f"{{n*{factor}+{more}}} {{n-{more}}}") == [f"{n * factor + more} {n - more}"]


@given(st.dictionaries(st.sampled_from("abcd"), st.lists(st.integers(), min_size=1, max_size=4, unique=True)))
def test_every_combination_comes_once(axes: dict[str, list[int]]) -> None:
    found = labels(axes, "_".join(["x", *(f"{{{name}}}" for name in axes)]))
    count = 1
    for values in axes.values():
        count *= len(values)
    assert len(found) == len(set(found)) == count


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("[selection]", "[selektion]", "selektion: there is no such key; did you mean selection or"),
        ("all_projects", "all_project", "selection.all_project: there is no such key; did you mean all_projects"),
        ('label = "SiteWide_{intent}_decade_{decade}"', "", "label: is missing"),
        ("SiteWide_{intent}_decade_{decade}", "SiteWide_{intent}", "two combinations are called 'SiteWide_Functional'"),
        ("SiteWide_{intent}", "SiteWide_{intend}", "label: no axis gives {intend}; did you mean intent?"),
        ("SiteWide_{intent}", "SiteWide_{intent", "label: 'SiteWide_{intent_decade_{decade}' has a single {"),
        ("{decade+9}", "{decade+x}", "description: {decade+x} is not {name}, {name*10} or {name*10+5}"),
        ("{decade+9}", "{intent*9}", "description: {intent*9}: 'Functional' is no whole number"),
        ("exact = true", 'exact = "yes"', "exact: must be true or false"),
        ('max_remove = "20%"', "max_remove = 20", "max_remove: must be a text"),
        ("decade = [20, 30]", "decade = []", "axes.decade: must be a list of values, or [[axes.decade]] tables"),
        ("decade = [20, 30]", "decade = 20", "axes.decade: must be a list of values"),
        ("decade = [20, 30]", "decade = [20, true]", "axes.decade, number 2: decade must be a text or a number"),
        ("decade = [20, 30]", "intent = [20, 30]", "axes.kind: intent is in axes.intent too"),
        ('measurement = "T1"', "", "axes.kind, number 2: 'measurement' is not in all of them"),
        ("[axes]\ndecade = [20, 30]", f"[axes]\ndecade = {list(range(MOST))}", f"axes: {2 * MOST:,} combinations"),
    ],
)
def test_mistakes_name_their_key(old: str, new: str, told: str) -> None:
    assert DECADES.count(old) == 1
    with pytest.raises(InputFileError) as caught:
        read(DECADES.replace(old, new))
    assert str(caught.value).startswith("m.toml: ")
    assert told in str(caught.value)


@pytest.mark.parametrize("table", ["axes", "selection"])
def test_a_table_that_is_missing(table: str) -> None:
    document = {name: held for name, held in tomllib.loads(DECADES).items() if name != table}
    with pytest.raises(InputFileError, match=rf"m.toml: \[{table}\]: is missing"):
        combinations(document, WISHES, "m.toml")
