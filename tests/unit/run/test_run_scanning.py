"""The walk over a local tree, and the cache of hashes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from fwsync.errors import InputFileError
from fwsync.run.hashes import HashCache, Stamp
from fwsync.run.scanning import Left, Scan, Seen
from fwsync.selection import matches


def walk(root: Path, **options: Any) -> tuple[dict[str, Seen], dict[str, Left], Scan]:
    given = {"takes": lambda _: True, "prunes": lambda _: False, **options}
    scan = Scan(root.resolve(), **given)
    seen, left = {}, {}
    for one in scan:
        (seen if isinstance(one, Seen) else left)[one.path] = one
    return seen, left, scan  # type: ignore[return-value]


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(path.encode())


def test_hidden_files_and_our_own_folder_are_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a", "s/b", ".DS_Store", ".git/config", "s/.hidden", ".fwsync/marker", "s/v/x/c")
    seen, left, scan = walk(tmp_path)
    assert list(seen) == ["a", "s/b", "s/v/x/c"]
    assert not left
    assert scan.counts == {"hidden": 4}
    seen, _, scan = walk(tmp_path, hidden=True)
    assert set(seen) == {"a", "s/b", "s/v/x/c", ".DS_Store", ".git/config", "s/.hidden"}
    assert scan.counts == {"hidden": 1}


def test_patterns_take_files_and_prune_folders(tmp_path: Path) -> None:
    make(tmp_path, "a.nii", "a.txt", "s/tmp/b.nii", "s/c.nii")
    seen, _, scan = walk(tmp_path, takes=lambda path: matches("*.nii", path), prunes=lambda path: matches("tmp", path))
    assert list(seen) == ["a.nii", "s/c.nii"]
    assert scan.counts == {"not included": 1, "excluded": 1}
    assert scan.examples == {"not included": "a.txt", "excluded": "s/tmp"}


def test_links_never_lead_out(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    make(root, "real", "folder/x")
    make(outside, "secret")
    (root / "inside").symlink_to("real")
    (root / "out").symlink_to(outside / "secret")
    (root / "out-folder").symlink_to(outside)
    (root / "loop").symlink_to(root / "folder")
    (root / "dangling").symlink_to("nothing")
    (root / "sly").symlink_to("out")
    seen, left, _ = walk(root)
    assert set(seen) == {"real", "folder/x", "inside"}
    assert seen["inside"].stamp.path == str(root / "real")
    reasons = {path: (one.state, one.reason) for path, one in left.items()}
    out = ("skipped", "a link that leads out of the folder")
    assert reasons == {
        "out": out,
        "out-folder": out,
        "sly": out,
        "loop": ("skipped", "a link to a folder"),
        "dangling": ("rejected", "can't be read: No such file or directory"),
    }


def test_what_is_no_file_or_has_no_name_in_utf_8_is_told(tmp_path: Path) -> None:
    make(tmp_path, "a")
    os.mkfifo(tmp_path / "pipe")
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff"))).write_bytes(b"")
    seen, left, _ = walk(tmp_path)
    assert list(seen) == ["a"]
    assert {path: one.state for path, one in left.items()} == {"pipe": "skipped", "b\\xff": "rejected"}


def test_sidecars_tell_of_their_files(tmp_path: Path) -> None:
    make(tmp_path, "a.nii", "b.nii", "c.nii", "d.nii")
    (tmp_path / "a.nii.json").write_text('{"file": {"modality": "MR"}}')
    (tmp_path / "b.nii.json").write_text('{"EchoTime": 5}')
    (tmp_path / "c.nii.json").write_text('{"file": {"modality": 5}}')
    (tmp_path / "alone.json").write_text('{"file": {"modality": "MR"}}')
    seen, left, scan = walk(tmp_path)
    assert set(seen) == {"a.nii", "b.nii", "b.nii.json", "d.nii", "alone.json"}
    assert seen["a.nii"].metadata == {"modality": "MR"}
    assert left["c.nii"].state == "rejected"
    assert "sidecar is wrong" in left["c.nii"].reason
    assert scan.counts == {"sidecar": 1}
    seen, _, _ = walk(tmp_path, sidecars=False)
    assert len(seen) == 8


def test_a_root_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputFileError, match="can't be read: No such file"):
        walk(tmp_path / "gone")


# --- the cache ----------------------------------------------------------------------------------------------------


def old(path: Path, text: str = "x") -> Stamp:
    path.write_text(text)
    stamp = Stamp.of(str(path))
    # A change time can't be set: what was written just now counts as old here.
    return Stamp(stamp.path, stamp.size, 10**18, 10**18, stamp.inode)


def test_a_hash_counts_while_nothing_has_changed(tmp_path: Path) -> None:
    stamp = old(tmp_path / "a")
    with HashCache(tmp_path / "state") as cache:
        assert cache.get(stamp) is None
        cache.put(stamp, "h")
    with HashCache(tmp_path / "state") as cache:
        assert cache.get(stamp) == "h"
        for field in ("size", "mtime_ns", "ctime_ns", "inode"):
            values = {name: getattr(stamp, name) for name in Stamp.__struct_fields__}
            assert cache.get(Stamp(**{**values, field: values[field] + 1})) is None, field
    assert (tmp_path / "state/hashes.db").stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_just_changed_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    stamp = Stamp.of(str(tmp_path / "a"))
    assert stamp.mtime_ns > time.time_ns() - 10**9
    with HashCache(tmp_path / "state") as cache:
        cache.put(stamp, "h")
    with HashCache(tmp_path / "state") as cache:
        assert cache.get(stamp) is None


def test_a_damaged_cache_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "hashes.db").write_bytes(b"this is no database" * 100)
    stamp = old(tmp_path / "a")
    with HashCache(tmp_path) as cache:
        cache.put(stamp, "h")
    with HashCache(tmp_path) as cache:
        assert cache.get(stamp) == "h"
