"""Writes what must agree with the code: docs/reference, config/fwsync.toml and the library's keyword arguments.

usage: python scripts/reference.py [--check]        with --check it writes nothing and fails if a file is stale
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click
import msgspec

from fwsync.cli.lazy import LazyGroup
from fwsync.cli.main import COMMANDS, cli
from fwsync.cli.options import Common
from fwsync.config import SECTIONS, SHORT_NAMES, SelectionSettings
from fwsync.operations.downloading import FORMS
from fwsync.operations.launching import GEAR_WISHES
from fwsync.operations.selected import WISHES_OF_CONTAINERS
from fwsync.operations.selections import WISHES
from fwsync.plan.fields import AGE_UNITS, LEVELS, ROW_WIDE, SPELLINGS, TYPES, names_of
from fwsync.plan.layout import FIELDS, NAMED
from fwsync.sandbox.command import parser

ROOT = Path(__file__).parent.parent

COMMENTS = {
    "site": "Which site, and what on it.",
    "site.api_key_file": "File that holds the API key; `fwsync login` needs no such file.",
    "site.api_key": "The API key itself; accepted only when nobody else can read this file.",
    "site.project": "Project of all commands, as group/label; <id:HEX> works for either part.",
    "network": "How to talk to the site. Times are in seconds.",
    "network.connect_timeout": "Longest wait for a connection.",
    "network.read_timeout": "Longest silence in an answer; also how long a lost create may still arrive.",
    "network.tries": "Tries of one request, or of one file without any progress.",
    "network.retry_seconds": "Seconds without progress after which to give up on a request.",
    "network.calls": "Small requests in parallel at the start; adapts to what the site bears.",
    "network.max_calls": "Most small requests in parallel.",
    "network.bodies": "Files in parallel at the start.",
    "network.max_bodies": "Most files in parallel.",
    "network.page_size": "Documents asked for in the first page of a listing. From 1,000 on, later pages may be of up to 2,000 while they come quickly; where pages fail, they get smaller.",
    "network.processes": "Processes that fetch small files, on Linux; 0: two where there are two cores. The limits are shared.",
    "network.split": "Parallel ranges for one file of 64 MiB or more, where the site serves ranges. 1: none.",
    "network.ca_bundle": "PEM file of certificate authorities to trust, for networks with their own.",
    "network.bwlimit": "Most bytes per second in both directions, e.g. 50M, or by local time: 08:00,2M 18:00,off.",
    "import": "How a table becomes containers.",
    "import.project": "Project to import into, if another than site.project.",
    "import.timezone": "Zone of times without an offset of their own; empty: UTC, and dates without a time are refused.",
    "import.site_column": "Column that tells the site of a row, for site_zones.",
    "import.site_zones": 'Zone of each site, by what the site column says, e.g. { Basel = "Europe/Zurich" }.',
    "import.subject_label": 'Label of subjects as a template, e.g. "{site}-{id}"; empty: the subject column.',
    "import.session_label": "Label of sessions as a template; empty: the session column, else Session1.",
    "import.acquisition_label": "Label of acquisitions as a template; empty: the acquisition column, else Struct_T1.",
    "import.deepest": "Level down to which rows create: subject, session or acquisition; empty: found out.",
    "import.mapping": 'What columns mean, e.g. { MRN = "subject.label", Site = "subject.info.site" }.',
    "import.maps": "The same as texts, as --map gives them; these columns must exist.",
    "import.extra": "Unknown columns: ignore, info (of the subject), session.info, acquisition.info, or error.",
    "import.require": 'Fields that no row may lack, e.g. ["age", "timestamp"].',
    "import.date_formats": "Forms of dates, as in strptime; none: found out from the whole column.",
    "import.day_order": '"day-first" or "month-first", where a column of dates could be read both ways.',
    "import.dst": "How to settle local times that happened twice (earlier, later) or never (shift-forward).",
    "import.days_per_year": "Days in a year of age; 365.25 is how the SDK reads ages back.",
    "import.delimiter": "Column delimiter; empty: found out.",
    "import.encoding": "Text encoding; empty: found out.",
    "import.sheet": "Sheet of a workbook; empty: the first that is not hidden and not empty.",
    "import.files_from": "Folder in which the files lie that rows name; empty: the table's own.",
    "import.on_conflict": "Containers that exist with other values: skip, update, or error.",
    "import.tag": "Tag for whatever an import creates.",
    "import.note": "Note for whatever an import creates.",
    "import.rejects": "Where rows in error go; empty: NAME.rejects.csv beside the table.",
    "import.strict": "Send nothing when any row is wrong.",
    "mirror": "What fwsync mirror fetches, and where to. The wishes, down to unzip, are those of [selections.NAME] too.",
    "mirror.project": "Projects as group/label or patterns, if others than site.project.",
    "mirror.group": "All projects of this group.",
    "mirror.collection": "The acquisitions of this collection.",
    "mirror.all_projects": "Every project that the key sees.",
    "mirror.subject": "Patterns over labels of subjects; none: all.",
    "mirror.session": "Patterns over labels of sessions; none: all.",
    "mirror.acquisition": "Patterns over labels of acquisitions; none: all.",
    "mirror.tag": "Patterns over tags of containers: what is at or below one of them.",
    "mirror.where": 'Conditions, e.g. ["session.age>=20y", "subject.sex=female"].',
    "mirror.query": "A structured query over files.",
    "mirror.from_file": "A file of paths, one a line: what is at or below one of them.",
    "mirror.level": "Levels whose files are wanted: project, subject, session, acquisition; none: all.",
    "mirror.include": "Patterns over file names; none: all.",
    "mirror.exclude": "Patterns over file names to leave out.",
    "mirror.type": "File types, e.g. nifti; none: all.",
    "mirror.modality": "Modalities, e.g. MR; none: all.",
    "mirror.classification": 'Classifications, e.g. ["Intent=Structural"]; none: all.',
    "mirror.tagged": "Patterns over tags of files; none: all.",
    "mirror.newer": "Only files changed after this time, or within this age, e.g. 7d.",
    "mirror.older": "Only files not changed since this time, or within this age.",
    "mirror.min_size": "Only files of at least this size, e.g. 10M.",
    "mirror.max_size": "Only files of at most this size.",
    "mirror.file_version": "The latest version of each file, or all.",
    "mirror.analyses": "Files of analyses too.",
    "mirror.analysis_files": "Which files of analyses: outputs, inputs or both.",
    "mirror.gear": "Gear whose outputs to fetch, as name or name/version.",
    "mirror.run": "Which runs of it: latest-complete, latest, all or failed.",
    "mirror.members": "Patterns over members of zips; none: whole files.",
    "mirror.unzip": "Unpack zips.",
    "mirror.select": "The selection [selections.NAME] to use.",
    "mirror.to": "Target folder.",
    "mirror.layout": "default, gear, flat, bids, or a template; empty: default, or gear where only a gear is wanted.",
    "mirror.on_collision": "Several files for one path: suffix or error.",
    "mirror.sidecar": "Metadata beside each file: none or json.",
    "mirror.link": "Make equal files hard links to one.",
    "mirror.chmod": "Permission bits of the files, e.g. 640; empty: as the umask says.",
    "mirror.local_changes": "Files changed locally: keep, overwrite (theirs go to the trash), or error.",
    "mirror.delete": "What this selection fetched and finds no more: no (it stays), trash, or permanent.",
    "mirror.trash_days": "After a complete run, remove what went to .fwsync/trash more days ago; 0: never.",
    "mirror.max_delete": "Remove nothing if more files would go, e.g. 500 or 20%; empty: more than 50 and than 10%.",
    "mirror.keep_times": "Give files the modification times that `upload --keep-times` stored in their info.",
    "mirror.platform": "Whose rules for file names to follow: auto, universal, linux, windows or macos.",
    "mirror.allow_empty": "A pattern that matches nothing is no error.",
    "mirror.zip_members": "Zips with more members are refused.",
    "mirror.zip_bytes": "Zips that unpack to more are refused.",
    "mirror.zip_ratio": "Members that unpack to more than so many times their packed size are refused.",
    "mirror.max_transfer": "A run stops before the file that would exceed this size; empty: no limit. download too.",
    "mirror.order": "Which files come first: path, smallest, largest, newest or oldest. download too.",
    "upload": "How fwsync upload DIR puts a folder onto a project.",
    "upload.layout": "What the paths in the folder say; see docs/guides/uploading-folders.md.",
    "upload.include": "Patterns over paths to take; none: all.",
    "upload.exclude": "Patterns over paths of files and folders to leave out.",
    "upload.hidden": "Take hidden files and folders too.",
    "upload.sidecar": "json: NAME.json beside NAME tells of it; none: it is a file like any other.",
    "upload.keep_times": "Keep modification times in the files' info, as fwsync_mtime.",
    "upload.on_conflict": "Files that exist with other bytes: skip, update (a new version), or error.",
    "upload.max_transfer": "A run stops before the file that would exceed this size; empty: no limit.",
    "upload.checksum": "A dry run reads files that may be unchanged, instead of saying so.",
    "push": "What `fwsync push DIR` sends back to where a mirrored tree came from.",
    "push.include": "Patterns over paths in the tree to take; none: all.",
    "push.exclude": "Patterns over paths of files and folders to leave out.",
    "push.subject": "Patterns over the names of the tree's subject folders; none: all.",
    "push.session": "Patterns over the names of the tree's session folders; none: all.",
    "push.acquisition": "Patterns over the names of the tree's acquisition folders; none: all.",
    "push.only": "Which changes go back: all, changed (mirrored files with other bytes), or new (files not mirrored).",
    "push.hidden": "Take new hidden files and folders too; mirrored ones are always looked at.",
    "push.on_conflict": "Files that changed on the site too: error, skip, or update (a new version on top).",
    "state": "Where fwsync keeps its journal and locks: on local disk, never in a target tree.",
    "state.folder": "The folder; empty: $XDG_STATE_HOME/fwsync.",
    "state.fsync": "Press files to disk before they count: batch (each file), always (folders too), never.",
    "state.wait": "How long to wait for another run on the same target: 5m, forever; empty: leave at once.",
    "log": "Log lines on standard error.",
    "log.level": "debug, info, warning or error.",
    "log.format": "plain or json.",
}


def toml_value(value: Any) -> str:
    """A default as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + " }" if value else "{}"
    return f'"{value}"' if isinstance(value, str) else str(value)


def default_of(field: msgspec.structs.FieldInfo) -> Any:
    """A setting's default."""
    return field.default_factory() if field.default is msgspec.NODEFAULT else field.default


def config_toml() -> str:
    """config/fwsync.toml: every setting with its default."""
    out = [
        "# Every setting of fwsync with its default. Copy what you change into ./fwsync.toml, or let `fwsync init` do it.",
        "# Tables [profiles.NAME.SECTION] override [SECTION] when NAME is chosen by --profile or FWSYNC_PROFILE.",
    ]
    for section, struct in SECTIONS.items():
        out += ["", f"# {COMMENTS[section]}", f"[{section}]"]
        for field in msgspec.structs.fields(struct):
            out += [f"# {COMMENTS[f'{section}.{field.name}']}", f"{field.name} = {toml_value(default_of(field))}"]
    return "\n".join(out) + "\n"


def settings_page() -> str:
    """docs/reference/settings.md."""
    short = {dotted: name for name, dotted in SHORT_NAMES.items()}
    out = [
        "# Settings",
        "",
        "Later sources win: defaults, the TOML file, its profile, `FWSYNC_*` variables, flags. The file is the first",
        "that exists of `--config`, `FWSYNC_CONFIG`, `./fwsync.toml` and `$XDG_CONFIG_HOME/fwsync/fwsync.toml`.",
        "An unknown setting is an error. Lists in variables are comma-separated.",
        "",
        "The API key is looked for in this order: `--api-key-file`, `FWSYNC_API_KEY`, `FWSYNC_API_KEY_FILE`, the TOML",
        "file and its profile, what `fwsync login` stored, and the official CLI's `~/.config/flywheel/user.json`.",
    ]
    for section, struct in SECTIONS.items():
        out += [
            "",
            f"## [{section}]",
            "",
            COMMENTS[section],
            "",
            "| setting | default | variable | meaning |",
            "|---|---|---|---|",
        ]
        for field in msgspec.structs.fields(struct):
            dotted = f"{section}.{field.name}"
            names = [f"`FWSYNC_{section.upper()}_{field.name.upper()}`"]
            names += [f"`{short[dotted]}`"] if dotted in short else []
            default = f"`{toml_value(default_of(field))}`"
            out.append(f"| `{field.name}` | {default} | {', '.join(names)} | {COMMENTS[dotted]} |")
    wishes = ", ".join(f"`{name}`" for name in SelectionSettings.__struct_fields__)
    out += [
        "",
        "## [selections.NAME]",
        "",
        "A selection by name, for `--select NAME` (setting: `mirror.select`). It wins over `[mirror]`, flags win over it.",
        f"Its settings mean the same as in `[mirror]`: {wishes}.",
        "[Selecting files](../guides/selecting-files.md) shows them at work.",
    ]
    return "\n".join(out) + "\n"


def option_row(option: click.Option) -> str:
    """One row of a command's table."""
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    kind = option.metavar or ("" if option.is_flag else option.type.name.upper())
    if isinstance(option.type, click.Choice):
        kind = " or ".join(option.type.choices)
    return f"| {names} | {kind} | {option.help or ''} |"


def help_text(text: str) -> str:
    """A command's help with its examples as a code block."""
    prose, mark, examples = inspect.cleandoc(text).partition("\b\n")
    return prose.strip() + (f"\n\n```\n{examples.strip()}\n```" if mark else "")


def commands_page() -> str:
    """docs/reference/commands.md."""
    out = ["# Commands", "", "`fwsync COMMAND --help` shows the same. Exit codes: [exit-codes.md](exit-codes.md).", ""]
    common = set(Common.__struct_fields__)
    context = click.Context(cli)
    first = cli.get_command(context, "import")
    assert first is not None
    out += ["## Flags of every command", "", "| flag | value | meaning |", "|---|---|---|"]
    out += [option_row(p) for p in first.params if isinstance(p, click.Option) and p.name in common]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        out += command_section(command, name, common)
    return "\n".join(out) + "\n"


def command_section(command: click.Command, name: str, common: set[str]) -> list[str]:
    """What a command does and its flags; a group's commands one after the other."""
    out = ["", f"## fwsync {name}", ""]
    if name == "sandbox":
        return [*out, "```", parser().format_help().rstrip(), "```"]
    context = click.Context(command)
    if isinstance(command, LazyGroup):
        out.append(help_text(command.help or ""))
        for below in command.list_commands(context):
            held = command.get_command(context, below)
            assert held is not None
            out += command_section(held, f"{name} {below}", common)
        return out
    arguments = " ".join(p.make_metavar(context) for p in command.params if isinstance(p, click.Argument))
    out += [f"`fwsync {name} {arguments}`".replace(" `", "`"), ""]
    out.append(help_text(command.help or ""))
    own = [p for p in command.params if isinstance(p, click.Option) and p.name not in common]
    if own:
        out += ["", "| flag | value | meaning |", "|---|---|---|", *(option_row(p) for p in own)]
    return out


def layout_page() -> str:
    """docs/reference/layout.md: the layouts by name, and every field of a template."""
    out = [
        "# Layouts",
        "",
        "`--layout` (setting: `mirror.layout`) is one of these names, or a template of your own:",
        "",
        "| name | template |",
        "|---|---|",
        *(f"| `{name}` | `{template}` |" for name, template in NAMED.items()),
        "| `bids` | `{project}/`, then `info.BIDS.Path` and `info.BIDS.Filename` of the file; files without them stay out |",
        "",
        "Without `--layout` it is `default`, or `gear` where nothing but a gear's outputs is wanted.",
        "",
        "A template is components joined by `/`. A field that a file does not have (the session of a project's file) goes",
        "together with the text that follows it in its component, and a component of which nothing is left goes too.",
        "`{{` and `}}` are braces. Where zips are taken apart and the last component names no field of members, the",
        "archive becomes a folder (its name without the ending) and the member's own path goes below it.",
        "",
        "Containers are told apart by their id: two sessions of one label never share a folder. Other values (a date, a",
        "type) make one folder for all that have them.",
        "",
        "| field | meaning |",
        "|---|---|",
        *(f"| `{{{name}}}` | {meaning} |" for name, (meaning, _) in FIELDS.items()),
        "",
        "`{project.label}` and the like are other spellings of `{project}`. Inputs of analyses go into a folder `inputs`.",
    ]
    return "\n".join(out) + "\n"


def columns_page() -> str:
    """docs/reference/columns.md: every field of an import and the spellings by which its column is known."""
    out = [
        "# Columns that `fwsync import` knows",
        "",
        "Compared without case, blanks and `_ - . ( ) [ ] / : # '`. A weak spelling gives way to a column with a strong",
        "one. Any field can be given outright, by `--map 'column=field'`, by `[import.mapping]`, or by its own name as the",
        "column's header (`subject.sex`). `:type` after it says how to read the cells.",
        "",
        "| field | known spellings | weak ones |",
        "|---|---|---|",
    ]
    told: dict[str, tuple[list[str], list[str]]] = {}
    for spelling in SPELLINGS:
        strong, weak = told.setdefault(spelling.path, ([], []))
        strong += spelling.strong
        weak += spelling.weak
    out += [f"| `{path}` | {', '.join(strong)} | {', '.join(weak)} |" for path, (strong, weak) in told.items()]
    out += ["", "## Every field", "", "| level | fields |", "|---|---|"]
    for level in LEVELS:
        names = [f"`{name}`" for name in names_of(level)]
        out.append(f"| {level} | {', '.join([*names, '`info.KEY`', '`file.classification.KEY`', '`file.info.KEY`'])} |")
    out.append(f"| the row | {', '.join(f'`{name}`' for name in ROW_WIDE)} |")
    out += [
        "",
        f"Types: `info` and `file.info` take {', '.join(f'`:{name}`' for name in TYPES)}; `session.age` takes",
        f"{', '.join(f'`:{unit}`' for unit in AGE_UNITS)}; labels and texts take `:str` (the cell exactly as it is);",
        "tags and notes take `:json` (a list of texts).",
        "",
        "A date and a time of one level (`acquisition.date`, `acquisition.time`) are put together; one alone is the whole",
        "timestamp. `date_of_birth` without a level serves to work out ages and is not sent.",
    ]
    return "\n".join(out) + "\n"


PATHS = {"to", "from_file", "files_from", "rejects"}


def keyword_type(name: str, kind: Any) -> str:
    """How a setting is written as the type of a keyword argument."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"Literal[{', '.join(toml_value(one) for one in inner)}]"
    if origin is tuple:
        one = keyword_type("", inner[0])
        return f"{one} | Sequence[{one}]"
    if origin is dict:
        return f"Mapping[{', '.join(one.__name__ for one in inner)}]"
    if kind is str and name in PATHS:
        return "str | PathLike[str]"
    if kind is str and name.endswith(("_size", "_bytes")):
        return "str | int"
    if kind is str and name in ("newer", "older"):
        return "str | date"
    return str(kind.__name__)


def keywords_module() -> str:
    """src/fwsync/library/keywords.py: the settings as types of keyword arguments."""
    out = [
        '"""The settings as keyword arguments, for type checkers and editors. Written by scripts/reference.py."""',
        "",
        "# fmt: off",
        "# ruff: noqa: E501",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping, Sequence",
        "from datetime import date",
        "from os import PathLike",
        "from typing import Literal, TypedDict",
    ]
    taken: dict[str, set[str]] = {}
    # Each of [mirror] has those of the one before, and more.
    for section, name, of, only in (
        ("mirror", "GearKeywords", "TypedDict", GEAR_WISHES),
        ("mirror", "SelectionKeywords", "GearKeywords", WISHES_OF_CONTAINERS),
        ("mirror", "DownloadKeywords", "SelectionKeywords", (*WISHES, *FORMS)),
        ("mirror", "MirrorKeywords", "DownloadKeywords", ()),
        ("import", "ImportKeywords", "TypedDict", ()),
        ("upload", "UploadKeywords", "TypedDict", ()),
    ):
        told = "Some settings" if only else "The settings"
        out += ["", "", f"class {name}({of}, total=False):", f'    """{told} of [{section}]."""', ""]
        before = taken.get(of, set())
        taken[name] = {
            field.name for field in msgspec.structs.fields(SECTIONS[section]) if not only or field.name in only
        }
        assert before <= taken[name]
        for field in msgspec.structs.fields(SECTIONS[section]):
            if field.name not in taken[name] - before:
                continue
            out += [f"    {field.name}: {keyword_type(field.name, field.type)}"]
            out += [f'    """{COMMENTS[f"{section}.{field.name}"].replace(chr(34), chr(39))}"""']
    return "\n".join(out) + "\n"


PAGES = {
    "src/fwsync/library/keywords.py": keywords_module,
    "docs/reference/columns.md": columns_page,
    "docs/reference/layout.md": layout_page,
    "config/fwsync.toml": config_toml,
    "docs/reference/settings.md": settings_page,
    "docs/reference/commands.md": commands_page,
}


def main() -> int:
    """Write or check every page."""
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        print(f"stale: {', '.join(stale)}; run python scripts/reference.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
