"""Hostile labels to a safe local tree.

Names are compared folded (NFC, casefold, without code points that can't be seen) and written faithfully but for what
the target platform forbids. Siblings whose names collide are told apart: the lowest id keeps the plain name, every
other gets `~` and 8 hex digits of a hash of its id. That depends on nothing but the siblings, so paths are stable over
runs and over the order of listing.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Container, Sequence

import msgspec

from fwsync.config import Platform

MOST_BYTES = 240
"""A component's length in UTF-8 bytes: 255 less the collision suffix, with a little to spare."""

MOST_PATH = {"linux": 3000, "macos": 900, "windows": 220, "universal": 220}
"""A whole path's length below the root, in bytes (Windows: UTF-16 units), with room for where the root is."""

LONG = "~long"
"""The folder, beside where it would be, of files whose path would be too long."""

OWN_FOLDER = ".fwsync"
OWN_PARTIAL = ".fw~"
"""Names that fwsync itself uses in a tree; no remote name may take them."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SEPARATORS = re.compile(r"[/\\]")
_WINDOWS_FORBIDDEN = re.compile(r'[<>:"|?*]')
_WINDOWS_DEVICE = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(\.|:|\Z)", re.IGNORECASE
)
_SHORT_OWN = re.compile(r"fwsync~\d+\Z")
"""The 8.3 names under which a Windows disk may know OWN_FOLDER as well."""

_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's default ignorable code points: HFS+ and case-insensitive ext4 leave them out when they compare names."""

_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _+=.-]{0,200}[A-Za-z0-9_])?\Z")
"""What needs no care anywhere, unless it is a Windows device: most names are such, and 60 us of care each add up."""
_PATHVALIDATE = {"linux": "Linux", "windows": "Windows", "macos": "macOS", "universal": "universal"}


class Step(msgspec.Struct, frozen=True):
    """One component of a path: the id of what it stands for (a container, or a file and member) and its raw name."""

    id: str
    name: str


class Renamed(msgspec.Struct, frozen=True):
    """A component that could not be written as it is called."""

    id: str
    name: str
    path: str


def target_platform(platform: Platform) -> str:
    """The rules to follow; `auto` means those of this machine."""
    if platform != "auto":
        return platform
    return {"win32": "windows", "darwin": "macos"}.get(sys.platform, "linux")


def component(name: str, platform: Platform) -> str:
    """A name as one safe path component: never empty, `.`, `..`, with a separator, or longer than MOST_BYTES."""
    if _PLAIN.match(name) and not _WINDOWS_DEVICE.match(name):
        return name
    return _component(name, target_platform(platform))


def _component(name: str, rules: str) -> str:
    import pathvalidate  # noqa: PLC0415 - loaded by the first name that needs it

    strict = rules in ("windows", "universal")
    safe = _CONTROL.sub("_", _SEPARATORS.sub("_", name))
    if strict:
        safe = _WINDOWS_FORBIDDEN.sub("_", safe)
        safe = re.sub(r"[. ]+\Z", lambda found: "_" * len(found.group()), safe)
        if _WINDOWS_DEVICE.match(safe.lstrip()):
            safe = "_" + safe.lstrip()
    elif rules == "macos":
        safe = safe.replace(":", "_")
    safe = pathvalidate.sanitize_filename(
        safe,
        replacement_text="_",
        platform=_PATHVALIDATE[rules],
        max_len=len(safe) + 255,
        validate_after_sanitize=False,
    )
    if safe.strip(". ") == "":
        safe = "_" * max(len(safe), 1)
    folded = fold(safe)
    if folded == OWN_FOLDER or folded.startswith(OWN_PARTIAL) or (strict and _SHORT_OWN.match(folded)):
        safe = "_" + safe
    return _cut(safe)


def _cut(name: str) -> str:
    """At most MOST_BYTES bytes, the ending kept where it looks like one."""
    if len(name.encode()) <= MOST_BYTES:
        return name
    found = re.search(r"(\.[A-Za-z0-9]{1,8}){1,2}\Z", name)
    ending = found.group() if found else ""
    stem = name[: len(name) - len(ending)].encode()[: MOST_BYTES - len(ending.encode())]
    return stem.decode("utf-8", "ignore").rstrip(". ") + ending


def fold(name: str) -> str:
    """The form under which two names are the same file on some file system."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", _UNSEEN.sub("", name)).casefold())


def lay_out(places: Sequence[Sequence[Step]], platform: Platform) -> tuple[list[str], list[Renamed]]:
    """The relative path (`/`-separated) of each place, and the components that had to be renamed.

    A place is its steps from the root down. Equal leading ids mean the same folder.
    """
    siblings: dict[tuple[str, ...], dict[str, str]] = {}
    for steps in places:
        for depth, step in enumerate(steps):
            above = tuple(s.id for s in steps[:depth])
            siblings.setdefault(above, {})[step.id] = step.name
    names = {above: _resolve(held, platform) for above, held in siblings.items()}
    paths = []
    renamed: dict[tuple[str, ...], Renamed] = {}
    for steps in places:
        parts: list[str] = []
        for depth, step in enumerate(steps):
            above = tuple(s.id for s in steps[:depth])
            parts.append(names[above][step.id])
            if parts[-1] != step.name:
                renamed.setdefault((*above, step.id), Renamed(step.id, step.name, "/".join(parts)))
        paths.append("/".join(parts))
    return paths, list(renamed.values())


def _resolve(held: dict[str, str], platform: Platform) -> dict[str, str]:
    """A distinct safe name for every sibling, by id."""
    safe = {ident: component(name, platform) for ident, name in held.items()}
    groups: dict[str, list[str]] = {}
    for ident, name in safe.items():
        groups.setdefault(fold(name), []).append(ident)
    # A plain name that nobody else wants is settled first, so that a suffix never takes it.
    taken = set(groups)
    out = {min(idents): safe[min(idents)] for idents in groups.values()}
    for idents in groups.values():
        for ident in sorted(idents)[1:]:
            out[ident] = suffixed(safe[ident], ident, taken)
            taken.add(fold(out[ident]))
    return out


def suffixed(name: str, ident: str, taken: Container[str]) -> str:
    """A name with `~` and 8 hex digits of a hash of `ident`, whose folded form is not `taken`."""
    found = re.search(r"(\.[A-Za-z0-9]{1,8}){1,2}\Z", name)
    ending = found.group() if found else ""
    stem = name[: len(name) - len(ending)]
    for attempt in range(1000):
        mark = hashlib.blake2b(
            f"{ident}\x00{attempt or ''}".encode("utf-8", "surrogatepass"), digest_size=4
        ).hexdigest()
        made = f"{stem}~{mark}{ending}"
        if fold(made) not in taken:
            return made
    raise AssertionError("a thousand hashes of eight digits were all taken")


def too_long(path: str, platform: Platform) -> bool:
    """Whether a relative path is too long for the target platform."""
    rules = target_platform(platform)
    units = len(path.encode("utf-16-le", "surrogatepass")) // 2 if rules in ("windows", "universal") else 0
    return (units or len(path.encode("utf-8", "surrogatepass"))) > MOST_PATH[rules]


def short_name(name: str, ident: str) -> str:
    """16 hex digits of a hash of `ident`, with the ending of the name: for a file whose path is too long."""
    found = re.search(r"(\.[A-Za-z0-9]{1,8}){1,2}\Z", name)
    digest = hashlib.blake2b(ident.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return digest + (found.group() if found else "")


def is_contained(path: str) -> bool:
    """Whether a relative path surely stays below its root: no empty, `.` or `..` part, no drive, no root."""
    parts = path.split("/")
    return all(part not in ("", ".", "..") and "\\" not in part and "\x00" not in part for part in parts)
