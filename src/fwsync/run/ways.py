"""Which way small files come: one request each, or a bulk archive for many. Chosen by what each was measured to take.

The rule: batches come as archives until one of those is measured, then by single requests until two of those are. Only
a batch counts that shared its time with no batch of the other way: where the site or this machine is the limit, many
requests take what one stream beside them should have had. From then on the way with fewer seconds a file (a moving
average) is taken, archives also where they are up to TIE times slower. Every AGAIN batches the other is measured anew,
unless it took more than HOPELESS times as long. Batches of fewer than LEAST files always come by single requests: an
archive costs two of them before its first byte.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Way = Literal["single", "archive"]
TRIALS: tuple[tuple[Way, int], ...] = (("archive", 1), ("single", 2))
LEAST = 16
AGAIN = 128
HOPELESS = 2.0
WEIGHT = 0.3
TIE = 1.1
"""Where the two are this close the archive is taken: it asks less of the site and of this machine."""


class Trip(msgspec.Struct):
    """One batch on its way. `alone` is whether no batch of the other way was under way at the same time."""

    way: Way
    alone: bool = True


class Ways:
    """The measured choice between the two ways, for one run."""

    def __init__(self) -> None:
        self._seconds: dict[Way, float] = {}
        self._measured: dict[Way, int] = {"archive": 0, "single": 0}
        self._under_way: list[Trip] = []
        self._since = 0

    def begin(self, files: int, *, offered: bool) -> Trip:
        """Choose for a batch of so many files; `offered` tells whether the site has archives."""
        trip = Trip("single" if not offered or files < LEAST else self._next())
        for other in self._under_way:
            if other.way != trip.way:
                other.alone = trip.alone = False
        self._under_way.append(trip)
        return trip

    def end(self, trip: Trip, files: int, seconds: float) -> None:
        """The batch took so long for so many files, from asking to having them verified; 0 files: don't count it."""
        self._under_way = [other for other in self._under_way if other is not trip]
        if files and trip.alone:
            each = seconds / files
            before = self._seconds[trip.way] if self._measured[trip.way] else each
            self._seconds[trip.way] = before + WEIGHT * (each - before)
            self._measured[trip.way] += 1

    def _next(self) -> Way:
        for way, trials in TRIALS:
            if self._measured[way] < trials:
                return way
        self._since += 1
        archive, single = self._seconds["archive"], self._seconds["single"]
        (best, _), (other, _) = TRIALS if archive <= TIE * single else TRIALS[::-1]
        if self._since >= AGAIN and self._seconds[other] <= HOPELESS * self._seconds[best]:
            self._since, self._measured[other] = 0, 0
            return other
        return best
