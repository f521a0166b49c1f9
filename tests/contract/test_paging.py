"""Pages of a listing: larger while they come quickly, smaller where a site can't give so many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fwsync.client import paging, retry
from fwsync.client.api import Flywheel
from fwsync.client.paging import PageSize
from fwsync.config import NetworkSettings
from fwsync.errors import RemoteError, UnreachableError

SETTINGS = NetworkSettings(tries=4, retry_seconds=5, read_timeout=5.0)


@pytest.fixture(autouse=True)
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page is slow, and no retry waits: how fast the machine is must not matter."""
    monkeypatch.setattr(paging, "QUICK", float("inf"))
    monkeypatch.setattr(retry, "chance", lambda: 0.0)


class Site:
    """`count` sessions; `refuse` may answer in place of a page, by the size that is asked for."""

    def __init__(self, count: int, refuse: Callable[[int], int] = lambda _limit: 0, cap: int = 10**6) -> None:
        self.count, self.refuse, self.cap = count, refuse, cap
        self.limits: list[int] = []
        self.counts = True

    async def answer(self, request: web.Request) -> web.Response:
        limit = int(request.query["limit"])
        self.limits.append(limit)
        if status := self.refuse(limit):
            return web.json_response({"message": "no"}, status=status)
        start = int(request.query.get("after_id", "0"), 16)
        found = [{"_id": f"{n:024x}", "label": f"ses-{n}"} for n in range(start + 1, self.count + 1)]
        page = found[: min(limit, self.cap)]
        return web.json_response({"total": self.count, "results": page} if self.counts else page)


@asynccontextmanager
async def opened(site: Site, settings: NetworkSettings = SETTINGS) -> AsyncIterator[Flywheel]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", site.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        key = f"127.0.0.1:{server.port}:__force_insecure:secret-of-paging"
        async with Flywheel.from_key(key, settings) as fw:
            yield fw


async def listed(site: Site, settings: NetworkSettings = SETTINGS) -> list[int]:
    """The numbers of the sessions that a listing gives, in its order."""
    async with opened(site, settings) as fw:
        return [int(one.id, 16) for one in [one async for one in fw.sessions.iter()]]


async def test_pages_grow_and_every_document_comes_once() -> None:
    site = Site(7000)
    assert await listed(site) == list(range(1, 7001))
    assert site.limits == [1000, 2000, 2000, 2000]


async def test_a_hundred_thousand_files_take_fifty_one_pages() -> None:
    size = PageSize(1000)
    pages, left = 0, 100_000
    while left > 0:
        left -= size.now
        pages += 1
        size.answered(0.1, 700 * size.now)
    assert pages == 51


@pytest.mark.parametrize("asked", [2, 999, 2500])
async def test_a_smaller_setting_is_never_exceeded_nor_a_larger_one_grown(asked: int) -> None:
    site = Site(3 * asked)
    assert len(await listed(site, msgspec.structs.replace(SETTINGS, page_size=asked))) == 3 * asked
    assert set(site.limits) == {asked}


async def test_heavy_pages_do_not_grow() -> None:
    size = PageSize(1000)
    size.answered(0.1, paging.LIGHT + 1)
    assert size.now == 1000


async def test_slow_pages_do_not_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "QUICK", 2.0)
    size = PageSize(1000)
    size.answered(2.1, 1000)
    assert size.now == 1000
    size.answered(0.1, 1000)
    size.failed(30.0)  # a time-out: never again so many
    size.answered(0.1, 1000)
    assert size.now == 1000


@pytest.mark.parametrize("counts", [True, False])
async def test_a_cap_below_what_is_asked_for_loses_nothing(counts: bool) -> None:
    site = Site(1000, cap=300)
    site.counts = counts
    assert await listed(site) == list(range(1, 1001))
    assert len(site.limits) == (4 if counts else 5), "an empty page ends what is not counted"


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_size_that_a_site_refuses_is_tried_once(status: int) -> None:
    site = Site(4500, refuse=lambda limit: status if limit > 1000 else 0)
    assert await listed(site) == list(range(1, 4501))
    assert site.limits == [1000, 2000, 1000, 1000, 1000, 1000]


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_a_size_that_fails_twice_is_given_up(status: int) -> None:
    site = Site(6000, refuse=lambda limit: status if limit > 1000 else 0)
    assert await listed(site) == list(range(1, 6001))
    assert site.limits == [1000, 2000, 1000, 2000, 1000, 1000, 1000, 1000]


async def test_a_site_that_can_t_give_the_usual_page_gives_smaller_ones() -> None:
    site = Site(600, refuse=lambda limit: 504 if limit > 250 else 0)
    assert await listed(site) == list(range(1, 601))
    assert site.limits[:3] == [1000, 500, 250]


async def test_one_failure_by_chance_costs_little() -> None:
    failures = iter([0, 0, 500, 0, 0, 0, 0, 0])
    site = Site(9000, refuse=lambda _limit: next(failures))
    assert await listed(site) == list(range(1, 9001))
    assert site.limits == [1000, 2000, 2000, 1000, 2000, 2000, 2000]


async def test_a_busy_site_is_asked_for_the_same_page_again() -> None:
    answers = iter([0, 503, 429, 0, 0])
    site = Site(4000, refuse=lambda _limit: next(answers))
    assert await listed(site) == list(range(1, 4001))
    assert site.limits == [1000, 2000, 2000, 2000, 2000]


async def test_a_site_that_never_answers_is_given_up_after_the_usual_tries() -> None:
    site = Site(10, refuse=lambda _limit: 502)
    with pytest.raises(UnreachableError):
        await listed(site)
    assert site.limits == [1000, 500, 250, 125]


async def test_a_refusal_of_the_usual_size_is_told() -> None:
    site = Site(10, refuse=lambda _limit: 400)
    with pytest.raises(RemoteError, match="no"):
        await listed(site)
    assert site.limits == [1000]


async def test_the_next_page_is_asked_for_before_the_one_at_hand_is_worked_on() -> None:
    async with opened(Site(3000)) as fw:
        pages = fw.sessions.pages()
        assert len(await anext(pages)) == 1000
        assert fw.session.requests == 2
        assert [len(page) async for page in pages] == [2000]
        assert fw.session.requests == 2
