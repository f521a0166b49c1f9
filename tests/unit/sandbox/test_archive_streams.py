"""Archives of the sandbox: headers as the standard library writes them, and reads that don't hold others up."""

from __future__ import annotations

import io
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.sandbox.archive.streams import Content, tar, tar_header
from fwsync.sandbox.store.disk import PROBE, QUICK, Disk

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=160)


@given(st.one_of(names, st.text("abc/._- ", min_size=90, max_size=110)), st.integers(0, 2**36), st.integers(0, 2**36))
def test_a_header_is_that_of_the_standard_library(path: str, size: int, mtime: int) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode, info.mtime = size, 0o644, mtime
    assert tar_header(path, size, mtime) == info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


@given(st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=5))
def test_a_tar_is_read_by_the_standard_library(files: list[tuple[str, bytes]]) -> None:
    packed = b"".join(tar(Content(name, len(data), "2024-05-01T08:00:00Z", data) for name, data in files))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        found = [(one.name, one.size, archive.extractfile(one)) for one in archive.getmembers()]
    assert [(name, size) for name, size, _ in found] == [(name.rstrip("/") or name, len(data)) for name, data in files]


def test_a_content_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"1234")
    with pytest.raises(OSError, match="1 bytes are missing"):
        list(Content("a", 5, None, str(tmp_path / "blob")).pieces())
    assert list(Content("a", 4, None, str(tmp_path / "blob")).pieces()) == [b"1234"]


async def test_slow_reads_go_to_a_thread_for_a_while() -> None:
    now = [0.0]
    disk = Disk(lambda: now[0])

    def read(seconds: float) -> int:
        now[0] += seconds
        return threading.get_ident()

    here = threading.get_ident()
    assert await disk.do(lambda: read(QUICK / 2)) == here
    assert await disk.do(lambda: read(QUICK * 2)) == here, "nobody knew yet"
    apart = [await disk.do(lambda: read(QUICK * 2)) for _ in range(PROBE)]
    assert here not in apart
    assert await disk.do(lambda: read(0)) == here, "it may be quick again"


async def test_the_error_of_a_read_is_the_caller_s() -> None:
    disk = Disk()
    with pytest.raises(ZeroDivisionError):
        await disk.do(lambda: 1 // 0)
