"""Keyword arguments as settings: the same names and rules as in fwsync.toml."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Mapping
from datetime import date
from typing import Any

import msgspec

from fwsync.config import SECTIONS
from fwsync.errors import ConfigError
from fwsync.operations.projects import near


def flags_of(section: str, call: str, given: Mapping[str, Any], only: Container[str] | None = None) -> dict[str, Any]:
    """Dotted settings from the keyword arguments of `call`, of which it may take all or `only` some; None: not given.

    A single text stands for a list of one; paths, moments and sizes in bytes are written out. ConfigError for a name
    that `section` does not have, with near names, and for a value that does not fit.
    """
    struct = SECTIONS[section]
    fields = {one.name: one for one in msgspec.structs.fields(struct) if only is None or one.name in only}
    out = {}
    for name, value in given.items():
        if name not in fields:
            where = f" in [{section}]" if only is None else ""
            raise ConfigError(f"{call}({name}=...): there is no such setting{where}{near(name, fields)}")
        if value is None:
            continue
        default, kind = fields[name].default, fields[name].type
        plain = _plain(value, size=kind is str and name.endswith(("_size", "_bytes")))
        if isinstance(default, tuple) and isinstance(plain, str):
            plain = (plain,)
        try:
            msgspec.convert({name: plain}, struct)
        except msgspec.ValidationError as error:
            problem = re.sub(r" - at `\$\.[^`]*`", "", str(error))
            raise ConfigError(f"{call}({name}=...): {problem}") from error
        out[f"{section}.{name}"] = plain
    return out


def _plain(value: Any, *, size: bool) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, date):
        return value.isoformat()
    if size and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(_plain(one, size=False) for one in value)
    return value
