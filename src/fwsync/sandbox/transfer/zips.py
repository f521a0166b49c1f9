"""Members of a stored zip: its directory, and one member inflated while it is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fwsync.sandbox.errors import ApiError, malformed

PIECE = 256 * 1024


def directory(path: Path) -> dict[str, Any]:
    """`{comment, members: [{path, size, timestamp, comment}]}`, folders included; 400 if it is no zip."""
    with _open(path) as archive:
        members = [
            {
                "path": member.filename,
                "size": member.file_size,
                "timestamp": "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*member.date_time),
                "comment": member.comment.decode("utf-8", "replace"),
            }
            for member in archive.infolist()
        ]
        return {"comment": archive.comment.decode("utf-8", "replace"), "members": members}


def count(path: Path) -> int | None:
    """How many members a zip has; None if it is no zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            return len(archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return None


def member(path: Path, name: str) -> tuple[int, Iterator[bytes]]:
    """The size of a member and its bytes in pieces; 404 if the archive has none of this name."""
    with _open(path) as archive:
        try:
            found = archive.getinfo(name)
        except KeyError:
            raise ApiError(404, f"member {name!r} not found") from None
        if found.flag_bits & 1:
            raise malformed(f"member {name!r} is encrypted")
    return found.file_size, _inflate(path, found)


def _inflate(path: Path, found: zipfile.ZipInfo) -> Iterator[bytes]:
    with zipfile.ZipFile(path) as archive, archive.open(found) as source:
        while piece := source.read(PIECE):
            yield piece


def _open(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, ValueError) as error:
        raise malformed(f"the file is not a zip archive: {error}") from error
