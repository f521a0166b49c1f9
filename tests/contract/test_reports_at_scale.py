"""Reports on a site with many containers, or with odd ones."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from test_gathering import PROJECT, QUICK
from test_gathering import Site as Large

from fwsync.client import paging
from fwsync.client.api import Flywheel
from fwsync.config import Settings
from fwsync.errors import UsageError
from fwsync.operations.demographics import demographics
from fwsync.operations.missing import Wanted, missing
from fwsync.operations.overview import overview
from fwsync.operations.selected import Asked
from fwsync.report.table import Table

BELOW = f"projects/{PROJECT}"


class Odd(Large):
    """A site whose listings have no info, though there is some; sessions without parents, with odd ages and times."""

    def container(self, kind: str, n: int) -> dict[str, Any]:
        document = {**super().container(kind, n), "info_exists": n % 2 == 0}
        if kind == "sessions":
            above = document["parents"]
            document["age"] = (-1.5, 1.7e308, None, 0)[n % 4]
            document["timestamp"] = ("0001-01-01T00:00:00+14:00", "no time", None)[n % 3]
            if n == 0:
                document["parents"] = {**above, "subject": None}
                document["subject"] = {"_id": above["subject"], "label": "sub-0000"}
            if n == 1:
                document["parents"] = {**above, "subject": None}
            if n == 2:
                document["parents"] = {**above, "subject": f"{0x7777:024x}"}  # the listing does not have this one
        return document


async def reported(site: Large, name: str, wishes: dict[str, Any] | None = None, **given: Any) -> Table:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", site.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        key = f"127.0.0.1:{server.port}:__force_insecure:secret-of-reports"
        asked = Asked.of(Settings(), wishes or {}, () if wishes else ("lab/big",))
        async with Flywheel.from_key(key, QUICK) as fw:
            if name == "demographics":
                return await demographics(fw, asked, **given)
            if name == "overview":
                return await overview(fw, asked, **given)
            return await missing(fw, asked, Wanted(labels=("T1w", "T2w")), **given)


async def test_odd_sessions_are_no_bug_and_none_is_lost() -> None:
    table = await reported(Odd(80), "demographics", columns=["subject.info.k", "session.info.k"])
    assert table.notes == [
        "2 sessions are of no subject that the site lists, and in no row",
        "2 subjects have custom information that the listings of this site leave out",
        "20 sessions have custom information that the listings of this site leave out",
    ]
    assert table.facts["subjects"] == 4
    assert table.facts["sessions"] == 38
    table = await reported(Odd(80), "overview")
    assert (table.facts["sessions"], table.facts["acquisitions"]) == (40, 40)
    assert sum(row[-1] == "T1w" for row in table.rows) == 40
    table = await reported(Odd(80), "missing")
    assert (table.facts["sessions"], table.facts["missing T1w"], table.facts["missing T2w"]) == (40, 0, 40)


@pytest.mark.parametrize(
    ("name", "given", "rows", "scans"),
    [
        ("demographics", {}, 600, False),
        ("demographics", {"by": "session"}, 6000, False),
        ("overview", {"by": "subject"}, 600, True),
        ("missing", {}, 6000, True),
        ("missing", {"by": "subject"}, 600, True),
    ],
)
async def test_a_report_costs_its_pages(
    monkeypatch: pytest.MonkeyPatch, name: str, given: dict[str, Any], rows: int, scans: bool
) -> None:
    monkeypatch.setattr(paging, "QUICK", float("inf"))  # a busy machine must not count as a slow site
    site = Large(12_000)
    table = await reported(site, name, **given)
    assert len(table.rows) == rows
    listings = {f"{BELOW}/acquisitions": 4} if scans else {}
    assert dict(site.asked) == {"lookup": 1, f"{BELOW}/subjects": 1, f"{BELOW}/sessions": 4, **listings}


async def test_what_a_collection_lacks_is_asked_of_what_is_in_it() -> None:
    table = await reported(Large(80), "missing", {"collection": "mine"})
    assert (table.facts["sessions"], table.facts["missing T2w"]) == (3, 3)
    assert table.facts["subjects without any session"] == 0
    table = await reported(Large(80), "missing", {"collection": "mine"}, by="subject")
    assert (table.facts["subjects"], table.facts["missing T1w"]) == (1, 0)


class Tagged(Large):
    """A site with a tag on one acquisition, and another on one session."""

    def container(self, kind: str, n: int) -> dict[str, Any]:
        tags = {"acquisitions": ["scan"], "sessions": ["visit"]}.get(kind, []) if n == 3 else []
        return {**super().container(kind, n), "tags": tags}


async def test_tags_of_sessions_say_who_is_asked_and_tags_of_scans_can_not() -> None:
    wishes = {"project": ("lab/big",), "tag": ("visit",)}
    table = await reported(Tagged(80), "missing", wishes)
    assert table.rows == [("lab/big", "sub-0000", "ses-1", "T2w")]
    with pytest.raises(UsageError, match="no session is selected, but only what is below"):
        await reported(Tagged(80), "missing", {**wishes, "tag": ("scan",)})
    table = await reported(Tagged(80), "missing", {**wishes, "tag": ("scan",), "allow_empty": True})
    assert table.rows == []


async def test_many_sessions_need_little_memory() -> None:
    async def held(sessions: int) -> int:
        tracemalloc.start()
        try:
            table = await reported(Large(2 * sessions), "demographics", by="session")
            assert len(table.rows) == sessions
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    before = await held(2000)
    more = await held(6000)
    assert (more - before) / 4000 < 1500, "bytes a session at the peak, with what the test's own site holds"
