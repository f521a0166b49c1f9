"""Gears, jobs and analyses on sites that refuse a listing, leave things out, or know no filter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings
from fwsync.errors import RemoteError, UsageError
from fwsync.model import Reference
from fwsync.operations.gears import find_gear, list_gears
from fwsync.operations.jobs import JobsAsked, Places, where_of
from fwsync.run.pastruns import in_project, on_container

PROJECT, SESSION = "a" * 24, "b" * 24
Answer = Callable[[web.Request], Any]


def job(number: int, *, gear: str = "maker", state: str = "complete", session: str = SESSION) -> dict[str, Any]:
    return {
        "_id": f"{number:024x}", "state": state, "gear_info": {"name": gear, "version": "1"},
        "destination": {"type": "session", "id": session}, "parents": {"project": PROJECT, "session": session},
        "inputs": [{"input": "image", "type": "session", "id": session, "name": "scan.nii.gz"}, {"input": "key"}, 5],
        "created": "2024-01-01T00:00:00+00:00",
    }  # fmt: skip


@asynccontextmanager
async def site(**routes: Answer | list[dict[str, Any]]) -> AsyncIterator[tuple[Flywheel, list[str]]]:
    """A site that answers these paths (`_` for `/`), by a list once or by a function; all else is 404. And what was
    asked."""
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path.removeprefix("/api/"))
        held = routes.get(asked[-1].replace(PROJECT, "P").replace(SESSION, "S").replace("/", "_"))
        if held is None:
            return web.json_response({"message": "no such route"}, status=404)
        if callable(held):
            held = held(request)
        if isinstance(held, web.Response):
            return held
        return web.json_response([] if "after_id" in request.query and isinstance(held, list) else held)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    key = f"127.0.0.1:{runner.addresses[0][1]}:__force_insecure:test-secret"
    try:
        async with Flywheel.from_key(key, NetworkSettings(tries=2)) as fw:
            yield fw, asked
    finally:
        await runner.cleanup()


async def jobs(fw: Flywheel, *given: Any) -> list[str]:
    return [one.id[-1] async for one in fw.jobs.matching(*given)]


def refused(status: int) -> Answer:
    return lambda _request: web.json_response({"message": "no"}, status=status)


async def test_a_site_that_ignores_filters_is_sorted_out_here() -> None:
    other = {**job(4), "parents": {"project": "c" * 24}}
    held = [job(1), job(2, gear="helper"), job(3, state="failed"), other]
    async with site(jobs=held) as (fw, asked):
        assert await jobs(fw, PROJECT, "maker") == ["1", "3"]
        assert await jobs(fw, PROJECT, "maker", ("failed",)) == ["3"]
        assert await jobs(fw, "") == ["1", "2", "3", "4"]
        assert set(asked) == {"jobs"}


@pytest.mark.parametrize("first", [refused(404), refused(422), []])
async def test_the_project_s_own_listing_where_the_first_gives_nothing(first: Any) -> None:
    async with site(jobs=first, projects_P_jobs=[job(1), job(2, gear="helper")]) as (fw, _):
        assert await jobs(fw, PROJECT, "maker") == ["1"]


async def test_where_every_listing_is_refused_nothing_is_taken_for_granted() -> None:
    """An empty answer would mean that the gear never ran, and it would be started again."""
    async with site(jobs=refused(404)) as (fw, _):
        with pytest.raises(RemoteError):
            await jobs(fw, PROJECT, "maker")
    async with site(jobs=[]) as (fw, _):
        assert await jobs(fw, PROJECT, "maker") == []
    async with site(jobs=refused(403), projects_P_jobs=[job(1)]) as (fw, _):
        with pytest.raises(RemoteError):
            await jobs(fw, PROJECT)


async def test_runs_of_jobs_by_container_with_the_files_they_had() -> None:
    async with site(jobs=[job(1), job(2, session="d" * 24), {"_id": "e" * 24}]) as (fw, _):
        found = [
            one async for one in in_project(fw, PROJECT, "maker", "1", level="session", analyses=False, states=False)
        ]
        assert [(container[0], run.inputs) for container, run in found] == [
            ("b", (("", SESSION, "scan.nii.gz", 0),)), ("d", (("", "d" * 24, "scan.nii.gz", 0),)),
        ]  # fmt: skip
        parent = Reference(type="session", id=SESSION)
        here = [run.id[-1] async for run in on_container(fw, parent, PROJECT, "maker", "1", analyses=False)]
        assert here == ["1"]


async def test_a_site_that_refuses_the_filter_by_destination() -> None:
    def strict(request: web.Request) -> Any:
        return refused(422)(request) if "destination" in request.query.get("filter", "") else [job(1)]

    async with site(jobs=strict) as (fw, _):
        parent = Reference(type="session", id=SESSION)
        here = [run.id[-1] async for run in on_container(fw, parent, PROJECT, "maker", "1", analyses=False)]
        assert here == ["1"]


async def test_analyses_whose_listing_leaves_out_inputs_and_parent() -> None:
    slim = {
        "_id": "1" * 24, "label": "run", "job": "2" * 24, "gear_info": {"name": "maker", "version": "1"},
        "parents": {"project": PROJECT, "session": SESSION},
    }  # fmt: skip
    whole = {**slim, "inputs": [{"name": "scan.nii.gz", "file_id": "f1", "version": 2}]}
    routes = {"analyses": [slim], f"analyses_{'1' * 24}": lambda _request: whole}
    async with site(**routes) as (fw, asked):
        ((container, run),) = [
            one async for one in in_project(fw, PROJECT, "maker", "1", level="session", analyses=True, states=False)
        ]  # fmt: skip
        assert (container, run.inputs) == (SESSION, (("f1", "", "scan.nii.gz", 2),))
        assert not any(path.startswith("jobs/") for path in asked), "states are not wanted"


async def test_places_of_jobs_whose_containers_may_not_be_seen() -> None:
    deleted = {**job(2), "parents": None}
    async with site(jobs=[job(1), deleted]) as (fw, _):
        found = [one async for one in (await Places.of(fw, JobsAsked())).jobs(fw)]
        where = await where_of(fw, found)
        assert where == {job(1)["_id"]: f"<id:{PROJECT}>/<id:{SESSION}>", deleted["_id"]: f"session {SESSION}"}


def version(number: str, *, name: str = "maker", disabled: Any = None, **more: Any) -> dict[str, Any]:
    gear = {"name": name, "version": number, **more}
    return {"_id": number.replace(".", "0").zfill(24), "category": "analysis", "gear": gear, "disabled": disabled}


async def test_the_newest_version_where_the_site_looks_nothing_up() -> None:
    """It ignores the filter by name, too, and has manifests of any kind."""
    held = [
        version("1.9.0", inputs=None, config=[]), version("1.10.0", inputs={"a": 5}, config="x"),
        version("2.0.0", disabled="2024-01-01T00:00:00Z"), version("9.0.0", name="maker2"),
    ]  # fmt: skip
    async with site(gears=held) as (fw, _):
        assert (await find_gear(fw, "maker")).gear.version == "1.10.0"
        assert (await find_gear(fw, "maker/1.9.0")).gear.version == "1.9.0"
        with pytest.raises(UsageError, match=r"maker/2\.0\.0: is disabled on"):
            await find_gear(fw, "maker/2.0.0")
        assert (await find_gear(fw, "maker/2.0.0", disabled=True)).gear.version == "2.0.0"
        with pytest.raises(UsageError, match="has none of this name; did you mean maker or maker2"):
            await find_gear(fw, "makr")
        with pytest.raises(UsageError, match=r"no such version; did you mean 1\.9\.0"):
            await find_gear(fw, "maker/1.9.1")
        with pytest.raises(UsageError, match="name one, as NAME or NAME/VERSION"):
            await find_gear(fw, "mak*")
        table = await list_gears(fw)
        assert [row[:2] for row in table.rows] == [("maker", "1.10.0"), ("maker2", "9.0.0")]
        assert len((await list_gears(fw, "maker", all_versions=True)).rows) == 3


async def test_a_gear_of_which_every_version_is_disabled() -> None:
    async with site(gears=[version("1.0.0", disabled=True)]) as (fw, _):
        with pytest.raises(UsageError, match=r"maker/1\.0\.0: is disabled on"):
            await find_gear(fw, "maker")


async def test_a_site_that_knows_no_parameters_of_the_listing_of_gears() -> None:
    def strict(request: web.Request) -> Any:
        plain = not {"all_versions", "include_invalid", "filter"} & set(request.query)
        if not plain:
            return refused(422)(request)
        return [] if "after_id" in request.query else [version("1.0.0")]

    async with site(gears=strict) as (fw, _):
        assert (await find_gear(fw, "maker")).gear.version == "1.0.0"
        assert len((await list_gears(fw)).rows) == 1
