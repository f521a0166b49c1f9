"""A finished view as bytes: csv, tsv, json, json-flat, json-row-column."""

from __future__ import annotations

import csv
import io
from typing import Any

import msgspec

from fwsync.sandbox.errors import invalid

TYPES = {
    "json": "application/json",
    "json-flat": "application/json",
    "json-row-column": "application/json",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
}
"""The formats, and the content type of each."""


def checked(name: str | None) -> str:
    """A format's name; 422 on an unknown one."""
    name = name or "json"
    if name not in TYPES:
        raise invalid(f"format: {name!r} is not one of {', '.join(TYPES)}")
    return name


def write(columns: list[str], rows: list[list[Any]], kind: str) -> bytes:
    """The table in a format: `json-flat` is a list of objects, `json` the same under `data`."""
    if kind in ("csv", "tsv"):
        return _delimited(columns, rows, "," if kind == "csv" else "\t")
    if kind == "json-row-column":
        return msgspec.json.encode({"data": {"columns": columns, "rows": rows}})
    objects = [dict(zip(columns, row, strict=True)) for row in rows]
    return msgspec.json.encode(objects if kind == "json-flat" else {"data": objects})


def _delimited(columns: list[str], rows: list[list[Any]], delimiter: str) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return msgspec.json.encode(value).decode()
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else value
