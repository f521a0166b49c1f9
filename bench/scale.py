"""Does cost stay flat? Memory of the executor over a million items, and of pages over 100,000 acquisitions.

usage: scale.py
"""

from __future__ import annotations

import resource
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio

from fwsync.run.pool import LocalPool
from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.query.listing import Listing, select
from fwsync.sandbox.site import Site
from fwsync.sandbox.store import documents
from fwsync.work import Entry, Outcome, Plan, Summary, WorkItem


def peak() -> float:
    """Peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def a_million_items() -> None:
    """A plan of 333,334 subjects with two items below each, through handlers that do nothing."""

    def entries() -> Iterator[Entry]:
        for number in range(333_334):
            top = f"s{number}"
            yield WorkItem(kind="k", key=top, target=top)
            yield WorkItem(kind="k", key=f"{top}/a", target=top, parent=top)
            yield WorkItem(kind="k", key=f"{top}/a/b", target=top, parent=f"{top}/a")

    async def nothing(item: WorkItem, _parent: str | None) -> Sequence[Outcome]:
        return [item.outcome("done", ref="x")]

    before, began = peak(), time.perf_counter()
    summary = Summary()
    anyio.run(LocalPool({"k": nothing}).run, Plan(entries=entries), summary.add)
    seconds = time.perf_counter() - began
    print(f"{summary.settled:,} items: {seconds:.0f} s, memory {before:.0f} > {peak():.0f} MiB")


def pages_of_100_000() -> None:
    """Milliseconds per page of 1,000 acquisitions, first and last ten pages."""
    with tempfile.TemporaryDirectory() as folder:
        site = Site(SandboxOptions(), Path(folder))

        def build(conn: sqlite3.Connection) -> str:
            group = documents.insert(conn, "group", {"label": "g"}, ident="g")
            project = documents.insert(conn, "project", {"label": "p"}, parent=group)
            subject = documents.insert(conn, "subject", {"label": "s"}, parent=project)
            session = documents.insert(conn, "session", {"label": "x"}, parent=subject)
            for number in range(100_000):
                documents.insert(conn, "acquisition", {"label": f"a{number}"}, parent=session)
            return project.id

        project = anyio.run(site.db.write, build)
        times, after = [], None
        while True:
            began = time.perf_counter()
            page = select(
                site.db.reader, "acquisition", Listing(limit=1000, after_id=after), where={"project_id": project}
            )
            times.append(1000 * (time.perf_counter() - began))
            if not page:
                break
            after = page[-1]["_id"]
        first, last = statistics.median(times[:10]), statistics.median(times[-11:-1])
        print(f"{len(times) - 1} pages of 1,000: first ten {first:.1f} ms, last ten {last:.1f} ms a page (medians)")
        site.close()


if __name__ == "__main__":
    a_million_items()  # first: the peak is the process's
    pages_of_100_000()
