"""Logs: structlog is loaded by the first event that is let through, and looks after that as it was asked for."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fwsync import logs

SET_UP = "import sys\nfrom fwsync import logs\nlog = logs.get('client')\n"


def told(code: str) -> str:
    """Standard error of a process that runs this after `SET_UP`."""
    done = subprocess.run([sys.executable, "-c", SET_UP + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("level", "event", "loaded"),
    [
        ("warning", "debug", False),
        ("warning", "info", False),
        ("warning", "warning", True),
        ("warning", "error", True),
        ("error", "warning", False),
        ("info", "info", True),
        ("debug", "debug", True),
    ],
)
def test_an_event_below_the_level_loads_nothing_and_any_other_is_a_line(level: str, event: str, loaded: bool) -> None:
    err = told(
        f"logs.set_up(level={level!r})\nlog.{event}('it happened', level=3, reason='why')\n"
        f"assert ('structlog' in sys.modules) == {loaded}, sorted(sys.modules)"
    )
    lines = err.splitlines()
    assert len(lines) == loaded
    for line in lines:
        assert "it happened" in line
        assert "reason=why" in line
        assert "room=client" in line


def test_json_lines_are_scrubbed_also_in_tracebacks() -> None:
    err = told(
        "logs.hide('hunter2hunter2')\nlogs.set_up(form='json')\n"
        "try: raise ValueError('Bearer tok3n hunter2hunter2')\n"
        "except ValueError as error: log.error('bug', exc_info=error, url='http://h/x?ticket=abc123')\n"
    )
    line = json.loads(err)
    assert (line["event"], line["level"], line["room"]) == ("bug", "error", "client")
    assert "ValueError" in line["exception"]
    for secret in ("tok3n", "hunter2", "abc123"):
        assert secret not in err


def test_the_last_set_up_counts_whether_structlog_is_there_or_not() -> None:
    for load in ("", "import structlog\n"):
        code = "logs.set_up(level='error')\n" + load + "logs.set_up(form='json', level='info')\nlog.info('a')\n"
        assert json.loads(told(code))["event"] == "a"
    code = "logs.set_up(level='info')\nlog.info('a')\nlogs.set_up(level='error')\nlog.info('b')\nlog.error('c')\n"
    assert [word in told(code) for word in (" a ", " b ", " c ")] == [True, False, True]


def test_a_program_s_own_set_up_is_kept_before_and_after() -> None:
    own = (
        "import structlog\n"
        "structlog.configure(processors=[lambda logger, method, event: f'own {event[\"event\"]}'],"
        " logger_factory=structlog.PrintLoggerFactory(sys.stderr))\n"
    )
    assert told(own + "assert logs.is_set_up()\nlog.info('a')\n") == "own a\n"
    assert told("logs.set_up()\n" + own + "log.info('a')\nlog.info('b')\n") == "own a\nown b\n"


def test_it_is_told_whether_anyone_has_set_logs_up() -> None:
    told("assert not logs.is_set_up()\nlogs.set_up()\nassert logs.is_set_up()\nassert 'structlog' not in sys.modules")
    told("import structlog\nassert not logs.is_set_up()\nlogs.set_up()\nassert logs.is_set_up()")


def test_an_id_is_no_secret_and_a_key_is() -> None:
    named = "name one by its id: <id:5dc091c169d4f3002d16f32f>, <id:5dc091c169d4f3002d16f330>"
    assert logs.scrub(named) == named
    assert logs.scrub("id:5dc091c169d4f3002d16f32f") == "id:***"
    assert logs.scrub("<host:8080:5dc091c169d4f3002d16f32f>") == "<host:8080:***>"
