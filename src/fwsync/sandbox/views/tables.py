"""Reads csv, tsv and json files, and such members of zips, as rows: dicts from a column's name to its value."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fwsync.sandbox.views.spec import FileSpec

MOST_BYTES = 64 * 1024 * 1024
"""The largest file or member that a view reads."""
_OPTIONS = {"delimiter", "quotechar", "escapechar", "doublequote", "skipinitialspace", "fieldnames", "commentchar"}


class UnreadableError(ValueError):
    """A file that can't be read as a table; the text goes into the errors column."""


def read(path: Path, name: str, spec: FileSpec) -> Iterator[dict[str, Any]]:
    """The rows of a file or of the members that the spec chooses; UnreadableError with one clear line."""
    try:
        if spec.member is None:
            yield from _rows(_whole(path, name), name, spec)
            return
        for member, content in _members(path, name, spec):
            yield from _rows(content, member, spec)
    except (csv.Error, UnicodeDecodeError, msgspec.DecodeError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise UnreadableError(f"{name}: can't be read: {error}") from error
    except (NotImplementedError, RuntimeError, RecursionError) as error:  # encrypted, or an unknown compression
        raise UnreadableError(f"{name}: can't be read: {error}") from error


def _whole(path: Path, name: str) -> bytes:
    with path.open("rb") as source:
        if not name.lower().endswith(".gz"):
            return _limited(source.read(MOST_BYTES + 1), name)
        with gzip.open(source) as unpacked:
            return _limited(unpacked.read(MOST_BYTES + 1), name)


def _limited(content: bytes, name: str) -> bytes:
    if len(content) > MOST_BYTES:
        raise UnreadableError(f"{name}: is larger than {MOST_BYTES} bytes")
    return content


def _members(path: Path, name: str, spec: FileSpec) -> Iterator[tuple[str, bytes]]:
    assert spec.member is not None  # noqa: S101 - the caller asked
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        found = [
            entry for entry in entries
            if spec.member.search(entry.filename) or spec.member.search(entry.filename.rsplit("/", 1)[-1])
        ]  # fmt: skip
        if not found:
            raise UnreadableError(f"{name}: no member matches {spec.member.text}")
        for entry in pick(found, spec.member_match, lambda e: e.filename, lambda e: e.date_time):
            with archive.open(entry) as source:
                yield entry.filename, _limited(source.read(MOST_BYTES + 1), entry.filename)


def pick(found: list[Any], match: str, name: Any, moment: Any) -> list[Any]:
    """What `match` leaves: first and last go by name, newest and oldest by time, all keeps all in name order."""
    ordered = sorted(found, key=name)
    match match:
        case "first":
            return ordered[:1]
        case "last":
            return ordered[-1:]
        case "newest":
            return sorted(ordered, key=moment)[-1:]
        case "oldest":
            return sorted(ordered, key=moment)[:1]
    return ordered


def _rows(content: bytes, name: str, spec: FileSpec) -> Iterator[dict[str, Any]]:
    text = content.decode("utf-8-sig")
    kind = spec.format or _kind(name, text)
    if kind == "json":
        yield from _json(text, name)
    else:
        yield from _table(text, "\t" if kind == "tsv" else None, spec.options)


def _kind(name: str, text: str) -> str:
    lower = name.lower().removesuffix(".gz")
    for kind in ("csv", "tsv", "json"):
        if lower.endswith("." + kind):
            return kind
    if text.lstrip()[:1] in ("{", "["):
        return "json"
    first = text.partition("\n")[0]
    return "tsv" if "\t" in first and "," not in first else "csv"


def _json(text: str, name: str) -> Iterator[dict[str, Any]]:
    found = msgspec.json.decode(text)
    for row in found if isinstance(found, list) else [found]:
        if not isinstance(row, dict):
            raise UnreadableError(f"{name}: holds something other than objects")
        yield row


def _table(text: str, delimiter: str | None, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown:
        raise UnreadableError(f"formatOptions: {unknown[0]!r} is not known; known are {', '.join(sorted(_OPTIONS))}")
    given = {"delimiter": delimiter or ",", **options}
    comment, names = given.pop("commentchar", None), given.pop("fieldnames", None)
    lines: Any = io.StringIO(text, newline="")
    if comment:
        lines = (line for line in lines if not line.startswith(str(comment)))
    try:
        reader = csv.DictReader(lines, fieldnames=names, restkey="", **given)
        for row in reader:
            if any(value not in (None, "") for value in row.values()):
                yield {str(key).strip(): _cell(value) for key, value in row.items() if key}
    except TypeError as error:
        raise UnreadableError(f"formatOptions: {error}") from error


def _cell(value: Any) -> Any:
    return None if value in (None, "") else value
