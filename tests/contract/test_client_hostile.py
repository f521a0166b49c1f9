"""Servers that misbehave: pages, redirects, bodies, statuses. Small aiohttp servers, real HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fwsync.client import transfer
from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings
from fwsync.errors import AuthError, FwsyncError, IntegrityError, LostAnswerError, ProtocolError, UnreachableError
from fwsync.run.partfile import PartFile
from fwsync.run.tree import Tree
from fwsync.work import FetchFile

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
QUICK = NetworkSettings(tries=4, retry_seconds=5, read_timeout=1.0)
SECRET = "secret-of-hostile-tests"


@asynccontextmanager
async def site(handler: Handler, settings: NetworkSettings = QUICK) -> AsyncIterator[Flywheel]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    async with (
        TestServer(app, host="127.0.0.1") as server,
        Flywheel.from_key(f"127.0.0.1:{server.port}:__force_insecure:{SECRET}", settings) as fw,
    ):
        yield fw


def subjects(count: int) -> list[dict[str, Any]]:
    return [{"_id": f"{n:024x}", "label": f"s{n}"} for n in range(count)]


@pytest.mark.parametrize("cap", [1, 3, 7])
@pytest.mark.parametrize("envelope", [False, True])
async def test_a_site_that_caps_its_pages_is_read_to_the_end(cap: int, envelope: bool) -> None:
    held = subjects(17)

    async def handler(request: web.Request) -> web.Response:
        after = request.query.get("after_id", "")
        found = [one for one in held if one["_id"] > after][:cap]
        return web.json_response({"count": len(found), "total": 17, "results": found} if envelope else found)

    async with site(handler) as fw:
        assert [s.label async for s in fw.subjects.iter()] == [f"s{n}" for n in range(17)]


async def test_a_site_that_ignores_after_id_ends_in_an_error_not_a_loop() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.json_response(subjects(3))

    async with site(handler) as fw:
        with pytest.raises(ProtocolError, match="repeats itself"):
            [s async for s in fw.subjects.iter()]


async def test_a_listing_that_breaks_midway_is_never_short() -> None:
    async def handler(request: web.Request) -> web.Response:
        if "after_id" in request.query:
            return web.json_response({"message": "no"}, status=400)
        return web.json_response(subjects(3))

    async with site(handler) as fw:
        with pytest.raises(FwsyncError, match="400"):
            [s async for s in fw.subjects.iter()]


async def test_an_html_page_instead_of_json_is_one_line() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(text="<html>proxy login</html>", content_type="text/html")

    async with site(handler) as fw:
        with pytest.raises(ProtocolError, match="HTML page"):
            await fw.whoami()


async def test_401_is_final_and_hides_the_key() -> None:
    asked = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"message": f"bad key {SECRET}"}, status=401)

    async with site(handler) as fw:
        with pytest.raises(AuthError) as refused:
            await fw.auth_status()
    assert asked == 1
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_reads_are_repeated(status: int) -> None:
    asked = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked < 3:
            return web.json_response({"message": "later"}, status=status, headers={"Retry-After": "0.05"})
        return web.json_response({"_id": "me"})

    async with site(handler) as fw:
        assert (await fw.whoami()).id == "me"
    assert asked == 3


@pytest.mark.parametrize(("status", "sent"), [(500, 1), (502, 1), (504, 1), (429, 4), (503, 4)])
async def test_a_create_is_repeated_only_where_nothing_can_have_happened(status: int, sent: int) -> None:
    asked = 0

    async def handler(_request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.json_response({"message": "no"}, status=status, headers={"Retry-After": "0.01"})

    async with site(handler) as fw:
        with pytest.raises(UnreachableError) as failed:
            await fw.subjects.create({"label": "x"})
    assert asked == sent
    assert isinstance(failed.value, LostAnswerError) == (sent == 1)


async def test_a_redirect_to_another_host_carries_nothing_of_ours() -> None:
    seen: dict[str, str] = {}
    content = b"bytes"

    async def bucket(request: web.Request) -> web.Response:
        seen.update(request.headers)
        return web.Response(body=content)

    app = web.Application()
    app.router.add_get("/blob", bucket)
    async with TestServer(app, host="127.0.0.1") as other:

        async def handler(_request: web.Request) -> web.Response:
            raise web.HTTPFound(f"http://127.0.0.1:{other.port}/blob?sig=1", headers={"Set-Cookie": "a=b"})

        async with site(handler) as fw:
            sink = Sink()
            await transfer.fetch(fw.session, wanted(content), sink)
    assert sink.data == content
    names = {name.lower() for name in seen}
    assert not names & {"authorization", "cookie", "x-accept-feature"}
    assert SECRET not in str(seen)


def wanted(content: bytes, name: str = "f.bin", **more: Any) -> FetchFile:
    digest = transfer.HASH_PREFIX + hashlib.sha384(content).hexdigest()
    return FetchFile(
        container_type="project", container_id="p", name=name, path=name, size=len(content), hash=digest, **more
    )


class Sink:
    """What PartFile is, in memory."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    @property
    def position(self) -> int:
        return len(self.data)

    async def write(self, data: bytes) -> None:
        self.data += data

    async def restart(self) -> None:
        self.data.clear()

    async def sha384(self) -> str:
        return hashlib.sha384(self.data).hexdigest()

    def crc32(self) -> int:
        return 0


CONTENT = bytes(range(256)) * 400


async def ranged(request: web.Request, *, lie: int = 0, total: int | None = None) -> web.Response:
    first = int(request.headers["Range"].split("=")[1].rstrip("-"))
    size = len(CONTENT) if total is None else total
    head = {"Content-Range": f"bytes {first + lie}-{len(CONTENT) - 1}/{size}"}
    return web.Response(status=206, body=CONTENT[first:], headers=head)


async def test_a_part_is_continued_by_range() -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.headers["Range"] == "bytes=1000-"
        assert request.headers["Accept-Encoding"] == "identity"
        return await ranged(request)

    async with site(handler) as fw:
        sink = Sink(CONTENT[:1000])
        took = await transfer.fetch(fw.session, wanted(CONTENT), sink)
    assert bytes(sink.data) == CONTENT
    assert (took.moved, took.proof) == (len(CONTENT) - 1000, "hash")


@pytest.mark.parametrize("kind", ["ignored", "wrong start", "wrong total", "416", "wrong bytes"])
async def test_a_range_that_can_t_be_trusted_means_a_fresh_start(kind: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        if "Range" not in request.headers or kind == "ignored":
            return web.Response(body=CONTENT)
        if kind == "416":
            return web.json_response({"message": "no"}, status=416)
        return await ranged(request, lie=5 * (kind == "wrong start"), total=77 if kind == "wrong total" else None)

    async with site(handler) as fw:
        sink = Sink(b"x" * 1000 if kind == "wrong bytes" else CONTENT[:1000])
        await transfer.fetch(fw.session, wanted(CONTENT), sink)
    assert bytes(sink.data) == CONTENT


@pytest.mark.parametrize("kind", ["html", "short", "long", "damaged"])
async def test_a_body_that_is_never_right_is_an_error(kind: str) -> None:
    async def handler(_request: web.Request) -> web.Response:
        bodies = {"html": b"<html>", "short": CONTENT[:-1], "long": CONTENT + b"x", "damaged": b"y" + CONTENT[1:]}
        return web.Response(
            body=bodies[kind], content_type="text/html" if kind == "html" else "application/octet-stream"
        )

    async with site(handler) as fw:
        with pytest.raises(ProtocolError if kind == "html" else IntegrityError):
            await transfer.fetch(fw.session, wanted(CONTENT), Sink())


async def test_an_encoded_body_is_refused() -> None:
    async def handler(_request: web.Request) -> web.Response:
        return web.Response(body=b"whatever", headers={"Content-Encoding": "br"})

    async with site(handler) as fw:
        with pytest.raises(ProtocolError, match="br-encoded"):
            await transfer.fetch(fw.session, wanted(CONTENT), Sink())


async def test_progress_resets_the_patience() -> None:
    """A server that cuts every 5,000 bytes needs twenty tries, five times what is allowed without progress."""

    async def handler(request: web.Request) -> web.StreamResponse:
        first = int(request.headers.get("Range", "bytes=0-").split("=")[1].rstrip("-"))
        response = web.StreamResponse(status=206 if first else 200)
        if first:
            response.headers["Content-Range"] = f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
        response.content_length = len(CONTENT) - first
        await response.prepare(request)
        await response.write(CONTENT[first : first + 5000])
        if first + 5000 < len(CONTENT):
            assert request.transport is not None
            request.transport.close()
        return response

    patient = NetworkSettings(tries=4, retry_seconds=60)
    async with site(handler, patient) as fw:
        sink = Sink()
        fw.session.policy = type(fw.session.policy)(tries=4, seconds=60, first_wait=0.001)
        took = await transfer.fetch(fw.session, wanted(CONTENT), sink)
    assert bytes(sink.data) == CONTENT
    assert took.attempts > 15
    assert took.moved == len(CONTENT)


async def test_a_stalled_body_is_cut_and_tried_again(tmp_path: Path) -> None:
    import asyncio

    asked = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            response = web.StreamResponse()
            response.content_length = len(CONTENT)
            await response.prepare(request)
            await response.write(CONTENT[:100])
            await asyncio.sleep(5)
            return response
        return await ranged(request)

    async with site(handler) as fw:
        part = PartFile(Tree(tmp_path), "part")
        await transfer.fetch(fw.session, wanted(CONTENT), part)
        part.close()
    assert (tmp_path / "part").read_bytes() == CONTENT


async def test_an_unknown_host_fails_quickly_and_clearly() -> None:
    async with Flywheel.from_key("no-such-host.invalid:secret", NetworkSettings(tries=8)) as fw:
        with pytest.raises(UnreachableError, match=r"no-such-host\.invalid: unknown host"):
            await fw.auth_status()


async def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.json_response({"_id": "me"})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    async with TestServer(app, host="127.0.0.1") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "inside.invalid")
        async with Flywheel.from_key("outside.invalid:8080:__force_insecure:secret", QUICK) as fw:
            assert (await fw.whoami()).id == "me"
        async with Flywheel.from_key("inside.invalid:8080:__force_insecure:secret", QUICK) as fw:
            with pytest.raises(UnreachableError, match="unknown host"):
                await fw.whoami()
    assert seen == ["http://outside.invalid:8080/api/users/self"]
