"""`fwsync mirror --watch 5m`: the same mirror again and again, each round a run of its own in the journal."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio
import msgspec

from fwsync.errors import AuthError, FwsyncError, UsageError
from fwsync.events import Reporter
from fwsync.operations.context import Context
from fwsync.work import Summary

JITTER = 0.05
"""Part of the interval by which a round may begin earlier or later: many watchers of one site spread out."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one round: its summary where it got so far, the error that ended it where one did."""

    number: int
    summary: Summary | None
    error: FwsyncError | None
    next_in: float
    """Seconds until the next round begins; 0 when this one took longer than the interval."""


class Listener(Protocol):
    """Who is told of the rounds."""

    def begins(self) -> Reporter:
        """A round begins; what is told of its progress."""

    def ended(self, one: Round) -> None:
        """A round has ended. Not called for the one that a signal cuts short."""


async def watch(
    context: Context,
    every: float,
    work: Callable[[Context], Awaitable[Summary]],
    listener: Listener,
    *,
    rounds: float = math.inf,
    chance: Callable[[], float] = random.random,
) -> None:
    """Do `work` every `every` seconds, measured from start to start; a round that takes longer is followed at once.

    Failed items, an unreachable site, a full disk or a lock that another run holds don't end it: the next round tries
    again. A refused key ends it, and a mistake of usage in the first round. Cancelled, it ends as a single run does.
    """
    number, due = 0, anyio.current_time()
    while number < rounds:
        number += 1
        context.fw.count_anew()
        again = msgspec.structs.replace(context, reporter=listener.begins(), ended=None, holds=set())
        summary, error = await _one(again, work, context, first=number == 1)
        # From this round's due time on, so that the jitter does not add up; from now on when it came late.
        due = max(due + every, anyio.current_time())
        wait = max(due + every * JITTER * (2 * chance() - 1) - anyio.current_time(), 0.0)
        listener.ended(Round(number=number, summary=summary, error=error, next_in=wait))
        context.ended = None  # it was told: a signal between rounds has nothing to add
        if number < rounds:
            await anyio.sleep(wait)


async def _one(
    again: Context, work: Callable[[Context], Awaitable[Summary]], context: Context, *, first: bool
) -> tuple[Summary | None, FwsyncError | None]:
    try:
        return await work(again), None
    except AuthError:
        raise
    except FwsyncError as error:
        if first and isinstance(error, UsageError):
            raise
        return again.ended, error
    finally:
        context.ended = again.ended
