"""The limit of bytes per second: what is written means what, and the arithmetic by a clock of our own."""

from __future__ import annotations

from datetime import datetime, timedelta

import anyio
import pytest

from fwsync.client.pacing import Pacer, Timetable, parse_bwlimit
from fwsync.errors import UsageError

MONDAY = datetime(2026, 11, 23)


def rates(text: str, *times: str) -> list[int | None]:
    """The rates at these times of a Monday."""
    table = parse_bwlimit(text)
    assert table is not None
    return [table.at(MONDAY.replace(hour=int(t[:2]), minute=int(t[3:]))) for t in times]


def test_one_rate_or_one_by_time_of_day() -> None:
    assert rates("50M", "00:00", "23:59") == [50_000_000, 50_000_000]
    assert rates("1000", "12:00") == [1000]
    day = "08:00,2M 18:00,off"
    assert rates(day, "07:59", "08:00", "17:59", "18:00", "23:59") == [None, 2_000_000, 2_000_000, None, None]
    assert rates("18:00,off 08:00,2M", "07:59", "08:00") == [None, 2_000_000], "in any order"
    assert parse_bwlimit("off") is None
    assert parse_bwlimit("") is None
    assert Pacer.of("off") is None


def test_days_of_the_week() -> None:
    table = parse_bwlimit("Mon-08:00,1k Fri-18:00,off")
    assert table is not None
    at = [
        table.at(MONDAY + timedelta(days=day, hours=hour)) for day, hour in ((0, 7), (0, 8), (2, 3), (4, 18), (6, 23))
    ]
    assert at == [None, 1000, 1000, None, None], "before Monday's first rule last week's last one holds"


@pytest.mark.parametrize(
    "text", ["fast", "0", "8:00", "08:00,2M 25:00,off", "08:60,1M", "Mux-08:00,1M", "2M 3M", "08:00,", "-5M"]
)
def test_what_is_no_rate_is_one_line(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_bwlimit(text)
    assert "--bwlimit" in caught.value.line


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self, moment: datetime = MONDAY) -> None:
        self.began, self.now = moment, 0.0

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        await anyio.lowlevel.checkpoint()

    def local(self) -> datetime:
        return self.began + timedelta(seconds=self.now)

    def pacer(self, table: Timetable) -> Pacer:
        return Pacer(table, clock=lambda: self.now, local_time=self.local, sleep=self.sleep)


def table(text: str) -> Timetable:
    found = parse_bwlimit(text)
    assert found is not None
    return found


@pytest.mark.parametrize("piece", [100, 10_000, 262_144])
def test_three_seconds_of_it_are_within_a_tenth(piece: int) -> None:
    clock = Clock()
    pacer = clock.pacer(table("1M"))
    moved = 0

    async def run() -> None:
        nonlocal moved
        while clock.now < 3:
            await pacer.take(piece)
            moved += piece

    anyio.run(run)
    assert moved == pytest.approx(clock.now * 1_000_000, rel=0.001)
    assert moved == pytest.approx(3_000_000, rel=0.1)


def test_an_idle_time_saves_next_to_nothing_up() -> None:
    clock = Clock()
    pacer = clock.pacer(table("1M"))

    async def run() -> None:
        clock.now = 3600.0
        for _ in range(20):
            await pacer.take(50_000)

    anyio.run(run)
    assert clock.now - 3600 >= 0.75 - 1e-6, "a million bytes in no less than 0.75 s, however long nobody asked"


def test_many_streams_share_it_fairly() -> None:
    clock = Clock()
    pacer = clock.pacer(table("1M"))
    moved = [0] * 8

    async def stream(number: int) -> None:
        while clock.now < 10:
            await pacer.take(20_000)
            moved[number] += 20_000

    async def run() -> None:
        async with anyio.create_task_group() as group:
            for number in range(8):
                group.start_soon(stream, number)

    anyio.run(run)
    assert sum(moved) == pytest.approx(10_000_000, rel=0.05)
    assert max(moved) - min(moved) <= 40_000, moved


def test_a_new_rate_applies_to_a_piece_that_waits() -> None:
    clock = Clock(MONDAY.replace(hour=17, minute=59, second=50))
    pacer = clock.pacer(table("08:00,1000 18:00,off"))

    async def run() -> None:
        await pacer.take(1_000_000)  # a quarter of an hour at this rate
        await pacer.take(1_000_000)  # and this one is free

    anyio.run(run)
    assert 10 <= clock.now <= 11, "at 18:00 the waiting ends"

    clock = Clock(MONDAY.replace(hour=17, minute=59, second=50))
    pacer = clock.pacer(table("08:00,1000 18:00,1M"))
    anyio.run(run)
    assert 10 <= clock.now <= 13, "the debt of a slow time is paid at the new rate"


def test_a_wait_that_is_cancelled_leaves_the_others_their_turn() -> None:
    clock = Clock()
    pacer = clock.pacer(table("1M"))
    done: list[int] = []

    async def run() -> None:
        async with anyio.create_task_group() as group:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await pacer.take(500_000)
            group.start_soon(pacer.take, 1000)
        done.append(1)

    anyio.run(run)
    assert done == [1]
