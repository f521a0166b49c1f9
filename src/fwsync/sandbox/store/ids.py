"""Identifiers and times in the platform's form."""

from __future__ import annotations

import itertools
import re
import secrets
import time
from datetime import UTC, datetime

from fwsync.sandbox.errors import invalid

HEX24 = re.compile(r"[0-9a-f]{24}\Z")

_process = secrets.token_hex(5)
_counter = itertools.count(secrets.randbelow(1 << 20))


def new_id() -> str:
    """24 hex characters that sort by time: seconds, five bytes of this process, a counter."""
    return f"{int(time.time()):08x}{_process}{next(_counter) & 0xFFFFFF:06x}"


def now() -> str:
    """This moment as the platform writes it."""
    return _text(datetime.now(UTC))


def to_text(moment: datetime) -> str:
    """ISO 8601 in UTC at the platform's precision of one millisecond."""
    return _text(moment.astimezone(UTC))


def _text(moment: datetime) -> str:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000).isoformat()


def to_time(text: str) -> datetime | None:
    """The moment that an ISO text names (UTC if naive), else None."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def stored_time(value: object, name: str) -> str | None:
    """A time from a request body in stored form; 422 when it is none."""
    if value is None:
        return None
    moment = to_time(value) if isinstance(value, str) else None
    if moment is None:
        raise invalid(f"{name}: {value!r} is not an ISO 8601 time")
    return to_text(moment)


def stored_date(value: object, name: str) -> str | None:
    """A date from a request body in stored form: the day as it is written, of a date or a time; 422 when it is none."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value if isinstance(value, str) else "").date().isoformat()
    except ValueError:
        raise invalid(f"{name}: {value!r} is not an ISO 8601 date") from None
