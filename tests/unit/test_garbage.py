"""The collector of cycles: put off while a command is loaded, as usual while it works."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fwsync.cli import garbage, start
from fwsync.cli.options import Common
from fwsync.config import load
from fwsync.work import Summary

USUAL = gc.get_threshold()


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    assert not gc.get_freeze_count()
    yield
    gc.unfreeze()
    gc.enable()
    gc.set_threshold(*USUAL)


def test_it_is_put_off_until_all_is_loaded() -> None:
    garbage.put_off()
    assert gc.get_threshold() == (garbage.WHILE_LOADING, *USUAL[1:])
    assert gc.isenabled(), "a command that never says that it is loaded has its garbage collected all the same"
    garbage.loaded()
    assert gc.get_threshold() == USUAL
    assert gc.get_freeze_count() > 10_000


def test_nothing_is_frozen_where_nothing_was_put_off() -> None:
    garbage.loaded()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (USUAL, 0)


def test_a_program_s_own_thresholds_are_left_alone() -> None:
    gc.set_threshold(5000, 20, 20)
    garbage.loaded()
    assert gc.get_threshold() == (5000, 20, 20)


def test_commands_work_with_the_usual_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    common, settings, seen = Common(quiet=True), load(env={}, folder=tmp_path), []

    async def work(_context: Any) -> Summary:
        seen.append(gc.get_threshold())
        return Summary(planned=0)

    garbage.put_off()
    start.run_summary(common, settings, work, offline=True)
    garbage.put_off()
    start.run_context(common, settings, work, offline=True)
    assert seen == [USUAL, USUAL]


def test_the_end_searches_for_nothing() -> None:
    garbage.leave()
    assert not gc.isenabled()
    assert gc.get_freeze_count() > 10_000
