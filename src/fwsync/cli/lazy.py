"""Groups of commands that are loaded when they are used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Imports a command's module when it is asked for. `lazy` tells where commands are defined (`module:name` in
    `cli/commands`), and their one line of help: `--help` must not load what it lists."""

    def __init__(self, *given: Any, lazy: Mapping[str, tuple[str, str]], **named: Any) -> None:
        super().__init__(*given, **named)
        self.lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return None
        module, name = self.lazy[cmd_name][0].split(":")
        found: click.Command = getattr(importlib.import_module(f"fwsync.cli.commands.{module}"), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.lazy.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in self.lazy:
            import difflib

            close = difflib.get_close_matches(name, self.lazy, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; {ctx.command_path} --help lists the commands"
            raise click.UsageError(f"no such command {name!r}{hint}")
        return super().resolve_command(ctx, args)
