"""Flags that every command has, and how they become Settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click
import msgspec

from fwsync.config import Settings, load

F = TypeVar("F", bound=Callable[..., Any])


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """The values of the common flags."""

    config: str | None = None
    profile: str | None = None
    api_key_file: str | None = None
    ca_bundle: str | None = None
    quiet: bool = False
    verbose: bool = False
    log_format: str | None = None
    progress: str = "auto"
    json: bool = False

    def settings(self, **flags: Any) -> Settings:
        """The settings with these flags on top; keys are `section__name`."""
        dotted = {key.replace("__", ".", 1): value for key, value in flags.items() if value not in (None, ())}
        dotted["network.ca_bundle"] = self.ca_bundle
        dotted["log.format"] = self.log_format
        dotted["log.level"] = "info" if self.verbose else None
        return load(dotted, config=self.config, profile=self.profile)


_FLAGS = (
    click.option("--config", metavar="FILE", help="Configuration file (default: ./fwsync.toml, then the XDG one)."),
    click.option("--profile", metavar="NAME", help="Use the tables [profiles.NAME.*] of the configuration file."),
    click.option("--api-key-file", metavar="FILE", help="File that holds the API key; wins over every other source."),
    click.option("--ca-bundle", metavar="FILE", help="Certificate authorities to trust, as a PEM file."),
    click.option("-q", "--quiet", is_flag=True, help="Errors and the final verdict only."),
    click.option("-v", "--verbose", is_flag=True, help="Log retries and fall-backs too."),
    click.option("--log-format", type=click.Choice(["plain", "json"]), help="Form of log lines on standard error."),
    click.option(
        "--progress",
        type=click.Choice(["auto", "bar", "lines", "none"]),
        default="auto",
        help="Bars on a terminal and plain lines elsewhere, or always one of them.",
    ),
    click.option("--json", "json", is_flag=True, help="One JSON object per line on standard output, nothing else."),
)


_MOVING = (
    click.option(
        "--wait",
        "state__wait",
        is_flag=False,
        flag_value="forever",
        metavar="[INTERVAL]",
        help="While another run is at work on the same target wait, for so long (5m, 2h) or until it ends.",
    ),
    click.option(
        "--bwlimit",
        "network__bwlimit",
        metavar="RATE",
        help="Most bytes per second, e.g. 50M, or by time of day: '08:00,2M 18:00,off'.",
    ),
)


def waiting(command: F) -> F:
    """Add the flag of commands that take turns with others: `state__wait`."""
    return _MOVING[0](command)


def moving(command: F) -> F:
    """Add the flags of commands that move files: `state__wait` and `network__bwlimit`."""
    for flag in reversed(_MOVING):
        command = flag(command)
    return command


def in_section(section: str, flags: dict[str, Any]) -> dict[str, Any]:
    """Flags as `Common.settings` takes them: those that name no section belong to this one."""
    return {name if "__" in name else f"{section}__{name}": value for name, value in flags.items()}


def common(command: F) -> F:
    """Add the common flags; the command gets them as one `Common` named `common`."""
    return bundled(command, "common", Common, _FLAGS)


def bundled(command: F, name: str, struct: type[msgspec.Struct], flags: Iterable[Callable[[Any], Any]]) -> F:
    """Add flags of which a command gets the values as one struct, by the keyword `name`."""

    def wrapped(**given: Any) -> Any:
        values = {field: given.pop(field) for field in struct.__struct_fields__}
        return command(**{name: struct(**values)}, **given)

    wrapped.__doc__ = command.__doc__
    wrapped.__name__ = command.__name__
    wrapped.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for flag in reversed(tuple(flags)):
        flag(wrapped)
    return wrapped  # type: ignore[return-value]
