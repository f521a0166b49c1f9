"""`fwsync import` beside the tutorial's loop on the official SDK: the same sandbox, in turn, in one run.

usage: imports.py [--pairs 3] [--latency 0,10,50] [--rows 3000,1000,500] [--threads 1,16]     (rows for each latency)

Whole processes are timed, start-up included; every import goes into a project of its own. Ratios are SDK time / fwsync
time, pair by pair. `floor` is requests x latency / requests in flight: how much longer fwsync took than that, without
its start-up, as its own summary tells. `--threads 0` runs fwsync alone, for more rows than anyone waits for the loop.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

from site_ import Person, add_project, sandbox, write_rows  # noqa: E402

IN_FLIGHT = 64
WAYS = {"upsert": (), "three creates": ("--without", "upsert-hierarchy")}


def timed(command: list[str], person: Person) -> tuple[float, str]:
    """Seconds of a whole process and its output; its failure ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=person.work, env=person.env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command[:4]} failed: {done.stdout[-300:]} {done.stderr[-600:]}")
    return seconds, done.stdout


def made(fw: Any, path: str) -> tuple[int, ...]:
    """How many subjects, sessions and acquisitions a project has, counted by the SDK."""
    inside = f"parents.project={fw.lookup(path).id}"
    return tuple(sum(1 for _ in finder.iter_find(inside)) for finder in (fw.subjects, fw.sessions, fw.acquisitions))


def compare(rows: int, pairs: int, latency: int, threads: int, way: str) -> str:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = str(folder / "data")
        with sandbox("--data", data) as site:
            for number in range(2 * pairs):
                add_project(site, f"p{number}")
        with sandbox("--data", data, "--latency", str(latency), *WAYS[way]) as site:
            person = Person(folder / "home", site.key)
            write_rows(person.work / "rows.csv", rows)
            ours, theirs, floors = [], [], []
            for number in range(pairs):
                own = [
                    sys.executable,
                    "-m",
                    "fwsync",
                    "import",
                    "rows.csv",
                    "--project",
                    f"lab/p{2 * number}",
                    "--json",
                ]
                seconds, out = timed(own, person)
                told = json.loads(out.splitlines()[-1])
                ours.append(seconds)
                floors.append(told["seconds"] / (told["requests"] * latency / 1000 / IN_FLIGHT) if latency else 0.0)
                if not threads:
                    continue
                peer = [sys.executable, str(HERE / "sdk_import.py"), "rows.csv", f"lab/p{2 * number + 1}", str(threads)]
                theirs.append(timed(peer, person)[0])
        with sandbox("--data", data) as site:
            found = {made(site.sdk(), f"lab/p{number}") for number in ((0, 1) if threads else (0,))}
            assert found == {(rows, rows, rows)}, f"the two made different containers: {found}"
    floor = f"{statistics.median(floors):.2f}" if latency else "-"
    if not threads:
        return f"| {rows:,} rows, {way} | {latency} ms | - | {statistics.median(ours):.2f} s | - | - | {floor} |"
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    return (
        f"| {rows:,} rows, {way} | {latency} ms | {threads} | {statistics.median(ours):.2f} s |"
        f" {statistics.median(theirs):.1f} s | {statistics.median(ratios):.1f}"
        f" ({ratios[0]:.1f} to {ratios[-1]:.1f}) | {floor} |"
    )


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser()
    given.add_argument("--pairs", type=int, default=3)
    given.add_argument("--latency", default="0,10,50")
    given.add_argument("--rows", default="3000,1000,500")
    given.add_argument("--threads", default="1,16")
    flags = given.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {flags.pairs} pairs\n")
    print(
        "| import | latency | SDK threads | fwsync | SDK loop | SDK / fwsync | x floor |\n|---|---|---|---|---|---|---|"
    )
    for latency, rows in zip(flags.latency.split(","), flags.rows.split(","), strict=True):
        for way in WAYS:
            for threads in flags.threads.split(","):
                print(compare(int(rows), flags.pairs, int(latency), int(threads), way), flush=True)


if __name__ == "__main__":
    main()
