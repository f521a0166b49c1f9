"""Cells to values in the platform's stored form: sex, age, weight, tags, `info` values; and which cells say nothing."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Any

import msgspec

SECONDS_PER_DAY = 86400
MOST_YEARS = 130
MOST_KG = 1000.0

_NOTHING = frozenset({"", "na", "n/a", "null", "none", "nan", "-", "--", "#n/a", "."})
_NOTHING_IN_TEXT = frozenset(
    {"", "NA", "na", "N/A", "n/a", "NULL", "null", "None", "none", "NaN", "nan", "-", "--", "#N/A"}
)


def is_missing(cell: str) -> bool:
    """Whether a stripped cell says that there is no value."""
    return len(cell) < 5 and cell.casefold() in _NOTHING


def is_missing_text(cell: str) -> bool:
    """The same for names and labels, where `Na` and `Null` are people's names."""
    return cell in _NOTHING_IN_TEXT


# --- sex ----------------------------------------------------------------------------------------------------------

_SEXES = {
    **dict.fromkeys(("m", "male", "man", "männlich", "maennlich", "mann", "masculin", "homme", "masculino", "hombre",
                     "varón", "varon", "maschio", "maschile", "mannelijk", "homem"), "male"),
    **dict.fromkeys(("f", "female", "woman", "w", "weiblich", "frau", "féminin", "feminin", "femme", "femenino",
                     "mujer", "feminino", "femmina", "femminile", "vrouw", "vrouwelijk", "mulher"), "female"),
    **dict.fromkeys(("o", "other", "divers", "autre", "otro", "altro", "anders", "outro"), "other"),
    **dict.fromkeys(("u", "unknown", "unbekannt", "inconnu", "desconocido", "sconosciuto", "onbekend"), "unknown"),
}  # fmt: skip


def sex(cell: str, *, beside_h: bool = False) -> str:
    """The platform's term for a sex; ValueError for an unknown one.

    `beside_h`: the column has an `H` or a `V` too. Then `M` may be Spanish (mujer, beside hombre or varón), and none of
    them is read at all: a guess would turn women into men.
    """
    word = unicodedata.normalize("NFC", cell.strip()).casefold()
    if beside_h and word in ("m", "h", "v"):
        raise ValueError(f"{cell!r} can't be told beside H or V (hombre, varón, mujer, vrouw); write male or female")
    found = _SEXES.get(word)
    if found is None:
        raise ValueError(f"{cell!r} is no known sex; use male, female, other or unknown")
    return found


# --- age, weight --------------------------------------------------------------------------------------------------

_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d{1,3})?\Z")
_PART = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*([^\W\d]+)\.?,?\s*(?:and\s+|und\s+|et\s+|y\s+)?", re.IGNORECASE)
_UNITS = {
    **dict.fromkeys(("y", "yr", "yrs", "year", "years", "yo", "a", "j", "jahr", "jahre", "an", "ans", "año", "años",
                     "anno", "anni", "jaar", "ano", "anos"), "years"),
    **dict.fromkeys(("m", "mo", "mos", "mon", "mth", "month", "months", "monat", "monate", "mois", "mes", "meses",
                     "mese", "mesi", "maand", "maanden", "mês"), "months"),
    **dict.fromkeys(("w", "wk", "wks", "week", "weeks", "woche", "wochen", "semaine", "semaines", "weken"), "weeks"),
    **dict.fromkeys(("d", "day", "days", "tag", "tage", "jour", "jours", "día", "días", "dagen"), "days"),
}  # fmt: skip


def number(cell: str) -> float:
    """A number with a decimal point or comma; ValueError when it is none, or not finite."""
    text = cell.strip()
    if not _NUMBER.match(text):
        raise ValueError(f"{cell!r} is no number")
    value = float(text.replace(",", "."))
    if not math.isfinite(value):
        raise ValueError(f"{cell!r} is too large a number")
    return value


def age_seconds(cell: str, days_per_year: float, unit: str = "years") -> int:
    """An age such as `34`, `34,5`, `18 mo`, `1 year 3 months`, `034Y` or `P34Y6M` in whole seconds.

    `unit` is that of a bare number. The SDK reads ages back with a year of 365.25 days, so with that 34 years stay
    34.0. ValueError when it is no age, negative, or over 130 years.
    """
    days = {
        "years": days_per_year,
        "months": days_per_year / 12,
        "weeks": 7.0,
        "days": 1.0,
        "seconds": 1 / SECONDS_PER_DAY,
    }
    text = cell.strip()
    if _NUMBER.match(text):
        total = number(text) * days[unit]
    else:
        total = sum(amount * days[name] for amount, name in _parts(text, cell))
    if total < 0:
        raise ValueError(f"{cell!r} is a negative age")
    if total > MOST_YEARS * days_per_year:
        raise ValueError(f"{cell!r} is an age over {MOST_YEARS} years")
    return round(total * SECONDS_PER_DAY)


def _parts(text: str, cell: str) -> list[tuple[float, str]]:
    rest = text[1:] if text[:1] in "Pp" else text
    out: list[tuple[float, str]] = []
    while rest:
        found = _PART.match(rest)
        unit = _UNITS.get(found.group(2).casefold()) if found else None
        if found is None or unit is None or unit in (name for _, name in out):
            raise ValueError(f"{cell!r} is no age; write it in years, or as 18 mo, 3 w, 10 d")
        out.append((float(found.group(1).replace(",", ".")), unit))
        rest = rest[found.end() :]
    if not out:
        raise ValueError(f"{cell!r} is no age; write it in years, or as 18 mo, 3 w, 10 d")
    return out


_KG = re.compile(r"\s*kgs?\.?\s*\Z", re.IGNORECASE)


def weight(cell: str) -> float:
    """A body weight in kilograms; ValueError when it is none."""
    value = number(_KG.sub("", cell))
    if not 0 < value <= MOST_KG:
        raise ValueError(f"{cell!r} is no weight in kilograms")
    return value


# --- lists --------------------------------------------------------------------------------------------------------


def texts(cell: str, *, json: bool, split: bool) -> list[str]:
    """The texts in a cell: a JSON list, several between `;`, `,` or `|`, or the cell itself. Sorted, no doubles."""
    if json:
        try:
            found = msgspec.json.decode(cell, type=list[str])
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise ValueError(f"{cell[:60]!r} is no JSON list of texts ({error})") from None
    else:
        found = re.split(r"[;,|]", cell) if split else [cell]
    return sorted({text.strip() for text in found} - {""})


# --- info ---------------------------------------------------------------------------------------------------------

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})\Z")
# An exponent counts only with a sign: `12E3` is more often a code than a number.
_FLOAT = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)\.\d*|\.\d+|0|[1-9]\d*(?=[eE]))(?:[eE][+-]\d{1,3})?\Z")
_COMMA = re.compile(r"-?(?:0|[1-9]\d*),(\d+)\Z")
_TRUTH = {"true": True, "false": False}
_TRUTH_ASKED = {**_TRUTH, "yes": True, "no": False, "y": True, "n": False, "1": True, "0": False}


class InfoColumn:
    """Finds out how the values of a whole column read: all integers, all floats, all true or false, else text."""

    __slots__ = ("_comma", "_kinds", "_proven")

    def __init__(self) -> None:
        self._kinds: set[str] = set()
        self._comma = self._proven = False

    def see(self, cell: str) -> None:
        """Take in one cell that is not missing."""
        if "str" in self._kinds:
            return
        if _INTEGER.match(cell):
            self._kinds.add("int")
        elif _FLOAT.match(cell):
            self._kinds.add("float")
        elif found := _COMMA.match(cell):
            self._comma = True
            # Three digits after it could also be thousands: some cell must prove that the comma is a decimal one.
            self._proven |= len(found.group(1)) != 3
            self._kinds.add("float")
        elif cell.casefold() in _TRUTH:
            self._kinds.add("bool")
        else:
            self._kinds.add("str")

    @property
    def type(self) -> str:
        """`int`, `float`, `bool` or `str`."""
        if self._comma and not self._proven:
            return "str"
        if self._kinds <= {"int", "float"} and self._kinds:
            return "float" if "float" in self._kinds else "int"
        return "bool" if self._kinds == {"bool"} else "str"


def info_value(cell: str, kind: str) -> Any:
    """A cell as a value of `info`: `str`, `int`, `float`, `bool` or `json`; ValueError when it is none."""
    if kind == "str":
        return cell
    if kind == "int":
        if not re.match(r"[+-]?\d{1,18}\Z", cell):
            raise ValueError(f"{cell!r} is no whole number")
        return int(cell)
    if kind == "float":
        return number(cell)
    if kind == "bool":
        if cell.casefold() not in _TRUTH_ASKED:
            raise ValueError(f"{cell!r} is neither true nor false")
        return _TRUTH_ASKED[cell.casefold()]
    try:
        value = msgspec.json.decode(cell)
        msgspec.msgpack.encode(value)  # the platform has no whole numbers beyond 64 bits, nor has the spool
    except (msgspec.DecodeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{cell[:60]!r} is no JSON that can be kept ({error})") from None
    return value
