"""Which fields each kind of document has, and what a request may put into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fwsync.sandbox.errors import invalid
from fwsync.sandbox.store.ids import stored_date, stored_time

Check = Callable[[str, Any], Any]

SEXES = ("male", "female", "other", "unknown")


def _text(name: str, value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name}: must be text, not {type(value).__name__}")
    return value


def _label(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise invalid(f"{name}: must be text and not empty")
    if "\x00" in value:
        raise invalid(f"{name}: holds a null character")
    return value


def _number(name: str, value: Any) -> float | int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
        raise invalid(f"{name}: must be a number, not {type(value).__name__}")
    return value


def _seconds(name: str, value: Any) -> int | None:
    number = _number(name, value)
    if number is None:
        return None
    if not abs(number) < 2**53:  # also refuses nan
        raise invalid(f"{name}: {value!r} is no number of seconds")
    return int(number)


def _flag(name: str, value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise invalid(f"{name}: must be true or false")
    return value


def _sex(name: str, value: Any) -> str | None:
    if value is not None and value not in SEXES:
        raise invalid(f"{name}: {value!r} is not one of {', '.join(SEXES)}")
    return value  # type: ignore[no-any-return]


def _tags(name: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and tag for tag in value):
        raise invalid(f"{name}: must be a list of texts")
    return list(dict.fromkeys(value))


def _anything(_name: str, value: Any) -> Any:
    return value


def _time(name: str, value: Any) -> str | None:
    return stored_time(value, name)


def _date(name: str, value: Any) -> str | None:
    return stored_date(value, name)


FIELDS: dict[str, dict[str, Check]] = {
    "group": {"label": _text, "tags": _tags, "editions": _anything, "providers": _anything},
    "project": {
        "label": _label,
        "description": _text,
        "tags": _tags,
        "locked": _anything,
        "copyable": _flag,
        "templates": _anything,
    },
    "subject": {
        "label": _label,
        "code": _text,
        "master_code": _text,
        "firstname": _text,
        "lastname": _text,
        "sex": _sex,
        "cohort": _text,
        "mlset": _text,
        "type": _text,
        "race": _text,
        "ethnicity": _text,
        "species": _text,
        "strain": _text,
        "state": _text,
        "date_of_birth": _date,
        "age": _seconds,
        "tags": _tags,
    },
    "session": {
        "label": _label,
        "age": _seconds,
        "weight": _number,
        "operator": _text,
        "uid": _text,
        "timestamp": _time,
        "timezone": _text,
        "tags": _tags,
    },
    "acquisition": {
        "label": _label,
        "uid": _text,
        "timestamp": _time,
        "timezone": _text,
        "metadata": _anything,
        "tags": _tags,
    },
    "analysis": {"label": _label, "description": _text, "tags": _tags},
    "collection": {"label": _label, "description": _text, "tags": _tags},
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "group": {"permissions": [], "permissions_template": [], "roles": []},
    "project": {"description": None, "templates": [], "copyable": True, "locked": None},
    "subject": {"firstname": None, "lastname": None, "sex": None, "code": None},
    "session": {"age": None, "timestamp": None, "timezone": None},
    "acquisition": {"timestamp": None, "timezone": None, "collections": []},
    "analysis": {"description": None, "inputs": [], "gear_info": None, "job": None},
    "collection": {"description": None, "curator": None},
}


def taken(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """The fields of `body` that a document of this kind has, checked and in stored form; 422 on a wrong one."""
    checks = FIELDS[kind]
    return {name: checks[name](name, value) for name, value in body.items() if name in checks}


def info_of(body: dict[str, Any]) -> dict[str, Any]:
    """The `info` of a request body; 422 unless it is an object."""
    info = body.get("info")
    if info is None:
        return {}
    if not isinstance(info, dict):
        raise invalid("info: must be an object")
    return {**clean_keys(info)}


def clean_keys(value: Any) -> Any:
    """`value` with `.` and `$` in its keys rewritten as the platform does (`.` to `_`, `$` to `-`)."""
    if isinstance(value, dict):
        return {str(k).replace(".", "_").replace("$", "-"): clean_keys(v) for k, v in value.items()}
    if isinstance(value, list):
        return [clean_keys(item) for item in value]
    return value
