"""Tables of every kind to containers and row errors: the corpus, the way of the product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from spreadsheets import CASES, Case, site_after, take, tree_of

from fwsync.errors import InputFileError
from fwsync.run.order import Order
from fwsync.work import Outcome, WorkItem


def typed(tree: object) -> str:
    """For comparison: 1, 1.0 and True are three values."""
    return json.dumps([[list(k), v] for k, v in sorted(tree.items())], indent=1, sort_keys=True)  # type: ignore[attr-defined]


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 75
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if not case.fails], ids=lambda case: case.name)
async def test_a_table_becomes_what_it_must(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.bytes)
    taken = await take(path, tmp_path / "state", **case.settings)
    assert typed(taken.tree) == typed(case.tree)
    assert [(e.line, e.column) for e in taken.errors] == [(line, column) for line, column, _ in case.wrong]
    for error, (_, _, part) in zip(taken.errors, case.wrong, strict=True):
        assert part in error.message
    said = "\n".join(taken.warnings)
    assert [part for part in case.says if part not in said] == [], said
    # The numbers that were promised, and an order that the executor takes.
    assert taken.table.items == sum(len(e.everyone()) if isinstance(e, WorkItem) else 1 for e in taken.entries)
    assert taken.table.rejected == len(case.wrong)
    order = Order()
    for entry in taken.entries:
        assert isinstance(entry, Outcome) or not isinstance(order.offer(entry), list)
    # A site that has it all leaves nothing to do.
    again = await take(path, tmp_path / "state", site_after(taken.entries), **case.settings)
    assert tree_of(again.entries) == {}
    assert {e.state for e in again.entries if isinstance(e, Outcome)} <= {"unchanged", "rejected"}
    assert len(again.entries) == taken.table.items


@pytest.mark.parametrize("case", [case for case in CASES if case.fails], ids=lambda case: case.name)
async def test_a_file_that_can_not_be_used_is_one_line(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.file
    path.write_bytes(case.bytes)
    with pytest.raises(InputFileError) as caught:
        await take(path, tmp_path / "state", **case.settings)
    assert case.fails in caught.value.line
    assert caught.value.line.startswith(str(path))
