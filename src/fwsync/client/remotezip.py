"""Members of a zip on the site, without the whole archive.

The archive's directory lies at its end, so one ranged request usually brings it, CRCs and offsets included; one more
brings a member, compressed. Where the site has no ranges, its own member endpoints take the same two requests, but
tell no CRC: a member is then proved by its size alone, and the caller is told so.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib

import aiohttp
import msgspec

from fwsync.client import urls
from fwsync.client.memory import MemorySink
from fwsync.client.retry import AdaptiveLimiter
from fwsync.client.session import ApiSession, decode
from fwsync.client.transfer import (
    Fetched,
    Meter,
    NoRangesError,
    Sink,
    again,
    persist,
    pour,
    range_of,
    refuse_strange,
    require_range,
)
from fwsync.client.zipmember import Unpacker
from fwsync.errors import IntegrityError, ProtocolError, RemoteError, UnreachableError
from fwsync.model import PLURALS, ZipMember
from fwsync.work import FetchFile

TAIL = 64 * 1024
"""Bytes asked for first: the end record (at most 65,557 bytes back, nearly always 22) and most directories."""

MOST_DIRECTORY = 64 * 1024 * 1024
_LOCAL_HEADER = 30
_SLACK = 256
"""A member's local header may have a longer extra field than the directory told."""


class _Directory(msgspec.Struct):
    members: list[ZipMember] = []


async def members(session: ApiSession, file: FetchFile) -> list[ZipMember]:
    """The directory of a remote zip, folders left out. ProtocolError if the file is no zip."""
    if file.size:
        try:
            return await _by_ranges(session, file, file.size)
        except NoRangesError:
            pass
    answer = await session.call(
        "GET",
        PLURALS[file.container_type],
        file.container_id,
        "files",
        file.name,
        query={"info": "true", "version": file.version},
    )
    found: _Directory = decode(answer, _Directory, f"GET zip directory of {file.name!r}")
    return [member for member in found.members if not member.is_folder]


async def fetch_member(
    session: ApiSession, file: FetchFile, sink: Sink, limiter: AdaptiveLimiter | None = None
) -> Fetched:
    """One member into `sink`; every try starts from zero. IntegrityError when size or CRC never agree."""
    ranged = file.member_offset is not None and file.member_packed is not None and file.member_method in (0, 8)
    meter = Meter()

    async def once() -> None:
        await sink.restart()
        await (_inflate if ranged else _by_endpoint)(session, file, sink, meter)

    async def verify() -> str:
        if file.member_size is not None and sink.position != file.member_size:
            raise IntegrityError(f"{file.member}: {sink.position:,} bytes came, the zip says {file.member_size:,}")
        if file.member_crc is None:
            return "size" if file.member_size is not None else "nothing"
        if sink.crc32() != file.member_crc:
            raise IntegrityError(f"{file.member}: the bytes that came have another CRC than the zip's directory")
        return "crc"

    return await persist(session, sink, once, verify, meter, limiter)


async def _by_ranges(session: ApiSession, file: FetchFile, size: int) -> list[ZipMember]:
    start = max(size - TAIL, 0)
    tail = await read_range(session, file, start, size, session.calls)
    while True:
        try:
            with zipfile.ZipFile(_Tail(tail, start)) as archive:
                return [_member(info) for info in archive.infolist() if not info.is_dir()]
        except _MissingError as missing:
            if size - missing.position > MOST_DIRECTORY:
                raise ProtocolError("the zip's directory is too large", status=206, request=file.name) from None
            tail = await read_range(session, file, missing.position, start) + tail
            start = missing.position
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise ProtocolError(
                f"{file.name} is not a zip archive ({error})", status=206, request="GET file"
            ) from error


def _member(info: zipfile.ZipInfo) -> ZipMember:
    encrypted = bool(info.flag_bits & 1)
    return ZipMember(
        path=info.orig_filename,
        size=info.file_size,
        crc=info.CRC,
        packed=info.compress_size,
        offset=info.header_offset,
        method=-1 if encrypted else info.compress_type,
        link=stat.S_ISLNK(info.external_attr >> 16),
    )


class _MissingError(Exception):
    """zipfile wants bytes from before what was fetched."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class _Tail(io.RawIOBase):
    """The end of a remote file as a seekable file; reading before it raises _MissingError."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._start, self._at = data, start, 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._start + len(self._data)}[whence]
        if base + offset < 0:
            raise OSError("before the start")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self._at < self._start:
            raise _MissingError(self._at)
        begin = self._at - self._start
        data = self._data[begin:] if size < 0 else self._data[begin : begin + size]
        self._at += len(data)
        return data


async def read_range(
    session: ApiSession, file: FetchFile, start: int, end: int, limiter: AdaptiveLimiter | None = None
) -> bytes:
    """Bytes [start, end) of the archive; NoRangesError when the site does not serve exactly these. `limiter` bounds it
    together with others (default: with the bodies)."""
    sink, meter = MemorySink(), Meter()

    async def once() -> None:
        await sink.restart()
        async with range_of(session, file, start, end) as response:
            require_range(response, start, end)
            await pour(session, response, sink, f"GET range of {file.name!r}", meter)

    async def verify() -> str:
        if sink.position != end - start:
            raise IntegrityError(f"{file.name}: a range came short")
        return "size"

    try:
        await persist(session, sink, once, verify, meter, limiter)
    except (UnreachableError, RemoteError) as error:
        if isinstance(error, RemoteError) and error.status in (416, 501):
            raise NoRangesError from error
        raise
    return b"".join(sink.pieces)


def end_of(file: FetchFile) -> int:
    """Where the packed bytes of a member end at the latest."""
    head = _LOCAL_HEADER + len((file.member or "").encode()) + _SLACK
    end = (file.member_offset or 0) + head + (file.member_packed or 0)
    return min(end, file.size) if file.size else end


async def _by_endpoint(session: ApiSession, file: FetchFile, sink: Sink, meter: Meter) -> None:
    url = urls.build(
        session.key.base,
        (PLURALS[file.container_type], file.container_id, "files", file.name),
        {"member": file.member, "version": file.version},
    )
    what = f"GET member {file.member!r} of {file.name!r}"
    async with session.open("GET", url, what, headers={"Accept": "*/*"}, raw=True) as response:
        refuse_strange(response, file.member or "", what)
        await pour(session, response, sink, what, meter)


async def _inflate(session: ApiSession, file: FetchFile, sink: Sink, meter: Meter) -> None:
    """The member's local header and packed bytes by one range, unpacked on the way."""
    offset, packed = file.member_offset or 0, file.member_packed or 0
    end = end_of(file)
    what = f"GET member {file.member!r} of {file.name!r}"
    unpacker = Unpacker(packed, file.member_method or 0, file.member_size)
    async with range_of(session, file, offset, end) as response:
        if response.status != 206:
            raise again("ranges are no longer served", what)
        try:
            async for data in response.content.iter_any():
                meter.bytes += len(data)
                if session.pacer is not None:
                    await session.pacer.take(len(data))
                for piece in unpacker.feed(data):
                    await sink.write(piece)
        except (zlib.error, ValueError) as error:
            raise again(f"the packed bytes are damaged ({error})", what) from error
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise session.transport_failure(error, what) from error
    if not unpacker.done:
        raise again("the packed bytes came short", what)
