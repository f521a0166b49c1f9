"""File entries as rows, one per version; the current one of each name is what a container shows."""

from __future__ import annotations

import mimetypes
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from fwsync.sandbox.errors import invalid, not_found
from fwsync.sandbox.store.blobs import HASH_PREFIX, Blob
from fwsync.sandbox.store.fields import clean_keys
from fwsync.sandbox.store.ids import new_id, now
from fwsync.sandbox.store.node import HIERARCHY, Node

_LEVELS = (*HIERARCHY, "analysis")
_COLUMNS = (
    "row, file_id, version, current, parent_kind, parent_id, group_id, project_id, subject_id, session_id,"
    " acquisition_id, analysis_id, name, size, blob, doc, info"
)
_decode = msgspec.json.decode

_TYPES = (
    ((".nii.gz", ".nii"), "nifti", "application/octet-stream"),
    ((".dcm.zip", ".dicom.zip"), "dicom", "application/zip"),
    ((".dcm",), "dicom", "application/dicom"),
    ((".bval",), "bval", "text/plain"),
    ((".bvec",), "bvec", "text/plain"),
    ((".qa.html", ".html", ".htm"), "HTML", "text/html"),
    ((".zip",), "archive", "application/zip"),
    ((".csv",), "tabular data", "text/csv"),
    ((".tsv",), "tabular data", "text/tab-separated-values"),
    ((".json",), "source code", "application/json"),
    ((".txt", ".stats"), "text", "text/plain"),
    ((".log",), "log", "text/plain"),
    ((".pdf",), "pdf", "application/pdf"),
    ((".png", ".jpg", ".jpeg"), "image", None),
)


@dataclass(slots=True)
class FileRow:
    """One version of one file."""

    file_id: str
    version: int
    current: bool
    parent_kind: str
    parent_id: str
    ancestors: dict[str, str]
    name: str
    size: int
    blob: str
    doc: dict[str, Any]
    info: dict[str, Any]


def from_row(row: sqlite3.Row) -> FileRow:
    """A row of `files` as a FileRow."""
    ancestors = {level: row[f"{level}_id"] for level in _LEVELS if row[f"{level}_id"] is not None}
    return FileRow(
        row["file_id"], row["version"], bool(row["current"]), row["parent_kind"], row["parent_id"], ancestors,
        row["name"], row["size"], row["blob"], _decode(row["doc"]), _decode(row["info"]),
    )  # fmt: skip


def guess(name: str) -> tuple[str | None, str]:
    """The platform's file type and the MIME type that a name suggests."""
    lower = name.lower()
    for endings, kind, mime in _TYPES:
        if lower.endswith(endings):
            return kind, mime or mimetypes.guess_type(lower)[0] or "application/octet-stream"
    return None, mimetypes.guess_type(lower)[0] or "application/octet-stream"


def render(row: FileRow, *, info: bool = True) -> dict[str, Any]:
    """The file document of an answer. Classification, tags and info are never null: user code calls `.get`."""
    out: dict[str, Any] = {
        "_id": f"{row.file_id}",
        "file_id": row.file_id,
        "version": row.version,
        "name": row.name,
        **row.doc,
        "size": row.size,
        "hash": HASH_PREFIX + row.blob,
        "info_exists": bool(row.info),
        "parent_ref": {"type": row.parent_kind, "id": row.parent_id},
        "parents": {level: row.ancestors.get(level) for level in _LEVELS},
    }
    out["info"] = row.info if info else {}
    return out


def of_parents(conn: sqlite3.Connection, ids: list[str], *, info: bool) -> dict[str, list[dict[str, Any]]]:
    """Rendered current files by parent id."""
    out: dict[str, list[dict[str, Any]]] = {}
    for start in range(0, len(ids), 500):
        some = ids[start : start + 500]
        marks = ",".join("?" * len(some))
        query = f"select {_COLUMNS} from files where parent_id in ({marks}) and current = 1 order by row"  # noqa: S608
        for row in conn.execute(query, some):
            out.setdefault(row["parent_id"], []).append(render(from_row(row), info=info))
    return out


def find(conn: sqlite3.Connection, parent_id: str, name: str, version: int | None = None) -> FileRow:
    """The file of this name on a container: the current version, or the one asked for; 404 if there is none."""
    row = conn.execute(
        f"select {_COLUMNS} from files where parent_id = ? and name = ? and current = 1",  # noqa: S608
        (parent_id, name),
    ).fetchone()
    if row is None:
        raise not_found("file", name)
    found = from_row(row)
    return found if version is None or version == found.version else by_id(conn, found.file_id, version)


class Stored(NamedTuple):
    """What an archive needs to know of a file: size in bytes, digest of its content, time of its last change."""

    size: int
    blob: str
    modified: str | None


def find_many(conn: sqlite3.Connection, wanted: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Stored]:
    """The current files of (parent id, name) pairs, by pair: a few statements in all, whatever their number."""
    out: dict[tuple[str, str], Stored] = {}
    for start in range(0, len(wanted), 250):
        some = wanted[start : start + 250]
        pairs = ",".join(["(?,?)"] * len(some))
        # Joined from the pairs to the index: `(parent_id, name) in (values ...)` would read every file there is.
        query = (
            f"with wanted(parent, called) as (values {pairs})"  # noqa: S608
            " select parent, called, size, blob, json_extract(doc, '$.modified') from wanted cross join files f"
            " where f.parent_id = parent and f.name = called and f.current = 1"
        )
        for parent, name, *stored in conn.execute(query, [value for pair in some for value in pair]).fetchall():
            out[(parent, name)] = Stored(*stored)
    return out


def by_id(conn: sqlite3.Connection, file_id: str, version: int | None = None) -> FileRow:
    """A file by its id: the current version, or the one asked for; 404 if there is none."""
    where, values = ("current = 1", (file_id,)) if version is None else ("version = ?", (file_id, version))
    row = conn.execute(f"select {_COLUMNS} from files where file_id = ? and {where}", values).fetchone()  # noqa: S608
    if row is None:
        raise not_found("file", file_id)
    return from_row(row)


def versions(conn: sqlite3.Connection, file_id: str) -> list[FileRow]:
    """All versions of a file, newest first; deleted files have none that is current."""
    query = f"select {_COLUMNS} from files where file_id = ? order by version desc"  # noqa: S608
    found = [from_row(row) for row in conn.execute(query, (file_id,))]
    if not found:
        raise not_found("file", file_id)
    return found


_TEXTS = ("type", "mimetype", "modality", "client_hash", "deid_log_id")


def check_fields(given: dict[str, Any]) -> None:
    """422 unless the fields of a file that are in a request body have the right kind."""
    for name in _TEXTS:
        if given.get(name) is not None and not isinstance(given[name], str):
            raise invalid(f"{name}: must be a text")
    tags, classification, members = given.get("tags"), given.get("classification"), given.get("zip_member_count")
    if tags is not None and not _texts(tags):
        raise invalid("tags: must be a list of texts")
    if classification is not None and not (
        isinstance(classification, dict) and all(_texts(values) for values in classification.values())
    ):
        raise invalid("classification: must be an object of lists of texts")
    if members is not None and (not isinstance(members, int) or not 0 <= members < 2**53):
        raise invalid("zip_member_count: must be a whole number")
    for name in ("origin", "gear_info"):
        if not isinstance(given.get(name) or {}, dict):
            raise invalid(f"{name}: must be an object")


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def described(metadata: dict[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The stored document and info that an upload's metadata gives; 422 on wrong kinds."""
    kind, mime = guess(name)
    if not isinstance(metadata.get("info") or {}, dict):
        raise invalid("info: must be an object")
    check_fields(metadata)
    doc = {
        "type": metadata.get("type") or kind,
        "mimetype": metadata.get("mimetype") or mime,
        "modality": metadata.get("modality"),
        "classification": metadata.get("classification") or {},
        "tags": metadata.get("tags") or [],
        "client_hash": metadata.get("client_hash"),
        "zip_member_count": metadata.get("zip_member_count"),
        "deid_log_id": metadata.get("deid_log_id"),
        "origin": metadata.get("origin") or {"type": "user", "id": "admin@example.org"},
        "gear_info": metadata.get("gear_info"),
        "provider_id": None,
        "replaced": None,
        "deleted": None,
    }
    return doc, clean_keys(metadata.get("info") or {})


def add(
    conn: sqlite3.Connection,
    parent: Node,
    name: str,
    blob: Blob,
    metadata: dict[str, Any],
    *,
    preserve_metadata: bool = False,
    ident: str | None = None,
    created: str | None = None,
) -> FileRow:
    """A new file, or a new version of the file with this name; the old version stays readable by its number."""
    moment = created or now()
    doc, info = described(metadata, name)
    doc["created"] = doc["modified"] = moment
    old = conn.execute(
        f"select {_COLUMNS} from files where parent_id = ? and name = ? and current = 1",  # noqa: S608
        (parent.id, name),
    ).fetchone()
    file_id, version = ident or new_id(), 1
    if old is not None:
        previous = from_row(old)
        file_id, version = previous.file_id, previous.version + 1
        if preserve_metadata:
            kept = ("classification", "tags", "modality", "type")
            doc.update({key: previous.doc[key] for key in kept if not metadata.get(key) and previous.doc.get(key)})
            info = {**previous.info, **info}
        doc["created"] = previous.doc.get("created", moment)
        replaced = msgspec.json.encode({**previous.doc, "replaced": moment}).decode()
        conn.execute("update files set current = 0, doc = ? where row = ?", (replaced, old["row"]))
    lineage = {**parent.lineage, parent.kind: parent.id}
    row = FileRow(file_id, version, True, parent.kind, parent.id, lineage, name, blob.size, blob.digest, doc, info)
    conn.execute(
        f"insert into files ({_COLUMNS}) values (null,?,?,1,?,?,?,?,?,?,?,?,?,?,?,?,?)",  # noqa: S608
        (
            file_id, version, parent.kind, parent.id, *(lineage.get(level) for level in _LEVELS),
            name, blob.size, blob.digest, msgspec.json.encode(doc).decode(), msgspec.json.encode(info).decode(),
        ),
    )  # fmt: skip
    return row


def save(conn: sqlite3.Connection, row: FileRow) -> None:
    """Write a changed entry back."""
    row.doc["modified"] = now()
    conn.execute(
        "update files set name = ?, doc = ?, info = ? where file_id = ? and version = ?",
        (
            row.name,
            msgspec.json.encode(row.doc).decode(),
            msgspec.json.encode(row.info).decode(),
            row.file_id,
            row.version,
        ),
    )


def delete(conn: sqlite3.Connection, row: FileRow) -> None:
    """Take a file off its container; its versions stay as deleted ones."""
    doc = msgspec.json.encode({**row.doc, "deleted": now()}).decode()
    conn.execute(
        "update files set current = 0, doc = ? where file_id = ? and version = ?", (doc, row.file_id, row.version)
    )


def restore(conn: sqlite3.Connection, file_id: str, version: int | None) -> FileRow:
    """Make a version (the newest by default) the current one again."""
    held = versions(conn, file_id)
    chosen = next((row for row in held if version in (None, row.version)), None)
    if chosen is None:
        raise not_found("file version", str(version))
    conn.execute("update files set current = 0 where file_id = ?", (file_id,))
    chosen.doc["deleted"] = chosen.doc["replaced"] = None
    conn.execute("update files set current = 1 where file_id = ? and version = ?", (file_id, chosen.version))
    save(conn, chosen)
    return chosen


def move(conn: sqlite3.Connection, row: FileRow, parent: Node, name: str) -> FileRow:
    """Put a file, with all its versions, on another container under a name that is free there."""
    lineage = {**parent.lineage, parent.kind: parent.id}
    conn.execute(
        "update files set parent_kind = ?, parent_id = ?, name = ?, group_id = ?, project_id = ?, subject_id = ?,"
        " session_id = ?, acquisition_id = ?, analysis_id = ? where file_id = ?",
        (parent.kind, parent.id, name, *(lineage.get(level) for level in _LEVELS), row.file_id),
    )
    return by_id(conn, row.file_id)
