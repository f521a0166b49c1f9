"""Every error that fwsync raises on purpose, and the exit code that each one ends a command with.

    FwsyncError                    1   (never raised itself)
    ├── UsageError                 2   a flag, a setting, or a name that the site does not know
    │   ├── ConfigError                the TOML file: path, line where known
    │   └── InputFileError             a file that the user named and that can't be used: path, line, column
    ├── NotAsAskedError            3   the run could not do all that was asked
    │   ├── TargetError                the local target: read-only, in the way
    │   │   ├── DiskFullError              no room for a file
    │   │   └── StateError                 the journal can't be written; ends the run
    │   └── IntegrityError             bytes that arrived are not the bytes that the platform announced
    ├── AuthError                  4   no key, a malformed key, a refused key
    ├── RemoteError                3   the platform answered, and the answer is final
    │   ├── NotFoundError              404
    │   ├── ForbiddenError             403
    │   ├── ConflictError              409, 422
    │   └── ProtocolError              an answer that no Flywheel site would give
    ├── UnreachableError           5   no answer at all: name, port, TLS, time-out, 5xx to the last try
    │   └── LostAnswerError            the request may have been carried out; nobody knows yet
    └── LockedError                6   another run holds the lock

`str(error)` is always one line that says what, where and what to do. Lower errors are mapped in exactly one
place per room and kept as `__cause__`.
"""

from __future__ import annotations

from typing import ClassVar


class FwsyncError(Exception):
    """Base of all errors that a command reports as one line. `exit_code` is what the process ends with."""

    exit_code: ClassVar[int] = 1

    @property
    def line(self) -> str:
        """The message as exactly one printable line."""
        return " ".join(str(self).split())


class UsageError(FwsyncError):
    """A flag, a setting or a name that can't be used as given."""

    exit_code: ClassVar[int] = 2


class ConfigError(UsageError):
    """A configuration file that can't be read or holds an unknown or wrong setting."""


class InputFileError(UsageError):
    """A file that the user named can't be used at all. A single bad row is a rejected row, not this."""

    def __init__(self, message: str, *, path: str, line: int | None = None, column: str | None = None) -> None:
        """`path` as the user gave it; `line` counts from 1; `column` is a header name."""
        self.path, self.line_number, self.column = path, line, column
        where = path + (f", line {line}" if line else "") + (f", column {column!r}" if column else "")
        super().__init__(f"{where}: {message}")


class NotAsAskedError(FwsyncError):
    """Something is not as asked; the report names it."""

    exit_code: ClassVar[int] = 3


class TargetError(NotAsAskedError):
    """The local target is full, read-only, missing or in the way."""


class DiskFullError(TargetError):
    """No room for a file: the disk or a quota is full, or files may not be so large. Smaller ones may still fit.

    `number` is the system's errno, 0 where nothing was tried."""

    def __init__(self, message: str, number: int = 0) -> None:
        self.number = number
        super().__init__(message)


class StateError(TargetError):
    """The journal can't be written: ends the whole run, since nothing may be done of which nobody would know."""


class IntegrityError(NotAsAskedError):
    """Received bytes differ in number, hash or CRC from what the platform announced."""


class AuthError(FwsyncError):
    """No API key, a malformed one, or one that the site refuses."""

    exit_code: ClassVar[int] = 4


class RemoteError(FwsyncError):
    """The platform gave a final answer that is not a success.

    `status` is the HTTP status, `reason` the platform's own message, `request` is `METHOD /path` without any
    query (queries may hold tickets), `request_id` what the platform's operators ask for.
    """

    exit_code: ClassVar[int] = 3

    def __init__(
        self, reason: str, *, status: int, request: str, request_id: str | None = None, attempts: int = 1
    ) -> None:
        self.reason, self.status, self.request = reason, status, request
        self.request_id, self.attempts = request_id, attempts
        tail = f" (request id {request_id})" if request_id else ""
        super().__init__(f"{request} answered {status}: {reason}{tail}")


class NotFoundError(RemoteError):
    """404: no such container, file or route."""


class ForbiddenError(RemoteError):
    """403: the key may not do this."""


class ConflictError(RemoteError):
    """409 or 422: the platform already has it, or refuses the value."""


class ProtocolError(RemoteError):
    """The answer is not one that a Flywheel site gives (not JSON, a wrong kind, an HTML page)."""


class UnreachableError(FwsyncError):
    """No usable answer: unknown host, closed port, TLS, time-out, or 5xx until the last try."""

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, attempts: int = 1) -> None:
        self.attempts = attempts
        super().__init__(message)


class LostAnswerError(UnreachableError):
    """A create was sent and its answer never came: it may have been carried out, or still be."""


class LockedError(FwsyncError):
    """Another run holds the lock; the message names host, process and since when."""

    exit_code: ClassVar[int] = 6


def first_known(error: BaseException) -> FwsyncError | None:
    """The error itself, or the first of a task group's errors, that is one of ours."""
    if isinstance(error, BaseExceptionGroup):
        return next((found for one in error.exceptions if (found := first_known(one)) is not None), None)
    return error if isinstance(error, FwsyncError) else None
