"""Which way small files come: one request each, or a bulk archive for many. Chosen by what each was measured to take.

The rule: the first TRIALS batches come as archives, the next by single requests; from when both are measured the one
with fewer seconds a file (a moving average) is taken, archives also where they are up to TIE times slower, and every
PROBE batches the other is tried again. Batches of fewer than LEAST files always come by single requests: an archive
costs two of them before its first byte.
"""

from __future__ import annotations

from typing import Literal

Way = Literal["single", "archive"]
_WAYS: tuple[Way, Way] = ("archive", "single")
LEAST = 16
TRIALS = 2
PROBE = 32
WEIGHT = 0.3
TIE = 1.3
"""Where the two are this close the archive is taken: it asks less of the site and of this machine."""


class Ways:
    """The measured choice between the two ways, for one run."""

    def __init__(self) -> None:
        self._seconds: dict[Way, float] = {}
        self._begun: dict[Way, int] = {"single": 0, "archive": 0}
        self._batches = 0

    def choose(self, files: int, *, offered: bool) -> Way:
        """The way for a batch of so many files; `offered` tells whether the site has archives."""
        if not offered or files < LEAST:
            return "single"
        self._batches += 1
        way = self._next()
        self._begun[way] += 1
        return way

    def _next(self) -> Way:
        for way in _WAYS:
            if self._begun[way] < TRIALS:
                return way
        if len(self._seconds) < len(_WAYS):
            return "single"  # the trials are still under way, or no archive ever came
        archives_win = self._seconds["archive"] <= TIE * self._seconds["single"]
        best, other = _WAYS if archives_win else _WAYS[::-1]
        return other if self._batches % PROBE == 0 else best

    def took(self, way: Way, files: int, seconds: float) -> None:
        """A batch of so many files took so long, from asking to having them all verified."""
        each = seconds / max(files, 1)
        before = self._seconds.get(way, each)
        self._seconds[way] = before + WEIGHT * (each - before)
