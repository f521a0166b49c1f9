"""Layouts read by depth, and what is decided of a changed file."""

from __future__ import annotations

import pytest

from fwsync.model import FileEntry, Parents, Reference
from fwsync.plan.mirroring import Indexed
from fwsync.plan.pushing import TreeLayout, ancestor, decide, sending

ON = Reference(type="acquisition", id="a1")
KNOWN = Indexed(path="p", file_id="f1", version=2, hash="h2", member=None, size=5, mtime_ns=1)


def entry(
    version: int | None = 2, digest: str | None = "h2", size: int | None = 5, on: Reference | None = ON
) -> FileEntry:
    return FileEntry(name="n", file_id="f1", version=version, hash=digest, size=size, parent_ref=on)


@pytest.mark.parametrize(
    ("text", "gear", "by_depth"),
    [
        ("", False, [None, "project", "subject", "session", "acquisition", "analysis", None]),
        ("{subject}/{session}/{file.name}", False, ["project", "subject", "session", None]),
        ("{group}/{project}/{subject}/{file.name}", False, [None, None, "project", "subject"]),
        ("data/{subject}/{file.name}", False, [None, "project", "subject"]),
        ("{subject}/raw/{session}/{file.name}", False, [None, None, "subject", "session"]),
        ("{session.id}/{file.name}", False, ["project", "session"]),
        ("{session}/{subject}/{file.name}", False, [None, None, None]),
        ("{subject}_{session}/{file.name}", False, [None, None]),
        ("{subject}/{file.type}/{file.name}", False, [None, None, None]),
        ("{subject}/{file.stem}{file.ext}", False, [None, None]),
        ("", True, [None, None, None]),
        ("flat", False, [None]),
        ("bids", False, [None]),
    ],
)
def test_which_level_a_folder_stands_for(text: str, gear: bool, by_depth: list[str | None]) -> None:
    layout = TreeLayout.parse(text, gear=gear)
    assert [layout.level_at(depth) for depth in range(len(by_depth))] == by_depth


def test_subjects_sessions_and_acquisitions_by_their_folders() -> None:
    layout = TreeLayout.parse("", gear=False)
    assert layout.takes("study/sub-01/ses-1/T1w/a.nii", "subject", ["sub-*"])
    assert layout.takes("study/sub-01/ses-1/a.nii", "session", ["x", "ses-1"])
    assert layout.takes("study/sub-01/ses-1/T1w/a.nii", "acquisition", ["T1*"])
    assert not layout.takes("study/sub-01/ses-1/T1w.nii", "acquisition", ["T1*"])
    assert not layout.takes("study/sub-01/a.nii", "session", ["*"])
    assert not layout.takes("study/sub-01", "subject", ["*"])  # a file of the project called so
    with pytest.raises(ValueError, match="no folder for each session"):
        TreeLayout.parse("{file.type}/{session}/{file.name}", gear=False).takes("a/b/c", "session", ["*"])


@pytest.mark.parametrize(
    ("held", "size", "digest", "decision"),
    [
        (None, 9, None, "gone"),
        (entry(), 9, None, "send"),
        (entry(), 5, "mine", "send"),
        (entry(version=3, digest="h3"), 9, None, "conflict"),
        (entry(version=3, digest="h3"), 5, "mine", "conflict"),
        (entry(version=3, digest="mine"), 5, "mine", "unchanged"),
        (entry(version=3, digest="mine", size=None), 5, "mine", "unchanged"),
        (entry(version=2, digest="h9"), 9, None, "conflict"),
        (entry(digest=None), 9, None, "send"),
        (entry(on=None), 9, None, "no parent"),
        (entry(on=Reference(type="analysis", id="x")), 9, None, "send"),
    ],
)
def test_what_is_decided_of_a_changed_file(
    held: FileEntry | None, size: int, digest: str | None, decision: str
) -> None:
    assert decide(KNOWN, held, size, digest) == decision


def test_a_new_version_takes_along_what_was_said_of_the_old_one() -> None:
    old = FileEntry(
        name="n", file_id="f1", version=2, hash="h2", size=5, parent_ref=ON, type="nifti", tags=["a"], info={"k": 1},
        classification={"Intent": ["Structural"]}, created="2020",
    )  # fmt: skip
    sent = sending("n", ON, old, source="/x", size=9, mtime_ns=1, digest=None)
    assert sent.metadata == {
        "type": "nifti", "tags": ["a"], "info": {"k": 1}, "classification": {"Intent": ["Structural"]}
    }  # fmt: skip
    assert (sent.held_version, sent.held_hash, sent.container_id, sent.listed) == (2, "h2", "a1", True)
    assert sending("n", ON, None, source="/x", size=9, mtime_ns=1, digest=None).held_id is None


def test_containers_above_a_file() -> None:
    one = FileEntry(name="n", parent_ref=ON, parents=Parents(project="p1", session="s1"))
    assert ancestor(one, "acquisition") == ON
    assert ancestor(one, "session") == Reference(type="session", id="s1")
    assert ancestor(one, "subject") is None
    assert ancestor(FileEntry(name="n"), "project") is None
