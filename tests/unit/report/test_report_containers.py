"""Demographics, overview and missing as pure functions: figures add up, and nobody is lost."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.model import instant
from fwsync.report.demographics import Further, Person, Visit, demographics, in_order, years
from fwsync.report.missing import Expectations, Expected, Unit, missing, usual
from fwsync.report.overview import MOST_TYPES, Files, Place, overview
from fwsync.selection import AGE_UNITS, LEVELS

YEAR = AGE_UNITS["y"]

ages = st.none() | st.floats(0, 100 * YEAR)
moments = st.none() | st.floats(-1e9, 2e9)
visits = st.lists(
    st.builds(Visit, st.text(max_size=3), ages, moments, st.text(max_size=3), st.uuids().map(str), st.just(())),
    max_size=4,
)
sexes = st.sampled_from(["female", "male", "", None, "?"])
people = st.lists(st.builds(Person, st.just("lab/study"), st.text(max_size=3), sexes, visits, st.just(())), max_size=8)


# --- demographics -----------------------------------------------------------------------------------------------------


@given(people)
def test_a_row_a_subject_and_figures_as_numpy_has_them(some: list[Person]) -> None:
    table = demographics(some)
    facts = table.facts
    assert [row[1] for row in table.rows] == [one.label for one in some]
    assert facts["subjects"] == len(some)
    assert facts["sessions"] == sum(len(one.visits) for one in some) == sum(int(row[4] or 0) for row in table.rows)
    held = [float(row[3]) for row in table.rows if row[3] is not None]
    assert facts["without age"] == len(some) - len(held)
    if held:
        assert facts["mean age"] == pytest.approx(float(np.mean(held)))
        assert facts["std of age"] == pytest.approx(float(np.std(held)), abs=1e-6)
    else:
        assert facts["mean age"] is None
    counts = {name: value for name, value in facts.items() if name.startswith("sex ")}
    assert sum(int(value or 0) for value in counts.values()) == len(some)
    percents = [float(value or 0) for name, value in facts.items() if name.startswith("percent ")]
    assert sum(percents) == pytest.approx(100 if some else 0)


@given(people)
def test_a_row_a_session_and_nobody_is_lost(some: list[Person]) -> None:
    table = demographics(some, "session")
    wanted = Counter((one.label, visit.label) for one in some for visit in one.visits)
    wanted += Counter((one.label, None) for one in some if not one.visits)
    assert Counter((row[1], row[4]) for row in table.rows) == wanted
    assert all(len(row) == len(table.columns) for row in table.rows)


@given(visits, st.randoms(use_true_random=False))
def test_the_order_of_sessions_is_that_of_time_whatever_the_listing(some: list[Visit], chance: random.Random) -> None:
    mixed = list(some)
    chance.shuffle(mixed)
    assert in_order(mixed) == in_order(some)
    when = [one.when for one in in_order(some)]
    told = [one for one in when if one is not None]
    assert when == [*sorted(told), *[None] * (len(when) - len(told))]


def test_further_columns_of_a_subject_and_of_its_first_session() -> None:
    further = Further(("subject.cohort",), ("session.weight",))
    late, early = Visit("b", YEAR, 2.0, "", "1", (70,)), Visit("a", 3 * YEAR, 1.0, "", "2", (60,))
    some = [Person("p", "anna", None, [late, early], ("c",)), Person("p", "bert", None, [], (None,))]
    table = demographics(some, "subject", further)
    assert [column.name for column in table.columns][-3:] == ["sessions", "subject.cohort", "session.weight"]
    assert table.rows == [("p", "anna", None, 3.0, 2, "c", 60), ("p", "bert", None, None, 0, None, None)]
    assert demographics(some, "session", further).rows == [
        ("p", "anna", None, 3.0, "a", "c", 60), ("p", "anna", None, 1.0, "b", "c", 70),
        ("p", "bert", None, None, None, None, None),
    ]  # fmt: skip


def test_a_year_is_that_of_the_sdk() -> None:
    import flywheel

    seconds = 34 * 365 * 86_400
    assert years(seconds) == flywheel.Session(age=seconds).age_years
    assert years(0) is years(None) is None


def test_ages_that_are_too_large_for_a_mean_are_no_bug() -> None:
    some = [Person("p", str(n), None, [Visit("a", 1.7e308, None, "", "1")]) for n in range(3)]
    assert demographics(some).facts["without age"] == 0
    assert demographics(some).facts["mean age"] == pytest.approx(1.7e308 / YEAR)
    lengths = demographics([*some[:1], Person("p", "x", None, [Visit("a", -1.7e308, None, "", "1")])]).facts
    assert lengths["std of age"] == float("inf")


def test_a_time_that_no_calendar_has_is_no_time() -> None:
    assert instant("0001-01-01T00:00:00+14:00") is instant("9999-12-31T23:00:00-14:00") is None


# --- overview ---------------------------------------------------------------------------------------------------------


def places(sizes: list[list[int]]) -> dict[str, list[Place]]:
    """One project; for each subject the numbers of acquisitions of its sessions. All sessions have one label."""
    out: dict[str, list[Place]] = {level: [] for level in LEVELS}
    out["project"].append(Place(("p",), ("p",)))
    for one, sessions in enumerate(sizes):
        subject = Place(("p", f"s{one:03}"), ("p", f"s{one}"))
        out["subject"].append(subject)
        for two, scans in enumerate(sessions):
            session = Place((*subject.labels, "ses"), (*subject.ids, f"{one}-{two}"))
            out["session"].append(session)
            out["acquisition"] += [
                Place((*session.labels, f"a{three}"), (*session.ids, f"{one}-{two}-{three}")) for three in range(scans)
            ]
    return out


hierarchies = st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=5)


@given(hierarchies, st.sampled_from(["acquisition", "session", "subject"]))
def test_every_container_is_in_the_rows_or_counted_by_them(sizes: list[list[int]], by: str) -> None:
    levels = places(sizes)
    table = overview(levels, by)  # type: ignore[arg-type]
    assert table.facts == {f"{level}s": len(levels[level]) for level in LEVELS}
    depth = LEVELS.index(by)
    names = [column.name for column in table.columns]
    for level in LEVELS[depth + 1 :]:
        counted = sum(int(row[names.index(f"{level}s")] or 0) for row in table.rows)
        assert counted == len(levels[level])
    whole = sum(row[depth] is not None for row in table.rows)
    assert whole == len(levels[by])
    bare = sum(not sessions for sessions in sizes)
    if by == "acquisition":
        bare += sum(scans == 0 for sessions in sizes for scans in sessions)
    if by != "subject":
        assert len(table.rows) - whole == bare + (not sizes)
    assert [row[:2] for row in table.rows] == sorted((row[:2] for row in table.rows), key=lambda row: row[1] or "")


@given(
    hierarchies.filter(any), st.lists(st.tuples(st.integers(0, 99), st.integers(0, 30), st.integers(0, 9)), max_size=60)
)
def test_every_file_is_in_one_row_or_told(sizes: list[list[int]], some: list[tuple[int, int, int]]) -> None:
    levels = places(sizes)
    held = [place.ids[-1] for level in ("subject", "session") for place in levels[level]]
    files = Files()
    for where, kind, size in some:
        files.add(held[where % len(held)] or "", f"type{kind}" if kind else None, size)
    table = overview(levels, "session", files)
    assert table.facts["files"] == len(some)
    assert table.facts["bytes"] == sum(size for _, _, size in some)
    names = [column.name for column in table.columns]
    in_rows = sum(int(row[names.index("files")] or 0) for row in table.rows)
    left = len(some) - in_rows
    assert bool(table.notes) == bool(left)
    assert not left or table.notes[0].startswith(f"{left} files lie above the sessions")
    kinds = [number for number, name in enumerate(names) if name.endswith((" files", "types files"))]
    for row in table.rows:
        assert len(row) == len(names)
        assert sum(int(row[number] or 0) for number in kinds) == row[names.index("files")]
    assert len(kinds) <= MOST_TYPES + 1


# --- missing ----------------------------------------------------------------------------------------------------------

EXPECTED = [Expected("T1w"), Expected("rest*"), Expected("T2*", exact=True), Expected("T1w", "*.nii.gz")]
labels = st.lists(st.sampled_from(["T1w", "rest_1", "rest", "T2*", "T2w", "other"]), max_size=5)


@given(st.lists(labels, max_size=8), st.sampled_from(["session", "subject"]))
def test_what_each_lacks(some: list[list[str]], by: str) -> None:
    expectations = Expectations(EXPECTED[:3])
    units = []
    for number, held in enumerate(some):
        there = 0
        for label in held:
            there |= expectations.of_acquisition(label)
        units.append(Unit("p", f"s{number}", None if by == "subject" else "ses", there, len(held)))
    table = missing(units, expectations, by)  # type: ignore[arg-type]
    wanted = [
        (f"s{number}", one.text)
        for number, held in enumerate(some)
        for one in EXPECTED[:3]
        if not any(label == one.label or (one.label == "rest*" and label.startswith("rest")) for label in held)
    ]
    assert [(row[1], row[-1]) for row in table.rows] == wanted
    facts = table.facts
    assert facts["missing"] == len(wanted) == sum(int(facts[f"missing {one.text}"] or 0) for one in EXPECTED[:3])
    assert facts[f"{by}s"] == len(some)
    assert facts["incomplete"] == len({subject for subject, _ in wanted})
    assert int(facts["complete"] or 0) + int(facts["incomplete"] or 0) == len(some)
    assert facts["without any acquisition"] == sum(not held for held in some)


def test_files_have_bits_of_their_own() -> None:
    expectations = Expectations([*EXPECTED, EXPECTED[0]])
    assert expectations.names_files
    assert expectations.of_acquisition("T1w") == 0b0001
    assert expectations.of_file("T1w", "T1w.nii.gz") == 0b1000
    assert expectations.of_file("T1w", "T1w.json") == expectations.of_file("rest", "x.nii.gz") == 0
    assert expectations.lacking(0b1001) == ["rest*", "T2*"]
    assert not Expectations(EXPECTED[:3]).names_files


def test_a_label_with_a_star_in_it_that_was_found_is_no_pattern() -> None:
    found, counts = usual([["T2*", "T2*"], ["T2w"], ["T2*", "T1w"], []], 50)
    assert (found, counts["T2*"]) == ([Expected("T2*", exact=True)], 2)
    assert not found[0].fits("T2w")


@given(st.lists(labels, min_size=1, max_size=8), st.floats(1, 100))
def test_what_is_usual_is_what_so_many_percent_have(some: list[list[str]], percent: float) -> None:
    found, counts = usual(some, percent)
    for label in {label for held in some for label in held}:
        share = sum(label in held for held in some)
        assert counts[label] == share
        assert (Expected(label, exact=True) in found) == (100 * share >= percent * len(some))
    assert len(found) == len(set(found))


def test_a_subject_without_any_session_is_told_apart() -> None:
    expectations = Expectations([Expected("T1w")])
    table = missing([Unit("p", "anna", "ses", 1, 2), Unit("p", "bert", None, 0, 0)], expectations)
    assert table.rows == [("p", "bert", None, "T1w")]
    assert (table.facts["sessions"], table.facts["subjects without any session"]) == (1, 1)
