"""Logs by structlog: plain lines or JSON on stderr, with every secret scrubbed before it is written.

structlog is loaded, and set up, by the first event that is let through: with rich, which it loads for a form that we
don't use, it is a fifth of the start of a command, and most commands log nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final, NamedTuple, TextIO

# A key as the platform shows it (host[:port][:__force_insecure]:secret), an Authorization value, and the query
# values that open a door by themselves: tickets, tokens and the signatures of signed links.
_PATTERNS: Final = (
    re.compile(r"(?i)\b(bearer|scitran-user|basic)\s+[^\s'\",;]+"),
    re.compile(
        r"(?i)([?&](?:ticket|token|signature|sig|x-amz-[a-z-]+|x-goog-[a-z-]+|awsaccesskeyid|key-pair-id|policy"
        r"|expires|se|sp|sv|sr|skoid|sktid)=)[^&\s'\"]+"
    ),
    # `<id:HEX>` is no key: it is how a container is named where its label won't do.
    re.compile(
        r"\b(?!id:[0-9a-f]{24}>)([A-Za-z0-9][A-Za-z0-9.-]*:(?:\d+:)?(?:__force_insecure:)?)[A-Za-z0-9_-]{16,}\b"
    ),
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


_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class _Wish(NamedTuple):
    """How logs are to be set up."""

    form: str
    level: str
    stream: TextIO


_waiting: list[_Wish] = []
"""What `set_up` was asked for last, while structlog is not loaded."""


def set_up(*, form: str = "plain", level: str = "warning", stream: TextIO | None = None) -> None:
    """Say how logs are written, once per process.

    `form` is `plain` (one `key=value` line an event) or `json` (one object a line); `level` is debug, info,
    warning or error. Logs go to stderr: stdout belongs to the command's own output.
    """
    wish = _Wish(form, level, stream or sys.stderr)
    if "structlog" in sys.modules:
        _waiting.clear()
        _configure(wish)
    else:
        _waiting[:] = [wish]


def is_set_up() -> bool:
    """Whether anyone, this module or a program that uses fwsync, has said how logs are written."""
    return bool(_waiting) or ("structlog" in sys.modules and _structlog().is_configured())


def get(room: str) -> Log:
    """The logger of a room, e.g. `get("client")`."""
    return Log(room)


class Log:
    """The logger of a room: an event, and what it tells of by name."""

    __slots__ = ("_room",)

    def __init__(self, room: str) -> None:
        self._room = room

    def debug(self, event: str, **values: object) -> None:
        """What only a developer asks for."""
        self._tell("debug", event, values)

    def info(self, event: str, **values: object) -> None:
        """What `--verbose` shows."""
        self._tell("info", event, values)

    def warning(self, event: str, **values: object) -> None:
        """What a person should know, though the work goes on."""
        self._tell("warning", event, values)

    def error(self, event: str, **values: object) -> None:
        """What went wrong; `exc_info` is the exception, for its traceback."""
        self._tell("error", event, values)

    def _tell(self, level: str, event: str, values: dict[str, object]) -> None:
        for wish in tuple(_waiting):
            if "structlog" not in sys.modules and _LEVELS[level] < _LEVELS[wish.level]:
                return
            # A program that has set up structlog by itself since then keeps what it has.
            if not _structlog().is_configured():
                _configure(wish)
            _waiting.clear()
        getattr(_structlog().get_logger(room=self._room), level)(event, **values)


def _structlog() -> Any:
    import structlog  # noqa: PLC0415 - see above

    return structlog


def _configure(wish: _Wish) -> None:
    structlog = _structlog()
    renderer = (
        structlog.processors.JSONRenderer()
        if wish.form == "json"
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
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[wish.level]),
        logger_factory=structlog.PrintLoggerFactory(wish.stream),
        cache_logger_on_first_use=False,
    )
