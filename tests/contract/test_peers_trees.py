"""The same trees as the official clients fetch: the SDK's download loop, and `fw sync`; byte by byte."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import flywheel
import pytest
from peers_ import Official, needs_peers

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from site_ import Person, digests

pytestmark = pytest.mark.timeout(300)


def sdk_loop(project: Any, root: Path) -> None:
    """What the tutorial's reader writes: every file of every container, to folders by label."""

    def take(container: Any, folder: Path) -> Any:
        whole = container.reload()
        for file in whole.files:
            folder.mkdir(parents=True, exist_ok=True)
            whole.download_file(file.name, str(folder / file.name))
        return whole

    take(project, root / project.label)
    for subject in project.subjects.iter():
        at = root / project.label / subject.label
        take(subject, at)
        for session in subject.sessions.iter():
            take(session, at / session.label)
            for scan in session.acquisitions.iter():
                take(scan, at / session.label / scan.label)


@pytest.mark.parametrize("signed", [False, True], ids=["direct", "signed"])
def test_the_sdk_loop_writes_the_same_tree(tmp_path: Path, signed: bool) -> None:
    with ThreadedSandbox(SandboxOptions(demo=True, signed_urls=signed)) as running:
        sdk_loop(flywheel.Client(running.key).lookup("scitran/BIDS-Sample"), tmp_path / "sdk")
        person = Person(tmp_path / "home", running.key)
        done = person.types("mirror", "--project", "scitran/BIDS-Sample", "--to", "out")
        assert done.returncode == 0, done.stdout + done.stderr
        assert len(digests(tmp_path / "sdk")) == 94
        assert digests(person.work / "out") == digests(tmp_path / "sdk")


def without_words(path: str) -> str:
    """A path as `fw sync` lays it out, `group/project/SUBJECTS/sub-01/FILES/...`, with labels and names alone."""
    words = ("SUBJECTS", "SESSIONS", "ACQUISITIONS", "FILES")
    return "/".join(part for part in path.split("/")[1:] if part not in words)


@needs_peers
def test_fw_sync_writes_the_same_tree(tmp_path: Path) -> None:
    with ThreadedSandbox(SandboxOptions(demo=True, signed_urls=True)) as running:
        official = Official(tmp_path / "fw", running)
        official.types("login", running.key)
        official.types("sync", "-y", "--no-audit-log", "fw://scitran/BIDS-Sample", "out")
        theirs = {without_words(path): digest for path, digest in digests(official.home / "out").items()}
        person = Person(tmp_path / "home", running.key)
        done = person.types("mirror", "--project", "scitran/BIDS-Sample", "--to", "out")
        assert done.returncode == 0, done.stdout + done.stderr
        ours = digests(person.work / "out")
        assert len(ours) == 94
        assert ours == theirs
