"""Batches shared out to workers: nothing is lost, doubled or out of order, whichever way its parts come."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest

from fwsync.client.transfer import HASH_PREFIX
from fwsync.plan.mirroring import Indexed
from fwsync.run.crew import LaneLostError
from fwsync.run.staging import Staged
from fwsync.run.ways import PART, Way
from fwsync.run.worker import Brought, Came, NotBrought
from fwsync.run.workers import EACH, LANDING, Workers
from fwsync.work import FetchFile


def file(number: int, *, known: bool = True) -> FetchFile:
    digest = f"{HASH_PREFIX}{number:096x}" if known else None
    return FetchFile(
        container_type="acquisition", container_id="a", name=str(number), path=f"t/{number}", hash=digest, size=10
    )


class Told:
    """A worker that brings at once, and tells what it was asked for. `lost` after so many batches."""

    def __init__(self, *, offered: bool = True, lost: int | None = None, fails: frozenset[str] = frozenset()) -> None:
        self.asked: list[tuple[Way, list[str]]] = []
        self.at_once = self.most = 0
        self._offered, self._lost, self._fails = offered, lost, fails

    async def bring(self, files: Sequence[FetchFile], way: Way) -> Came:
        if self._lost is not None and len(self.asked) >= self._lost:
            raise LaneLostError
        self.asked.append((way, [one.path for one in files]))
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await anyio.sleep(0.001 if way == "archive" else 0.003)
        self.at_once -= 1
        out = [self._one(one) for one in files]
        return Came(out, sum(one.hash is not None for one in files) if way == "archive" else 0, self._offered)

    def _one(self, one: FetchFile) -> Brought | NotBrought:
        if one.path in self._fails:
            return NotBrought(OSError(one.path), 0.1)
        row = Indexed(path=one.path, file_id="", version=1, hash=one.hash, member=None, size=10, mtime_ns=0)
        return Brought(Staged(one.name, row), 10, 1, "hash", 0.1)


def paths(came: Sequence[Brought | NotBrought]) -> list[str]:
    return [one.staged.row.path if isinstance(one, Brought) else str(one.error) for one in came]


async def brought(workers: Workers, batches: Sequence[Sequence[FetchFile]]) -> list[list[str]]:
    out: list[list[str]] = [[] for _ in batches]

    async def one(number: int) -> None:
        out[number] = paths(await workers.bring(batches[number]))

    async with anyio.create_task_group() as group:
        for number in range(len(batches)):
            group.start_soon(one, number)
    return out


BATCHES = [[file(128 * batch + number) for number in range(128)] for batch in range(40)]


async def test_every_file_comes_once_in_the_order_of_its_batch() -> None:
    own = Told()
    came = await brought(Workers(own), BATCHES)
    assert came == [[one.path for one in batch] for batch in BATCHES]
    asked = [path for _, some in own.asked for path in some]
    assert sorted(asked) == sorted(path for batch in came for path in batch)
    singles = [some for way, some in own.asked if way == "single"]
    assert 1 <= len(singles) <= EACH
    assert {len(some) for some in singles} == {PART}, "a trial costs little"
    assert own.most <= EACH


async def test_files_without_a_hash_are_no_part_of_a_trial() -> None:
    own = Told()
    mixed = [[file(number, known=number % 2 == 0) for number in range(200)] for _ in range(6)]
    assert await brought(Workers(own), mixed) == [[one.path for one in batch] for batch in mixed]
    trials = [some for way, some in own.asked if way == "single"]
    assert trials
    assert all(int(path.removeprefix("t/")) % 2 == 0 for some in trials for path in some)


async def test_a_site_without_archives_gets_single_requests_alone() -> None:
    own = Told(offered=False)
    workers = Workers(own)
    await brought(workers, BATCHES[:1])
    own.asked.clear()
    await brought(workers, BATCHES[1:5])
    assert [(way, len(some)) for way, some in own.asked] == [("single", 128)] * 4


@pytest.mark.parametrize("lost", [0, 1, 3])
async def test_what_a_lost_lane_had_in_hand_comes_all_the_same(lost: int) -> None:
    workers, lane = Workers(Told()), Told(lost=lost)
    workers.join([lane])  # type: ignore[list-item]
    assert workers.batches == EACH + LANDING + 1
    assert await brought(workers, BATCHES) == [[one.path for one in batch] for batch in BATCHES]
    assert len(lane.asked) == lost


async def test_what_fails_fails_in_its_place() -> None:
    own = Told(fails=frozenset({"t/5", "t/130"}))
    came = await brought(Workers(own), BATCHES[:2])
    assert came == [[one.path for one in batch] for batch in BATCHES[:2]]
