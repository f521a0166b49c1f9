"""Sidecars: `T1w.nii.gz.json` beside `T1w.nii.gz` holds what the platform knows of it.

    {"file": {"type", "mimetype", "modality", "classification", "info", "tags", ...}, "parents": {...}}

Upload takes the fields named here from `file`; its other fields (name, size, hash, dates) and `parents`, which tells
of the containers above, are for people and programs that read a mirrored tree. A JSON file that is not an object with
an object `file` is no sidecar but a file like any other.
"""

from __future__ import annotations

from typing import Any

import msgspec

SUFFIX = ".json"
MOST_BYTES = 4 * 1024 * 1024


class FileFields(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an upload can tell of a file."""

    type: str | None = None
    mimetype: str | None = None
    modality: str | None = None
    classification: dict[str, list[str]] | None = None
    info: dict[str, Any] | None = None
    tags: list[str] | None = None


def read(raw: bytes) -> dict[str, Any] | None:
    """What a sidecar says of its file, None if this is no sidecar. ValueError with the reason for a wrong one."""
    try:
        document = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    told = document.get("file") if isinstance(document, dict) else None
    if not isinstance(told, dict):
        return None
    try:
        fields = msgspec.convert(told, FileFields)
    except msgspec.ValidationError as error:
        raise ValueError(f"its sidecar is wrong: file: {error}") from None
    return {name: value for name, value in msgspec.structs.asdict(fields).items() if value}
