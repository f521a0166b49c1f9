"""The rounds of a watch, by a clock of our own."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from fwsync.errors import AuthError, FwsyncError, LockedError, UnreachableError, UsageError
from fwsync.events import Reporter, SilentReporter
from fwsync.operations import watching
from fwsync.operations.context import Context
from fwsync.operations.watching import Round, watch
from fwsync.work import Summary


class Site:
    """Only what a watch asks of a site."""

    def __init__(self) -> None:
        self.counted_anew = 0

    def count_anew(self) -> None:
        self.counted_anew += 1


class Listener:
    def __init__(self) -> None:
        self.rounds: list[Round] = []

    def begins(self) -> Reporter:
        return SilentReporter()

    def ended(self, one: Round) -> None:
        self.rounds.append(one)


class Clock:
    """Time that passes in sleeps and in work alone."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(watching.anyio, "current_time", lambda: self.now)
        monkeypatch.setattr(watching.anyio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


def run(
    monkeypatch: pytest.MonkeyPatch, every: float, took: list[float | FwsyncError], chance: float = 0.5
) -> tuple[list[float], Listener]:
    """When each round began, given how long each takes or what ends it."""
    clock, listener, starts = Clock(monkeypatch), Listener(), []
    context: Any = Context(fw=Site(), journal=None, settings=None)  # type: ignore[arg-type]

    async def work(_: Context) -> Summary:
        starts.append(clock.now - 1000)
        step = took[len(starts) - 1]
        if isinstance(step, FwsyncError):
            raise step
        clock.now += step
        return Summary(planned=0)

    anyio.run(lambda: watch(context, every, work, listener, rounds=len(took), chance=lambda: chance))
    assert context.fw.counted_anew == len(took)
    return starts, listener


def test_from_start_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    starts, _ = run(monkeypatch, 60, [1, 20, 59, 0])
    assert starts == [0, 60, 120, 180]


def test_one_that_takes_longer_is_followed_at_once_and_nothing_is_caught_up(monkeypatch: pytest.MonkeyPatch) -> None:
    starts, listener = run(monkeypatch, 60, [200, 1, 1])
    assert starts == [0, 200, 260]
    assert [one.next_in for one in listener.rounds][:2] == [0, 59]


def test_jitter_is_a_twentieth_and_does_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, 100, [0] * 4, chance=1.0)[0] == [0, 105, 205, 305]
    assert run(monkeypatch, 100, [0] * 4, chance=0.0)[0] == [0, 95, 195, 295]


@pytest.mark.parametrize("error", [UnreachableError("gone"), LockedError("busy"), UsageError("no such project")])
def test_it_goes_on_after_an_error(monkeypatch: pytest.MonkeyPatch, error: FwsyncError) -> None:
    starts, listener = run(monkeypatch, 60, [1, error, 1])
    assert starts == [0, 60, 120]
    assert [one.error for one in listener.rounds] == [None, error, None]


@pytest.mark.parametrize("took", [[AuthError("refused")], [1, AuthError("refused")], [UsageError("no such project")]])
def test_what_ends_it(monkeypatch: pytest.MonkeyPatch, took: list[float | FwsyncError]) -> None:
    with pytest.raises((AuthError, UsageError)):
        run(monkeypatch, 60, [*took, 1])
