"""Frozen Settings, built once: defaults < TOML file < its profile < FWSYNC_* variables < flags.

The TOML file is the first that exists of `--config`, `FWSYNC_CONFIG`, `./fwsync.toml` and
`$XDG_CONFIG_HOME/fwsync/fwsync.toml`. Its tables are the sections below; `[profiles.NAME.SECTION]` overrides
`[SECTION]` when NAME is chosen by `--profile`, `FWSYNC_PROFILE` or the top-level key `profile`. The variable of a
setting is `FWSYNC_<SECTION>_<NAME>`, e.g. `FWSYNC_IMPORT_TIMEZONE`; lists are comma-separated there,
and so are tables (`a=x,b=y`).
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from fwsync.errors import ConfigError
from fwsync.selection import RunChoice, Side, Versions

Order = Literal["path", "smallest", "largest", "newest", "oldest"]
Platform = Literal["auto", "universal", "linux", "windows", "macos"]


class SiteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which site, and what on it. `api_key` in a file is accepted only when no one else can read the file."""

    api_key_file: str = ""
    api_key: str = ""
    project: str = ""

    def __repr__(self) -> str:
        key = "***" if self.api_key else "''"
        return f"SiteSettings(api_key_file={self.api_key_file!r}, api_key={key}, project={self.project!r})"


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Time-outs and waits in seconds; `calls` and `bodies` are how many requests begin in parallel."""

    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    tries: int = 8
    retry_seconds: float = 300.0
    calls: int = 16
    max_calls: int = 64
    bodies: int = 8
    max_bodies: int = 16
    page_size: int = 1000
    processes: int = 0
    split: int = 1
    ca_bundle: str = ""
    bwlimit: str = ""


class ImportSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a table becomes containers. `project` wins over `site.project`. Labels are templates; empty: the default."""

    project: str = ""
    timezone: str = ""
    site_column: str = "site"
    site_zones: dict[str, str] = {}
    subject_label: str = ""
    session_label: str = ""
    acquisition_label: str = ""
    deepest: Literal["", "subject", "session", "acquisition"] = ""
    mapping: dict[str, str] = {}
    maps: tuple[str, ...] = ()
    extra: Literal["ignore", "info", "subject.info", "session.info", "acquisition.info", "error"] = "ignore"
    require: tuple[str, ...] = ()
    date_formats: tuple[str, ...] = ()
    day_order: Literal["", "day-first", "month-first"] = ""
    dst: tuple[Literal["earlier", "later", "shift-forward"], ...] = ()
    days_per_year: float = 365.25
    delimiter: str = ""
    encoding: str = ""
    sheet: str = ""
    files_from: str = ""
    on_conflict: Literal["skip", "update", "error"] = "skip"
    tag: str = ""
    note: str = ""
    rejects: str = ""
    strict: bool = False


class SelectionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person wishes to have, as written: `[selections.NAME]`, and the same in `[mirror]`."""

    project: tuple[str, ...] = ()
    group: str = ""
    collection: str = ""
    all_projects: bool = False
    subject: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    acquisition: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    query: str = ""
    from_file: str = ""
    level: tuple[Literal["project", "subject", "session", "acquisition"], ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    classification: tuple[str, ...] = ()
    tagged: tuple[str, ...] = ()
    newer: str = ""
    older: str = ""
    min_size: str = ""
    max_size: str = ""
    file_version: Versions = "latest"
    analyses: bool = False
    analysis_files: Side = "outputs"
    gear: str = ""
    run: RunChoice = "latest-complete"
    members: tuple[str, ...] = ()
    unzip: bool = False


PARTS: Final = ("file_version", "members", "unzip")
"""What a selection says of the past and the inside of files: nothing to a command that is about containers."""


class MirrorSettings(SelectionSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `fwsync mirror` fetches, and where to. `project` wins over `site.project`, `select` names a selection."""

    select: str = ""
    to: str = ""
    layout: str = ""
    on_collision: Literal["suffix", "error"] = "suffix"
    sidecar: Literal["none", "json"] = "none"
    link: bool = False
    chmod: str = ""
    local_changes: Literal["keep", "overwrite", "error"] = "keep"
    delete: Literal["no", "trash", "permanent"] = "no"
    max_delete: str = ""
    trash_days: int = 0
    keep_times: bool = False
    platform: Platform = "auto"
    allow_empty: bool = False
    zip_members: int = 100_000
    zip_bytes: str = "1T"
    zip_ratio: int = 200
    max_transfer: str = ""
    order: Order = "path"


def parse_mode(text: str) -> int | None:
    """Permission bits from `640` or `0640`; None for nothing. ConfigError for anything else."""
    if not text:
        return None
    if not re.fullmatch(r"0?[0-7]{3}", text) or not int(text, 8) & 0o400:
        raise ConfigError(f"--chmod {text!r}: write three octal digits that let the owner read, such as 640")
    return int(text, 8)


class UploadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `fwsync upload DIR` puts a folder onto a project."""

    layout: str = "{subject}/{session}/{acquisition}/{file.name}"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hidden: bool = False
    sidecar: Literal["json", "none"] = "json"
    keep_times: bool = False
    on_conflict: Literal["skip", "update", "error"] = "update"
    max_transfer: str = ""
    checksum: bool = False


class PushSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `fwsync push DIR` sends back, and what it does where the site has changed too."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    session: tuple[str, ...] = ()
    acquisition: tuple[str, ...] = ()
    only: Literal["all", "changed", "new"] = "all"
    hidden: bool = False
    on_conflict: Literal["error", "skip", "update"] = "error"


class StateSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the journal and locks live, how hard files are pressed to disk, how long to wait for another run."""

    folder: str = ""
    fsync: Literal["batch", "always", "never"] = "batch"
    wait: str = ""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "warning"
    format: Literal["plain", "json"] = "plain"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every setting of one command. `importing` is the table `[import]`; `source` the file it was read from."""

    site: SiteSettings = SiteSettings()
    network: NetworkSettings = NetworkSettings()
    importing: ImportSettings = msgspec.field(default=ImportSettings(), name="import")
    mirror: MirrorSettings = MirrorSettings()
    upload: UploadSettings = UploadSettings()
    push: PushSettings = PushSettings()
    state: StateSettings = StateSettings()
    log: LogSettings = LogSettings()
    selections: dict[str, SelectionSettings] = {}
    profile: str = ""
    source: str = ""

    @property
    def state_folder(self) -> Path:
        """Where journal and locks live: `[state] folder`, else `$XDG_STATE_HOME/fwsync`."""
        if self.state.folder:
            return Path(self.state.folder).expanduser()
        return _xdg(os.environ, "XDG_STATE_HOME", ".local/state") / "fwsync"


SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "site": SiteSettings,
    "network": NetworkSettings,
    "import": ImportSettings,
    "mirror": MirrorSettings,
    "upload": UploadSettings,
    "push": PushSettings,
    "state": StateSettings,
    "log": LogSettings,
}

SHORT_NAMES: Final[dict[str, str]] = {
    "FWSYNC_PROJECT": "site.project",
    "FWSYNC_TIMEZONE": "import.timezone",
    "FWSYNC_TO": "mirror.to",
    "FWSYNC_GEAR": "mirror.gear",
    "FWSYNC_API_KEY_FILE": "site.api_key_file",
    "FWSYNC_STATE": "state.folder",
    "FWSYNC_CA_BUNDLE": "network.ca_bundle",
}
"""Variables that are short for a setting; the long form of the same setting wins."""


def config_folder(env: Mapping[str, str]) -> Path:
    """fwsync's own configuration folder, `$XDG_CONFIG_HOME/fwsync`."""
    return _xdg(env, "XDG_CONFIG_HOME", ".config") / "fwsync"


def _xdg(env: Mapping[str, str], variable: str, fallback: str) -> Path:
    # The XDG specification tells to ignore a relative path there.
    given = env.get(variable, "")
    return Path(given) if given.startswith("/") else Path(env.get("HOME") or Path.home()) / fallback


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    config: str | None = None,
    profile: str | None = None,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings of one command.

    `flags` maps dotted names (`import.timezone`) to values; None means not given. `folder` is where `./fwsync.toml`
    is looked for. Raises ConfigError: an unreadable file, an unknown setting (with near names), a wrong value.
    """
    env = os.environ if env is None else env
    path = find_file(config, env, folder or Path.cwd())
    text, document = _read(path) if path else ("", {})
    name = profile or env.get("FWSYNC_PROFILE", "") or document.get("profile", "")
    merged: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    origin: dict[str, str] = {}

    def put(section: str, key: str, value: Any, where: str) -> None:
        _known(section, key, where)
        merged[section][key] = value
        origin[f"{section}.{key}"] = where

    for section, key, value, where in _from_document(document, name, path, text):
        put(section, key, value, where)
    for section, key, value, where in _from_env(env):
        put(section, key, value, where)
    selections = document.get("selections", {})
    chosen = (flags or {}).get("mirror.select") or merged["mirror"].get("select")
    for key, value, where in _from_selections(selections, chosen, path, text):
        put("mirror", key, value, where)
    for dotted, value in (flags or {}).items():
        if value is not None:
            section, _, key = dotted.partition(".")
            put(section, key, value, "--" + key.replace("_", "-"))
    built = {section: _convert(section, values, origin) for section, values in merged.items()}
    return Settings(
        site=built["site"],
        network=built["network"],
        importing=built["import"],
        mirror=built["mirror"],
        upload=built["upload"],
        push=built["push"],
        state=built["state"],
        log=built["log"],
        selections={
            given: _convert("mirror", {**values}, {}, SelectionSettings) for given, values in selections.items()
        },
        profile=name,
        source=str(path) if path else "",
    )


def find_file(config: str | None, env: Mapping[str, str], folder: Path) -> Path | None:
    """The TOML file to read, or None. A file that was named must exist."""
    for given, named_by in ((config, "--config"), (env.get("FWSYNC_CONFIG"), "FWSYNC_CONFIG")):
        if given:
            path = Path(given).expanduser()
            if not path.is_file():
                raise ConfigError(f"{given}: no such file (named by {named_by})")
            return path
    for path in (folder / "fwsync.toml", config_folder(env) / "fwsync.toml"):
        if path.is_file():
            return path
    return None


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not valid TOML: {error}") from error


_Found = tuple[str, str, Any, str]


def _from_document(document: dict[str, Any], profile: str, path: Path | None, text: str) -> list[_Found]:
    found: list[_Found] = []
    if path is None:
        if profile:
            raise ConfigError(f"profile {profile!r}: there is no configuration file that could define it")
        return found
    profiles = document.get("profiles", {})
    if profile and profile not in profiles:
        near = _near(profile, profiles)
        raise ConfigError(f"{path}: has no profile {profile!r}{near}; add a table [profiles.{profile}.site]")
    chosen = profiles.get(profile, {}) if profile else {}
    for table in ({k: v for k, v in document.items() if k not in ("profile", "profiles", "selections")}, chosen):
        for section, values in table.items():
            where = f"{path}{_line(text, section)}"
            if section not in SECTIONS:
                raise ConfigError(f"{where}: unknown table [{section}]{_near(section, SECTIONS)}")
            if not isinstance(values, dict):
                raise ConfigError(f"{where}: [{section}] must be a table, such as [{section}] and lines below it")
            found += [(section, key, value, f"{path}{_line(text, key)}") for key, value in values.items()]
    return found


def _from_selections(selections: Any, chosen: str | None, path: Path | None, text: str) -> list[tuple[str, Any, str]]:
    """The settings of the chosen selection; every selection of the file is checked."""
    if not isinstance(selections, dict) or not all(isinstance(held, dict) for held in selections.values()):
        raise ConfigError(f"{path}{_line(text, 'selections')}: write tables [selections.NAME] and lines below them")
    names = SelectionSettings.__struct_fields__
    for name, values in selections.items():
        for key in values:
            if key not in names:
                where = f"{path}{_line(text, key)}"
                raise ConfigError(f"{where}: unknown setting selections.{name}.{key}{_near(key, names)}")
        origin = {f"mirror.{key}": f"{path}{_line(text, key)}: [selections.{name}]" for key in values}
        _convert("mirror", {**values}, origin, SelectionSettings)
    if not chosen:
        return []
    if chosen not in selections:
        where = f"{path}: " if path else ""
        known = f"; there is {', '.join(selections)}" if selections else ""
        there = _near(chosen, selections) or f"{known}; add a table [selections.{chosen}]"
        raise ConfigError(f"{where}there is no selection {chosen!r}{there}")
    return [(key, value, f"{path}{_line(text, key)}") for key, value in selections[chosen].items()]


def _from_env(env: Mapping[str, str]) -> list[_Found]:
    found = [(*_split(SHORT_NAMES[name]), env[name], name) for name in SHORT_NAMES if env.get(name)]
    for name in sorted(env):
        parts = name.removeprefix("FWSYNC_").lower().split("_", 1)
        known = name.startswith("FWSYNC_") and name not in SHORT_NAMES and parts[0] in SECTIONS
        if known and len(parts) == 2 and env[name]:
            found.append((parts[0], parts[1], env[name], name))
    return found


def _split(dotted: str) -> tuple[str, str]:
    section, _, key = dotted.partition(".")
    return section, key


def _known(section: str, key: str, where: str) -> None:
    names = SECTIONS[section].__struct_fields__
    if key not in names:
        raise ConfigError(f"{where}: unknown setting {section}.{key}{_near(key, names)}")


def _convert(
    section: str, values: dict[str, Any], origin: dict[str, str], kind: type[msgspec.Struct] | None = None
) -> Any:
    kind = kind or SECTIONS[section]
    if not values:
        return kind()
    for field in msgspec.structs.fields(kind):
        value = values.get(field.name)
        if isinstance(value, str) and isinstance(field.default, tuple):
            values[field.name] = [part.strip() for part in value.split(",") if part.strip()]
        if isinstance(value, str) and field.type == dict[str, str]:
            pairs = (part.partition("=") for part in value.split(",") if part.strip())
            values[field.name] = {name.strip(): text.strip() for name, _, text in pairs}
    for name, value in values.items():
        # One at a time, so that the message can name where the wrong one came from.
        try:
            msgspec.convert({name: value}, kind, strict=False)
        except msgspec.ValidationError as error:
            problem = re.sub(r" - at `\$\.[^`]*`", "", str(error))
            raise ConfigError(f"{origin[f'{section}.{name}']}: {section}.{name}: {problem}") from error
    return msgspec.convert(values, kind, strict=False)


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=2)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _line(text: str, key: str) -> str:
    """`, line N` of the first line that defines `key` or opens its table, for messages."""
    pattern = re.compile(rf"^\s*(?:\[[^\]]*\b{re.escape(key)}\]|['\"]?{re.escape(key)}['\"]?\s*=)")
    for number, line in enumerate(text.splitlines(), start=1):
        if pattern.match(line):
            return f", line {number}"
    return ""
