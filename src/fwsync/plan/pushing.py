"""Local changes of a mirrored tree, to what is sent back: which files, and to which containers.

A mirror's layout is read backwards by depth alone: which level of the hierarchy each folder stands for. The container
itself is told by the ids of the files that were mirrored below the folder, never by names, which a mirror may have had
to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import msgspec

from fwsync.model import FileEntry, Parents, Reference
from fwsync.plan.layout import Layout
from fwsync.plan.mirroring import Indexed
from fwsync.selection import matches
from fwsync.work import SendFile

CONFLICT: Final = "changed on the site too since it was mirrored"
EXISTS: Final = "the site has a file of this name that was not mirrored, with other bytes"
GONE: Final = "is gone from the site; nothing is put in its place"
NO_ID: Final = "was mirrored without a file id, which this site did not tell"
NO_PARENT: Final = "the site does not tell which container it is on"
OF_ARCHIVE: Final = "was taken out of a zip; change the zip itself"
INTO_ARCHIVE: Final = "all files in its folder were taken out of zips; change those, or fwsync upload FILE --to PATH"
LINK: Final = "is a link; only regular files are pushed"
NO_HOME: Final = "no mirrored container is known for its folder; fwsync upload creates containers"
TWO_HOMES: Final = "files of several containers lie in its folder; fwsync upload FILE --to PATH names one"
OTHER_NAMES: Final = (
    "the tree's layout gives files other folders or names than the site's; fwsync upload FILE --to PATH"
)

LEVELS: Final = ("project", "subject", "session", "acquisition", "analysis")
KEPT: Final = ("type", "mimetype", "modality", "classification", "tags", "info")
"""What a new version keeps of the old one: a site begins anew with what is not sent."""

Decision = Literal["send", "unchanged", "conflict", "gone", "no id", "no parent"]


def decide(known: Indexed, entry: FileEntry | None, size: int, digest: str | None) -> Decision:
    """What is to be done with a mirrored file that was changed locally.

    `entry` is the file as the site has it now, None if it has none of this id; `digest` the local hash.

    the site's file                                 decision
    none                                            gone
    on nobody knows what                            no parent
    same bytes as the local one                     unchanged: a run before sent it, or both changed alike
    the version that was mirrored                   send
    another version                                 conflict
    """
    if not known.file_id:
        return "no id"
    if entry is None:
        return "gone"
    if entry.parent_ref is None:
        return "no parent"
    if digest is not None and entry.hash == digest and entry.size in (None, size):
        return "unchanged"
    same_content = entry.hash == known.hash or not (entry.hash and known.hash)
    return "send" if entry.version == known.version and same_content else "conflict"


def sending(
    name: str,
    parent: Reference,
    entry: FileEntry | None,
    *,
    source: str,
    size: int,
    mtime_ns: int,
    digest: str | None,
    metadata: dict[str, Any] | None = None,
) -> SendFile:
    """The payload that puts a local file onto `parent`, as a new version of `entry` where there is one."""
    kept = {field: value for field in KEPT if (value := getattr(entry, field, None))} if entry is not None else {}
    return SendFile(
        container_type=parent.type,
        container_id=parent.id,
        name=name,
        source=source,
        size=size,
        mtime_ns=mtime_ns,
        metadata={**kept, **(metadata or {})},
        held_size=entry.size if entry else None,
        held_hash=entry.hash if entry else None,
        held_id=entry.file_id if entry else None,
        held_version=entry.version if entry else None,
        listed=True,
        digest=digest,
        on_conflict="update",
    )


class TreeLayout(msgspec.Struct, frozen=True):
    """What the folders of a mirrored tree stand for.

    `levels` has, for each folder of the layout, the level that alone gives it its name; "" for a text that is always
    there, None for anything else. `keeps_names` tells that the last part is the file's own name.
    """

    levels: tuple[str | None, ...]
    keeps_names: bool
    bids: bool = False

    @classmethod
    def parse(cls, text: str, *, gear: bool) -> TreeLayout:
        """From the `layout` of the mirror."""
        layout = Layout.parse(text, gear=gear)
        last = [getattr(part, "name", None) for part in layout.last]
        levels = tuple(_level(part) for part in layout.folders)
        return cls(levels, last in (["file.name"], ["name"]) and not layout.by_member_path, layout.bids)

    @property
    def by_containers(self) -> bool:
        """Folders are containers' or always there, and files keep their names: a container's files lie together."""
        return self.keeps_names and not self.bids and None not in self.levels

    def takes(self, path: str, level: str, patterns: Sequence[str]) -> bool:
        """Whether a path lies in a folder of this level whose name matches. ValueError if the layout has none."""
        at = self._depth_of(level)
        folders = path.split("/")[:-1]
        return at < len(folders) and any(matches(pattern, folders[at]) for pattern in patterns)

    def _depth_of(self, level: str) -> int:
        above = ("", *LEVELS[: LEVELS.index(level)])
        for at, found in enumerate(self.levels):
            if found == level:
                return at
            if found not in above:
                break
        raise ValueError(f"the tree's layout has no folder for each {level}; use --include")

    def level_at(self, depth: int) -> str | None:
        """The level that a folder `depth` folders below the root stands for: its files lie right in it. None where the
        layout can't tell."""
        if not self.by_containers or depth > len(self.levels):
            return None
        named = [level for level in self.levels if level]
        if named != sorted(named, key=LEVELS.index) or "" in self.levels[depth:]:
            return None
        above = [level for level in self.levels[:depth] if level]
        return above[-1] if above else ("project" if "project" not in named else None)


def _level(part: Sequence[Any]) -> str | None:
    names = [getattr(piece, "name", None) for piece in part]
    if not any(names):
        return ""
    field = str(names[0]) if len(names) == 1 else ""
    if field in LEVELS or field.removesuffix(".id") in LEVELS:
        return field.removesuffix(".id")
    return "" if field == "group" else None  # never absent, as a text


def ancestor(entry: FileEntry, level: str) -> Reference | None:
    """The container of this level that a mirrored file is on or below."""
    own = entry.parent_ref
    if own is not None and own.type == level:
        return own
    ident = getattr(entry.parents or Parents(), level, None)
    return Reference(type=level, id=ident) if ident else None
