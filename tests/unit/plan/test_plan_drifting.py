"""What differs at one path, in a word."""

from __future__ import annotations

import pytest

from fwsync.plan.drifting import DRIFTS, Drift, drift_of, local_drift
from fwsync.plan.mirroring import Indexed, Local
from fwsync.plan.syncing import Abreast, Claimed
from fwsync.run.drifting import local_lines
from fwsync.work import FetchFile

LEFT, TOUCHED = Local(5, 100), Local(5, 101)


def row(version: int = 1, path: str = "a") -> Indexed:
    return Indexed(path=path, file_id="f", version=version, hash="h", member=None, size=5, mtime_ns=100)


def wanted(version: int = 1, file_id: str = "f") -> FetchFile:
    return FetchFile(
        container_type="project", container_id="p", name="a", path="a", file_id=file_id, version=version, hash="h"
    )


@pytest.mark.parametrize(
    ("fetch", "held", "local", "drift"),
    [
        (wanted(), None, None, "new"),
        (wanted(), None, LEFT, "in the way"),
        (wanted(), row(), None, "missing"),
        (wanted(), row(), LEFT, None),
        (wanted(2), row(), LEFT, "changed"),
        (wanted(file_id="g"), row(), LEFT, "changed"),
        (wanted(), row(), TOUCHED, "edited"),
        (wanted(2), row(), TOUCHED, "edited"),
        (None, row(), LEFT, "gone"),
        (None, row(), TOUCHED, "edited"),
        (None, row(), None, None),
        (wanted(), row(), Local(-1, 0), "edited"),
    ],
)
def test_one_path(fetch: FetchFile | None, held: Indexed | None, local: Local | None, drift: Drift | None) -> None:
    claimed = Claimed(held, mine=True, others=False) if held else None
    assert drift_of(Abreast("a", 1 if fetch else None, fetch, claimed, local)) == drift
    assert drift is None or drift in DRIFTS


@pytest.mark.parametrize(
    ("mine", "others", "drift"), [(True, True, "gone"), (False, True, None), (False, False, "gone")]
)
def test_what_only_other_selections_want_is_not_gone(mine: bool, others: bool, drift: Drift | None) -> None:
    assert drift_of(Abreast("a", None, None, Claimed(row(), mine, others), LEFT)) == drift


def test_index_and_tree_alone() -> None:
    index = [row(path="b"), row(path="d"), row(path="e")]
    found = [("a", LEFT), ("b", LEFT), ("c", LEFT), ("d", TOUCHED), ("f", LEFT)]
    assert list(local_lines(index, found)) == [
        (None, "a", False), (None, "b", True), (None, "c", False), ("edited", "d", True), ("missing", "e", True),
        (None, "f", False),
    ]  # fmt: skip
    assert local_drift(row(), LEFT) is None
