"""What a slow reader has not taken yet: in order, complete, and little of it in memory."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.library.backlog import Backlog
from fwsync.work import Outcome


async def taken(backlog: Backlog[Any]) -> list[Any]:
    out = []
    async with asyncio.timeout(20):
        while some := await backlog.take():
            out += some
    return out


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 12))
def test_everything_comes_out_once_and_in_order(steps: list[int], most: int) -> None:
    async def run() -> None:
        backlog: Backlog[int] = Backlog(Path("/tmp"), most)
        put, out = 0, []
        for step in steps:
            for _ in range(step):
                backlog.put(put)
                put += 1
            assert len(backlog._waiting) < most
            if step % 3 == 0 and put > len(out):
                out += await backlog.take()
        backlog.close()
        assert out + await taken(backlog) == list(range(put))
        assert not backlog.in_file
        backlog.discard()

    asyncio.run(run())


async def test_outcomes_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    made = [
        Outcome(key=str(n), kind="download.file", state="done", target=f"a/\udcff{n}", sent={"info": {"n": n}})
        for n in range(25)
    ]
    backlog: Backlog[Outcome] = Backlog(tmp_path, 10)
    for outcome in made:
        backlog.put(outcome)
    assert backlog.in_file
    assert list(tmp_path.iterdir()) == [], "the file has no name that others could open"
    backlog.close()
    assert await taken(backlog) == made
    backlog.discard()


async def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    backlog: Backlog[int] = Backlog(tmp_path, 10)
    with monkeypatch.context() as patch:
        patch.setattr("tempfile.TemporaryFile", full)
        for n in range(35):
            backlog.put(n)
    assert not backlog.in_file
    for n in range(35, 60):
        backlog.put(n)
    assert backlog.in_file, "there is space again"
    backlog.close()
    assert await taken(backlog) == list(range(60))
    backlog.discard()


async def test_a_reader_waits_for_what_comes(tmp_path: Path) -> None:
    backlog: Backlog[int] = Backlog(tmp_path, 10)
    reading = asyncio.create_task(taken(backlog))
    await asyncio.sleep(0)
    for n in range(30):
        backlog.put(n)
        if n % 7 == 0:
            await asyncio.sleep(0)
    backlog.close()
    assert await reading == list(range(30))
    backlog.discard()
    assert await backlog.take() == []
