"""`groupBy`: rows with equal keys become one, the other columns are accumulated.

An accumulator looks at values that are there: `count` counts them; `sum mean standard_deviation minimum maximum` take
their numbers (the deviation is that of the whole, not of a sample; minimum and maximum also order texts). A column
without one shows the first value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from fwsync.sandbox.views.rows import ERRORS, Row, number
from fwsync.sandbox.views.spec import Column, Spec


def grouped(spec: Spec, rows: Iterable[Row]) -> list[Row]:
    """One row per key, in the order in which keys first come."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = repr([row[column.dst] for column in spec.group])
        groups.setdefault(key, []).append(row)
    return [_merged(spec, held) for held in groups.values()]


def _merged(spec: Spec, rows: list[Row]) -> Row:
    out = {column.dst: rows[0][column.dst] for column in spec.group}
    problems = []
    for column in spec.columns:
        if column.dst in out:
            continue
        try:
            out[column.dst] = _accumulated(column, [row[column.dst] for row in rows if row[column.dst] is not None])
        except (ValueError, OverflowError):
            out[column.dst] = None
            problems.append(f"{column.dst}: holds something other than numbers")
    if spec.errors:
        told = [row[ERRORS] for row in rows if row.get(ERRORS)]
        out[ERRORS] = "; ".join([*dict.fromkeys(told), *problems]) or None
    return out


def _accumulated(column: Column, values: list[Any]) -> Any:
    if column.accumulator == "count":
        return len(values)
    if not values or column.accumulator is None:
        return values[0] if values else None
    if column.accumulator in ("minimum", "maximum"):
        choose = min if column.accumulator == "minimum" else max
        texts = all(isinstance(value, str) for value in values)
        return choose(values) if texts else choose(number(value) for value in values)
    numbers = [number(value) for value in values]
    whole = all(isinstance(one, int) for one in numbers) and sum(map(abs, numbers)) < 2**53
    total = sum(numbers) if whole else math.fsum(numbers)
    if column.accumulator == "sum":
        return total
    mean = total / len(numbers)
    if column.accumulator == "mean":
        return mean
    return math.sqrt(math.fsum((one - mean) ** 2 for one in numbers) / len(numbers))
