"""The flags by which people select, the same for every command that takes a selection."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, TypeVar

import click

from fwsync.config import PARTS

F = TypeVar("F", bound=Callable[..., Any])


def _list(_context: click.Context, _option: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """`--type nifti,dicom` and `--type nifti --type dicom` alike."""
    return tuple(part.strip() for text in value for part in text.split(",") if part.strip())


_WHERE = (
    click.option("--select", metavar="NAME", help="The table [selections.NAME] of the configuration file."),
    click.option(
        "--project", multiple=True, metavar="GROUP/LABEL",
        help="Projects, by path or pattern; repeatable (setting: site.project).",
    ),
    click.option("--group", metavar="ID", help="All projects of a group."),
    click.option("--collection", metavar="LABEL", help="The acquisitions of a collection."),
    click.option("--all-projects", is_flag=True, default=None, help="Every project that the key sees."),
    click.option("--subject", multiple=True, metavar="GLOB", help="Only what is in subjects with such a label."),
    click.option("--session", multiple=True, metavar="GLOB", help="Only what is in sessions with such a label."),
    click.option("--acquisition", multiple=True, metavar="GLOB", help="Only what is in such acquisitions."),
    click.option("--tag", multiple=True, metavar="GLOB", help="Only what is at or below a container with such a tag."),
    click.option(
        "--where", multiple=True, metavar="CONDITIONS",
        help="Finder filters with their level, e.g. 'session.age>=20y,subject.sex=female'.",
    ),
    click.option("--query", metavar="QUERY", help="Only files that a structured query finds."),
    click.option("--from-file", metavar="FILE", help="Only what is at or below the paths in this file, one a line."),
)  # fmt: skip
_FILES = (
    click.option(
        "--level", multiple=True, callback=_list, metavar="LEVELS",
        help="Only files right on these: project, subject, session, acquisition.",
    ),
    click.option("--include", multiple=True, metavar="GLOB", help="Only files whose names match one of these."),
    click.option("--exclude", multiple=True, metavar="GLOB", help="No files whose names match one of these."),
    click.option("--type", multiple=True, callback=_list, metavar="TYPES", help="Only files of these types."),
    click.option("--modality", multiple=True, callback=_list, metavar="NAMES", help="Only files of these modalities."),
    click.option(
        "--classification", multiple=True, metavar="KEY=VALUE",
        help="Only files so classified; one key: any of its values, several keys: all.",
    ),
    click.option("--tagged", multiple=True, metavar="GLOB", help="Only files with such a tag."),
    click.option("--newer", metavar="TIME", help="Only files changed after a time, or within an age such as 7d."),
    click.option("--older", metavar="TIME", help="Only files not changed since a time, or within an age such as 7d."),
    click.option("--min-size", metavar="SIZE", help="Only files of at least this size, e.g. 10M."),
    click.option("--max-size", metavar="SIZE", help="Only files of at most this size."),
    click.option(
        "--file-version", type=click.Choice(["latest", "all"]), help="The newest version of each file, or all of them."
    ),
)  # fmt: skip
_ANALYSES = (
    click.option("--analyses", is_flag=True, default=None, help="Files of analyses too."),
    click.option(
        "--analysis-files", type=click.Choice(["outputs", "inputs", "both"]),
        help="Which files of analyses (default: outputs).",
    ),
    click.option(
        "--gear", metavar="NAME[/VERSION]",
        help="The outputs of this gear, and nothing else unless --analyses (setting: mirror.gear).",
    ),
    click.option(
        "--run", type=click.Choice(["latest-complete", "latest", "all", "failed"]),
        help="Which runs of the gear on each container (default: latest-complete).",
    ),
    click.option("--member", "members", multiple=True, metavar="GLOB", help="Fetch matching members of zips."),
    click.option("--unzip", is_flag=True, default=None, help="Unpack zips; other files come as they are."),
    click.option("--allow-empty", is_flag=True, default=None, help="A pattern that matches nothing is no error."),
)  # fmt: skip


_LIMITS = (
    click.option(
        "--max-transfer", metavar="SIZE", help="Stop before the file that would exceed so much in one run, e.g. 100G."
    ),
    click.option(
        "--order", type=click.Choice(["path", "smallest", "largest", "newest", "oldest"]),
        help="Which files come first (default: path).",
    ),
    click.option(
        "--split", "network__split", type=click.IntRange(1), metavar="N",
        help="Fetch a file of 64 MiB or more by so many ranges at a time, where the site serves ranges.",
    ),
    click.option(
        "--processes", "network__processes", type=click.IntRange(0, 16), metavar="N",
        help="Processes that fetch small files (default: 2 where there are two cores; Linux only).",
    ),
)  # fmt: skip


def limiting(command: F) -> F:
    """Add the flags that say how much comes down in one run, and in which order."""
    return _add(command, _LIMITS)


def selecting(command: F) -> F:
    """Add the flags of a selection."""
    return _add(command, (*_WHERE, *_FILES, *_ANALYSES))


def selecting_containers(command: F) -> F:
    """Add the flags of a selection for what is about containers: all but those that say which part of a file comes."""
    return selecting_without()(command)


def selecting_without(*names: str) -> Callable[[F], F]:
    """The same but for the flags of these names, which mean something else to the command or nothing."""
    left_out = {*PARTS, *names}
    return lambda command: _add(
        command, tuple(flag for flag in (*_WHERE, *_FILES, *_ANALYSES) if _name(flag) not in left_out)
    )


def given_of(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags of a selection that were given, taken out of all flags of a command."""
    names = [name for name in flags if name in _names()]
    return {name: value for name in names if (value := flags.pop(name)) not in (None, ())}


@lru_cache(maxsize=1)
def _names() -> frozenset[str]:
    return frozenset(_name(flag) for flag in (*_WHERE, *_FILES, *_ANALYSES))


def _name(flag: Callable[[Any], Any]) -> str:
    held = click.Command("probe")
    flag(held)
    return str(held.params[0].name)


def _add(command: F, flags: Iterable[Callable[[F], F]]) -> F:
    for flag in reversed(tuple(flags)):
        command = flag(command)
    return command
