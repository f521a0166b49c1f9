"""One project of 1,000,000 acquisitions: what a page of it costs, and a look-up by label over the whole site.

usage: million.py [--size 1000000] [--data DIR]

Server CPU for each request, as in server.py; `--data` keeps the site (about 1 GB) for the next run. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import aiohttp
from server import Load

from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.site import Site
from fwsync.sandbox.store import documents

EACH = 100


async def build(folder: Path, size: int) -> None:
    """A project `big`: a subject and a session for each hundred acquisitions; a label of its own for one of each."""
    site = Site(SandboxOptions(), folder)

    def work(conn: sqlite3.Connection) -> None:
        group = documents.insert(conn, "group", {"label": "g"}, ident="g")
        for number in range(20):
            documents.insert(conn, "project", {"label": f"p-{number}"}, parent=group)
        project = documents.insert(conn, "project", {"label": "big"}, parent=group)
        for number in range(size // EACH):
            subject = documents.insert(conn, "subject", {"label": f"sub-{number:06}"}, parent=project)
            session = documents.insert(conn, "session", {"label": f"ses-{number:06}"}, parent=subject)
            for scan in range(EACH):
                doc = {"label": f"scan-{number:06}-{scan:02}", "timestamp": "2024-01-01T12:00:00+00:00"}
                documents.insert(conn, "acquisition", doc, parent=session)

    if site.db.reader.execute("select 1 from nodes limit 1").fetchone() is None:
        await site.db.write(work)
    site.close()


async def measure(load: Load, folder: Path, size: int) -> None:
    """Pages at the start, the middle and the end of the project; then labels."""
    with sqlite3.connect(folder / "sandbox.db") as conn:
        (project,) = conn.execute("select id from nodes where kind = 'project' and label = 'big'").fetchone()
        query = "select id from nodes where kind = 'acquisition' and project_id = ? order by id"
        ids = [row[0] for row in conn.execute(query, (project,))]
    conn.close()
    for limit in (250, 1000):
        path = f"/api/projects/{project}/acquisitions?limit={limit}&after_id="
        for place, at in (("first", 0), ("middle", size // 2), ("last", size - 10 * limit - 1)):
            pages = ids[at : at + 10 * limit : limit]
            jobs = [lambda url=path + after: load.call("GET", url) for after in pages]
            await load.measured(f"GET acquisitions, {limit} a page, {place} ten of {size:,}", jobs, 1e3)
        jobs = [lambda url=path + ids[-1]: load.call("GET", url)] * 20
        await load.measured(f"GET acquisitions, {limit} a page, the empty page at the end", jobs, 1e3)
    last = size // EACH - 1
    asked = {
        "projects?filter=label=big&limit=2": 1,
        "projects?filter=label=nothing&limit=2": 0,
        f"subjects?filter=label=sub-{last:06}&limit=2": 1,
        f"sessions?filter=label=ses-{last:06}&limit=2": 1,
        f"acquisitions?filter=label=scan-{last:06}-99&limit=2": 1,
        "acquisitions?filter=label=nothing&limit=2": 0,
        "acquisitions?filter=label=nothing": 0,
        f"acquisitions?filter=label=~^(scan-{last:06}-99|nothing)$": 1,
    }
    for path, expected in asked.items():
        found = await load.measured(f"GET {path}", [lambda path=path: load.call("GET", f"/api/{path}")] * 5, 1e3)
        if any(len(one) != expected for one in found):
            raise RuntimeError(f"{path}: {len(found[0])} found, {expected} expected")


async def main() -> None:
    """Build the site, start the server, print one line for each case."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--size", type=int, default=1_000_000)
    flags.add_argument("--data", type=Path)
    given = flags.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.data or Path(temporary)
        await build(folder, given.size)
        print(f"sandbox.db: {(folder / 'sandbox.db').stat().st_size / 1e6:,.0f} MB")
        command = [sys.executable, "-m", "fwsync.sandbox", "--data", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            host, port, _, secret = server.stdout.readline().strip().split(":")
            headers = {"Authorization": f"scitran-user {secret}"}
            async with aiohttp.ClientSession(f"http://{host}:{port}", headers=headers) as session:
                await measure(Load(server.pid, session, in_flight=1), folder, given.size)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    asyncio.run(main())
