"""Which way small files come: one request each, or a bulk archive for many. Chosen by what each was measured to take.

The rule: the first batches come as archives until one of them has ended, then PART files of each of the next ones by
single requests until one of those has. Such a trial begins when nothing of the other way is under way any more, and
nothing else begins until all of it has ended: where the site or this machine is the limit, many requests take what one
stream beside them should have had. What counts is how many files came in a second that belonged to one way alone.
From then on the quicker way is taken, archives also where they are up to TIE times slower. Every AGAIN batches the
other is tried anew, unless it took more than HOPELESS times as long. Batches of fewer than LEAST files always come by
single requests: an archive costs two of them before its first byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import msgspec

Way = Literal["single", "archive"]
WAYS: tuple[Way, ...] = ("archive", "single")
PART = 32
"""Files of a batch that try single requests: few, since each may cost several times what it costs in an archive."""

LEAST = 16
AGAIN = 128
HOPELESS = 2.0
FADE = 0.9
"""What earlier batches still count when one more has ended."""

TIE = 1.1
"""Where the two are this close the archive is taken: it asks less of the site and of this machine."""


class Trip(msgspec.Struct, eq=False):
    """One batch, or `files` of it, on its way. `alone` is whether nothing of the other way was under way meanwhile."""

    way: Way
    files: int
    trial: bool = False
    alone: bool = True


class Pace(msgspec.Struct):
    """Files that came by one way, and the seconds that this took while nothing came by the other."""

    files: float = 0.0
    seconds: float = 0.0

    @property
    def each(self) -> float:
        """Seconds a file."""
        return self.seconds / self.files if self.files else 0.0


class Ways:
    """The measured choice between the two ways, for one run."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[Way, Pace] = {}
        self._under_way: list[Trip] = []
        self._since = 0
        self._looked = 0.0

    def choose(self, files: int, *, offered: bool) -> Trip | None:
        """How a batch of so many files is to come, or the first of them; it begins by `begin`, at once. None: not yet,
        ask again when something has ended. `offered` tells whether the site has archives."""
        trip = self._chosen(files, offered)
        other_way = any(other.way != trip.way for other in self._under_way) if trip else False
        trial = trip is not None and (trip.trial or any(other.trial for other in self._under_way))
        return None if trial and other_way else trip

    def _chosen(self, files: int, offered: bool) -> Trip | None:
        if not offered or files < LEAST:
            return Trip("single", files)
        for way in WAYS:
            pace = self._paces.get(way, Pace())
            if not pace.files:
                part = min(files, PART) if way == "single" else files
                return Trip(way, part if files - part >= LEAST else files, trial=True)
        if any(trip.trial for trip in self._under_way):
            return None
        return Trip(self._best(), files)

    def begin(self, trip: Trip) -> None:
        """It is under way."""
        self._look()
        for other in self._under_way:
            if other.way != trip.way:
                other.alone = trip.alone = False
        self._under_way.append(trip)

    def end(self, trip: Trip, files: int) -> None:
        """So many files of it came as they should."""
        self._look()
        self._under_way.remove(trip)
        if not trip.alone:
            return
        pace = self._pace(trip.way)
        if not trip.trial:
            pace.files, pace.seconds = pace.files * FADE, pace.seconds * FADE
        pace.files += files

    def _pace(self, way: Way) -> Pace:
        return self._paces.setdefault(way, Pace())

    def _look(self) -> None:
        """Whose were the seconds since something last began or ended."""
        now = self._clock()
        ways = {trip.way for trip in self._under_way}
        if len(ways) == 1:
            self._pace(ways.pop()).seconds += now - self._looked
        self._looked = now

    def _best(self) -> Way:
        self._since += 1
        archive, single = (self._paces[way].each for way in WAYS)
        best, other = WAYS if archive <= TIE * single else WAYS[::-1]
        if self._since >= AGAIN and self._paces[other].each <= HOPELESS * self._paces[best].each:
            self._since = 0
            del self._paces[other]  # the next batch tries it
        return best
