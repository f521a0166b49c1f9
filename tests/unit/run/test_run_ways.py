"""The measured choice between single requests and archives."""

from __future__ import annotations

from fwsync.run.ways import AGAIN, HOPELESS, LEAST, TIE, Ways


def chosen(ways: Ways, batches: int, seconds: dict[str, float]) -> list[str]:
    """One batch after the other."""
    out = []
    for _ in range(batches):
        trip = ways.begin(100, offered=True)
        out.append(trip.way)
        ways.end(trip, 100 if trip.way in seconds else 0, 100 * seconds.get(trip.way, 0))
    return out


def test_both_are_tried_then_the_quicker_one_is_taken() -> None:
    for seconds, best in (
        ({"single": 0.01, "archive": 0.001}, "archive"),
        ({"single": 0.001, "archive": 0.01}, "single"),
        ({"single": 0.01, "archive": 0.01 * TIE}, "archive"),
    ):
        found = chosen(Ways(), 50, seconds)
        assert found[:3] == ["archive", "single", "single"]
        assert set(found[3:]) == {best}


def test_the_other_one_is_tried_again_and_may_win() -> None:
    ways = Ways()
    assert chosen(ways, AGAIN, {"single": 0.0015, "archive": 0.001})[-1] == "archive"
    found = chosen(ways, 3 * AGAIN, {"single": 0.0001, "archive": 0.001})
    assert found.count("archive") < AGAIN + 10
    assert found[-1] == "single"


def test_one_that_is_hopeless_is_left_alone() -> None:
    found = chosen(Ways(), 5 * AGAIN, {"single": 0.001, "archive": 0.001 * HOPELESS * 1.1})
    assert found.count("archive") == 1


def test_batches_that_share_their_time_with_the_other_way_do_not_count() -> None:
    ways = Ways()
    archives = [ways.begin(100, offered=True) for _ in range(3)]
    assert {one.way for one in archives} == {"archive"}
    ways.end(archives[0], 100, 1.0)
    singles = [ways.begin(100, offered=True)]
    assert singles[0].way == "single"
    # These would say that archives are hopeless and single requests free; both had company.
    ways.end(archives[1], 100, 1000.0)
    ways.end(singles[0], 100, 0.001)
    ways.end(archives[2], 100, 1000.0)
    for _ in range(2):
        alone = ways.begin(100, offered=True)
        assert alone.way == "single"
        ways.end(alone, 100, 2.0)
    assert set(chosen(ways, 20, {"archive": 0.01, "single": 0.02})) == {"archive"}


def test_without_archives_or_for_few_files_it_is_single_requests() -> None:
    ways = Ways()
    assert {ways.begin(100, offered=False).way for _ in range(5)} == {"single"}
    assert {ways.begin(LEAST - 1, offered=True).way for _ in range(5)} == {"single"}


def test_a_failed_batch_is_not_measured() -> None:
    ways = Ways()
    ways.end(ways.begin(100, offered=True), 0, 0.0)
    assert ways.begin(100, offered=True).way == "archive"
