"""How much room there is: what the file system tells, what is under way, and what was learnt in vain."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import msgspec
import pytest

from fwsync.errors import DiskFullError, NotFoundError
from fwsync.plan.mirroring import Indexed
from fwsync.run import crew
from fwsync.run import room as rooms
from fwsync.run.room import Room, bring_in_room
from fwsync.run.staging import Staged
from fwsync.run.worker import Brought, NotBrought
from fwsync.work import FetchFile, WorkItem

GIB = 2**30


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes the file system tell so many free bytes, in blocks of 1 KiB."""

    def tell(size: int, **more: int) -> None:
        told = {"f_bavail": size // 1024, "f_frsize": 1024, "f_blocks": 1 << 30, "f_files": 100, "f_favail": 100}
        monkeypatch.setattr(rooms.os, "statvfs", lambda _: SimpleNamespace(**{**told, **more}))

    return tell


@pytest.fixture
def room(tmp_path: Path, clock: Clock) -> Room:
    return Room(tmp_path, clock)


def fits(room: Room, size: int, to_come: int | None = None, path: str = "a/b.bin") -> bool:
    try:
        with room.claim(path, size, 0 if to_come is None else size - to_come):
            pass
    except DiskFullError as error:
        assert "\n" not in str(error)
        return False
    return True


def fits_beside(room: Room, size: int) -> bool:
    """Whether a small file fits beside what is under way."""
    return not room._sifted([small("b", size)])[1]


def failure(number: int) -> DiskFullError:
    return DiskFullError("/tree/.fw~1: in other words", number)


def small(name: str, size: int) -> WorkItem:
    one = FetchFile(container_type="project", container_id="p", name=name, path=name, size=size)
    return WorkItem(kind="download.file", key=name, target=name, payload=one, bytes=size)


def test_a_file_larger_than_what_is_free_is_refused(room: Room, free: Any, clock: Clock) -> None:
    free(10 * 1024)
    assert fits(room, 10 * 1024)
    assert not fits(room, 10 * 1024 + 1)
    assert fits(room, 20 * 1024, 8 * 1024), "of the rest alone"
    free(30 * 1024)
    assert fits(room, 20 * 1024)
    with pytest.raises(DiskFullError, match=r"no space left: 40,960 bytes are to come, 30,720 are free; free some"):
        room.claim("a", 40 * 1024).__enter__()


def test_a_file_system_that_does_not_tell_is_tried(room: Room, free: Any) -> None:
    free(0, f_blocks=0)
    assert fits(room, GIB)


def test_without_inodes_nothing_fits(room: Room, free: Any) -> None:
    free(GIB, f_favail=0)
    assert not fits(room, 1)


def test_another_disk_below_the_root_is_tried(room: Room, free: Any, tmp_path: Path) -> None:
    if os.stat("/dev/shm").st_dev == tmp_path.stat().st_dev:
        pytest.skip("one file system for both")
    free(0)
    (tmp_path / "elsewhere").symlink_to("/dev/shm")
    assert fits(room, 100, path="elsewhere/new/a.bin")
    assert not fits(room, 100, path="here/new/a.bin")


def test_what_is_under_way_counts_as_taken(room: Room, free: Any, clock: Clock) -> None:
    free(10 * 1024)
    part = SimpleNamespace(stored=0)
    with room.claim("a", 8 * 1024, 1024) as claim:
        assert fits_beside(room, 3 * 1024)
        claim.part = part
        assert not fits_beside(room, 4 * 1024)
        part.stored = 2 * 1024
        assert not fits_beside(room, 4 * 1024), "what was free a moment ago is believed, and all that was to come then"
        clock.now += rooms.LOOK + 0.01
        assert fits_beside(room, 4 * 1024)
        part.stored = 8 * 1024
        clock.now += rooms.LOOK + 0.01
        assert fits_beside(room, 5 * 1024)
    assert fits(room, 10 * 1024)


async def test_small_files_leave_large_ones_what_these_need(room: Room, free: Any, clock: Clock) -> None:
    free(10 * 1024)
    with room.claim("a", 8 * 1024):
        room.given_back = never  # type: ignore[method-assign]
        fit, refused = await room.sift([small("a", 2000), small("b", 2000)])
        assert ([item.key for item in fit], [one.item.key for one in refused]) == (["a"], ["b"])
        free(6 * 1024)
        clock.now += 1
        fit, refused = await room.sift([small("a", 2000), small("b", 2000), small("c", 5000)])
        assert [item.key for item in fit] == ["a", "b"], "the large one will fail: somebody else took its room"


async def never(_: int) -> bool:
    return False


async def test_files_that_go_together_fit_one_after_the_other(room: Room, free: Any) -> None:
    free(10 * 1024)
    items = [small("a", 6000), small("b", 6000), small("c", 4000), small("d", 0), small("e", 1000)]
    fit, refused = await room.sift(items)
    assert [item.key for item in fit] == ["a", "c", "d"]
    assert [one.item.key for one in refused] == ["b", "e"]


def test_a_quota_is_learnt_and_forgotten(room: Room, free: Any, clock: Clock) -> None:
    """A file system tells what is free on it, not what one may have of that."""
    free(GIB)
    told = room.learn(failure(errno.EDQUOT), 5000, 3000)
    assert told.line == f"no space left ({os.strerror(errno.EDQUOT)}); free some, then run again"
    assert (fits(room, 3000), fits(room, 3001)) == (True, False)
    room.learn(failure(errno.EDQUOT), 2000)
    room.learn(failure(errno.EDQUOT), 2500)
    assert (fits(room, 1999), fits(room, 2000)) == (True, False)
    assert fits(room, 0)
    clock.now += rooms.FORGET + 0.01
    assert fits(room, 5000), "somebody may have made room"


def test_a_full_disk_that_tells_so_is_believed_and_one_that_does_not_is_not(room: Room, free: Any) -> None:
    free(1024)
    for _ in range(5):
        room.learn(failure(errno.ENOSPC), 5000)
    free(GIB)
    room.learn(failure(errno.ENOSPC), 5000)
    assert fits(room, 6000), "it was freed meanwhile"
    for _ in range(rooms.BELIEVED):
        room.learn(failure(errno.ENOSPC), 5000)
    assert not fits(room, 6000)


def test_a_largest_size_is_learnt_for_good(room: Room, free: Any, clock: Clock) -> None:
    free(GIB)
    told = room.learn(failure(errno.EFBIG), 9000, 4096)
    assert "too large" in told.line
    clock.now += 10 * rooms.FORGET
    assert (fits(room, 4096), fits(room, 4097, 1)) == (True, False)


def test_our_own_advice_stays_as_it_is(room: Room) -> None:
    error = DiskFullError("no space left: 5 bytes are to come, 0 are free; free some, then run again")
    assert room.learn(error, 5) is error


def file(size: int) -> FetchFile:
    return FetchFile(container_type="project", container_id="p", name="f", path="f", size=size)


def brought() -> Brought:
    row = Indexed(path="f", file_id="", version=1, hash=None, member=None, size=1, mtime_ns=1)
    return Brought(Staged("run-1", row), 1, 1, "hash", 0.1)


async def test_small_files_wait_for_what_a_large_one_gives_back(room: Room, free: Any) -> None:
    free(GIB)
    tries: list[int] = []

    async def bring(files: Any) -> Any:
        tries.append(len(files))
        if len(tries) == 1:
            return [brought(), *(NotBrought(failure(errno.ENOSPC), 0.1) for _ in files[1:])]
        return [brought() for _ in files]

    async def large() -> None:
        with room.claim("a", GIB):
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as group:
        group.start_soon(large)
        await anyio.sleep(0.01)
        came = await bring_in_room(bring, [file(1), file(2), file(3)], room)
    assert came == [brought()] * 3
    assert tries == [3, 2]


async def test_an_ending_before_the_wait_counts(room: Room, free: Any) -> None:
    free(GIB)
    since = room.endings
    assert not await room.given_back(since), "nothing is under way"
    with room.claim("a", 5):
        pass
    with anyio.fail_after(1):
        assert await room.given_back(since)
    assert not await room.given_back(room.endings), "that one was known of"


async def test_an_ending_is_not_waited_for_twice_beside_another_large_one(room: Room, free: Any) -> None:
    """The second one never ends here: without the count a wait would be for it."""
    free(GIB)
    with room.claim("b", 5):
        since = room.endings
        with room.claim("a", 5):
            pass
        with anyio.fail_after(1):
            assert await room.given_back(since)


async def test_small_files_try_again_when_a_large_one_ended_while_they_came(room: Room, free: Any) -> None:
    free(GIB)
    tries: list[int] = []

    async def bring(files: Any) -> Any:
        tries.append(len(files))
        if len(tries) > 1:
            return [brought() for _ in files]
        full = [NotBrought(failure(errno.ENOSPC), 0.1) for _ in files]
        with room.claim("a", 5):
            await anyio.sleep(0)
        return full

    with anyio.fail_after(1):
        assert await bring_in_room(bring, [file(1), file(2)], room) == [brought()] * 2
    assert tries == [2, 2]


async def test_what_is_refused_is_judged_again_when_a_large_one_ended_meanwhile(
    room: Room, free: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ending comes right between the refusal and the wait."""
    free(4096)
    large = room.claim("a", 3000)
    large.__enter__()
    wait = room.given_back

    async def late(since: int) -> bool:
        if not room.endings:
            large.__exit__(None, None, None)
        return await wait(since)

    monkeypatch.setattr(room, "given_back", late)
    with anyio.fail_after(1):
        fit, refused = await room.sift([small("b", 2000)])
    assert ([one.key for one in fit], refused) == (["b"], [])


async def test_without_a_large_one_nobody_waits(room: Room, free: Any) -> None:
    free(GIB)

    async def bring(files: Any) -> Any:
        return [NotBrought(failure(errno.ENOSPC), 0.1), NotBrought(NotFoundError("no", status=404, request="GET"), 0.1)]

    full, other = await bring_in_room(bring, [file(5), file(5)], room)
    assert isinstance(full, NotBrought)
    assert str(full.error).startswith("no space left (No space left on device)")
    assert isinstance(other, NotBrought)
    assert isinstance(other.error, NotFoundError)


def test_what_another_process_found_full_is_learnt_too(room: Room, free: Any) -> None:
    free(GIB)
    sent = crew._packed(NotBrought(failure(errno.EDQUOT), 0.1))
    assert isinstance(sent, crew._Refused)
    came = crew._unpacked(msgspec.msgpack.decode(msgspec.msgpack.encode(sent), type=crew._Refused))
    assert isinstance(came.error, DiskFullError)
    room.learn(came.error, 5000)
    assert (fits(room, 4999), fits(room, 5000)) == (True, False)
