"""A process of its own that fetches with a crew: a test runner has threads, and beside threads nothing is forked.

usage: crew_.py KEY FOLDER FILES [kill-one|idle|busy|twice]     FILES: a file of JSON, a list of FetchFile
Prints one JSON object: what came, and who brought it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import msgspec

from fwsync import logs
from fwsync.client.api import Flywheel
from fwsync.config import NetworkSettings
from fwsync.plan.mirroring import WantedFile, item_of
from fwsync.run.crew import Crew, Lane
from fwsync.run.fetching import Fetcher
from fwsync.run.journal import Journal
from fwsync.run.pool import LocalPool
from fwsync.run.tree import Tree
from fwsync.work import FetchFile, Outcome, Plan

brought: Counter[str] = Counter()
by_lanes: list[int] = []
told: list[str] = []


def children() -> list[int]:
    """The processes that this one has forked."""
    return [int(one) for one in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()]


def watched(act: str) -> None:
    """Count what lanes bring; `kill-one` kills the other process when it has its third batch;
    `busy` names it by then."""
    plain = Lane.bring

    async def bring(self: Lane, files: Any, way: Any) -> Any:
        brought["asked"] += 1
        if act == "busy" and brought["asked"] == 3:
            print(json.dumps({"children": children()}), flush=True)
        if act == "kill-one" and brought["asked"] == 3:
            os.kill(children()[0], signal.SIGKILL)
        came = await plain(self, files, way)
        brought["lane"] += len(came.files)
        return came

    Lane.bring = bring  # type: ignore[method-assign]


async def run(crew: Crew, key: str, folder: Path, files: list[FetchFile], act: str) -> dict[str, Any]:
    tree, outcomes = Tree(folder / "tree"), list[Outcome]()
    await tree.prepare()
    settings = NetworkSettings(tries=8, read_timeout=5)
    async with (
        Flywheel.from_key(key, settings, on_retry=lambda *one: told.append(one[0])) as fw,
        Journal(folder / "state") as journal,
    ):
        error = ""
        # A watch has many runs, and one crew.
        for number, part in enumerate((files[::2], files[1::2]) if act == "twice" else (files,)):
            fetcher = Fetcher(fw, journal, tree, f"run{number}", crew=crew)
            await fetcher.prepare()
            plan = Plan.of([item_of(WantedFile(file, file.path)) for file in part])
            before = brought["lane"]
            try:
                await LocalPool(fetcher.handlers(), batching=fetcher.batching()).run(plan, outcomes.append)
            except Exception as caught:
                error = type(caught).__name__
            by_lanes.append(brought["lane"] - before)
        if act == "idle":
            print(json.dumps({"children": children()}), flush=True)
            await anyio.sleep_forever()
        return {
            "states": Counter(one.state for one in outcomes), "by_lanes": by_lanes, "error": error,
            "reasons": {one.target: one.reason for one in outcomes if one.state == "failed"},
            "requests": fw.requests, "retries": fw.retries, "told": len(told),
            "limits": [fw.session.calls.limit, settings.max_calls],
            "renaming": len(await journal.renaming(str(tree.real))),
        }  # fmt: skip


def main() -> None:
    key, folder, listed, act = [*sys.argv[1:4], (sys.argv[4:5] or [""])[0]]
    logs.set_up()
    crew = Crew.fork(1)
    watched(act)
    files = msgspec.json.decode(Path(listed).read_bytes(), type=list[FetchFile])
    try:
        found = anyio.run(run, crew, key, Path(folder), files, act)
    finally:
        crew.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
