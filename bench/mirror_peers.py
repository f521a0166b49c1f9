"""Who is timed by `bench/mirrors.py`: each a whole process that brings one project into an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mirror_site import MEMBER, SECRET, Server, Workload

HERE = Path(__file__).parent
TOOLS = Path(os.environ.get("FWSYNC_PEERS") or HERE.parent / ".fw-tools") / "bin"
AUTH = f"scitran-user {SECRET}"


@dataclass(frozen=True)
class Job:
    """One run: what to fetch from where to where. `home` is the run's own, new and empty but for lists of URLs."""

    work: Workload
    server: Server
    target: Path
    home: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of the process: nothing of the person who runs the benchmark."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("FW", "FLYWHEEL", "XDG"))}
        return {
            **kept,
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
            "XDG_STATE_HOME": str(self.home / "state"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "FWSYNC_API_KEY": self.server.key,
            "BENCH_AUTH": AUTH,
            "PYTHONWARNINGS": "ignore",
        }


@dataclass(frozen=True)
class Peer:
    """`start` prepares (untimed) and gives the command; `lacks` says what is missing here. `starts` says whether
    it can be run with nothing to fetch, which tells its start-up."""

    name: str
    start: Callable[[Job], list[str]]
    lacks: Callable[[], str] = lambda: ""
    starts: bool = True
    members: bool = True
    official: bool = False
    """It runs in the environment of the official tools, which must not see this PYTHONPATH."""

    def env(self, job: Job) -> dict[str, str]:
        """Its environment."""
        return {
            k: v for k, v in job.env.items() if not (self.official and k.startswith("PYTHON") and k != "PYTHONWARNINGS")
        }


def fwsync(job: Job) -> list[str]:
    """`fwsync mirror`."""
    own = [sys.executable, "-m", "fwsync", "mirror", "--project", f"lab/{job.work.name}", "--to", str(job.target)]
    return [*own, "--json", *(["--member", MEMBER] if job.work.member else [])]


def sdk(threads: int) -> Callable[[Job], list[str]]:
    """The tutorial's loop."""

    def start(job: Job) -> list[str]:
        own = [sys.executable, str(HERE / "sdk_files.py"), f"lab/{job.work.name}", str(job.target), str(threads)]
        return [*own, *([MEMBER] if job.work.member else [])]

    return start


def fw_sync(job: Job) -> list[str]:
    """The official command, logged in (untimed)."""
    program = str(TOOLS / "fw")
    env = {k: v for k, v in job.env.items() if not k.startswith("PYTHON") or k == "PYTHONWARNINGS"}
    done = subprocess.run([program, "login", job.server.key], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"fw login failed: {done.stderr[-500:]}")
    return [program, "sync", "-y", "-z", "-j", "16", "--no-audit-log", f"fw://lab/{job.work.name}", str(job.target)]


def _urls(job: Job) -> list[str]:
    return [job.server.base + path for path in job.work.paths]


def curl(job: Job) -> list[str]:
    """curl with a configuration file; the header comes from a file, so that it is on no command line."""
    (job.home / "header").write_text(f"Authorization: {AUTH}\n")
    lines = [f'url = "{url}"\noutput = "{job.target}/{number:06}"' for number, url in enumerate(_urls(job))]
    (job.home / "curl.conf").write_text("\n".join(lines) + "\n")
    job.target.mkdir(parents=True)
    own = ["curl", "--fail", "--silent", "--show-error", "--parallel", "--parallel-immediate", "--parallel-max", "32"]
    return [*own, "-H", f"@{job.home}/header", "-K", str(job.home / "curl.conf")]


def aria2c(job: Job) -> list[str]:
    """aria2c with a list; the header is an option of each entry."""
    entries = [f"{url}\n out={number:06}\n header=Authorization: {AUTH}" for number, url in enumerate(_urls(job))]
    (job.home / "aria2.list").write_text("\n".join(entries) + "\n")
    own = ["aria2c", "-j", "16", "-i", str(job.home / "aria2.list"), "-d", str(job.target), "--no-conf=true"]
    return [*own, "--quiet=true", "--file-allocation=none", "--summary-interval=0", "--download-result=hide"]


def bare(job: Job) -> list[str]:
    """The floor."""
    (job.home / "bare.list").write_text("\n".join(_urls(job)) + "\n")
    return [sys.executable, str(HERE / "bare.py"), str(job.home / "bare.list"), str(job.target), "32"]


def _program(name: str, where: str = "") -> Callable[[], str]:
    return lambda: "" if shutil.which(where or name) else f"{name} is not installed"


def _sdk_lacks() -> str:
    try:
        import flywheel  # noqa: F401
    except ImportError:
        return "the official SDK (flywheel-sdk) is not installed"
    return ""


def _fw_lacks() -> str:
    return "" if (TOOLS / "fw").exists() else f"{TOOLS}/fw is missing: `make peers` installs it"


PEERS = [
    Peer("fwsync", fwsync),
    Peer("sdk-1", sdk(1), _sdk_lacks),
    Peer("sdk-16", sdk(16), _sdk_lacks),
    Peer("fw-sync", fw_sync, _fw_lacks, members=False, official=True),
    Peer("curl", curl, _program("curl"), starts=False),
    Peer("aria2c", aria2c, _program("aria2c"), starts=False),
    Peer("bare", bare),
]
TITLES = {
    "fwsync": "fwsync mirror",
    "sdk-1": "SDK loop, 1 thread",
    "sdk-16": "SDK loop, 16 threads",
    "fw-sync": "fw sync -j 16",
    "curl": "curl --parallel-max 32",
    "aria2c": "aria2c -j 16",
    "bare": "bare aiohttp, 32",
}
