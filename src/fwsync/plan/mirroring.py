"""What should be in a local tree, and what is, to a plan of downloads."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from fwsync.model import FileEntry, ZipMember
from fwsync.work import Entry, FetchFile, MoveFile, Outcome, WorkItem

CHANGED_LOCALLY = "changed locally; kept as it is"


class Indexed(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the journal remembers of a file that fwsync put into the tree."""

    path: str
    file_id: str
    version: int | None
    hash: str | None
    member: str | None
    size: int
    mtime_ns: int


class Local(NamedTuple):
    """What a scan found at a path: size in bytes and modification time in nanoseconds."""

    size: int
    mtime_ns: int


class WantedFile(msgspec.Struct, frozen=True, gc=False):
    """A remote file or member, with its place in the tree."""

    fetch: FetchFile
    target: str


Judged = Literal["download", "unchanged", "changed", "overwrite", "move"]
"""What a comparison says of a wanted file.

unchanged    the index says that this version was put here, and the local file is as it was left
changed      it was put here and has been changed locally since: local changes are kept
overwrite    the same, and local changes are not to be kept: the changed file goes to the trash first
move         the tree holds it at another path, where nothing wants it: it is moved here (`plan.syncing`)
download     all else; a local file that is in the way is adopted by the handler if its bytes are equal, and
             never overwritten if they are not
"""


def judge(fetch: FetchFile, known: Indexed | None, local: Local | None) -> Judged:
    """Compare a wanted file with what the index and the scan say of its path."""
    if known is None or local is None:
        return "download"
    if not untouched(known, local):
        return "changed"
    return "unchanged" if holds(known, fetch) else "download"


def untouched(known: Indexed, local: Local) -> bool:
    """Whether a local file is as fwsync left it."""
    return local.size == known.size and local.mtime_ns == known.mtime_ns


def holds(known: Indexed, fetch: FetchFile) -> bool:
    """Whether an index row is of the very content that is wanted, wherever it lies."""
    if known.file_id != (fetch.file_id or "") or known.version != fetch.version or known.member != fetch.member:
        return False
    # A member is proved by its own CRC; what it came from, by the version of its archive.
    return fetch.member is not None or known.hash == fetch.hash or not (known.hash and fetch.hash)


def entry_of(one: WantedFile, state: Judged, source: str = "") -> Entry:
    """The entry of a plan for a file of which the comparison said this; `source` is where a move begins."""
    fetch = one.fetch
    if state == "move":
        moved = MoveFile(fetch, source)
        return msgspec.structs.replace(
            item_of(one), kind="move.local", target=f"{source} > {fetch.path}", payload=moved
        )
    if state == "overwrite":
        return item_of(WantedFile(msgspec.structs.replace(fetch, aside=True), one.target))
    if state == "download":
        return item_of(one)
    return Outcome(
        key=key_of(fetch),
        kind=kind_of(fetch),
        state="skipped" if state == "changed" else "unchanged",
        target=fetch.path,
        reason=CHANGED_LOCALLY if state == "changed" else "",
        ref=fetch.file_id,
        attempts=0,
    )


def kind_of(fetch: FetchFile) -> str:
    """The kind of the item that fetches this."""
    if fetch.content is not None:
        return "write.sidecar"
    return "download.member" if fetch.member is not None else "download.file"


def key_of(fetch: FetchFile) -> str:
    """The key of the item: the file and member, not the path, which a rename changes."""
    return f"{fetch.file_id or fetch.container_id + '/' + fetch.name}#{fetch.member or ''}>{fetch.path}"


def item_of(one: WantedFile) -> WorkItem:
    """The download of one file."""
    fetch = one.fetch
    size = fetch.member_size if fetch.member is not None else fetch.size
    return WorkItem(kind=kind_of(fetch), key=key_of(fetch), target=fetch.path, payload=fetch, bytes=size or 0)


def fetch_of(container_type: str, container_id: str, entry: FileEntry, member: ZipMember | None = None) -> FetchFile:
    """What is needed to fetch a file, or a member of it; its path is settled when the tree is laid out."""
    return FetchFile(
        container_type=container_type,
        container_id=container_id,
        name=entry.name,
        path="",
        file_id=entry.file_id,
        version=entry.version,
        size=entry.size,
        hash=entry.hash,
        modified=entry.modified,
        member=member.path if member else None,
        member_size=member.size if member else None,
        member_crc=member.crc if member else None,
        member_offset=member.offset if member else None,
        member_packed=member.packed if member else None,
        member_method=member.method if member else None,
    )
