"""Sites that answer the same facts in other ways than the sandbox: a proxy rewrites what it says."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from site_ import Person, digests
from test_selecting import everything, sdk_digests
from yarl import URL

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

Rewrite = Callable[[Any], Any]


def each(change: Callable[[dict[str, Any]], None]) -> Rewrite:
    """A change to every object in a document, whatever it is in."""

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            for inner in list(value.values()):
                walk(inner)
            change(value)
        for inner in value if isinstance(value, list) else ():
            walk(inner)
        return value

    return walk


def without(*fields: str) -> Rewrite:
    """File entries that lack these fields."""

    def change(one: dict[str, Any]) -> None:
        if "name" in one and "size" in one:
            for field in fields:
                one.pop(field, None)

    return each(change)


def extra(one: dict[str, Any]) -> None:
    """Fields that no client has heard of, and nulls where lists are usual."""
    one |= {"zz_new": {"deep": [1, {"name": "not a file", "size": 1}]}, "quota": None}
    for field in ("tags", "notes", "classification", "info"):
        if one.get(field) in ([], {}):
            one[field] = None


def short_times(one: dict[str, Any]) -> None:
    """Times without their fraction and with Z, as some versions write them."""
    for field in ("created", "modified", "timestamp"):
        if isinstance(one.get(field), str) and one[field].endswith("+00:00"):
            one[field] = one[field].partition(".")[0].removesuffix("+00:00") + "Z"


class Unseen:
    """A proxy in front of a sandbox. `links` are the signed links it gave: each is good once, without a key."""

    def __init__(self, target: str, rewrite: Rewrite | None, page: int, bodies: str) -> None:
        self._target, self._rewrite, self._page, self._bodies = target, rewrite, page, bodies
        self.links: dict[str, tuple[str, dict[str, str]]] = {}
        self._numbers = itertools.count()
        self.bucket = ""
        """Where signed links lead: another origin than the site's."""
        self.leaks: list[str] = []
        self.redirects = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path.rstrip("/") == "/api/files" and self._rewrite is NO_IDS:
            return web.json_response({"message": "no such route"}, status=404)  # a site of that age
        url = URL(self._target + request.raw_path, encoded=True)
        if self._page and request.method == "GET" and int(request.query.get("limit", "0")) > self._page:
            url = url.update_query(limit=str(self._page))
        is_body = request.method == "GET" and "/files/" in request.path and "info" not in request.query
        if (
            is_body
            and self._bodies == "signed"
            and request.query.get("view")
            and not request.path.endswith("/versions")
        ):
            self.redirects += 1
            name = f"/bucket/{next(self._numbers)}?X-Amz-Signature=a%2Fb%2Bc&part=1%202"
            kept = {"Authorization": request.headers["Authorization"]}
            self.links[name] = str(url), kept
            return web.Response(status=307, headers={"Location": self.bucket + name})
        return await self._pass(
            request, url, {k: v for k, v in request.headers.items() if k.lower() != "host"}, is_body
        )

    async def bucket_handler(self, request: web.Request) -> web.StreamResponse:
        if "Authorization" in request.headers:
            self.leaks.append(request.raw_path)
        url, headers = self.links.pop(request.raw_path, ("", {}))
        if not url:
            return web.Response(
                status=403, text="<Error><Code>AccessDenied</Code></Error>", content_type="application/xml"
            )
        if "Range" in request.headers:
            headers = {**headers, "Range": request.headers["Range"]}
        return await self._pass(request, URL(url, encoded=True), headers, True)

    async def _pass(self, request: web.Request, url: URL, headers: dict[str, str], is_body: bool) -> web.StreamResponse:
        if is_body and self._bodies == "chunked":
            headers = {k: v for k, v in headers.items() if k.lower() != "range"}
        kept = {k: v for k, v in headers.items() if k.lower() != "content-length"}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, url, data=await request.read(), headers=kept, allow_redirects=False
            ) as answer,
        ):
            body = await answer.read()
            told = {k: v for k, v in answer.headers.items() if k in ("Content-Type", "Content-Range", "Retry-After")}
            if self._rewrite and answer.content_type == "application/json" and not is_body:
                body = json.dumps(self._rewrite(json.loads(body))).encode()
            if is_body and self._bodies == "chunked":  # no Content-Length, pieces of odd sizes
                response = web.StreamResponse(status=answer.status, headers=told)
                response.enable_chunked_encoding()
                await response.prepare(request)
                for start in range(0, len(body), 777):
                    await response.write(body[start : start + 777])
                return response
            return web.Response(status=answer.status, body=body, headers=told)


@asynccontextmanager
async def unseen(target: str, rewrite: Rewrite | None, page: int, bodies: str) -> AsyncIterator[tuple[Unseen, int]]:
    site = Unseen(target, rewrite, page, bodies)
    app = web.Application(client_max_size=1 << 30)
    app.router.add_route("*", "/{rest:.*}", site.handle)
    bucket = web.Application()
    bucket.router.add_get("/bucket/{name}", site.bucket_handler)
    async with TestServer(app, host="127.0.0.1") as server, TestServer(bucket, host="127.0.0.1") as other:
        assert server.port is not None
        site.bucket = f"http://127.0.0.1:{other.port}"
        yield site, server.port


NO_IDS = without("file_id", "_id")
SITES: dict[str, tuple[Rewrite | None, int, str]] = {
    "pages of seven": (None, 7, "plain"),
    "unknown fields and nulls": (each(extra), 0, "plain"),
    "no hashes": (without("hash", "client_hash"), 0, "plain"),
    "no hashes, sizes or versions": (without("hash", "client_hash", "version", "mimetype", "modified"), 40, "plain"),
    "no ids of files": (NO_IDS, 0, "plain"),
    "no parents on files": (without("parents"), 0, "plain"),
    "other forms of times": (each(short_times), 13, "plain"),
    "signed redirects, good once": (None, 0, "signed"),
    "signed redirects, no hashes": (without("hash"), 100, "signed"),
    "chunked bodies without ranges": (None, 0, "chunked"),
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", SITES)
async def test_the_tree_is_what_the_sdk_fetches_from_the_plain_site(tmp_path: Path, name: str) -> None:
    rewrite, page, bodies = SITES[name]
    with ThreadedSandbox(SandboxOptions(demo=True)) as running:
        import flywheel

        def expected() -> dict[str, str]:
            return sdk_digests(everything(flywheel.Client(running.key).lookup("scitran/BIDS-Sample")))

        whole = await asyncio.to_thread(expected)
        async with unseen(running.url, rewrite, page, bodies) as (site, port):
            person = Person(tmp_path, f"127.0.0.1:{port}:__force_insecure:{running.sandbox.site.secret}")
            command = ("mirror", "--project", "scitran/BIDS-Sample", "--to", "out", "--json")
            done = await asyncio.to_thread(person.types, *command)
            assert done.returncode == 0, done.stdout + done.stderr
            assert digests(person.work / "out") == whole
            again = await asyncio.to_thread(person.types, *command)
            told = json.loads(again.stdout.splitlines()[-1])
            assert (again.returncode, told["states"], told["bytes"]) == (0, {"unchanged": len(whole)}, 0), again.stderr
            gear = ("--gear", "bids-freesurfer", "--member", "*/stats/aseg.stats", "--to", "gear")
            done = await asyncio.to_thread(person.types, "mirror", "--project", "demo/neuro-study", *gear)
            assert done.returncode == 0, done.stdout + done.stderr
            found = list((person.work / "gear").rglob("*_aseg.stats"))
            assert len(found) == 17
            assert len({hashlib.sha384(path.read_bytes()).hexdigest() for path in found}) > 1
            assert site.leaks == [], "a signed link was sent the key"
            assert (site.redirects > 0) == (bodies == "signed")
