"""fwsync beside the tutorial's loops on the official SDK: the same sandbox, in turn, in one run.

usage: compare.py [--rows 300] [--pairs 5] [--latency 0,10]

Whole processes are timed, start-up included. Every import goes into a project of its own, every mirror into an empty
folder. Ratios are SDK time / fwsync time, pair by pair; the table shows medians with the extremes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

from site_ import Person, Site, add_project, fill, sandbox, write_rows  # noqa: E402


@contextmanager
def site_with(sessions: int, latency: str, folder: Path, *flags: str) -> Iterator[Site]:
    """A sandbox whose project lab/study has that many sessions with a gear run each."""
    data = folder / "data"
    fill(data, sessions=sessions, files_each=1)
    with sandbox("--data", str(data), "--latency", latency, *flags) as site:
        yield site


def timed(command: list[str], person: Person) -> float:
    """Seconds of a whole process; its failure ends the benchmark."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=person.work, env=person.env, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{command[:4]} failed: {done.stdout[-300:]} {done.stderr[-600:]}")
    return seconds


def show(name: str, latency: str, ours: list[float], theirs: list[float]) -> None:
    """One row of the table."""
    ratios = sorted(b / a for a, b in zip(ours, theirs, strict=True))
    print(
        f"| {name} | {latency} ms | {statistics.median(ours):.2f} s | {statistics.median(theirs):.2f} s |"
        f" {statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |",
        flush=True,
    )


def imports(rows: int, pairs: int, latency: str, threads: int, *flags: str) -> None:
    """`fwsync import` beside the tutorial's loop."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = str(folder / "data")
        with sandbox("--data", data) as site:
            for number in range(2 * pairs):
                add_project(site, f"p{number}")
        with sandbox("--data", data, "--latency", latency, *flags) as site:
            person = Person(folder / "home", site.key)
            write_rows(person.work / "rows.csv", rows)
            ours, theirs = [], []
            for number in range(pairs):
                own = [python, "-m", "fwsync", "import", "rows.csv", "--project", f"lab/p{2 * number}", "-q"]
                peer = [python, str(HERE / "sdk_import.py"), "rows.csv", f"lab/p{2 * number + 1}", str(threads)]
                ours.append(timed(own, person))
                theirs.append(timed(peer, person))
    way = "three creates" if flags else "upsert"
    show(f"import, {rows} rows, {way}, SDK in {threads} thread{'s' if threads > 1 else ''}", latency, ours, theirs)


def mirrors(sessions: int, pairs: int, latency: str) -> None:
    """`fwsync mirror --member` beside the tutorial's loop."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with site_with(sessions, latency, folder) as site:
            person = Person(folder / "home", site.key)
            ours, theirs = [], []
            for number in range(pairs):
                own = [python, "-m", "fwsync", "mirror", "--gear", "maker", "--project", "lab/study"]
                own += ["--member", "values.bin", "--to", f"a{number}", "-q"]
                ours.append(timed(own, person))
                peer = [python, str(HERE / "sdk_mirror.py"), "lab/study", "maker", "values.bin", f"b{number}"]
                theirs.append(timed(peer, person))
                mine = sorted(p.stat().st_size for p in (person.work / f"a{number}").rglob("*values*.bin"))
                other = sorted(p.stat().st_size for p in (person.work / f"b{number}").rglob("*values*.bin"))
                assert mine == other, "the two fetched different files"
                assert len(mine) == sessions
    show(f"mirror, one zip member of {sessions} sessions", latency, ours, theirs)


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser()
    given.add_argument("--rows", type=int, default=300)
    given.add_argument("--pairs", type=int, default=5)
    given.add_argument("--latency", default="0,10")
    flags = given.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {flags.pairs} pairs\n")
    print("| job | latency | fwsync | SDK loop | SDK / fwsync |\n|---|---|---|---|---|")
    for latency in flags.latency.split(","):
        imports(flags.rows, flags.pairs, latency, 1)
        imports(flags.rows, flags.pairs, latency, 16)
        imports(flags.rows, flags.pairs, latency, 1, "--without", "upsert-hierarchy")
        mirrors(flags.rows // 3, flags.pairs, latency)


if __name__ == "__main__":
    main()
