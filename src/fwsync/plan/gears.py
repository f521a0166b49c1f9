"""What a gear's manifest asks for: its inputs, its configuration, and whether what a person gave fits."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from fwsync.errors import UsageError
from fwsync.model import Gear

TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "boolean": (bool,), "array": (list, tuple),
}  # fmt: skip
YES, NO = ("true", "yes", "1"), ("false", "no", "0")


class InputSpec(msgspec.Struct, frozen=True):
    """One input of a gear. `base` is `file`, `context` or `api-key`: the site fills all but files by itself. `types`
    are the file types that it takes, none: any."""

    name: str
    base: str = "file"
    optional: bool = False
    types: tuple[str, ...] = ()
    description: str = ""


class ConfigSpec(msgspec.Struct, frozen=True):
    """One value of a gear's configuration. `type` is one of TYPES, or what else the manifest says."""

    name: str
    type: str = ""
    default: Any = None
    optional: bool = False
    choices: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None
    description: str = ""


def inputs_of(gear: Gear) -> dict[str, InputSpec]:
    """The inputs that a manifest tells, by name, in its order."""
    return {
        name: InputSpec(
            name,
            base=_text(spec.get("base")) or "file",
            optional=spec.get("optional") is True,
            types=_texts(spec["type"].get("enum")) if isinstance(spec.get("type"), dict) else (),
            description=_text(spec.get("description")),
        )
        for name, spec in _specs(gear.gear.inputs)
    }


def config_of(gear: Gear) -> dict[str, ConfigSpec]:
    """The configuration that a manifest tells, by name, in its order."""
    return {
        name: ConfigSpec(
            name,
            type=_text(spec.get("type")),
            default=spec.get("default"),
            optional=spec.get("optional") is True,
            choices=tuple(spec["enum"]) if isinstance(spec.get("enum"), list) else (),
            least=_number(spec.get("minimum")),
            most=_number(spec.get("maximum")),
            description=_text(spec.get("description")),
        )
        for name, spec in _specs(gear.gear.config)
    }


def configured(gear: Gear, given: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a job: the defaults, and on top of them what was given (texts are read as the manifest's
    type says). UsageError for a key that the gear does not have, with near names, for a value that it does not take,
    and for one that it needs and did not get."""
    known, name = config_of(gear), gear.gear.name
    out = {key: spec.default for key, spec in known.items() if spec.default is not None}
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"--set {key}: gear {name} has no such setting{nearby(key, known)}")
        out[key] = checked(known[key], value)
    missing = [key for key, spec in known.items() if key not in out and not spec.optional]
    if missing:
        raise UsageError(f"gear {name}: needs a value for {missing[0]}; give it by --set {missing[0]}=VALUE")
    return out


def checked(spec: ConfigSpec, value: Any) -> Any:
    """A value as the manifest wants it. UsageError where it can't be."""
    read = _read(value, spec.type) if isinstance(value, str) else value
    wanted = TYPES.get(spec.type)
    if wanted is not None and (not isinstance(read, wanted) or (isinstance(read, bool) and spec.type != "boolean")):
        raise UsageError(f"--set {spec.name}={value}: is no {spec.type}")
    if spec.choices and read not in spec.choices:
        raise UsageError(f"--set {spec.name}={value}: is none of {', '.join(str(one) for one in spec.choices)}")
    if isinstance(read, int | float) and not isinstance(read, bool):
        if spec.least is not None and read < spec.least:
            raise UsageError(f"--set {spec.name}={value}: is less than {spec.least:g}")
        if spec.most is not None and read > spec.most:
            raise UsageError(f"--set {spec.name}={value}: is more than {spec.most:g}")
    return list(read) if isinstance(read, tuple) else read


def version_rank(version: str | None) -> tuple[tuple[int, ...], str]:
    """By which versions of a gear are compared: the numbers in them."""
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version or "")), version or ""


def newest_of_each(gears: Iterable[Gear]) -> list[Gear]:
    """The newest version of each gear that is not disabled, by name."""
    best: dict[str, Gear] = {}
    for gear in gears:
        name = gear.gear.name
        rank = version_rank(gear.gear.version)
        if not gear.disabled and (name not in best or rank > version_rank(best[name].gear.version)):
            best[name] = gear
    return [best[name] for name in sorted(best)]


def _read(text: str, kind: str) -> Any:
    """A text as a value of this type, or as itself where it is none."""
    if kind == "boolean" and text.strip().lower() in (*YES, *NO):
        return text.strip().lower() in YES
    if kind in ("integer", "number", "array"):
        try:
            return json.loads(text, parse_constant=lambda name: name)
        except (ValueError, RecursionError):
            return text
    return text


def _specs(held: Any) -> list[tuple[str, dict[str, Any]]]:
    """Names and specifications; whatever else an author wrote there is nothing that can be given."""
    found = held.items() if isinstance(held, dict) else ()
    return [(str(name), spec) for name, spec in found if isinstance(spec, dict)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def nearby(word: str, known: Iterable[str]) -> str:
    """The end of a line about a name that is not there: those that are like it, or what there is."""
    names = list(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    return f"; it has {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else "; it has none"
