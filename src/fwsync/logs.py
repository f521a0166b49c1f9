"""structlog set-up: plain lines or JSON on stderr, with every secret scrubbed before it is written."""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import structlog

# A key as the platform shows it (host[:port][:__force_insecure]:secret), an Authorization value, and the query
# values that open a door by themselves: tickets, tokens and the signatures of signed links.
_PATTERNS: Final = (
    re.compile(r"(?i)\b(bearer|scitran-user|basic)\s+[^\s'\",;]+"),
    re.compile(
        r"(?i)([?&](?:ticket|token|signature|sig|x-amz-[a-z-]+|x-goog-[a-z-]+|awsaccesskeyid|key-pair-id|policy"
        r"|expires|se|sp|sv|sr|skoid|sktid)=)[^&\s'\"]+"
    ),
    re.compile(r"\b([A-Za-z0-9][A-Za-z0-9.-]*:(?:\d+:)?(?:__force_insecure:)?)[A-Za-z0-9_-]{16,}\b"),
)
_REPLACEMENTS: Final = (r"\1 ***", r"\1***", r"\1***")

_known: set[str] = set()


def hide(secret: str) -> None:
    """Register a secret: it is replaced by *** in every later log line and scrubbed text, however it got there."""
    if len(secret) >= 4:
        _known.add(secret)


def scrub(text: str) -> str:
    """`text` without secrets: registered ones, API keys, Authorization values, tickets and signatures."""
    for secret in _known:
        text = text.replace(secret, "***")
    for pattern, replacement in zip(_PATTERNS, _REPLACEMENTS, strict=True):
        text = pattern.sub(replacement, text)
    return text


def _scrub_value(value: object) -> object:
    match value:
        case str():
            return scrub(value)
        case dict():
            return {key: _scrub_value(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_scrub_value(item) for item in value]
        case None | bool() | int() | float():
            return value
        case _:
            return scrub(str(value))


def _scrub_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in list(event):
        event[key] = _scrub_value(event[key])
    return event


def set_up(*, form: str = "plain", level: str = "warning", stream: TextIO | None = None) -> None:
    """Configure structlog once per process.

    `form` is `plain` (one `key=value` line an event) or `json` (one object a line); `level` is debug, info,
    warning or error. Logs go to stderr: stdout belongs to the command's own output.
    """
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40}
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=False, sort_keys=False, pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _scrub_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(levels[level]),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def get(room: str) -> Any:
    """The logger of a room, e.g. `get("client")`."""
    return structlog.get_logger(room=room)
