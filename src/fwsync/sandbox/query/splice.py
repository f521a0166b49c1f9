"""Pages of subjects, sessions and acquisitions as JSON text, put together from the stored JSON without decoding it.

What comes out is what `documents.render_many` gives, and a test holds the two together. It is for pages that SQL alone
can choose: a filter on anything else than `query.listing` pushes down needs the documents.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fwsync.sandbox.store import files
from fwsync.sandbox.store.documents import COLUMNS

KINDS = ("subject", "session", "acquisition")
_CHUNK = 500

_encode = msgspec.json.encode


def page(conn: sqlite3.Connection, rows: Sequence[sqlite3.Row], *, info: bool, with_files: bool) -> list[str]:
    """The JSON text of each row's document. All rows are of one kind, which is one of `KINDS`."""
    held: dict[str, str] = {}
    if with_files:
        found = files.of_parents(conn, [row["id"] for row in rows], info=info)
        held = {ident: _encode(entries).decode() for ident, entries in found.items()}
    subjects: dict[str, str] = {}
    if rows and rows[0]["kind"] == "session":
        subjects = _subjects(conn, {row["subject_id"] for row in rows})
    return [_document(row, held, subjects, info=info, with_files=with_files) for row in rows]


def _document(
    row: Sequence[Any], held: dict[str, str], subjects: dict[str, str], *, info: bool, with_files: bool
) -> str:
    ident, kind, _parent, group, project, subject, session, _own, label, doc, stored_info = row
    # Ids hold nothing that JSON would escape: ours are hexadecimal, a group's are checked when it is made.
    above = f'"group":"{group}","project":"{project}"'
    match kind:
        case "subject":
            above += ',"subject":null,"session":null'
            own = f'"project":"{project}"'
            doc = _with_code(doc, label)
        case "session":
            above += f',"subject":"{subject}","session":null'
            own = f'"project":"{project}","group":"{group}","subject":{subjects.get(subject, "null")}'
        case _:
            above += f',"subject":"{subject}","session":"{session}"'
            own = f'"session":"{session}"'
    more = f',"info":{stored_info}' if info else ""
    more += f',"files":{held.get(ident, "[]")}' if with_files else ""
    return (
        f'{{"_id":"{ident}",{doc[1:-1]},"info_exists":{"false" if stored_info == "{}" else "true"},'
        f'"parents":{{{above},"acquisition":null,"analysis":null}},{own}{more}}}'
    )


def _with_code(doc: str, label: str) -> str:
    """A subject's document whose empty code is its label. Within a text the quotes would be escaped: it is the key."""
    for empty in ('"code":null', '"code":""'):
        if empty in doc:
            return doc.replace(empty, f'"code":{_encode(label).decode()}', 1)
    return doc


def _subjects(conn: sqlite3.Connection, wanted: Iterable[str]) -> dict[str, str]:
    """The subjects that sessions embed: without info and files."""
    found: dict[str, str] = {}
    idents = sorted(wanted)
    for start in range(0, len(idents), _CHUNK):
        some = idents[start : start + _CHUNK]
        marks = ",".join("?" * len(some))
        for row in conn.execute(f"select {COLUMNS} from nodes where id in ({marks})", some):  # noqa: S608
            found[row[0]] = _document(row, {}, {}, info=False, with_files=False)
    return found
