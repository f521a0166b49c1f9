"""Cells to values in the platform's stored form: sex, age."""

from __future__ import annotations

import re

SECONDS_PER_DAY = 86400
MOST_YEARS = 130
_SEXES = {
    "m": "male", "male": "male", "man": "male",
    "f": "female", "female": "female", "w": "female", "woman": "female",
    "o": "other", "other": "other",
    "u": "unknown", "unknown": "unknown",
}  # fmt: skip
_AGE = re.compile(r"P?\s*(\d+(?:[.,]\d+)?)\s*([a-z]*)\.?\Z", re.IGNORECASE)
_DAYS = {"y": None, "m": 30.4375, "w": 7.0, "d": 1.0}
_UNITS = {
    "": "y", "y": "y", "yr": "y", "yrs": "y", "year": "y", "years": "y",
    "m": "m", "mo": "m", "mos": "m", "month": "m", "months": "m",
    "w": "w", "wk": "w", "wks": "w", "week": "w", "weeks": "w",
    "d": "d", "day": "d", "days": "d",
}  # fmt: skip


def sex(cell: str) -> str:
    """The platform's term for a sex; ValueError for an unknown one."""
    found = _SEXES.get(cell.strip().casefold())
    if found is None:
        raise ValueError(f"{cell!r} is no known sex; use male, female, other or unknown")
    return found


def age_seconds(cell: str, days_per_year: float) -> int:
    """An age such as `34`, `34,5`, `18 mo`, `034Y` or `P34Y` in whole seconds; ValueError when it is none.

    The SDK reads ages back with a year of 365.25 days, so with that 34 years stay 34.0.
    """
    found = _AGE.match(cell.strip())
    unit = _UNITS.get(found.group(2).lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{cell!r} is no age; write it in years, or as 18 mo, 3 w, 10 d")
    days = float(found.group(1).replace(",", ".")) * (_DAYS[unit] or days_per_year)
    if days > MOST_YEARS * 366:
        raise ValueError(f"{cell!r} is an age over {MOST_YEARS} years")
    return round(days * SECONDS_PER_DAY)
