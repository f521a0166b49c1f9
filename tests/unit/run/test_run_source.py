"""The bytes of a table wherever they come from, and the files that its cells may name."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import stat
import sys
import zlib
from pathlib import Path

import pytest

from fwsync.errors import InputFileError
from fwsync.run import source
from fwsync.run.source import CopySink, file_finder, take

TABLE = b"Subject ID,sex\ns1,F\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


# --- taking -------------------------------------------------------------------------------------------------------


def test_a_file_is_copied_privately_and_left_alone(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TABLE)
    copy = take(str(path), folder)
    assert copy.parent == folder
    assert copy.read_bytes() == TABLE
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    path.write_bytes(b"changed since")
    assert copy.read_bytes() == TABLE


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv", "t"])
def test_gzip_is_known_by_its_bytes(tmp_path: Path, folder: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(TABLE[:8]) + gzip.compress(TABLE[8:]))
    copy = take(str(path), folder)
    assert copy.read_bytes() == TABLE
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [one.name for one in folder.iterdir()] == [copy.name], "the packed copy is gone"


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(monkeypatch: pytest.MonkeyPatch, folder: Path, packed: bool) -> None:
    given(monkeypatch, gzip.compress(TABLE) if packed else TABLE)
    assert take("-", folder).read_bytes() == TABLE


def test_an_empty_file_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    given(monkeypatch, b"")
    assert take("-", folder).read_bytes() == b""


PACKED = gzip.compress(random.Random(1).randbytes(5000), mtime=0)  # the same in every process: tests are named by it


@pytest.mark.parametrize(
    "data",
    [
        PACKED[:-1],
        PACKED[:100],
        PACKED[:2],
        PACKED[:-8] + b"\x00" * 8,
        PACKED[:20] + b"\xff" * 40 + PACKED[60:],
        PACKED + b"and more",
    ],
)
def test_damaged_gzip_is_an_error_of_the_file(tmp_path: Path, folder: Path, data: bytes) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(data)
    with pytest.raises(InputFileError, match="is damaged gzip") as caught:
        take(str(path), folder)
    assert caught.value.path == str(path)


def test_damaged_gzip_on_standard_input(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    given(monkeypatch, PACKED[:-1])
    with pytest.raises(InputFileError, match="-: is damaged gzip"):
        take("-", folder)


def test_what_is_no_file(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(InputFileError, match="No such file"):
        take(str(tmp_path / "none.csv"), folder)
    with pytest.raises(InputFileError, match="is a folder; name a file in it"):
        take(str(tmp_path), folder)


@pytest.mark.parametrize("name", ["x" * 5000, "a/" * 3000])
def test_names_that_no_file_can_have(folder: Path, name: str) -> None:
    with pytest.raises(InputFileError, match="can't be read"):
        take(name, folder)


def test_a_tilde_is_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "t.csv").write_bytes(TABLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert take("~/t.csv", folder).read_bytes() == TABLE


async def test_a_remote_body_is_hashed_and_may_begin_again(folder: Path) -> None:
    sink = CopySink(folder / "remote")
    await sink.write(b"wrong, and longer")
    await sink.restart()
    await sink.write(TABLE[:5])
    await sink.write(TABLE[5:])
    assert await sink.sha384() == hashlib.sha384(TABLE).hexdigest()
    assert sink.crc32() == zlib.crc32(TABLE)
    assert sink.position == len(TABLE)
    sink.close()
    assert (folder / "remote").read_bytes() == TABLE
    assert stat.S_IMODE((folder / "remote").stat().st_mode) == 0o600


# --- the files that cells name ------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "table"
    for name in ("a.nii", "b/c.dcm", "b/d.dcm", "b/e.txt", "b/f[1].dcm"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "table-2").mkdir()
    (tmp_path / "table-2" / "near").write_bytes(b"near")
    return root


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("a.nii", ["a.nii"]),
        ("./a.nii", ["a.nii"]),
        ("b/../a.nii", ["a.nii"]),
        ("b/c.dcm", ["c.dcm"]),
        ("b/[cd].dcm", ["c.dcm", "d.dcm"]),
        ("b/*", ["c.dcm", "d.dcm", "e.txt", "f[1].dcm"]),
        ("*", ["a.nii"]),
        ("b/f[1].dcm", ["f[1].dcm"]),
        ("*/e.*", ["e.txt"]),
    ],
)
def test_paths_and_globs(tree: Path, cell: str, names: list[str]) -> None:
    found = file_finder(tree)(cell)
    assert [one.name for one in found] == names
    for one in found:
        status = Path(one.source).stat()
        assert (one.size, one.mtime_ns) == (status.st_size, status.st_mtime_ns)
        assert Path(one.source).is_absolute()


def test_an_absolute_path_may_lie_in_the_folder(tree: Path) -> None:
    assert file_finder(tree)(str(tree / "a.nii"))[0].source == str(tree / "a.nii")


@pytest.mark.parametrize(
    "cell",
    [
        "../secret",
        "b/../../secret",
        "/etc/passwd",
        "../table-2/near",
        "../*",
        "b/../../*",
        "..",
        "/etc/pass*",
        "../table-2/*",
    ],
)
def test_nothing_leaves_the_folder(tree: Path, cell: str) -> None:
    with pytest.raises(ValueError, match=r"is outside of|no such file") as caught:
        file_finder(tree)(cell)
    assert "secret'" not in str(caught.value).replace(repr(cell), "")


@pytest.mark.parametrize(
    "cell", ["link", "l*", "folder/secret", "folder/*", "*/secret", "folder/../a.nii/../../secret"]
)
def test_no_link_leads_out(tree: Path, cell: str) -> None:
    (tree / "link").symlink_to(tree.parent / "secret")
    (tree / "folder").symlink_to(tree.parent)
    with pytest.raises(ValueError, match=r"leads out of|is outside of"):
        file_finder(tree)(cell)


def test_a_link_within_the_folder_is_followed_under_its_own_name(tree: Path) -> None:
    (tree / "link.nii").symlink_to(tree / "a.nii")
    (one,) = file_finder(tree)("link.nii")
    assert (one.name, one.source) == ("link.nii", str(tree / "a.nii"))


def test_the_folder_itself_may_be_a_link(tree: Path) -> None:
    (tree.parent / "alias").symlink_to(tree)
    assert file_finder(tree.parent / "alias")("a.nii")[0].source == str(tree / "a.nii")


@pytest.mark.parametrize("cell", ["none.nii", "b", "x*", "b/[xyz]", ".", "a.nii/x", "dangling"])
def test_what_is_no_file_there(tree: Path, cell: str) -> None:
    (tree / "dangling").symlink_to(tree / "gone")
    with pytest.raises(ValueError, match="no such file"):
        file_finder(tree)(cell)


@pytest.mark.parametrize("cell", ["a\x00b", "x" * 5000, "[", "?" * 300, "\ud800"])
def test_hostile_names_are_value_errors(tree: Path, cell: str) -> None:
    with pytest.raises(ValueError, match=r"no such file|can't be read|null|names more") as caught:
        file_finder(tree)(cell)
    assert not isinstance(caught.value, UnicodeError)


def test_a_glob_that_names_too_much(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MOST_GLOBBED", 3)
    with pytest.raises(ValueError, match="names more than 3 files"):
        file_finder(tree)("b/*")


def test_a_file_that_may_not_be_read(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source.os, "access", lambda *_: False)
    with pytest.raises(ValueError, match="can't be read: permission denied"):
        file_finder(tree)("a.nii")
