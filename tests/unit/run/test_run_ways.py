"""The measured choice between single requests and archives."""

from __future__ import annotations

from fwsync.run.ways import LEAST, PROBE, TRIALS, Ways


def chosen(ways: Ways, batches: int, seconds: dict[str, float]) -> list[str]:
    out = []
    for _ in range(batches):
        way = ways.choose(100, offered=True)
        out.append(way)
        if way in seconds:
            ways.took(way, 100, 100 * seconds[way])
    return out


def test_both_are_tried_then_the_quicker_one_is_taken() -> None:
    for seconds, best in (
        ({"single": 0.01, "archive": 0.001}, "archive"),
        ({"single": 0.001, "archive": 0.01}, "single"),
    ):
        found = chosen(Ways(), PROBE - 1, seconds)
        assert found[: 2 * TRIALS] == ["archive"] * TRIALS + ["single"] * TRIALS
        assert set(found[2 * TRIALS :]) == {best}


def test_the_other_one_is_tried_again_and_may_win() -> None:
    ways = Ways()
    chosen(ways, PROBE - 1, {"single": 0.01, "archive": 0.001})
    found = chosen(ways, 40 * PROBE, {"single": 0.0001, "archive": 0.001})
    assert found[0] == "single"
    assert found[-2] == "single"


def test_without_archives_or_for_few_files_it_is_single_requests() -> None:
    ways = Ways()
    assert {ways.choose(100, offered=False) for _ in range(5)} == {"single"}
    assert {ways.choose(LEAST - 1, offered=True) for _ in range(5)} == {"single"}


def test_archives_that_never_come_are_not_taken() -> None:
    found = chosen(Ways(), PROBE, {"single": 0.01})
    assert set(found[TRIALS:]) == {"single"}
