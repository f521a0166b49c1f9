"""Sites that have less than the sandbox: a proxy in front of it takes routes and features away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from site_ import Person
from yarl import URL

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

SPEC = "Subject ID,FirstName,LastName,sex,age,time of scan\n" + "".join(
    f"sub{n:03},First,Last,female,34,10/{13 + n}/2019 15:32\n" for n in range(9)
)


def without(*routes: str):  # type: ignore[no-untyped-def]
    """A rule that refuses requests whose `METHOD /path?query` holds any of the texts."""
    return lambda line: next((404 for route in routes if route in line), None)


def only_subjects_below(line: str) -> int | None:
    """404 for every listing below a project but that of subjects."""
    below = line.startswith("GET /api/projects/") and line.count("/") > 3
    return 404 if below and "/subjects" not in line else None


RULES = {
    "no lookup": without("POST /api/lookup"),
    "no analyses listings": without("GET /api/analyses?", "/all/analyses"),
    "no sessions below a project": only_subjects_below,
    "no patterns in filters": lambda line: 422 if "%3D~" in line or "=~" in line else None,
    "no upsert, 501": lambda line: 501 if "upsert-hierarchy" in line else None,
    "no zip directory by ranges": without("nothing"),
    "no config": without("GET /api/config"),
}


@asynccontextmanager
async def proxied(target: str, rule, *, drop: tuple[str, ...] = ()) -> AsyncIterator[int]:  # type: ignore[no-untyped-def]
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handler(request: web.Request) -> web.Response:
            line = f"{request.method} {request.raw_path}"
            if status := rule(line):
                return web.json_response({"message": "not on this site"}, status=status)
            kept = {k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length", *drop)}
            url = URL(target + request.raw_path, encoded=True)
            async with session.request(request.method, url, data=await request.read(), headers=kept) as answer:
                body = await answer.read()
                head = {
                    k: v for k, v in answer.headers.items() if k in ("Content-Type", "Content-Range", "Retry-After")
                }
                return web.Response(status=answer.status, body=body, headers=head)

        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{rest:.*}", handler)
        async with TestServer(app, host="127.0.0.1") as server:
            assert server.port is not None
            yield server.port


@pytest.mark.parametrize("name", RULES)
async def test_import_twice_and_mirror_on_a_site_with_less(tmp_path: Path, name: str) -> None:
    rule = RULES[name]
    drop = ("x-accept-feature", "range") if "ranges" in name else ()
    with ThreadedSandbox(SandboxOptions(demo=True, page_limit=50)) as running:
        async with proxied(running.url, rule, drop=drop) as port:
            person = Person(tmp_path, f"127.0.0.1:{port}:__force_insecure:{running.sandbox.site.secret}")
            (person.work / "rows.csv").write_text(SPEC)
            command = ("import", "rows.csv", "--project", "demo/first-import")
            first = await asyncio.to_thread(person.types, *command)
            assert first.returncode == 0, first.stdout + first.stderr
            assert "subjects       9 created" in first.stdout
            again = await asyncio.to_thread(person.types, *command)
            assert "(0 writes)" in again.stdout, again.stdout + again.stderr
            mirror = ("mirror", "--project", "demo/neuro-study", "--gear", "bids-freesurfer", "--to", "out")
            done = await asyncio.to_thread(person.types, *mirror, "--member", "*/stats/aseg.stats")
            assert done.returncode == 0, done.stdout + done.stderr
            assert len(list((person.work / "out").rglob("*_aseg.stats"))) == 17
