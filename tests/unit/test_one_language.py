"""One selection language: every command that selects takes the same flags, and Python the same keywords."""

from __future__ import annotations

from typing import Any

import click
import pytest

from fwsync.cli.lazy import LazyGroup
from fwsync.cli.main import cli
from fwsync.config import SelectionSettings
from fwsync.library import keywords

LANGUAGE = {*SelectionSettings.__struct_fields__, "select", "allow_empty"}
OF_FILES = {"file_version", "members", "unzip"}
"""Which part of a file comes: nothing to a command about containers."""

WHOLE = ("mirror", "download")
OF_CONTAINERS = (
    "report demographics", "report overview", "report missing", "report gear-status", "report qc", "collection build",
)  # fmt: skip


def flags_of(path: str) -> dict[str, click.Parameter]:
    command: click.Command | None = cli
    context = click.Context(cli)
    for name in path.split():
        assert isinstance(command, click.Group)
        command = command.get_command(context, name)
    assert command is not None
    return {str(one.name): one for one in command.params if isinstance(one, click.Option)}


def form(option: click.Parameter) -> tuple[Any, ...]:
    """What a person types and reads."""
    return (option.opts, option.multiple, option.type.name, getattr(option, "help", ""), option.metavar)


@pytest.mark.parametrize("command", [*WHOLE, *OF_CONTAINERS, "gear run"])
def test_every_command_that_selects_takes_the_same_flags(command: str) -> None:
    flags, mirror = flags_of(command), flags_of("mirror")
    missing = OF_FILES if command not in WHOLE else set()
    if command == "gear run":
        missing = missing | {"gear", "run"}  # the gear is its argument
    for name in LANGUAGE - missing:
        assert form(flags[name]) == form(mirror[name]), name


def test_every_command_that_selects_is_known_here() -> None:
    found = set()

    def look(group: click.Group, above: str) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                look(command, f"{above}{name} ")
            elif command is not None and {"where", "classification", "from_file"} <= {
                one.name for one in command.params
            }:
                found.add(f"{above}{name}")

    look(cli, "")
    assert found >= {*WHOLE, *OF_CONTAINERS, "gear run"}
    assert isinstance(cli, LazyGroup)


def test_python_takes_the_same_keywords() -> None:
    assert set(keywords.MirrorKeywords.__annotations__) >= LANGUAGE
    assert set(keywords.DownloadKeywords.__annotations__) >= LANGUAGE
    assert set(keywords.SelectionKeywords.__annotations__) == LANGUAGE - OF_FILES
