"""The `filters` of a search body: a list of objects in Elasticsearch's form, all of which must hold.

{"term": {field: value}}   {"terms": {field: [value, ...]}}   {"match": {field: text}}
{"range": {field: {"gt" | "gte" | "lt" | "lte": value}}}      {"exists": {"field": field}}
"""

from __future__ import annotations

from typing import Any

from fwsync.sandbox.errors import malformed
from fwsync.sandbox.query.conditions import CONTAINERS, All, Condition, Query, Value

_RANGES = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def parse(filters: Any) -> Query:
    """The condition that a list of filters means; 400 on any other form."""
    if filters is None:
        return All(())
    if not isinstance(filters, list):
        raise malformed("filters: must be a list")
    return All(tuple(_one(entry) for entry in filters))


def _one(entry: Any) -> Query:
    if not isinstance(entry, dict) or len(entry) != 1:
        raise malformed("filters: each must be an object with one of term, terms, match, range, exists")
    ((verb, about),) = entry.items()
    if not isinstance(about, dict) or len(about) != 1:
        raise malformed(f"filters: {verb} must be an object with one field")
    ((field, given),) = about.items()
    if verb == "exists":
        return Condition(_field(given), "EXISTS")
    if verb in ("term", "match"):
        given = given.get("value", given.get("query")) if isinstance(given, dict) else given
        return Condition(_field(field), "IN", (_value(given),))
    if verb == "terms" and isinstance(given, list):
        return Condition(_field(field), "IN", tuple(_value(item) for item in given))
    if verb == "range" and isinstance(given, dict) and given and given.keys() <= _RANGES.keys():
        return All(tuple(Condition(_field(field), _RANGES[name], (_value(item),)) for name, item in given.items()))
    raise malformed(f"filters: {verb!r} is not understood here; known are term, terms, match, range, exists")


def _field(given: Any) -> str:
    name = str(given).removesuffix(".raw")
    if name.partition(".")[0] not in CONTAINERS or "." not in name:
        raise malformed(f"filters: {name!r} is no field; it must begin with one of {', '.join(CONTAINERS)}, and a dot")
    return name


def _value(given: Any) -> Value:
    if isinstance(given, bool):
        return Value(str(given).lower())
    if given is None:
        return Value("null")
    if not isinstance(given, (str, int, float)):
        raise malformed("filters: a value must be a text, a number, true, false or null")
    return Value(str(given), quoted=isinstance(given, str) and not _number(given))


def _number(text: str) -> bool:
    return Value(text).number is not None
