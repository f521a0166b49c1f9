"""Fills a site with the demo projects, once."""

from __future__ import annotations

import sqlite3

from fwsync.sandbox.demo.builder import Builder
from fwsync.sandbox.demo.projects import Gears, bids_sample, neuro_study, tutorial
from fwsync.sandbox.site import Site


async def build_once(site: Site) -> None:
    """Build the demo site unless this data folder has it already."""

    def work(conn: sqlite3.Connection) -> None:
        if conn.execute("select 1 from facts where name = 'demo'").fetchone():
            return
        builder = Builder(conn, site.blobs)
        gears = Gears(builder)
        demo = builder.group("demo", "Demo")
        neuro_study(builder, demo, gears)
        tutorial(builder, demo)
        builder.add("project", "first-import", demo, description="Empty: import something")
        bids_sample(builder, builder.group("scitran", "Scitran"))
        conn.execute("insert into facts values ('demo', '1')")

    await site.db.write(work)
