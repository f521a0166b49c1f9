"""Where the API key comes from, in a fixed order, and where `fwsync login` keeps it.

1. `--api-key-file`   2. `FWSYNC_API_KEY`   3. `FWSYNC_API_KEY_FILE`   4. the TOML file and its profile
(`site.api_key_file`, or `site.api_key` if no one else can read the file)   5. what `fwsync login` stored
6. the official CLI's `~/.config/flywheel/user.json`, which is read and never written.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fwsync.config import Settings, config_folder
from fwsync.errors import AuthError, TargetError


class FoundKey(msgspec.Struct, frozen=True):
    """An API key and where it was found. The key never shows in the repr."""

    text: str
    source: str

    def __repr__(self) -> str:
        return f"FoundKey(***, {self.source!r})"


def find_key(settings: Settings, *, flag: str | None, env: Mapping[str, str] | None = None) -> FoundKey:
    """The first key there is; AuthError that names every place when there is none."""
    env = os.environ if env is None else env
    if flag:
        return FoundKey(_from_file(Path(flag).expanduser()), f"--api-key-file {flag}")
    if text := env.get("FWSYNC_API_KEY", "").strip():
        return FoundKey(text, "FWSYNC_API_KEY")
    if settings.site.api_key_file:
        path = Path(settings.site.api_key_file).expanduser()
        named = "FWSYNC_API_KEY_FILE" if env.get("FWSYNC_API_KEY_FILE") else f"site.api_key_file in {settings.source}"
        return FoundKey(_from_file(path), f"{path} ({named})")
    if settings.site.api_key:
        _private(Path(settings.source))
        return FoundKey(settings.site.api_key, f"site.api_key in {settings.source}")
    stored = login_file(settings, env)
    if stored.is_file():
        return FoundKey(_from_file(stored), f"{stored} (fwsync login)")
    official = Path(env.get("HOME") or Path.home()) / ".config" / "flywheel" / "user.json"
    if official.is_file():
        return FoundKey(_from_user_json(official), f"{official} (the Flywheel CLI's login)")
    raise AuthError(
        "no API key: run fwsync login, or set FWSYNC_API_KEY or --api-key-file (looked at --api-key-file,"
        f" FWSYNC_API_KEY, FWSYNC_API_KEY_FILE, {settings.source or 'fwsync.toml'}, {stored}, {official})"
    )


def login_file(settings: Settings, env: Mapping[str, str] | None = None) -> Path:
    """Where `fwsync login` keeps the key of the profile in use."""
    name = settings.profile or "default"
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in name)
    return config_folder(os.environ if env is None else env) / "keys" / safe


def store_key(settings: Settings, text: str) -> Path:
    """Keep a key for the profile in use, readable by this user alone."""
    path = login_file(settings)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.chmod(0o700)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text.strip() + "\n")
        fresh.replace(path)
    except OSError as error:
        raise TargetError(f"{path}: the key can't be stored ({error.strerror})") from error
    return path


def _from_file(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        raise AuthError(f"{path}: the API key can't be read from it ({reason})") from error
    if not text:
        raise AuthError(f"{path}: is empty; it must hold the API key")
    return text


def _from_user_json(path: Path) -> str:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        key = found["key"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AuthError(f"{path}: holds no key; log in again by fwsync login") from error
    if not isinstance(key, str) or not key:
        raise AuthError(f"{path}: holds no key; log in again by fwsync login")
    return key


def _private(path: Path) -> None:
    if path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        raise AuthError(f"{path}: holds an API key and others can read it; chmod 600 it, or use fwsync login")
