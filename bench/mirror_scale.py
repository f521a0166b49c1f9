"""A project of 100,000 files: first mirror, mirror with nothing to do, mirror after one file has changed.

    python bench/mirror_scale.py [--files N] [--folder DIR]

The sandbox is filled directly and runs beside fwsync on the same machine; nothing is compared with a peer. Of each run
it tells the requests that the sandbox counted, the seconds of the whole process, by the clock and of CPU, and its peak
resident memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECRET = "bench-only-secret-0001"
FILES_EACH, SCANS_EACH = 10, 20


def fill(data: Path, files: int) -> None:
    """`lab/study`: sessions of 20 acquisitions of 10 files each, 200 to 1,200 bytes a file."""
    from fwsync.sandbox.demo.builder import Builder
    from fwsync.sandbox.options import SandboxOptions
    from fwsync.sandbox.site import Site

    values = random.Random(1)

    def work(conn: Any) -> None:
        builder = Builder(conn, store.blobs)
        project = builder.add("project", "study", builder.group("lab", "Lab"))
        scan: Any = None
        session: Any = None
        for number in range(files):
            if number % (FILES_EACH * SCANS_EACH) == 0:
                subject = builder.add("subject", f"sub-{number // (FILES_EACH * SCANS_EACH):04}", project)
                session = builder.add("session", "ses-1", subject)
            if number % FILES_EACH == 0:
                scan = builder.add("acquisition", f"scan-{number // FILES_EACH % SCANS_EACH:02}", session)
            content = values.randbytes(values.randrange(200, 1200))
            builder.file(scan, f"{number % FILES_EACH}.nii.gz", content)

    store = Site(SandboxOptions(api_key=SECRET), data)

    async def run() -> None:
        await store.db.write(work)

    asyncio.run(run())
    store.close()


def total(key: str) -> int:
    """Requests that the sandbox has answered."""
    host = ":".join(key.split(":")[:2])
    with urllib.request.urlopen(f"http://{host}/sandbox/stats") as answer:
        return int(json.load(answer)["total"])


def mirror(home: Path, key: str) -> tuple[int, float, float, int, dict[str, Any]]:
    """One mirror: requests, seconds by the clock and of CPU, peak MiB, and the summary."""
    env = {**os.environ, "HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "FWSYNC_API_KEY": key}
    before, began = total(key), time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "fwsync", "mirror", "--project", "lab/study", "--to", str(home / "out"), "--json"],
            env=env, stdout=out,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        out.seek(0)
        told = json.loads(out.read().splitlines()[-1])
    if status != 0:
        raise SystemExit(f"fwsync ended with {os.waitstatus_to_exitcode(status)}: {told}")
    return total(key) - before, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, told


def change_one(key: str) -> None:
    """A new version of one file."""
    import flywheel

    scan = flywheel.Client(key).lookup("lab/study/sub-0000/ses-1/scan-00")
    scan.upload_file(flywheel.FileSpec("0.nii.gz", b"changed", "application/octet-stream"))


def apart(work: Callable[..., None], *arguments: object) -> None:
    """Do it in a process of its own: a child's peak begins with what its parent held, so this one must stay small."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"{work.__name__} ended with {process.exitcode}")


def main() -> None:
    """Fill, mirror three times, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        home = Path(name)
        print(f"filling the sandbox with {options.files:,} files", file=sys.stderr)
        apart(fill, home / "data", options.files)
        command = [sys.executable, "-m", "fwsync.sandbox", "--api-key", SECRET, "--data", str(home / "data")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as site:
            assert site.stdout is not None
            key = site.stdout.readline().strip()
            print("| run | requests | seconds | client CPU, s | peak MiB | outcome |\n|---|---|---|---|---|---|")
            try:
                for run in ("first", "nothing to do", "one changed file"):
                    if run == "one changed file":
                        apart(change_one, key)
                    requests, seconds, cpu, peak, told = mirror(home, key)
                    states = ", ".join(f"{count:,} {state}" for state, count in told["states"].items())
                    print(f"| {run} | {requests:,} | {seconds:.1f} | {cpu:.1f} | {peak} | {states} |", flush=True)
            finally:
                site.terminate()


if __name__ == "__main__":
    main()
