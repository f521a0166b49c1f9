"""The fault switch: makes a healthy server behave like a bad network, the same way for the same seed.

    SPEC  = fault *( "," fault )
    fault = [ class ":" ] name "=" percent "%" [ ":" value ]

Classes: list get create modify upload download; without one a fault is for every class where it makes sense. Each
draw is a hash of seed, fault, method, path and the how-manieth time that path was asked: concurrency changes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from fwsync.sandbox.options import SandboxOptions

CLASSES: Final = ("list", "get", "create", "modify", "upload", "download")
_WRITES = ("create", "modify", "upload")
_EVERY = CLASSES

FAULTS: Final[dict[str, tuple[tuple[str, ...], float, str]]] = {
    "latency": (_EVERY, 0.1, "waits VALUE seconds before the work"),
    "status_429": (_EVERY, 1.0, "answers 429 with `Retry-After: VALUE` and does nothing"),
    "status_500": (_EVERY, 0.0, "answers 500 and does nothing"),
    "status_502": (_EVERY, 0.0, "answers 502 and does nothing"),
    "status_503": (_EVERY, 0.0, "answers 503 and does nothing"),
    "drop_request": (_EVERY, 0.0, "closes the connection before any work"),
    "drop_reply": (_EVERY, 0.0, "does and commits the work, then cuts the connection"),
    "late_commit": (_WRITES, 2.0, "cuts the connection, commits the work VALUE seconds later"),
    "cut_body": (("download",), 0.0, "ends a download early"),
    "stall": (_EVERY, 120.0, "sends no bytes for VALUE seconds; on a write after the commit"),
    "slow_body": (("download",), 1.0, "spreads a download over VALUE seconds"),
    "corrupt_body": (("download",), 0.0, "flips bits of one byte of a download"),
    "expired_ticket": (("download",), 0.0, "answers 403 on a signed link or ticket, as if it had expired"),
}
"""Name to (classes where it makes sense, default VALUE, what it does)."""

_SPEC = re.compile(r"(?:([a-z]+):)?([a-z_0-9]+)=(\d+(?:\.\d+)?)%(?::(\d+(?:\.\d+)?))?\Z")


@dataclass(frozen=True, slots=True)
class Fault:
    """One entry of a spec; `percent` of the requests of `classes`."""

    name: str
    classes: tuple[str, ...]
    percent: float
    value: float


@dataclass(frozen=True, slots=True)
class BodyFault:
    """A fault of the body in transit: what, at which fraction of the body, and its value."""

    name: str
    where: float
    value: float


BODY_FAULT: Final[web.RequestKey[BodyFault]] = web.RequestKey("body_fault", BodyFault)
LATE: Final[web.RequestKey[float]] = web.RequestKey("late", float)
"""Seconds that an upload holds its commit back after cutting the connection: see `hold_back`."""


class _Counts(Protocol):
    faults: Counter[str]


def parse(spec: str) -> list[Fault]:
    """The faults of a spec; ValueError with one clear line on a wrong one."""
    return [_fault(part.strip()) for part in spec.split(",") if part.strip()]


def _fault(part: str) -> Fault:
    found = _SPEC.match(part)
    if found is None:
        raise ValueError(f"fault {part!r}: is not [class:]name=P%[:VALUE], such as create:drop_reply=3%")
    group, name, percent, value = found.groups()
    if name not in FAULTS:
        raise ValueError(f"fault {part!r}: unknown name {name!r}; known are {', '.join(FAULTS)}")
    possible, default, _ = FAULTS[name]
    if group is not None and group not in CLASSES:
        raise ValueError(f"fault {part!r}: unknown class {group!r}; known are {', '.join(CLASSES)}")
    if group is not None and group not in possible:
        raise ValueError(f"fault {part!r}: {name} makes no sense on {group}; it does on {', '.join(possible)}")
    if float(percent) > 100:
        raise ValueError(f"fault {part!r}: more than 100 %")
    return Fault(name, (group,) if group else possible, float(percent), float(value) if value else default)


def draw(seed: int, fault: str, method: str, path: str, nth: int) -> float:
    """A number from 0 to 1 that depends on nothing but its arguments."""
    raw = hashlib.blake2b(f"{seed}\n{fault}\n{method}\n{path}\n{nth}".encode(), digest_size=8).digest()
    return int.from_bytes(raw) / 2**64


def class_of(method: str, path: str) -> str:
    """The class of a request."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["signed"]:
        return "download" if method == "GET" else "upload"
    if "files" in parts[2:]:
        at = parts.index("files", 2)
        if method in ("GET", "HEAD") and len(parts) == at + 2:
            return "download"
        if method in ("POST", "PUT") and len(parts) == at + 1:
            return "upload"
    if method == "POST":
        readers = ("lookup", "resolve")
        return "get" if parts[-1] in readers else "create"
    if method in ("PUT", "PATCH", "DELETE"):
        return "modify"
    singles = ("auth", "users", "config", "version")
    return "list" if len(parts) % 2 == 0 and parts[1] not in singles else "get"


def middleware(options: SandboxOptions, counts: _Counts) -> Middleware:
    """The middleware that deals out the faults of `options`, and its latency."""
    faults = parse(options.faults)
    asked: Counter[tuple[str, str]] = Counter()

    @web.middleware
    async def deal(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith("/sandbox/"):
            return await handler(request)
        if options.latency_ms:
            await asyncio.sleep(options.latency_ms / 1000)
        if not faults:
            return await handler(request)
        group = class_of(request.method, request.path)
        key = (request.method, request.raw_path)
        asked[key] += 1
        for fault in faults:
            chance = draw(options.fault_seed, fault.name, *key, asked[key])
            if group in fault.classes and chance * 100 < fault.percent:
                counts.faults[f"{group}:{fault.name}"] += 1
                where = draw(options.fault_seed, fault.name + " where", *key, asked[key])
                return await _give(fault, where, group, request, handler)
        return await handler(request)

    return deal


async def _give(fault: Fault, where: float, group: str, request: web.Request, handler: Handler) -> web.StreamResponse:
    match fault.name:
        case "latency":
            await asyncio.sleep(fault.value)
        case "status_429" | "status_500" | "status_502" | "status_503":
            return _status(int(fault.name[-3:]), fault.value)
        case "drop_request":
            _cut(request)
        case "drop_reply":
            await handler(request)
            _cut(request)
        case "late_commit":
            await _late(fault.value, request, handler)
        case "stall" if group in _WRITES:
            response = await handler(request)
            await asyncio.sleep(fault.value)
            return response
        case "stall" if group != "download":
            await asyncio.sleep(fault.value)
        case "expired_ticket":
            if request.path.startswith("/signed/") or request.query.get("ticket"):
                return _status(403, 0)
        case _:
            request[BODY_FAULT] = BodyFault(fault.name, where, fault.value)
    return await handler(request)


def _status(status: int, value: float) -> web.Response:
    headers = {"Retry-After": f"{value:g}"} if status == 429 else {}
    body: dict[str, Any] = {"message": "a fault of the sandbox", "status_code": status}
    return web.json_response(body, status=status, headers=headers)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("a fault of the sandbox")


async def _late(seconds: float, request: web.Request, handler: Handler) -> None:
    """Cut the connection now, do the work later. The body is read first: it could not be afterwards."""
    if request.content_type.startswith("multipart/") or request.path.startswith("/signed/"):
        # A streamed body is stored first; its handler calls `hold_back` before it commits.
        request[LATE] = seconds
        await handler(request)
    else:
        await request.read()
        work = asyncio.get_running_loop().create_task(_after(seconds, request, handler))
        _running.add(work)
        work.add_done_callback(_running.discard)
    _cut(request)


async def hold_back(request: web.Request) -> None:
    """Called by upload handlers between receiving and committing: the point where `late_commit` cuts and waits."""
    seconds = request.get(LATE)
    if seconds is not None:
        if request.transport is not None:
            request.transport.abort()
        await asyncio.sleep(seconds)


_running: set[asyncio.Task[None]] = set()


async def _after(seconds: float, request: web.Request, handler: Handler) -> None:
    await asyncio.sleep(seconds)
    await handler(request)
