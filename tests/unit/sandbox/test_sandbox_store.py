"""The sandbox's database: many writes in one commit, each whole or not at all; labels; a folder of an earlier version."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.sandbox.query import labels
from fwsync.sandbox.query.filters import Clause
from fwsync.sandbox.query.patterns import compiled
from fwsync.sandbox.store import documents, schema
from fwsync.sandbox.store.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "x.db")
    yield opened
    opened.close()


def adds(ident: str, *, fails: bool = False) -> Callable[[sqlite3.Connection], str]:
    def work(conn: sqlite3.Connection) -> str:
        documents.insert(conn, "group", {"label": ident}, ident=ident)
        if fails:
            raise ValueError(ident)
        return ident

    return work


async def test_a_write_that_fails_half_way_is_undone_alone(database: Database) -> None:
    works = [adds(f"g{number}", fails=number % 7 == 3) for number in range(40)]
    answers = await asyncio.gather(*(database.write(work) for work in works), return_exceptions=True)
    assert [isinstance(one, ValueError) for one in answers] == [number % 7 == 3 for number in range(40)]
    held = {row["id"] for row in database.reader.execute("select id from nodes")}
    assert held == {f"g{number}" for number in range(40) if number % 7 != 3}


async def test_a_write_whose_caller_has_gone_is_done_all_the_same(database: Database) -> None:
    task = asyncio.ensure_future(database.write(adds("g")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(adds("h"))
    assert documents.find(database.reader, "g")


async def test_what_is_remembered_is_read_again_after_a_commit(database: Database) -> None:
    def count() -> int:
        return int(database.reader.execute("select count(*) from nodes").fetchone()[0])

    for number in range(3):
        assert database.remembered("n", count) == number
        assert database.remembered("n", lambda: -1) == number
        await database.write(adds(f"g{number}"))


def test_a_folder_of_an_earlier_version_loses_its_old_indexes(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute(schema.STATEMENTS[0])
        connection.execute("create index nodes_project on nodes (kind, project_id, id)")
    connection.close()
    database = Database(tmp_path / "x.db")
    held = {row["name"] for row in database.reader.execute("select name from sqlite_master where type = 'index'")}
    database.close()
    assert "nodes_project" not in held
    assert "nodes_in_project" in held


LABELS = st.text(alphabet="ab.|\\$-_ \n(é", max_size=6)


@given(st.lists(LABELS, min_size=1, max_size=4), st.lists(LABELS, max_size=6))
def test_the_labels_that_a_pattern_names_are_all_that_it_matches(named: list[str], others: list[str]) -> None:
    pattern = compiled(f"^({'|'.join(map(re.escape, named))})$")
    found = labels.named_by(Clause("label", "=~", pattern, pattern.text))
    assert found is not None
    assert {one for one in [*named, *others] if pattern.search(one)} <= set(found)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@given(st.text(alphabet="^$()|ab.*?:\\[]{}+1 ", max_size=12), st.text(alphabet="ab1 \n", max_size=4))
def test_a_pattern_never_matches_a_label_that_it_is_not_said_to_name(text: str, label: str) -> None:
    try:
        pattern = compiled(text)
    except ValueError:  # no pattern, or one that is refused as too costly
        return
    found = labels.named_by(Clause("label", "=~", pattern, text))
    assert found is None or not pattern.search(label) or label in found
