"""Processes beside this one that bring small files: a Python process fetches on one core, however many there are.

They are forked before there is an event loop, a thread or an open file of ours, and sleep until the first batch: that
costs a few milliseconds, where a new interpreter would cost as much as a small mirror. Each has a few sockets to its
parent (lanes), on each of which one batch at a time is asked for and answered. They stage files and do nothing else:
the journal, the renames and the locks are the parent's alone. They die with their parent.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import anyio
import anyio.abc
import msgspec

from fwsync import errors, logs
from fwsync.client.key import ApiKey
from fwsync.client.session import ApiSession
from fwsync.config import LogSettings, NetworkSettings
from fwsync.run import eventloop
from fwsync.run.staging import Stager
from fwsync.run.tree import Tree
from fwsync.run.ways import Way
from fwsync.run.worker import Brought, Came, NotBrought, OwnWorker
from fwsync.work import FetchFile

LANES = 3
"""Batches that a process has in hand."""

_LENGTH = struct.Struct(">I")
log = logs.get("run")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the batches of one run have in common. `network` is what one process may use of it."""

    key: ApiKey
    network: NetworkSettings
    log: LogSettings
    root: str
    run: str
    fsync: str
    mode: int | None


class _Batch(msgspec.Struct, frozen=True):
    job: Job
    files: list[FetchFile]
    way: Way


class _Refused(msgspec.Struct, frozen=True, tag=True):
    """A `NotBrought` on its way: the error's class, line and tries, and the system's errno of a full disk."""

    kind: str
    line: str
    attempts: int
    seconds: float
    number: int = 0


class _Answer(msgspec.Struct, frozen=True):
    """A `Came` on its way, and what the process asked the site for since its last answer."""

    files: list[Brought | _Refused]
    archived: int
    offered: bool
    requests: int
    retried: list[tuple[str, int, float]]


class LaneLostError(Exception):
    """The process at the other end is gone."""


class RelayedError(errors.FwsyncError):
    """An error of another process, of a kind of which only the line matters here."""

    def __init__(self, line: str, attempts: int) -> None:
        self.attempts = attempts
        super().__init__(line)


# --- this end ---------------------------------------------------------------------------------------------------------


class Crew:
    """The processes of one command, forked and asleep. Close it at the end."""

    def __init__(self, sockets: Sequence[Sequence[socket.socket]], pids: Sequence[int]) -> None:
        self._sockets, self._pids = sockets, pids
        self._channels: list[_Channel] | None = None

    @classmethod
    def fork(cls, processes: int) -> Crew:
        """Fork so many; none where that is not safe: on other systems than Linux, and beside other threads. Where the
        system gives no more processes or sockets there are fewer."""
        held: list[list[socket.socket]] = []
        if sys.platform != "linux" or threading.active_count() > 1:
            return cls(held, [])
        pids: list[int] = []
        with contextlib.suppress(OSError):
            for _ in range(processes):
                # One more than the lanes: nothing is ever sent on it, and its end is the end of the process.
                pairs = [socket.socketpair() for _ in range(LANES + 1)]
                ours = [one for one, _ in pairs]
                pid = os.fork()
                if pid == 0:
                    _live([theirs for _, theirs in pairs], [one for some in (*held, ours) for one in some])
                held.append(ours)
                pids.append(pid)
                for _, theirs in pairs:
                    theirs.close()
        return cls(held, pids)

    async def lanes(self, job: Job, session: ApiSession) -> list[Lane]:
        """The lanes for one run. None where the site's own limits leave nothing to share: `session` is asked to keep to
        its part of them from the first batch that goes elsewhere, and counts what the processes ask for."""
        parts = len(self._sockets) + 1
        network = job.network
        if parts == 1 or session.pacer is not None or network.max_calls < 2 * parts or network.max_bodies < 2 * parts:
            return []
        if self._channels is None:
            # One lane of each process before the second of any, so that the batches spread.
            numbered = [some[number] for number in range(LANES) for some in self._sockets]
            self._channels = [_Channel(await anyio.abc.UNIXSocketStream.from_socket(one)) for one in numbered]
        own = msgspec.structs.replace(
            network,
            calls=max(network.calls // parts, 1),
            max_calls=network.max_calls // parts,
            bodies=max(network.bodies // parts, 1),
            max_bodies=network.max_bodies // parts,
        )
        job = msgspec.structs.replace(job, network=own)
        return [Lane(channel, job, session, parts) for channel in self._channels if not channel.lost]

    def close(self) -> None:
        """End the processes: nothing that they still do is of use to anyone."""
        for one in (one for some in self._sockets for one in some):
            one.close()
        for pid in self._pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


class Lane:
    """A worker (see `worker.Worker`) in another process."""

    def __init__(self, channel: _Channel, job: Job, session: ApiSession, parts: int) -> None:
        self._channel, self._job, self._session, self._parts = channel, job, session, parts

    async def bring(self, files: Sequence[FetchFile], way: Way) -> Came:
        """LaneLostError when the process is gone; then nothing of the batch has a final name."""
        self._session.share(self._parts)
        raw = await self._channel.ask(msgspec.msgpack.encode(_Batch(self._job, list(files), way)))
        answer = _answers.decode(raw)
        self._session.relay(answer.requests, answer.retried)
        came = [_unpacked(one) if isinstance(one, _Refused) else one for one in answer.files]
        return Came(came, answer.archived, answer.offered)


def _unpacked(refused: _Refused) -> NotBrought:
    error: errors.FwsyncError
    match refused.kind:
        case "AuthError":
            error = errors.AuthError(refused.line)
        case "DiskFullError":
            error = errors.DiskFullError(refused.line, refused.number)
        case "UnreachableError":
            error = errors.UnreachableError(refused.line, attempts=refused.attempts)
        case _:
            error = RelayedError(refused.line, refused.attempts)
    return NotBrought(error, refused.seconds)


def _packed(one: Brought | NotBrought) -> Brought | _Refused:
    if isinstance(one, Brought):
        return one
    error, kind = one.error, type(one.error).__name__
    if isinstance(error, errors.FwsyncError):
        line = error.line
    else:
        log.error("bug in a worker", exc_info=error)
        line = f"bug in fwsync: {kind}: {logs.scrub(str(error))}"
    return _Refused(kind, line, getattr(error, "attempts", 1), one.seconds, getattr(error, "number", 0))


# --- what crosses -----------------------------------------------------------------------------------------------------

_batches = msgspec.msgpack.Decoder(_Batch)
_answers = msgspec.msgpack.Decoder(_Answer)


class _Channel:
    """One socket to a process: a question, then its answer."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream, self.lost = stream, False

    async def ask(self, question: bytes) -> bytes:
        """LaneLostError when the other end is gone. Whoever is cancelled here leaves an answer that nobody reads, so
        the channel is of no use after that."""
        if self.lost:
            raise LaneLostError
        self.lost = True
        try:
            await _write(self._stream, question)
            answer = await _read(self._stream)
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            raise LaneLostError from error
        if answer is None:
            raise LaneLostError
        self.lost = False
        return answer


async def _write(stream: anyio.abc.SocketStream, data: bytes) -> None:
    await stream.send(_LENGTH.pack(len(data)) + data)


async def _read(stream: anyio.abc.SocketStream) -> bytes | None:
    """The next frame; None when the other end has gone."""
    held = bytearray()
    wanted = _LENGTH.size
    while len(held) < wanted:
        try:
            held += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return None
        if len(held) >= _LENGTH.size:
            wanted = _LENGTH.size + _LENGTH.unpack_from(held)[0]
    return bytes(held[_LENGTH.size :])


# --- the other end ----------------------------------------------------------------------------------------------------


def _live(sockets: Sequence[socket.socket], others: Sequence[socket.socket]) -> NoReturn:
    """All that such a process ever does."""
    try:
        # Ctrl-C reaches the whole group: the parent decides what is still finished, and closes the lanes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for one in others:
            one.close()
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)  # a pipe that our output goes to must not stay open because of us
        asked, _, _ = select.select(sockets, [], [])
        # Most commands end without a batch for us: that is seen without an event loop.
        if any(one.recv(1, socket.MSG_PEEK) for one in asked):
            eventloop.run(_serve, sockets)
    finally:
        os._exit(0)


async def _serve(sockets: Sequence[socket.socket]) -> None:
    *lanes, life = [await anyio.abc.UNIXSocketStream.from_socket(one) for one in sockets]
    desk = _Desk()
    async with anyio.create_task_group() as group:
        group.start_soon(_end_with_the_parent, life)
        for lane in lanes:
            group.start_soon(_attend, lane, desk)


async def _end_with_the_parent(life: anyio.abc.SocketStream) -> None:
    """A parent that is killed must not leave a process behind that goes on writing, busy as all its lanes may be."""
    await _read(life)
    os._exit(0)


async def _attend(lane: anyio.abc.SocketStream, desk: _Desk) -> None:
    while (raw := await _read(lane)) is not None:
        batch = _batches.decode(raw)
        worker = await desk.worker(batch.job)
        came = await worker.bring(batch.files, batch.way)
        await _write(lane, msgspec.msgpack.encode(desk.answer(came)))
    os._exit(0)


class _Desk:
    """The worker of the run that is under way, shared by the lanes."""

    def __init__(self) -> None:
        self._job: Job | None = None
        self._session: ApiSession | None = None
        self._opening = anyio.Lock()
        self._retried: list[tuple[str, int, float]] = []
        self._told = 0

    async def worker(self, job: Job) -> OwnWorker:
        async with self._opening:
            if self._job != job:
                await self._open(job)
        return self._worker

    async def _open(self, job: Job) -> None:
        logs.set_up(form=job.log.format, level=job.log.level)
        logs.hide(job.key.secret)
        if self._session is None or self._job is None or (self._job.key, self._job.network) != (job.key, job.network):
            # An old one is left as it is: lanes may be in the middle of it, and all ends with the process.
            session = ApiSession(job.key, job.network, on_retry=lambda *told: self._retried.append(told))
            session.reached = True
            self._session = await session.__aenter__()
            self._told = 0
        tree = Tree(Path(job.root))
        stager = Stager(tree, f"{job.run}-{os.getpid()}", fsync=job.fsync, mode=job.mode)
        self._worker, self._job = OwnWorker(self._session, stager), job

    def answer(self, came: Came) -> _Answer:
        """What came, with what was not told yet."""
        asked = self._session.requests if self._session is not None else 0
        requests, retried = asked - self._told, self._retried
        self._told, self._retried = asked, []
        files = [_packed(one) for one in came.files]
        return _Answer(files, came.archived, came.offered, requests, retried)
