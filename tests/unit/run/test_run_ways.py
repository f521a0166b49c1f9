"""The measured choice between single requests and archives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.run.ways import AGAIN, HOPELESS, LEAST, PART, TIE, Trip, Ways


class Line:
    """A clock, and what each way takes a file."""

    def __init__(self, **seconds: float) -> None:
        self.now, self.seconds = 0.0, seconds
        self.ways = Ways(lambda: self.now)

    def begin(self, files: int = 100, *, offered: bool = True) -> Trip | None:
        trip = self.ways.choose(files, offered=offered)
        if trip is not None:
            self.ways.begin(trip)
        return trip

    def carry(self, files: int = 100) -> list[Trip]:
        """One batch, in as many trips as it takes."""
        out: list[Trip] = []
        while files:
            trip = self.begin(files)
            assert trip is not None, "nothing else is under way"
            files -= trip.files
            self.now += self.seconds[trip.way] * trip.files
            self.ways.end(trip, trip.files)
            out.append(trip)
        return out

    def taken(self, batches: int) -> list[str]:
        return [trip.way for _ in range(batches) for trip in self.carry()]


@pytest.mark.parametrize(
    ("single", "archive", "best"),
    [(0.01, 0.001, "archive"), (0.001, 0.01, "single"), (0.01, 0.01 * TIE, "archive"), (0.01, 0.012, "single")],
)
def test_both_are_tried_then_the_quicker_one_is_taken(single: float, archive: float, best: str) -> None:
    line = Line(single=single, archive=archive)
    assert [(trip.way, trip.files) for trip in line.carry()] == [("archive", 100)]
    tried, rest = line.carry()
    assert (tried.way, tried.files, rest.way, rest.files) == ("single", PART, best, 100 - PART)
    assert set(line.taken(50)) == {best}


def test_a_batch_with_little_more_than_a_part_is_tried_as_a_whole() -> None:
    line = Line(single=0.01, archive=0.001)
    line.carry()
    assert [trip.files for trip in line.carry(PART + LEAST - 1)] == [PART + LEAST - 1]


def test_the_other_one_is_tried_again_and_may_win() -> None:
    line = Line(single=0.0015, archive=0.001)
    assert line.taken(AGAIN)[-1] == "archive"
    line.seconds["single"] = 0.0001
    found = line.taken(2 * AGAIN)
    assert found[-1] == "single"
    assert found.count("archive") <= AGAIN + 2
    line.seconds["archive"] = 0.00001
    assert line.taken(2 * AGAIN)[-1] == "single", "an archive was hopeless when it was last tried"


def test_one_that_is_hopeless_is_left_alone() -> None:
    assert Line(single=0.001, archive=0.001 * HOPELESS * 1.1).taken(5 * AGAIN).count("archive") == 1


def test_a_trial_begins_when_nothing_else_is_under_way_and_nothing_begins_beside_it() -> None:
    line = Line()
    first, second = line.begin(), line.begin()
    assert first
    assert second
    assert (first.way, second.way) == ("archive", "archive"), "until one has ended they all try it"
    line.ways.end(first, 100)
    assert line.begin() is None, "single requests wait for the second archive"
    line.ways.end(second, 100)
    third, fourth = line.begin(), line.begin()
    assert third
    assert fourth
    assert (third.way, fourth.way, third.trial) == ("single", "single", True)
    line.ways.end(third, PART)
    assert line.begin() is None, "nothing is chosen before all of the trial has ended"
    assert line.begin(LEAST - 1) is not None, "what comes the same way may go on"
    line.ways.end(fourth, PART)
    assert line.begin() is not None


def test_what_is_counted_is_files_by_the_seconds_that_belonged_to_one_way() -> None:
    line = Line()
    trips = [line.begin() for _ in range(4)]
    line.now += 4.0  # they share the line: 100 files a second, though each of them took four seconds
    for trip in trips:
        assert trip is not None
        line.ways.end(trip, 100)
    tried = line.begin()
    assert tried is not None
    line.now += PART * 0.012  # by itself, and yet slower
    line.ways.end(tried, PART)
    best = line.begin()
    assert best is not None
    assert best.way == "archive"


def test_without_archives_or_for_few_files_it_is_single_requests() -> None:
    line = Line()
    for trip in [line.begin(offered=False) for _ in range(5)] + [line.begin(LEAST - 1) for _ in range(5)]:
        assert trip is not None
        assert (trip.way, trip.trial) == ("single", False)


def test_a_failed_batch_is_not_measured() -> None:
    line = Line()
    for _ in range(3):
        trip = line.begin()
        assert trip is not None
        assert (trip.way, trip.trial) == ("archive", True)
        line.now += 1
        line.ways.end(trip, 0)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 128), st.booleans()), max_size=300))
def test_somebody_may_always_go_on(steps: list[tuple[bool, int, bool]]) -> None:
    line = Line()
    under_way: list[Trip] = []
    for ends, files, fails in steps:
        line.now += 0.01
        if ends and under_way:
            trip = under_way.pop(files % len(under_way))
            line.ways.end(trip, 0 if fails else trip.files)
        elif (begun := line.begin(files)) is not None:
            assert 0 < begun.files <= files
            under_way.append(begun)
        else:
            assert under_way, "a batch waits for others, never for nothing"
        ways = {trip.way for trip in under_way}
        assert len(ways) < 2 or not any(trip.trial for trip in under_way)
