"""What a selection costs on a large site, and sites that answer listings, collections and queries in their own ways."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fwsync.client import paging
from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings
from fwsync.errors import RemoteError, UsageError
from fwsync.operations.scope import Scope
from fwsync.operations.shelving import Shelving, Wishes, shelve
from fwsync.plan.layout import Layout
from fwsync.plan.selecting import unmet
from fwsync.run.shelf import Shelf
from fwsync.selection import Selection, parse_where

PROJECT = f"{1:024x}"
QUICK = NetworkSettings(tries=2, retry_seconds=2, read_timeout=5.0)


def subject(n: int) -> str:
    return f"{0x10_0000 + n:024x}"


def session(n: int) -> str:
    return f"{0x20_0000 + n:024x}"


def scan(n: int) -> str:
    return f"{0x30_0000 + n:024x}"


class Site:
    """One project `lab/big`: `count` files, two on each acquisition, one acquisition a session, ten sessions a subject."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.asked: Counter[str] = Counter()
        self.queries: list[str] = []
        self.refuse: Callable[[web.Request], web.Response | None] = lambda _request: None

    def parents(self, n: int) -> dict[str, str]:
        at = n // 2
        return {"group": "lab", "project": PROJECT, "subject": subject(at // 10), "session": session(at)}

    def file(self, n: int) -> dict[str, Any]:
        return {
            "_id": f"{0x50_0000 + n:024x}", "file_id": f"{0x40_0000 + n:024x}", "version": 1, "name": f"{n}.nii.gz",
            "type": "nifti", "size": 10, "hash": None, "parents": {**self.parents(n), "acquisition": scan(n // 2)},
            "parent_ref": {"type": "acquisition", "id": scan(n // 2)},
        }  # fmt: skip

    def container(self, kind: str, n: int) -> dict[str, Any]:
        if kind == "subjects":
            return {"_id": subject(n), "label": f"sub-{n:04}", "parents": {"group": "lab", "project": PROJECT}}
        above = self.parents(2 * n)
        if kind == "sessions":
            return {"_id": session(n), "label": "ses-1", "parents": {**above, "session": None}}
        return {"_id": scan(n), "label": "T1w", "parents": above}

    def pages(self, request: web.Request, make: Callable[[int], dict[str, Any]], total: int, key: str) -> web.Response:
        after, limit = request.query.get("after_id"), int(request.query["limit"])
        start = 0
        if after:
            first = int(make(0)[key], 16) if total else 0
            start = int(after, 16) - first + 1
        found = [make(n) for n in range(start, min(start + limit, total))]
        return web.json_response({"count": len(found), "total": total, "results": found})

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/api/")
        self.asked[path] += 1
        self.queries.append(request.query.get("filter", ""))
        if (refused := self.refuse(request)) is not None:
            return refused
        scans = self.count // 2
        sizes = {"subjects": -(-scans // 10), "sessions": scans, "acquisitions": scans}
        match path.split("/"):
            case ["lookup"] | ["projects", _]:
                document = {"_id": PROJECT, "label": "big", "group": "lab", "container_type": "project", "files": []}
                return web.json_response(document)
            case ["projects", _, kind] if kind in sizes:
                return self.pages(request, lambda n: self.container(kind, n), sizes[kind], "_id")
            case ["files"]:
                return self.pages(request, self.file, self.count, "file_id")
            case ["collections"]:
                return self.pages(request, lambda n: {"_id": f"{9 + n:024x}", "label": "mine"}, 1, "_id")
            case ["collections", _, "acquisitions"]:
                return self.pages(request, lambda n: self.container("acquisitions", n), 3, "_id")
            case ["dataexplorer", "search"]:
                hit = {"project": {"_id": PROJECT}, "parent": {"_id": scan(1)}, "file": {"name": "3.nii.gz"}}
                assert (await request.json())["return_type"] == "file"
                return web.json_response([hit])
        return web.json_response({"message": "not here"}, status=404)


@asynccontextmanager
async def gathered(tmp_path: Path, site: Site, selection: Selection) -> AsyncIterator[tuple[Shelf, Shelving]]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", site.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        key = f"127.0.0.1:{server.port}:__force_insecure:secret-of-gathering"
        async with Flywheel.from_key(key, QUICK) as fw:
            scope = await Scope.open(fw, selection)
            with Shelf(tmp_path, "linux") as shelf:
                shelving = await shelve(fw, selection, scope, shelf, Wishes(layout=Layout.parse("")))
                shelf.settle()
                yield shelf, shelving


def paths(shelf: Shelf) -> list[str]:
    return [one.target for some in shelf.wanted() for _, one in some]


BIG = Selection(projects=("lab/big",))


async def test_a_large_project_costs_its_pages_and_nothing_for_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "QUICK", float("inf"))  # a busy machine must not count as a slow site
    site = Site(6000)
    async with gathered(tmp_path, site, BIG) as (shelf, _):
        assert shelf.files == 6000
        assert paths(shelf)[:2] == ["big/sub-0000/ses-1/T1w/0.nii.gz", "big/sub-0000/ses-1/T1w/1.nii.gz"]
    below = f"projects/{PROJECT}"
    assert dict(site.asked) == {
        "lookup": 1, f"{below}/subjects": 1, f"{below}/sessions": 2, f"{below}/acquisitions": 2, "files": 4
    }  # fmt: skip


async def test_sessions_of_one_label_stay_apart_where_they_are_siblings(tmp_path: Path) -> None:
    async with gathered(tmp_path, Site(60), BIG) as (shelf, _):
        found = paths(shelf)
        assert len(set(found)) == 60
        assert sum("/ses-1/" in path for path in found) == 6, "one session of each subject keeps the plain label"


async def test_conditions_and_types_are_narrowed_on_the_site(tmp_path: Path) -> None:
    site = Site(20)
    where = parse_where("session.age>=20y,file.size>1k")
    async with gathered(tmp_path, site, Selection(projects=("lab/big",), types=("nifti",), where=where)) as (shelf, _):
        assert shelf.files == 20
    assert "age>=631152000" in site.queries
    assert f"parents.project={PROJECT},size>1000,type=nifti" in site.queries


async def test_a_site_that_can_t_narrow_is_asked_for_everything(tmp_path: Path) -> None:
    site = Site(20)

    def refuse(request: web.Request) -> web.Response | None:
        narrowed = "type=" in request.query.get("filter", "")
        return web.json_response({"message": "unknown field type"}, status=422) if narrowed else None

    site.refuse = refuse
    async with gathered(tmp_path, site, Selection(projects=("lab/big",), types=("nifti",))) as (shelf, _):
        assert shelf.files == 20


async def test_conditions_that_a_site_refuses_are_a_usage_error(tmp_path: Path) -> None:
    site = Site(20)

    def refuse(request: web.Request) -> web.Response | None:
        conditioned = "age>" in request.query.get("filter", "") or "size>" in request.query.get("filter", "")
        return web.json_response({"message": "unknown field"}, status=422) if conditioned else None

    site.refuse = refuse
    for text in ("session.age>1y", "file.size>1"):
        with pytest.raises(UsageError, match="unknown field"):
            async with gathered(tmp_path, site, Selection(projects=("lab/big",), where=parse_where(text))):
                pass


async def test_a_listing_that_breaks_midway_is_never_short(tmp_path: Path) -> None:
    site = Site(5000)

    def refuse(request: web.Request) -> web.Response | None:
        broken = request.path.endswith("/files") and "after_id" in request.query
        return web.json_response({"message": "no"}, status=400) if broken else None

    site.refuse = refuse
    with pytest.raises(RemoteError, match="no"):
        async with gathered(tmp_path, site, BIG):
            pass


async def test_a_collection_leaves_its_acquisitions_in(tmp_path: Path) -> None:
    site = Site(40)
    async with gathered(tmp_path, site, Selection(collection="mine")) as (shelf, shelving):
        assert sorted(path.rsplit("/", 1)[-1] for path in paths(shelf)) == [f"{n}.nii.gz" for n in range(6)]
        assert unmet(Selection(collection="mine"), shelving.tally) == ""
    with pytest.raises(UsageError, match="did you mean mine"):
        async with gathered(tmp_path, site, Selection(collection="mien")):
            pass


async def test_a_query_leaves_its_hits_in(tmp_path: Path) -> None:
    site = Site(40)
    async with gathered(tmp_path, site, Selection(query="file.type = nifti")) as (shelf, _):
        assert [path.rsplit("/", 1)[-1] for path in paths(shelf)] == ["3.nii.gz"]

    def refuse(request: web.Request) -> web.Response | None:
        bad = request.path.endswith("search")
        return web.json_response({"message": "expected a field"}, status=400) if bad else None

    site.refuse = refuse
    with pytest.raises(UsageError, match="expected a field"):
        async with gathered(tmp_path, site, Selection(query="file.type =")):
            pass


async def test_a_query_with_more_hits_than_the_site_gives_is_no_half_answer(tmp_path: Path) -> None:
    site = Site(40)
    hits = json.dumps([{"project": {"_id": PROJECT}, "parent": {"_id": scan(1)}, "file": {"name": "x"}}] * 10_000)

    def refuse(request: web.Request) -> web.Response | None:
        return web.Response(text=hits, content_type="application/json") if request.path.endswith("search") else None

    site.refuse = refuse
    with pytest.raises(RemoteError, match="narrow it"):
        async with gathered(tmp_path, site, Selection(query="q")):
            pass
