"""How fast bodies may cross the network: `--bwlimit`, one rate or one by time of day, shared by all streams.

`Bucket` is the arithmetic, without a clock; `Pacer` adds clock and sleep and lets streams take turns. A stream pays for
a piece after it came, or before it leaves; while it waits its connection fills up, and the other side waits too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime

import anyio
import msgspec

from fwsync.errors import UsageError
from fwsync.selection import parse_size

BURST = 0.25
"""So many seconds of the rate may be saved up while nobody asks (files are given their names, pages are listed): little
enough that three seconds of it are within a tenth of the limit."""

LONGEST_NAP = 1.0
"""Seconds after which a wait looks at the timetable again: a new rate applies to what is running."""

MINUTES = 24 * 60
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE = re.compile(r"(?:([A-Za-z]{3})-)?([0-9]{1,2}):([0-9]{2}),(\S+)\Z")


class Timetable(msgspec.Struct, frozen=True):
    """Rates in bytes per second (None: no limit), each from a minute of the week on. A single rate begins at 0."""

    rules: tuple[tuple[int, int | None], ...]

    def at(self, moment: datetime) -> int | None:
        """The rate at a local time: of the last rule before it; before the first one of the week, last week's last."""
        minute = moment.weekday() * MINUTES + moment.hour * 60 + moment.minute
        before = [rate for begins, rate in self.rules if begins <= minute]
        return before[-1] if before else self.rules[-1][1]


def parse_bwlimit(text: str) -> Timetable | None:
    """What `--bwlimit` says: `50M`, or `08:00,2M 18:00,off`, or with days `Mon-08:00,2M Sat-00:00,off`.

    A number without a unit means bytes per second. None for no limit at all. UsageError for anything else.
    """
    words = text.split()
    if not words:
        return None
    if len(words) == 1 and "," not in words[0]:
        rate = _rate(words[0], text)
        return None if rate is None else Timetable(((0, rate),))
    rules: dict[int, int | None] = {}
    for word in words:
        found = _RULE.match(word)
        if found is None or int(found[2]) > 23 or int(found[3]) > 59:
            raise UsageError(f"--bwlimit {text!r}: {word!r} is not TIME,RATE, such as 08:00,2M or Mon-08:00,2M")
        if found[1] and found[1].lower() not in DAYS:
            raise UsageError(f"--bwlimit {text!r}: {found[1]} is no day; write {', '.join(map(str.title, DAYS))}")
        days = [DAYS.index(found[1].lower())] if found[1] else range(7)
        rules |= {day * MINUTES + int(found[2]) * 60 + int(found[3]): _rate(found[4], text) for day in days}
    return Timetable(tuple(sorted(rules.items(), key=lambda rule: rule[0])))


def _rate(word: str, text: str) -> int | None:
    if word.lower() == "off":
        return None
    rate = parse_size(word, f"--bwlimit {text!r}:")
    if rate < 1:
        raise UsageError(f"--bwlimit {text!r}: a rate is at least 1 byte per second; off means no limit")
    return rate


class Bucket:
    """A token bucket that may go into debt: who takes more than there is waits until it is paid off."""

    def __init__(self, now: float) -> None:
        """`now` and all later times are seconds of one clock that never goes back."""
        self._level, self._at = 0.0, now

    def take(self, size: int, rate: float, now: float) -> None:
        """Take `size` tokens at once."""
        self._fill(rate, now)
        self._level -= size

    def wait(self, rate: float, now: float) -> float:
        """Seconds until the debt is paid, if `rate` stays as it is; 0 when it is less than a byte."""
        self._fill(rate, now)
        return -self._level / rate if self._level <= -1 else 0.0

    def forgive(self, now: float) -> None:
        """Nobody owes anything: there is no limit now."""
        self._level, self._at = 0.0, now

    def _fill(self, rate: float, now: float) -> None:
        self._level = min(self._level + (now - self._at) * rate, BURST * rate)
        self._at = now


class Pacer:
    """The limit of one session. Streams take turns piece by piece, in the order of asking: each gets its share."""

    def __init__(
        self,
        timetable: Timetable,
        *,
        clock: Callable[[], float] = time.monotonic,
        local_time: Callable[[], datetime] = datetime.now,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    ) -> None:
        self._timetable, self._clock, self._local_time, self._sleep = timetable, clock, local_time, sleep
        self._bucket = Bucket(clock())
        self._turn = anyio.Lock()  # first come, first served

    @classmethod
    def of(cls, text: str) -> Pacer | None:
        """The pacer that a setting asks for; None where there is no limit. UsageError for what can't be read."""
        timetable = parse_bwlimit(text)
        return None if timetable is None else cls(timetable)

    async def take(self, size: int) -> None:
        """Wait until `size` bytes are within the limit."""
        async with self._turn:
            paid = False
            while True:
                rate, now = self._timetable.at(self._local_time()), self._clock()
                if rate is None:
                    self._bucket.forgive(now)
                    return
                if not paid:
                    self._bucket.take(size, rate, now)
                    paid = True
                wait = self._bucket.wait(rate, now)
                if wait <= 0:
                    return
                await self._sleep(min(wait, LONGEST_NAP))
