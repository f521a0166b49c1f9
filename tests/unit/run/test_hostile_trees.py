"""Trees of made-up hostile labels and member names, on the rules of each platform.

10,000 names a platform here; FWSYNC_TEST_SCALE=10 makes it 100,000.
"""

from __future__ import annotations

import os
import random
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import pytest

from fwsync.plan.paths import MOST_PATH, Step
from fwsync.run.shelf import Shelf
from fwsync.work import FetchFile

NAMES = int(10_000 * float(os.environ.get("FWSYNC_TEST_SCALE", "1")))
PLATFORMS: list[Any] = ["linux", "windows", "macos", "universal"]
DEVICES = ("CON", "con", "PRN", "AUX", "nul", "COM1", "lpt9", "COM\u00b9", "CONIN$", "CLOCK$")
SEPARATORS = ("/", "\\", "//", "\\\\", "/../", "\\..\\", ":", "\u2215", "\uff0f")
BIDI = ("\u202e", "\u202a", "\u2066", "\u2069", "\u200e", "\u200f")
UNSEEN = ("\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\ufe0f", "\u034f")
EMOJI = ("\U0001f9e0", "\U0001f468\u200d\u2695\ufe0f", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f")
ACCENTS = ("\u00e9", "e\u0301", "\u00c9", "\u00c5", "A\u030a", "\u212b", "\uac00", "\u1100\u1161", "\u1e9b\u0323")
CASES = (
    "stra\u00dfe",
    "STRASSE",
    "strasse",
    "\u03a3\u03c3\u03c2",
    "\u0130",
    "i\u0307",
    "I",
    "\u0131",
    "\ufb03",
    "ffi",
    "k",
    "\u212a",
)
ENDS = (".", " ", "..", ". .", " .", "\t", "\n", ".nii.gz", ".", "\u00a0", "\u3000")
PLAIN = ("sub-01", "ses 1", "T1w.nii.gz", "a", "A", "x.dcm", "T1W.nii.gz", "Sub-01", "scan~12345678.nii.gz", "~long")
OWN = (".fwsync", ".FwSync", ".fw~0123", "..", ".", "", " ", "...", "~", "-rf", "$HOME", "%2e%2e", "*", "?", '"', "<>|")
DEFAULT_IGNORABLE = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]")  # fmt: skip


def hostile(values: random.Random) -> str:
    """One name: a piece or several of those above, perhaps changed, doubled, or made very long."""
    pools = (DEVICES, SEPARATORS, BIDI, UNSEEN, EMOJI, ACCENTS, CASES, ENDS, PLAIN, OWN, PLAIN)
    pieces = [values.choice(values.choice(pools)) for _ in range(values.choice((1, 1, 2, 2, 3, 5)))]
    if values.random() < 0.15:
        pieces.append(
            chr(values.choice((values.randrange(0x20), values.randrange(0x7F, 0xA0), values.randrange(0x3000))))
        )
    if values.random() < 0.05:
        pieces.insert(values.randrange(len(pieces) + 1), chr(values.randrange(0xD800, 0xE000)))
    if values.random() < 0.1:
        pieces.append(values.choice((" ", ".", "")) + values.choice((".txt", " .txt", ".tar.gz", ":stream", ":$DATA")))
    name = "".join(pieces)
    if values.random() < 0.05:
        name = (name or "x") * values.randrange(2, 200)
    change = values.choice((str, str, str, str.upper, str.lower, str.swapcase))
    form: Any = values.choice((None, None, "NFC", "NFD"))
    name = change(name)
    return unicodedata.normalize(form, name) if form and not re.search("[\ud800-\udfff]", name) else name


def tree(seed: int, count: int) -> list[list[Step]]:
    """Places of that many files: labels of containers, then the names of files, or of members in folders of theirs.

    Each name and its folders hostile, many of them alike, 30 to a folder so that they collide.
    """
    values = random.Random(seed)
    out: list[list[Step]] = []
    used: set[tuple[str, str]] = set()
    folders: dict[str, Step] = {}

    def folder(ident: str) -> Step:
        if ident not in folders:
            folders[ident] = Step(ident, hostile(values))
        return folders[ident]

    for number in range(count):
        subject = values.randrange(max(1, count // 300))
        steps = [folder("project"), folder(f"s{subject}"), folder(f"s{subject}a{values.randrange(10)}")]
        steps = steps[: values.choice((1, 2, 3, 3, 3, 3))]
        ident = f"f{number:06}"
        if values.random() < 0.3:  # a member: an archive's folder, and what it holds, told apart by its path
            steps.append(folder(f"{steps[-1].id}z{values.randrange(2)}"))
            for part in range(values.randrange(3)):
                steps.append(Step(f"{steps[-1].id}/{part}", folder(f"{steps[-1].id}/{part}").name))
            ident = f"{steps[-1].id}#{number}"
        elif values.random() < 0.05 and out:  # the same file below two containers: an input of an analysis
            ident = out[-1][-1].id
        if ((above := "\x00".join(step.id for step in steps)), ident) in used:
            ident = f"f{number:06}"
        used.add((above, ident))
        out.append([*steps, Step(ident, hostile(values))])
    return out


def settled(state: Path, places: list[list[Step]], platform: Any) -> dict[tuple[str, ...], str]:
    """The path of each place, by the ids of its steps."""

    def fetch(number: int) -> FetchFile:
        return FetchFile(container_type="session", container_id="s", name=str(number), path="", size=1)

    keys = {}
    with Shelf(state, platform) as shelf:
        for start in range(0, len(places), 1000):
            shelf.add((steps, fetch(start + n)) for n, steps in enumerate(places[start : start + 1000]))
        shelf.settle()
        assert shelf.files == len(places)
        for some in shelf.wanted():
            for _, one in some:
                keys[tuple(step.id for step in places[int(one.fetch.name)])] = one.fetch.path
    return keys


def as_disks_see(path: str) -> Iterator[str]:
    """The forms under which file systems compare names."""
    yield unicodedata.normalize("NFD", path).casefold()  # APFS
    yield unicodedata.normalize("NFD", DEFAULT_IGNORABLE.sub("", unicodedata.normalize("NFD", path)).casefold())
    # NTFS: one unit for one unit, and its table leaves the dotless i alone.
    yield "".join(one.upper() if len(one.upper()) == 1 and one != "\u0131" else one for one in path)


def too_long(path: str, platform: str) -> bool:
    units = len(path.encode("utf-16-le")) // 2 if platform in ("windows", "universal") else len(path.encode())
    return units > MOST_PATH[platform] or any(len(part.encode()) > 255 for part in path.split("/"))


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("platform", PLATFORMS)
def test_hostile_names_stay_inside_apart_short_and_the_same(tmp_path: Path, platform: Any) -> None:
    places = tree(7, NAMES)
    paths = settled(tmp_path, places, platform)
    assert len(paths) == NAMES, "every file has a path of its own"
    root = "/home/someone/target"
    forms: list[dict[str, str]] = [{}, {}, {}]
    parents: dict[str, str] = {}
    for path in paths.values():
        assert os.path.normpath(f"{root}/{path}") == f"{root}/{path}", path
        assert not PurePosixPath(path).is_absolute()
        assert not too_long(path, platform), path
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\\\\]", path), repr(path)
        parts = path.split("/")
        assert parts[0].casefold() != ".fwsync"
        assert not any(part.startswith(".fw~") for part in parts), path
        if platform in ("windows", "universal"):
            there = PureWindowsPath(path)
            assert (there.drive, there.root, len(there.parts)) == ("", "", len(parts)), path
            assert not there.is_reserved(), path
            assert not any(part[-1] in ". " or re.search(r'[<>:"|?*]', part) for part in parts), path
            assert not any(PureWindowsPath(part.replace(" ", "")).is_reserved() for part in parts), path
        if platform == "macos":
            assert ":" not in path
        for depth in range(1, len(parts) + 1):  # folders as well: two spellings of one folder would merge them
            at = "/".join(parts[:depth])
            if parents.setdefault(at, "folder" if depth < len(parts) else "file") == "file":
                assert depth == len(parts), f"{at} is a file and a folder"
            for seen, form in zip(forms, as_disks_see(at), strict=True):
                assert seen.setdefault(form, at) == at, f"{at!r} and {seen[form]!r} are one file somewhere"
    shuffled = list(places)
    random.Random(1).shuffle(shuffled)
    assert settled(tmp_path, shuffled, platform) == paths
    assert settled(tmp_path, places[::-1], platform) == paths
