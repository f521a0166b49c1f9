"""Keyword arguments mean what the settings of the same name mean; a wrong one is one line."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from fwsync.config import Settings, load
from fwsync.errors import ConfigError
from fwsync.library.given import flags_of


@pytest.mark.parametrize(
    ("given", "means"),
    [
        ({"project": "lab/a,b"}, ("lab/a,b",)),
        ({"project": ["lab/a", "lab/b"]}, ("lab/a", "lab/b")),
        ({"to": Path("data")}, "data"),
        ({"min_size": 10_000_000}, "10000000"),
        ({"newer": date(2024, 5, 1)}, "2024-05-01"),
        ({"older": datetime(2024, 5, 1, 8, tzinfo=UTC)}, "2024-05-01T08:00:00+00:00"),
        ({"analyses": False}, False),
        ({"level": "session"}, ("session",)),
        ({"zip_members": 5}, 5),
    ],
)
def test_values_become_settings(given: dict[str, Any], means: Any, tmp_path: Path) -> None:
    made = load(flags_of("mirror", "mirror", given), env={"HOME": str(tmp_path)}, folder=tmp_path)
    assert getattr(made.mirror, next(iter(given))) == means


def test_none_is_not_given() -> None:
    assert flags_of("mirror", "mirror", {"to": None, "gear": None}) == {}


def test_false_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "fwsync.toml").write_text("[mirror]\nanalyses = true\nsubject = ['sub-1']\n")
    flags = flags_of("mirror", "mirror", {"analyses": False, "subject": ()})
    made = load(flags, env={"HOME": str(tmp_path)}, folder=tmp_path)
    assert made.mirror == Settings().mirror


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"projct": "lab/a"}, "mirror(projct=...): there is no such setting in [mirror]; did you mean project"),
        ({"zip_members": "many"}, "mirror(zip_members=...): Expected `int`, got `str`"),
        ({"run": "newest"}, "mirror(run=...): Invalid enum value 'newest'"),
        ({"chmod": 0o640}, "mirror(chmod=...): Expected `str`, got `int`"),
        ({"min_size": True}, "mirror(min_size=...): Expected `str`, got `bool`"),
    ],
)
def test_a_mistake_is_one_line(given: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        flags_of("mirror", "mirror", given)
    assert caught.value.line.startswith(line)
