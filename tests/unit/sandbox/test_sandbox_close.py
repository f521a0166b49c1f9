"""A database that is closed while something reads stops the reading; it never takes the process with it."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from pathlib import Path

import pytest

from fwsync.sandbox.store import schema
from fwsync.sandbox.store.scans import SiteDatabase

FOREVER = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n"


@pytest.mark.parametrize("query", [FOREVER, "select count(*) from nodes"], ids=["one statement", "many"])
async def test_a_scan_ends_when_the_site_does(tmp_path: Path, query: str) -> None:
    database, started = SiteDatabase(tmp_path / "x.db"), threading.Event()

    def scan(conn: sqlite3.Connection) -> None:
        started.set()
        while True:
            conn.execute(query).fetchall()

    reading = asyncio.ensure_future(database.scan(scan))
    await asyncio.to_thread(started.wait)
    await asyncio.to_thread(database.close)
    with pytest.raises(sqlite3.Error):
        await reading


def test_files_of_a_container_are_looked_up_by_it(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:")
    for statement in schema.STATEMENTS:
        connection.execute(statement)
    for query in (
        "select * from files where parent_id in (?, ?) and current = 1 order by row",
        "select * from files where parent_id = ? and name = ? and current = 1",
        "select * from files where file_id = ? and current = 1 and parent_id = ?",
    ):
        plan = connection.execute("explain query plan " + query, ("x", "y")).fetchall()
        assert any("parent_id=?" in row[3] or "file_id=?" in row[3] for row in plan), (query, plan)


def test_children_are_looked_up_by_their_parent() -> None:
    connection = sqlite3.connect(":memory:")
    for statement in schema.STATEMENTS:
        connection.execute(statement)
    found = []
    for path in (Path(schema.__file__).parents[1]).rglob("*.py"):
        text = re.sub(r'"\s*(# noqa: S608)?\s*f?"', "", path.read_text())
        for query in re.findall(r'"(select [^"]* from nodes where [^"]*parent_id = \?[^"]*)"', text):
            plain = re.sub(r"\{\w+\}", lambda part: {"{COLUMNS}": "*", "{_COLUMNS}": "*"}.get(part[0], "?"), query)
            if "{" in plain:
                continue  # put together from parts: its own test is the listing's
            plan = connection.execute("explain query plan " + plain, ["x"] * plain.count("?")).fetchall()
            assert "parent_id=?" in plan[0][3], (path.name, query, plan)
            found.append(query)
    assert len(found) > 8
