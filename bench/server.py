"""What one request costs the sandbox: CPU time of the server process, read from the kernel's clock of that process.

usage: server.py [--size 100000] [--requests 3000] [--in-flight 48] [--data DIR]

The server runs by itself (`python -m fwsync.sandbox`), the load comes from this process, so that the client's own
cost is not in the figures. `--data` keeps the site of `--size` subjects for the next run. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp

from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.site import Site
from fwsync.sandbox.store import documents

KINDS = ("subject", "session", "acquisition")


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used, all threads, user and system (what clock_getcpuclockid(3) names)."""
    return time.clock_gettime((~pid << 3) | 2)


async def build(folder: Path, size: int) -> None:
    """A project of `size` subjects, each with one session and one acquisition, unless the folder holds one."""
    site = Site(SandboxOptions(), folder)

    def work(conn: sqlite3.Connection) -> None:
        group = documents.insert(conn, "group", {"label": "g"}, ident="g")
        documents.insert(conn, "project", {"label": "writes"}, parent=group)
        project = documents.insert(conn, "project", {"label": "reads"}, parent=group)
        for number in range(size):
            doc = {"label": f"sub-{number:06}", "sex": "female", "firstname": "Ada"}
            subject = documents.insert(conn, "subject", doc, parent=project)
            doc = {"label": "visit 1", "age": 1072224000, "timestamp": "2024-01-01T12:00:00+00:00"}
            session = documents.insert(conn, "session", doc, parent=subject)
            doc = {"label": "T1w", "timestamp": "2024-01-01T12:00:00+00:00"}
            documents.insert(conn, "acquisition", doc, parent=session)

    if site.db.reader.execute("select 1 from nodes limit 1").fetchone() is None:
        await site.db.write(work)
    site.close()


class Load:
    """Requests at one server, and what they cost it."""

    def __init__(self, pid: int, session: aiohttp.ClientSession, in_flight: int) -> None:
        self.pid, self.session, self.in_flight = pid, session, in_flight

    async def call(self, method: str, path: str, body: Any = None, features: str = "") -> Any:
        headers = {"Content-Type": "application/json", "x-accept-feature": features}
        data = None if body is None else json.dumps(body).encode()
        async with self.session.request(method, path, data=data, headers=headers) as answer:
            raw = await answer.read()
            if answer.status != 200:
                raise RuntimeError(f"{method} {path}: {answer.status} {raw[:200]!r}")
        return json.loads(raw)

    async def measured(self, name: str, jobs: Iterable[Callable[[], Awaitable[Any]]], unit: float = 1e6) -> list[Any]:
        """Run the jobs, `in_flight` at a time; print CPU and wall time for each."""
        queue, answers = iter(list(jobs)), []

        async def worker() -> None:
            answers.extend([await job() for job in queue])

        before, began = cpu_of(self.pid), time.perf_counter()
        await asyncio.gather(*(worker() for _ in range(self.in_flight)))
        spent, wall = cpu_of(self.pid) - before, time.perf_counter() - began
        label = "us" if unit == 1e6 else "ms"
        each = unit / len(answers)
        print(f"{name:58} {spent * each:8.1f} {label} CPU  {wall * each:8.1f} {label} wall  ({len(answers)})")
        return answers


async def creates(load: Load, project: str, count: int) -> None:
    """Upserts and the three classic creates, every one of a new container."""
    run = time.time_ns()
    stamp = "2024-01-01T12:00:00+01:00"

    def upsert(n: int) -> Callable[[], Awaitable[Any]]:
        body = {
            "subject": {"label": f"u{run}-{n}", "sex": "female", "firstname": "Ada"},
            "session": {"label": "visit 1", "age": 1072224000, "timestamp": stamp, "timezone": "Europe/Berlin"},
            "acquisition": {"label": "T1w", "timestamp": stamp},
        }
        return lambda: load.call("POST", f"/api/projects/{project}/upsert-hierarchy", body)

    def create(kind: str, body: dict[str, Any]) -> Callable[[], Awaitable[Any]]:
        return lambda: load.call("POST", f"/api/{kind}s", body)

    await load.measured("(warm-up)", [upsert(-n) for n in range(1, 301)])
    await load.measured("POST upsert-hierarchy, three new containers", [upsert(n) for n in range(count)])
    bodies = [{"project": project, "label": f"c{run}-{n}", "sex": "female"} for n in range(count)]
    made = await load.measured("POST subjects", [create("subject", body) for body in bodies])
    given = {"project": project, "age": 1072224000, "timestamp": stamp}
    bodies = [{**given, "subject": {"_id": one["_id"]}, "label": "visit 1"} for one in made]
    made = await load.measured("POST sessions", [create("session", body) for body in bodies])
    bodies = [{"session": one["_id"], "label": "T1w", "timestamp": stamp} for one in made]
    await load.measured("POST acquisitions", [create("acquisition", body) for body in bodies])


async def listings(load: Load, project: str, ids: dict[str, list[str]]) -> None:
    """Pages of 1,000 one after the other, at the start and at the end of the project, and filters by label."""
    load.in_flight = 1
    size = len(ids["subject"])

    def page(kind: str, after: str, features: str) -> Callable[[], Awaitable[Any]]:
        path = f"/api/projects/{project}/{kind}s?limit=1000&after_id={after}"
        return lambda: load.call("GET", path, features=features)

    for kind in KINDS:
        for place, start in (("first", 0), ("last", max(size - 11_000, 0))):
            after = ids[kind][start : start + 10_000 : 1000]
            pages = [page(kind, one, "exclude-files,pagination") for one in after]
            await load.measured(f"GET {kind}s, 1,000 a page, {place} ten", pages, 1e3)
        await load.measured(f"GET {kind}s, with files, bare", [page(kind, one, "") for one in after], 1e3)
    tests = {"subject": "sex=female", "session": "age>1000,timestamp>2020-01-01", "acquisition": "timestamp>2020-01-01"}
    for kind, test in tests.items():
        path = f"/api/projects/{project}/{kind}s?limit=1000&filter={test}&after_id="
        jobs = [lambda path=path, one=one: load.call("GET", path + one) for one in ids[kind][:10_000:1000]]
        await load.measured(f"GET {kind}s, filter={test}", jobs, 1e3)
    load.in_flight, below = 32, ids["subject"][:1000]
    jobs = [lambda one=one: load.call("GET", f"/api/subjects/{one}/sessions?limit=1000") for one in below]
    await load.measured("GET subjects/{id}/sessions, one session", jobs)
    load.in_flight = 1
    some = "|".join(re.escape(f"sub-{n:06}") for n in range(0, size, max(size // 50, 1)))
    for name, pattern in (("50 labels", f"^({some})$"), ("a pattern", "^sub-0000.[05]$")):
        path = f"/api/projects/{project}/subjects?filter=label=~{pattern}"
        jobs = [lambda path=path: load.call("GET", path, features="exclude-files")] * 3
        await load.measured(f"GET subjects, label=~, {name} of {size:,}", jobs, 1e3)


async def main() -> None:
    """Build the site, start the server, print one line for each case."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--size", type=int, default=100_000)
    flags.add_argument("--requests", type=int, default=3000)
    flags.add_argument("--in-flight", type=int, default=48)
    flags.add_argument("--data", type=Path)
    given = flags.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.data or Path(temporary)
        await build(folder, given.size)
        with sqlite3.connect(folder / "sandbox.db") as conn:
            query = "select id from nodes where kind = 'project' and label = ?"
            writes, reads = (conn.execute(query, (label,)).fetchone()[0] for label in ("writes", "reads"))
            query = "select id from nodes where kind = ? and project_id = ? order by id"
            ids = {kind: [row[0] for row in conn.execute(query, (kind, reads))] for kind in KINDS}
        conn.close()
        command = [sys.executable, "-m", "fwsync.sandbox", "--data", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            host, port, _, secret = server.stdout.readline().strip().split(":")
            connector = aiohttp.TCPConnector(limit=0)
            headers = {"Authorization": f"scitran-user {secret}"}
            async with aiohttp.ClientSession(f"http://{host}:{port}", connector=connector, headers=headers) as session:
                load = Load(server.pid, session, given.in_flight)
                await creates(load, writes, given.requests)
                await listings(load, reads, ids)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    asyncio.run(main())
