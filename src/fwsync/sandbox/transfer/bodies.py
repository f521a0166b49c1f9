"""Sends stored bytes: whole, one range, several ranges; streamed, so that memory stays at one piece."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from aiohttp import web

from fwsync.sandbox.errors import ApiError
from fwsync.sandbox.faults import BODY_FAULT, BodyFault
from fwsync.sandbox.transfer import ranges

PIECE = 256 * 1024


def disposition(name: str) -> str:
    """A Content-Disposition value that any file name survives."""
    plain = "".join(c if 32 <= ord(c) < 127 and c not in '"\\' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


async def send_file(
    request: web.Request, path: Path, *, size: int, mime: str, name: str, etag: str, view: bool
) -> web.StreamResponse:
    """A stored content. `view` sends it under its own type and honours Range; otherwise it is an attachment."""
    headers = {"Content-Type": mime if view else "application/octet-stream", "ETag": f'"{etag}"'}
    wanted: list[tuple[int, int]] = []
    if view:
        headers["Accept-Ranges"] = "bytes"
        condition = request.headers.get("If-Range")
        if condition is None or condition == headers["ETag"]:
            try:
                wanted = ranges.parse(request.headers.get("Range"), size)
            except ranges.UnsatisfiableError:
                raise ApiError(416, f"the file has {size} bytes", size=size) from None
    else:
        headers["Content-Disposition"] = disposition(name)
    if len(wanted) > 1:
        return await _send_multipart(request, path, wanted, size, mime, headers)
    first, last = wanted[0] if wanted else (0, size - 1)
    if wanted:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    length = last - first + 1
    return await _send(request, _pieces(path, first, length), length, 206 if wanted else 200, headers)


async def send_pieces(
    request: web.Request, pieces: Iterator[bytes], *, size: int, mime: str, name: str
) -> web.StreamResponse:
    """A body that is made while it is sent, of known size."""
    headers = {"Content-Type": mime, "Content-Disposition": disposition(name)}
    return await _send(request, pieces, size, 200, headers)


def _pieces(path: Path, first: int, length: int) -> Iterator[bytes]:
    with path.open("rb") as source:
        source.seek(first)
        yield from _read(source, length)


def _read(source: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0:
        piece = source.read(min(PIECE, length))
        if not piece:
            return
        length -= len(piece)
        yield piece


async def _send_multipart(
    request: web.Request, path: Path, wanted: list[tuple[int, int]], size: int, mime: str, headers: dict[str, str]
) -> web.StreamResponse:
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {mime}\r\nContent-Range: bytes {a}-{b}/{size}\r\n\r\n".encode()
        for a, b in wanted
    ]
    tail = f"\r\n--{boundary}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        for head, (first, last) in zip(heads, wanted, strict=True):
            yield head
            yield from _pieces(path, first, last - first + 1)
        yield tail

    length = sum(len(head) + b - a + 1 for head, (a, b) in zip(heads, wanted, strict=True)) + len(tail)
    headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
    return await _send(request, pieces(), length, 206, headers)


async def _send(
    request: web.Request, pieces: Iterator[bytes], length: int, status: int, headers: dict[str, str]
) -> web.StreamResponse:
    fault = request.get(BODY_FAULT)
    if fault is None and length <= PIECE and request.method != "HEAD":
        # Small bodies leave with their headers in one write.
        return web.Response(body=b"".join(pieces), status=status, headers=headers)
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = length
    await response.prepare(request)
    if request.method != "HEAD":
        sent = 0
        for piece in pieces:
            data = piece if fault is None else await _damage(request, fault, piece, sent, length)
            await response.write(data)
            sent += len(piece)
    await response.write_eof()
    return response


async def _damage(request: web.Request, fault: BodyFault, piece: bytes, sent: int, length: int) -> bytes:
    """What a body fault makes of the next piece; a cut closes the connection."""
    at = int(length * fault.where)
    inside = sent <= at < sent + len(piece)
    if fault.name == "slow_body":
        await asyncio.sleep(fault.value * len(piece) / max(length, 1))
    elif inside and fault.name == "stall":
        await asyncio.sleep(fault.value)
    elif inside and fault.name == "corrupt_body":
        damaged = bytearray(piece)
        damaged[at - sent] ^= 0x55
        return bytes(damaged)
    elif inside and fault.name == "cut_body" and request.transport is not None:
        request.transport.write(piece[: at - sent])
        request.transport.close()
        raise ConnectionResetError("cut_body")
    return piece
