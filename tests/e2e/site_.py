"""A sandbox as a process of its own, and fwsync as a process of its own: what the e2e tests are made of."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SECRET = "e2e-test-secret-0001"


class Site:
    """A running sandbox."""

    def __init__(self, process: subprocess.Popen[str], key: str) -> None:
        self.process, self.key = process, key
        self.host = ":".join(key.split(":")[:2])

    def stats(self) -> dict[str, Any]:
        """Its counters."""
        with urllib.request.urlopen(f"http://{self.host}/sandbox/stats") as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def sdk(self) -> Any:
        """The official SDK, connected."""
        import flywheel

        return flywheel.Client(self.key)


@contextlib.contextmanager
def sandbox(*flags: str) -> Iterator[Site]:
    """`python -m fwsync.sandbox` with these flags, until the block ends."""
    command = [sys.executable, "-m", "fwsync.sandbox", "--api-key", SECRET, *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        assert key, "the sandbox did not start"
        yield Site(process, key)
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


class Person:
    """Someone who types fwsync commands, with a home of their own."""

    def __init__(self, home: Path, key: str) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FWSYNC_", "XDG_"))}
        self.env = {
            **kept,
            "HOME": str(home),
            "XDG_STATE_HOME": str(home / "state"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "TMPDIR": str(home),
            **({"FWSYNC_API_KEY": key} if key else {}),
        }

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """A command that runs while the test goes on."""
        return subprocess.Popen(
            [sys.executable, "-m", "fwsync", *arguments],
            cwd=self.work,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def types(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """A command, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "fwsync", *arguments],
            cwd=self.work,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def add_project(site: Site, label: str, group: str = "lab") -> Any:
    """A project made by the SDK."""
    fw = site.sdk()
    if group not in [found.id for found in fw.groups()]:
        fw.add_group({"_id": group, "label": group.title()})
    return fw.get_group(group).add_project(label=label)


def write_rows(path: Path, count: int) -> None:
    """A CSV of that many distinct subjects, with the tutorial's six columns."""
    lines = ["Subject ID,FirstName,LastName,sex,age,time of scan"]
    for n in range(count):
        person = f"sub{n:04},First{n},Last{n},{('female', 'male')[n % 2]},{20 + n % 60}"
        lines.append(f"{person},{1 + n % 12:02}/{13 + n % 15}/2019 15:{n % 60:02}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def counts(project: Any) -> tuple[int, int, int]:
    """Subjects, sessions and acquisitions of a project, counted by the SDK."""
    project = project.reload()
    subjects = list(project.subjects.iter())
    return len(subjects), len(project.sessions()), sum(len(s.acquisitions()) for s in project.sessions())


def fill(data: Path, sessions: int, files_each: int, size: int = 20_000) -> None:
    """A data folder with project `lab/study`: that many sessions, each with a complete run of gear `maker` that has
    `files_each` zips of two members. Written through the sandbox's own store: by HTTP it would take minutes."""
    import asyncio
    import random

    from fwsync.sandbox.demo import content
    from fwsync.sandbox.demo.builder import Builder
    from fwsync.sandbox.options import SandboxOptions
    from fwsync.sandbox.site import Site as Store

    def build(conn: Any) -> None:
        builder = Builder(conn, store.blobs)
        gear = builder.gear("maker", "1.0.0", "analysis")
        project = builder.add("project", "study", builder.group("lab", "Lab"))
        for number in range(sessions):
            subject = builder.add("subject", f"sub-{number:04}", project)
            analysis = builder.analysis(builder.add("session", "ses-1", subject), gear, "complete")
            for part in range(files_each):
                noise = random.Random(number * 1000 + part).randbytes(size)
                members = {"out/stats/values.bin": noise, "out/log.txt": b"fine\n" * 50}
                builder.file(analysis, f"part-{part}.zip", content.archive(members))

    store = Store(SandboxOptions(api_key=SECRET), data)

    async def run() -> None:
        await store.db.write(build)

    asyncio.run(run())
    store.close()


def digests(root: Path) -> dict[str, str]:
    """Every file below a folder but fwsync's own, by path, with its SHA-384."""
    import hashlib

    return {
        str(path.relative_to(root)): hashlib.sha384(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".fwsync" not in path.parts
    }
