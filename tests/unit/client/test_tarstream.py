"""A tar in any pieces gives the bodies of its regular files, whatever else is in it."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.client.tarstream import TarStream, plain_size

MOST = 2000
members = st.lists(st.tuples(st.text(min_size=1, max_size=160), st.binary(max_size=3000)), max_size=6)


def packed(files: list[tuple[str, bytes]], form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, data in files:
            info = tarfile.TarInfo(name.replace("\0", "_"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
            link = tarfile.TarInfo("link")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(link)
    return out.getvalue()


@given(members, st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]), st.integers(1, 3000))
def test_bodies_in_any_pieces(files: list[tuple[str, bytes]], form: int, piece: int) -> None:
    files = [(name.encode("utf-8", "replace").decode(), data) for name, data in files]
    data, stream = packed(files, form), TarStream(MOST)
    found = [body for at in range(0, len(data), piece) for body in stream.feed(data[at : at + piece])]
    assert found == [body for _, body in files if len(body) <= MOST]
    assert stream.ended


@given(st.binary(min_size=512, max_size=2048).filter(lambda data: data[:512].strip(b"\0") != b""))
def test_what_is_no_tar(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        list(TarStream(MOST).feed(data))


def test_a_cut_archive_gives_what_came_whole() -> None:
    data = packed([("a", b"x" * 700), ("b", b"y" * 700)], tarfile.PAX_FORMAT)
    stream = TarStream(MOST)
    whole = data.index(b"y" * 700)
    assert list(stream.feed(data[: whole + 100])) == [b"x" * 700]
    assert not stream.ended


@given(st.text(max_size=120), st.integers(0, 2**40), st.sampled_from([b"0", b"\0", b"5", b"2", b"x", b"L"]))
def test_a_size_that_is_read_quickly_is_the_size(name: str, size: int, kind: bytes) -> None:
    info = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
    info.size, info.type = size, kind
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        try:
            block = info.tobuf(form, "utf-8", "surrogateescape")[-512:]
        except ValueError:
            continue  # a long name, or a large size, in the oldest form
        told = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        plain = kind in (b"0", b"\0") and form != tarfile.GNU_FORMAT and told.size < 8**11
        assert plain_size(block) in ({told.size} if plain else {told.size, None} if kind in (b"0", b"\0") else {None})


@given(st.binary(min_size=512, max_size=512))
def test_no_header_whatever_is_a_mistake_of_ours(block: bytes) -> None:
    assert (plain_size(block) or 0) >= 0
