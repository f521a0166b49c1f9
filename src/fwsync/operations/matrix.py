"""`fwsync collection matrix`: collections for every combination of some conditions."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from fwsync.config import SelectionSettings, Settings
from fwsync.errors import InputFileError
from fwsync.operations.context import Context
from fwsync.operations.curating import Build, build
from fwsync.operations.selected import WISHES_OF_CONTAINERS, Asked
from fwsync.plan.matrix import Combination, combinations
from fwsync.work import Summary

_WISHES = tuple(name for name in WISHES_OF_CONTAINERS if name != "allow_empty")
_DEFAULTS = SelectionSettings()


def read_matrix(settings: Settings, path: str) -> list[Build]:
    """The collections that a TOML file describes; one whose selection is empty is not made.

    InputFileError with the file and the key of what is wrong in it.
    """
    try:
        document = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputFileError(f"can't be read: {error.strerror}", path=path) from error
    except UnicodeDecodeError as error:
        raise InputFileError(f"is not UTF-8 text (byte {error.start})", path=path) from error
    except tomllib.TOMLDecodeError as error:
        raise InputFileError(f"is not TOML: {error}", path=path) from error
    return [_build(settings, one, path) for one in combinations(document, _WISHES, path)]


def _build(settings: Settings, one: Combination, path: str) -> Build:
    given = {name: _wish(name, value, path) for name, value in one.wishes.items()}
    asked = Asked.of(settings, {**given, "allow_empty": True}, one.paths)
    return Build.of(one.label, asked, description=one.description, exact=one.exact, max_remove=one.max_remove)


def _wish(name: str, value: Any, path: str) -> Any:
    """A wish as settings have it; a single text stands for a list of one."""
    if isinstance(getattr(_DEFAULTS, name, None), tuple) and isinstance(value, str):
        value = (value,)
    try:
        return getattr(msgspec.convert({name: value}, _Wish if name == "select" else SelectionSettings), name)
    except msgspec.ValidationError as error:
        problem = re.sub(r" - at `\$\.[^`]*`", "", str(error))
        raise InputFileError(f"selection.{name}: {problem}", path=path) from error


class _Wish(msgspec.Struct):
    select: str = ""


async def build_matrix(context: Context, path: str, *, allow_empty: bool = False, dry: bool = False) -> Summary:
    """Build every collection of a matrix. UsageError where all of their selections are empty, unless allowed."""
    builds = read_matrix(context.settings, path)
    return await build(context, builds, dry=dry, refuse_none=not allow_empty)
