"""Rules about quality, as people write them: `LOW_SNR: snr < 1.0 where Measurement=T2*`.

A rule names a flag, a metric (a key of a file's custom info; dots lead into it), a comparison with a number, and after
`where` what the file's classification has to hold, several joined by `and`. Values there are meant to the letter: `T2*`
is the platform's own name of a measurement, and no pattern.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fwsync.errors import UsageError

Verdict = bool | None
"""Whether a rule holds for a file; None where the file has no value to judge by."""

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "!=": operator.ne,
}  # fmt: skip
_NAME = re.compile(r"\s*([^\s:/,]+)\s*:")
_METRIC = re.compile(r"\s*([^\s<>=!:,]+)")
_OPERATOR = re.compile(r"\s*(<=|>=|!=|<|>|=)")
_NUMBER = re.compile(r"\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(?=\s|\Z)", re.ASCII)
_WHERE = re.compile(r"\s+where(?=\s|\Z)")
_CONDITION = re.compile(r"\s*([^\s=]+)\s*=\s*(.*?)\s*(?=\s+and(?:\s|\Z)|\Z)", re.DOTALL)
_AND = re.compile(r"\s+and(?=\s|\Z)")
LONGEST, LONGEST_NAME = 1000, 100


class Rule(NamedTuple):
    """One rule. `where` are keys and values of the classification that must all be there."""

    flag: str
    metric: str
    compare: str
    limit: float
    where: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        conditions = " and ".join(f"{key}={value}" for key, value in self.where)
        return f"{self.flag}: {self.metric} {self.compare} {self.limit!r}{' where ' if conditions else ''}{conditions}"

    def applies(self, classification: Mapping[str, Any] | None) -> bool:
        """Whether a file is meant, by its classification."""
        held = classification or {}
        return all(value in _listed(held.get(key)) for key, value in self.where)

    def verdict(self, info: Mapping[str, Any] | None) -> Verdict:
        """Whether it holds for a file that is meant."""
        value = number(value_at(info, self.metric))
        return None if value is None else _COMPARE[self.compare](value, self.limit)


MRIQC = (
    Rule("LOW_SNR", "snr", "<", 1.0, (("Measurement", "T2*"),)),
    Rule("HIGH_FD", "fd_mean", ">", 2.5, (("Measurement", "T2*"),)),
    Rule("LOW_SNR", "snr_total", "<", 6.0, (("Measurement", "T1"),)),
)
"""The rules of the tutorial for reports of the mriqc gear."""


def parse_rule(text: str) -> Rule:
    """A rule from its text. UsageError that tells the place of what can't be read."""
    if len(text) > LONGEST:
        raise UsageError(f"--flag {text[:60]!r}...: is longer than {LONGEST:,} characters")
    reader = _Reader(text)
    flag = reader.take(_NAME, "a name and a colon, such as LOW_SNR:")
    if flag in (".", "..") or len(flag) > LONGEST_NAME or not flag.isprintable():
        raise UsageError(f"--flag {text!r}: {flag!r} is no name for a tag")
    metric = reader.take(_METRIC, "a metric, such as snr")
    compare = reader.take(_OPERATOR, "one of < <= > >= = !=")
    limit = float(reader.take(_NUMBER, "a number"))
    if not math.isfinite(limit):
        raise UsageError(f"--flag {text!r}: the number is too large")
    conditions: list[tuple[str, str]] = []
    if reader.skip(_WHERE):
        conditions.append(reader.condition())
        while reader.skip(_AND):
            conditions.append(reader.condition())
    reader.end("where KEY=VALUE, or the end" if not conditions else "and KEY=VALUE, or the end")
    return Rule(flag, metric, compare, limit, tuple(conditions))


class _Reader:
    """A place in a text."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def take(self, pattern: re.Pattern[str], wanted: str) -> str:
        if (found := pattern.match(self._text, self._at)) is None:
            raise self._error(wanted)
        self._at = found.end()
        return found.group(1)

    def skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return found is not None

    def condition(self) -> tuple[str, str]:
        found = _CONDITION.match(self._text, self._at)
        if found is None or not found.group(2):
            raise self._error("KEY=VALUE, such as Measurement=T1")
        self._at = found.end()
        return found.group(1), found.group(2)

    def end(self, wanted: str) -> None:
        if self._text[self._at :].strip():
            raise self._error(wanted)

    def _error(self, wanted: str) -> UsageError:
        rest = self._text[self._at :]
        place = self._at + len(rest) - len(rest.lstrip()) + 1
        there = f"there is {rest.strip()[:30]!r}" if rest.strip() else "the text ends"
        return UsageError(f"--flag {self._text!r}: at character {place} {there}; wanted: {wanted}")


def value_at(info: Mapping[str, Any] | None, path: str) -> Any:
    """What custom info holds under a key, or below keys that dots join; None if nothing."""
    if not isinstance(info, Mapping):
        return None
    if path in info:
        return info[path]
    for at in (at for at, char in enumerate(path) if char == "."):
        if path[:at] in info and (found := value_at(info[path[:at]], path[at + 1 :])) is not None:
            return found
    return None


def number(value: Any) -> float | None:
    """A metric as a number, also where it was stored as text; None for all that is none, NaN and infinity too."""
    if isinstance(value, str):
        held = value.strip()
        if not _NUMBER.fullmatch(held):
            return None
        value = float(held)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _listed(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
