"""The official `fw` command and fw-client, in the environment of their own that `make peers` makes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fwsync.sandbox.pytest_plugin import ThreadedSandbox

TOOLS = Path(os.environ.get("FWSYNC_PEERS") or Path(__file__).parents[2] / ".fw-tools")

needs_peers = pytest.mark.skipif(
    os.environ.get("FWSYNC_PEERS") == "none", reason="FWSYNC_PEERS=none asks to leave the official clients out"
)
"""They are never left out without being asked to: where the environment is missing, the tests fail and say so."""


def tool(name: str) -> str:
    """The path of a program in that environment."""
    path = TOOLS / "bin" / name
    if not path.exists():
        pytest.fail(f"{path} is missing: `make peers` installs it; FWSYNC_PEERS=none leaves these tests out")
    return str(path)


def environment(home: Path) -> dict[str, str]:
    """A HOME of the test's own, so that no one's key file is read or written."""
    home.mkdir(parents=True, exist_ok=True)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FW", "FLYWHEEL", "XDG", "PYTHON"))
    }
    return {**kept, "HOME": str(home), "PYTHONWARNINGS": "ignore", "TZ": "UTC", "TMPDIR": str(home)}


class Official:
    """Someone who types `fw` commands."""

    def __init__(self, home: Path, running: ThreadedSandbox) -> None:
        self.home, self.key = home, running.key
        self.env = environment(home)

    def types(self, *arguments: str, ok: bool = True) -> str:
        """What a command prints; it must succeed, or fail, as told."""
        done = subprocess.run(
            [tool("fw"), *arguments],
            cwd=self.home, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        told = done.stdout + done.stderr
        assert (done.returncode == 0) is ok, told[-3000:]
        return told

    def listing(self, path: str) -> list[str]:
        """The names that `fw ls` shows."""
        return [line.rsplit(None, 1)[-1] for line in self.types("ls", path).splitlines() if line.strip()]


def run_script(home: Path, script: str, *arguments: str) -> Any:
    """Run a Python script there; the JSON that it prints last."""
    done = subprocess.run(
        [tool("python"), "-c", script, *arguments],
        cwd=home, env=environment(home), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])
