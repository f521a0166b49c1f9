"""What is removed from a trash, and what never is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fwsync.errors import TargetError
from fwsync.run.trash import DAY, empty

NOW = time.time()
OLD = time.strftime("%Y-%m-%dT%H-%M-%S", time.localtime(NOW - 10 * DAY)) + "-0a1b"


def trashed(root: Path, *paths: str) -> Path:
    below = root / ".fwsync/trash"
    for path in paths:
        (below / path).parent.mkdir(parents=True, exist_ok=True)
        (below / path).write_text("x")
    return below


def left(below: Path) -> list[str]:
    return sorted(str(path.relative_to(below)) for path in below.rglob("*") if not path.is_dir())


def test_a_file_is_as_old_as_its_run_and_its_last_touch(tmp_path: Path) -> None:
    below = trashed(tmp_path, f"{OLD}/a", f"{OLD}/d/e/b")
    assert empty(tmp_path, 3, but="") == 0, "they were put there just now, whenever their run began"
    assert empty(tmp_path, 3, but=OLD, now=NOW + 5 * DAY) == 0, "the run at work keeps its own"
    assert empty(tmp_path, 30, but="", now=NOW + 5 * DAY) == 0
    assert empty(tmp_path, 3, but="", now=NOW + 5 * DAY) == 2
    assert list(below.iterdir()) == []


def test_what_is_no_run_of_ours_stays(tmp_path: Path) -> None:
    names = ("notes/a", "2026-01-01/a", "2026-99-99T00-00-00-abcd/a", "2026-01-01T00-00-00-ABCD/a", "loose")
    below = trashed(tmp_path, *names)
    assert empty(tmp_path, 1, but="", now=NOW + 1000 * DAY) == 0
    assert left(below) == sorted(names)


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    root = tmp_path / "tree"
    below = trashed(root, f"{OLD}/a")
    (below / OLD / "folder").symlink_to(outside)
    (below / OLD / "file").symlink_to(outside / "kept")
    (below / OLD.replace("0a1b", "ffff")).symlink_to(outside)
    assert empty(root, 1, but="", now=NOW + 100 * DAY) == 3
    assert os.listdir(outside) == ["kept"]
    assert [path.name for path in below.iterdir()] == [OLD.replace("0a1b", "ffff")]


@pytest.mark.parametrize("name", [".fwsync", ".fwsync/trash"])
def test_a_trash_that_is_a_link_is_left_alone(tmp_path: Path, name: str) -> None:
    elsewhere = trashed(tmp_path / "elsewhere", f"{OLD}/a")
    link = tmp_path / "tree" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere.parent if name == ".fwsync" else elsewhere)
    with pytest.raises(TargetError):
        empty(tmp_path / "tree", 1, but="", now=NOW + 100 * DAY)
    assert left(elsewhere) == [f"{OLD}/a"]


def test_no_trash_is_nothing_to_do(tmp_path: Path) -> None:
    assert empty(tmp_path, 1, but="") == 0
    assert empty(tmp_path / "none", 1, but="") == 0
