"""A remote file with all that a selection and a layout may ask of it."""

from __future__ import annotations

import msgspec

from fwsync.model import FileEntry, Parents, ZipMember
from fwsync.plan.paths import Step


class Above(msgspec.Struct, frozen=True, gc=False):
    """A container above a file, as slim as a hundred thousand of them must be.

    `parent` is the id of the container above it, `note` what a layout may need of it besides (a subject's code, a
    session's or acquisition's time, a project's group, a gear's `name/version`).
    """

    kind: str
    id: str
    label: str
    parent: str = ""
    note: str = ""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A file or a zip member, with the containers above it by kind, the nearest last.

    `held_by` is the container that serves it (its type and id), which for an input of an analysis is another one than
    the analysis that it is shown under. `superseded` marks a version that is not the newest. `folders` are what the
    layout makes of the containers, where that was worked out for another file of theirs.
    """

    entry: FileEntry
    above: dict[str, Above]
    held_by: tuple[str, str]
    is_input: bool = False
    superseded: bool = False
    member: ZipMember | None = None
    folders: tuple[Step, ...] | None = None

    @property
    def ident(self) -> str:
        """What tells it from every other file: file id and member; of an older version and an input a little more."""
        own = self.entry.file_id or f"{self.held_by[1]}/{self.entry.name}"
        analysis = self.above.get("analysis")
        extra = f"\x00v{self.entry.version}" if self.superseded else ""
        extra += f"\x00for {analysis.id}" if self.is_input and analysis else ""
        return f"{own}\x00{self.member.path if self.member else ''}{extra}"

    @property
    def where(self) -> str:
        """Its containers and its name, for people."""
        return "/".join([*(one.label for one in self.above.values()), self.entry.name])


def nearest(parents: Parents) -> tuple[str, str] | None:
    """Type and id of the lowest container in a file's parents."""
    for kind in ("analysis", "acquisition", "session", "subject", "project"):
        if ident := getattr(parents, kind):
            return kind, str(ident)
    return None
