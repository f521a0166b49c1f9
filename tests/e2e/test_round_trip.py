"""Up and down again: a tree with hostile names and times comes back as it was."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest
from site_ import Person, add_project, digests, sandbox

DEEP = "{subject}/{session}/{acquisition}/{file.name}"
LABELS = [
    "s-01",
    "S-01",
    "Zo\u00eb",
    "Zoe\u0301",
    "a b  c",
    "100%",
    "%2F",
    "stra\u00dfe",
    "\U0001f9e0 brain",
    "x" * 120,
    "-rf",
    "a..b",
]
FILES = [
    "plain.nii.gz", "PLAIN.nii.gz", "\u00e9.txt", "e\u0301.txt", "dots...", "with 'quotes' & $HOME", "a+b=c;d,e", "#?*[x].bin",
    "\u202dbidi.txt", "tab\there", "new\nline", "back\\slash", "co:lon", "CON", "~tilde", "trailing space ", "z" * 200 + ".dcm",
]  # fmt: skip
CHANGED = {
    *("s-01", "S-01", "Zo\u00eb", "Zoe\u0301", "plain.nii.gz", "PLAIN.nii.gz", "\u00e9.txt", "e\u0301.txt"),
    *("\u202dbidi.txt", "tab\there", "new\nline", "back\\slash"),
}
"""Names that are one file on some disks, so that one of two gets a suffix, and such as are never written as they are."""


def tree(root: Path) -> dict[str, tuple[str, int]]:
    """Write it; path to digest and modification time in ns."""
    values = random.Random(12)
    out = {}
    for number, label in enumerate(LABELS):
        folders = [label, LABELS[number - 3], LABELS[number - 5]][: 1 + number % 3]
        for name in values.sample(FILES, 9):
            path = "/".join([*folders, name])
            place = root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            data = values.randbytes(values.choice((0, 1, 5_000, 50_000)))
            place.write_bytes(data)
            moment = values.randrange(10**18, 2 * 10**18)
            os.utime(place, ns=(moment, moment))
            out[path] = hashlib.sha384(data).hexdigest(), moment
    return out


@pytest.mark.timeout(200)
@pytest.mark.parametrize("flags", [(), ("--without", "files-listing")], ids=["listing", "no files listing"])
def test_a_hostile_tree_comes_back_as_it_was(tmp_path: Path, flags: tuple[str, ...]) -> None:
    with sandbox(*flags) as site:
        add_project(site, "study")
        person = Person(tmp_path, site.key)
        sent = tree(person.work / "tree")
        up = person.types("upload", "tree", "--to", "lab/study", "--layout", DEEP, "--keep-times")
        assert up.returncode == 0, up.stdout + up.stderr
        assert f"{len(sent)} uploaded" in up.stdout
        back = ("mirror", "--project", "lab/study", "--layout", DEEP, "--keep-times", "--platform", "linux")
        down = person.types(*back, "--to", "back")
        assert down.returncode == 0, down.stdout + down.stderr
        held = digests(person.work / "back")
        assert len(held) == len(sent)
        assert sorted(held.values()) == sorted(digest for digest, _ in sent.values())
        came = {path: (digest, (person.work / "back" / path).stat().st_mtime_ns) for path, digest in held.items()}
        plain = {path: sent[path] for path in sent if not CHANGED & set(path.split("/"))}
        assert len(plain) >= 15
        assert plain.items() <= came.items(), "a name that any disk of this kind can hold comes back as it was"
        assert {came[path] for path in came} == set(sent.values()), "the same bytes with the same times"
        again = person.types(*back, "--to", "back")
        assert f"0 downloaded, {len(sent)} unchanged" in again.stdout
