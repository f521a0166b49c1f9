"""Regular expressions from requests, which must never hang the server.

Python's `re` backtracks and holds the interpreter while it does, so a pattern is judged before it runs. What is
counted is in how many ways a text can be split among the parts of a pattern:

- a repeat of many inside a repeat of many, or alternatives that overlap inside one, can take exponential time: refused;
- a row of k repeats of many takes about n^(k+1) steps on n characters. k above 3 is refused; below, only the first
  10,000 (k = 1), 800 (k = 2) or 250 (k = 3) characters of a text are looked at;
- a `.*` at either end changes nothing in a search and is taken off first.
"""

from __future__ import annotations

import importlib
import re
from functools import lru_cache
from typing import Any

from fwsync.sandbox.errors import ApiError

_parser: Any = importlib.import_module("re._parser")

LONGEST = 2_000
_MANY = 10
_MOST_WAYS = 2_000
_RUN = "[\\s\\S]*"
_LIMITS = (1_000_000, 10_000, 800, 250)


class CostlyError(ValueError):
    """The pattern could take too long."""


class SafePattern:
    """A compiled pattern whose `search` ends soon on any text."""

    __slots__ = ("_compiled", "_limit", "text")

    def __init__(self, text: str) -> None:
        if len(text) > LONGEST:
            raise CostlyError(f"the pattern is longer than {LONGEST:,} characters")
        self.text = text
        core = _core(text)
        repeats, _ = _cost(_parser.parse(core))
        if repeats >= len(_LIMITS):
            raise CostlyError("the pattern has too many open repeats")
        self._limit = _LIMITS[repeats]
        self._compiled = re.compile(core)

    @property
    def pattern(self) -> str:
        """The text, under the name that a compiled pattern of `re` has for it."""
        return self.text

    def search(self, value: str) -> bool:
        """Whether the pattern is found anywhere in the text."""
        return self._compiled.search(value[: self._limit]) is not None


@lru_cache(maxsize=256)
def compiled(text: str) -> SafePattern:
    """The pattern; ValueError (CostlyError where it is too costly) with one clear line if it is none."""
    try:
        return SafePattern(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"bad pattern: {error}") from error


def pattern(text: str, where: str) -> SafePattern:
    """The pattern; 422 that names `where` if it is none or too costly."""
    try:
        return compiled(text)
    except ValueError as error:
        raise ApiError(422, f"{where}: {error}") from error


def wildcard(text: str, *, many: str = "*", one: str = "?") -> SafePattern:
    """A pattern for a whole text in which `many` stands for any run of characters and `one` for any single one."""
    meaning = {many: _RUN, one: "[\\s\\S]"}
    squeezed = re.sub(re.escape(many) + "+", many, text)
    return _Glob("".join(meaning.get(char) or re.escape(char) for char in squeezed), text)


class _Glob(SafePattern):
    """A wildcard pattern: matched piece by piece, which needs no backtracking at all."""

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, source: str, text: str) -> None:
        if len(text) > LONGEST:
            raise CostlyError(f"the pattern is longer than {LONGEST:,} characters")
        self.text = text
        pieces = [re.compile(piece) for piece in source.split(_RUN)]
        self._first, *rest = pieces
        self._last = rest.pop() if rest else None
        self._middle = rest

    def search(self, value: str) -> bool:
        found = self._first.match(value) if self._last is not None else self._first.fullmatch(value)
        if found is None or self._last is None:
            return found is not None
        at = found.end()
        for piece in self._middle:
            found = piece.search(value, at)
            if found is None:
                return False
            at = found.end()
        # The last piece has a fixed length: it is matched at the end, after what is taken already.
        length = _width(self._last)
        return len(value) - length >= at and self._last.fullmatch(value, len(value) - length) is not None


def _width(piece: re.Pattern[str]) -> int:
    return int(_parser.parse(piece.pattern).getwidth()[0])


def _core(text: str) -> str:
    """The pattern without `.*` at its ends, where it stands alone."""
    while text.startswith(".*") and text[2:3] not in ("?", "+", "*", "{"):
        text = text[2:]
    while text.endswith(".*") and not _escaped(text, len(text) - 2):
        text = text[:-2]
    return text


def _escaped(text: str, at: int) -> bool:
    return (at - len(text[:at].rstrip("\\"))) % 2 == 1


def _cost(items: Any) -> tuple[int, int]:
    """(open repeats in a row, ways that do not depend on the text's length) of a parsed pattern."""
    repeats, ways = 0, 1
    for item in items:
        more, times = _cost_of(item)
        repeats += more
        ways *= times
        if ways > _MOST_WAYS:
            raise CostlyError("the pattern can match in too many ways")
    return repeats, ways


def _cost_of(item: Any) -> tuple[int, int]:
    operator, argument = str(item[0]), item[1]
    match operator:
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _repeat(*argument)
        case "SUBPATTERN":
            return _cost(argument[3])
        case "ATOMIC_GROUP":
            return _cost(argument)
        case "ASSERT" | "ASSERT_NOT":
            return _cost(argument[1])
        case "BRANCH":
            costs = [_cost(branch) for branch in argument[1]]
            ways = max(way for _, way in costs) if _distinct(argument[1]) else sum(way for _, way in costs)
            return max(more for more, _ in costs), ways
        case "GROUPREF_EXISTS":
            costs = [_cost(branch) for branch in argument[1:] if branch]
            return max((more for more, _ in costs), default=0), sum(way for _, way in costs)
    return 0, 1


def _repeat(least: int, most: Any, body: Any) -> tuple[int, int]:
    repeats, ways = _cost(_without_assertions(body))
    inner, _ = _cost(body)
    if int(most) - int(least) > _MANY:
        if repeats or inner or ways > 1:
            raise CostlyError("the pattern repeats something that can itself match in many ways")
        return 1, 1
    times = max(int(most), 1)
    if repeats * times >= len(_LIMITS) or (ways > 1 and times > _MANY):
        raise CostlyError("the pattern repeats something that can itself match in many ways")
    most_ways = ways**times if ways > 1 else 1
    return repeats * times, int(most_ways * (int(most) - int(least) + 1))


def _without_assertions(body: Any) -> list[Any]:
    """An assertion is tried once and never split differently, so inside a repeat it only costs its own time."""
    return [item for item in body if str(item[0]) not in ("ASSERT", "ASSERT_NOT")]


def _distinct(branches: Any) -> bool:
    """Whether alternatives begin with different characters, so that at most one of them can go on."""
    firsts = [branch[0] if len(branch) else None for branch in branches]
    literals = [first[1] for first in firsts if first is not None and str(first[0]) == "LITERAL"]
    return len(literals) == len(firsts) and len(set(literals)) == len(literals)
