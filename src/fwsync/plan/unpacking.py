"""Which members of a zip may be unpacked: nothing that leaves its folder, no links, no bombs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import msgspec

from fwsync.model import ZipMember
from fwsync.plan.paths import fold

SMALL = 10_000_000
"""A member up to this size is no bomb, however well it was packed."""


class Limits(msgspec.Struct, frozen=True):
    """Most members of an archive, most bytes that they may unpack to, and most bytes for each packed one."""

    members: int = 100_000
    bytes: int = 10**12
    ratio: int = 200


class Refused(msgspec.Struct, frozen=True):
    """A member that is not unpacked, and why; an empty path means the whole archive."""

    path: str
    reason: str


def judge(members: Iterable[ZipMember], limits: Limits) -> tuple[list[ZipMember], list[Refused]]:
    """The members that may be unpacked, and those that are refused. Of two of one path the last one counts, as for
    every unzip. An archive past its limits is refused whole."""
    held = {member.path: member for member in members if not member.is_folder}
    if len(held) > limits.members:
        return [], [Refused("", f"has {len(held):,} members, more than --zip-members {limits.members:,}")]
    total = sum(member.size or 0 for member in held.values())
    if total > limits.bytes:
        return [], [Refused("", f"unpacks to {total:,} bytes, more than --zip-bytes {limits.bytes:,}")]
    if _overlap(held.values()):
        return [], [Refused("", "has members that lie over each other, as only a bomb has")]
    good: list[ZipMember] = []
    refused: list[Refused] = []
    folders = {fold(above) for path in held for above in _above(path)}
    for path, member in held.items():
        reason = _name(path) or _content(member, limits)
        if not reason and fold(_plain(path)) in folders:
            reason = "is a file and a folder at once"
        if reason:
            refused.append(Refused(path, reason))
        else:
            good.append(member)
    return good, refused


def _overlap(members: Iterable[ZipMember]) -> bool:
    placed = sorted((m.offset, m.packed) for m in members if m.offset is not None and m.packed is not None)
    return any(at + packed > following for (at, packed), (following, _) in pairwise(placed))


def _plain(path: str) -> str:
    return "/".join(part for part in path.replace("\\", "/").split("/") if part not in ("", "."))


def _above(path: str) -> list[str]:
    parts = _plain(path).split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _name(path: str) -> str:
    plain = path.replace("\\", "/")
    if "\x00" in plain or not _plain(plain):
        return "has no usable name"
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain):
        return "is an absolute path"
    if ".." in plain.split("/"):
        return "leaves its folder by `..`"
    return ""


def _content(member: ZipMember, limits: Limits) -> str:
    if member.link:
        return "is a symbolic link"
    size, packed = member.size or 0, member.packed
    if packed is not None and size > SMALL and size > limits.ratio * max(packed, 1):
        return f"unpacks to {size:,} bytes from {packed:,}: more than --zip-ratio {limits.ratio:,} times"
    return ""
