"""What should be in a local tree, and what is, to a plan of downloads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from fwsync.model import FileEntry, ZipMember
from fwsync.work import Entry, FetchFile, Outcome, WorkItem

CHANGED_LOCALLY = "changed locally; kept as it is"


class Indexed(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal remembers of a file that fwsync put into the tree."""

    path: str
    file_id: str
    version: int | None
    hash: str | None
    member: str | None
    size: int
    mtime_ns: int


class Local(msgspec.Struct, frozen=True):
    """What a scan found at a path: size in bytes and modification time in nanoseconds."""

    size: int
    mtime_ns: int


class WantedFile(msgspec.Struct, frozen=True):
    """A remote file or member, with its place in the tree."""

    fetch: FetchFile
    target: str


Judged = Literal["download", "unchanged", "changed"]
"""What a comparison says of a wanted file.

unchanged    the index says that this version was put here, and the local file is as it was left
changed      it was put here and has been changed locally since: local changes are kept
download     all else; a local file that is in the way is adopted by the handler if its bytes are equal, and
             never overwritten if they are not
"""


def plan_mirror(
    wanted: Iterable[WantedFile], index: Mapping[str, Indexed], found: Mapping[str, Local]
) -> Iterator[Entry]:
    """One entry for each wanted file."""
    for one in wanted:
        yield entry_of(one, judge(one.fetch, index, found))


def judge(fetch: FetchFile, index: Mapping[str, Indexed], found: Mapping[str, Local]) -> Judged:
    """Compare a wanted file with what the index and the scan say of its path."""
    known, local = index.get(fetch.path), found.get(fetch.path)
    if known is None or local is None:
        return "download"
    if (local.size, local.mtime_ns) != (known.size, known.mtime_ns):
        return "changed"
    same_version = known.version == fetch.version and known.member == fetch.member
    # A member is proved by its own CRC; what it came from, by the version of its archive.
    same_content = fetch.member is not None or known.hash == fetch.hash or not (known.hash and fetch.hash)
    if known.file_id == (fetch.file_id or "") and same_version and same_content:
        return "unchanged"
    return "download"


def entry_of(one: WantedFile, state: Judged) -> Entry:
    """The entry of a plan for a file of which the comparison said this."""
    fetch = one.fetch
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
