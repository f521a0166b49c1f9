"""A file's modification time in its info on the platform: text, since JSON numbers can't hold nanoseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

KEY = "fwsync_mtime"
"""The key in a file's info; its value is UTC with nine decimals, `2019-10-03T13:32:00.123456789Z`."""

_FORM = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z\Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_text(mtime_ns: int) -> str:
    """The value for a time; clamped to the years that can be written."""
    seconds, rest = divmod(mtime_ns, 1_000_000_000)
    try:
        moment = _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        moment, rest = (_EPOCH if mtime_ns < 0 else datetime.max.replace(tzinfo=UTC, microsecond=0)), 0
    return f"{moment.year:04}{moment:-%m-%dT%H:%M:%S}.{rest:09}Z"


def to_ns(text: object) -> int | None:
    """The time that a value tells; None if it is not one of ours."""
    found = _FORM.match(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1] + "+00:00")
    except ValueError:
        return None
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int((found[2] or "").ljust(9, "0"))
