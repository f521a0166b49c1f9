"""`fwsync mirror` beside its peers: one site, one run, everything on a memory disk, in turn, whole processes.

usage: mirrors.py [--quick] [--server nginx,nginx-single,sandbox] [--latency 0,10,50] [--rate 80M]
                  [--only small,medium,large,zips]
                  [--peers fwsync,sdk-1,sdk-16,fw-sync,curl,aria2c,bare] [--pairs 7] [--slow sdk-1] [--slow-pairs 1]
                  [--small 5000] [--medium 500] [--large 4] [--zips 2000] [--large-size 1G] [--zip-size 200M]
                  [--tmpfs /dev/shm] [--folder DIR] [--json FILE] [--limit 1800]

Workloads: small (files of 16 KiB), medium (1 MiB), large (1 GiB), zips (one member of about 100 KB of each archive).
`--folder` adds a second table whose targets lie in that folder, on a disk. A peer that is not installed is named and
left out. Every run starts with an empty target and an empty home; afterwards the tree is compared with the site (all
counts and sizes, the SHA-384 of all files or of about 256 MiB of them). CPU is the process's own with its children.
`less start-up` is the time without what the same process takes for an empty project, or an empty list, at no latency
(curl and aria2c: nothing taken off). `--rate` is the most that nginx sends on one connection in a second. Ratios are
taken pair by pair. See bench/mirror_site.py for what the servers are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import mirror_site
from mirror_peers import PEERS, TITLES, Job, Peer
from mirror_site import Server, Workload

MOST_HASHED = 256 << 20
LEAST = 0.1
"""Seconds below which a time without start-up is noise, and no ratio is given."""
EMPTY = Workload("empty", 0, 0)


@dataclass(frozen=True)
class Run:
    """One timed process: seconds, CPU seconds of client and server, bytes that the server sent."""

    wall: float
    cpu: float
    server_cpu: float
    moved: int | None
    told: dict[str, Any]


def timed(peer: Peer, job: Job, limit: float) -> Run:
    """Run it to its end; its failure ends the benchmark."""
    command = peer.start(job)
    sent, served = job.server.moved(), job.server.cpu()
    with (job.home / "out").open("wb") as out, (job.home / "err").open("wb") as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=job.home, env=peer.env(job), stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        watch = threading.Timer(limit, process.kill)
        watch.daemon = True
        watch.start()
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        finally:
            watch.cancel()
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    served = job.server.cpu() - served
    after = job.server.moved()
    if process.returncode:
        told = (job.home / "err").read_text()[-800:] + (job.home / "out").read_text()[-400:]
        sys.exit(f"{peer.name}: exit {process.returncode} on {job.work.title}: {told}")
    moved = None if sent is None or after is None else after - sent
    return Run(wall, used.ru_utime + used.ru_stime, served, moved, _told(job.home / "out"))


def _told(path: Path) -> dict[str, Any]:
    """The figures of fwsync's own summary; empty for the others."""
    last = path.read_bytes()[-100_000:].splitlines()[-1:]
    try:
        document = json.loads(last[0]) if last else {}
    except ValueError:
        return {}
    if not isinstance(document, dict):
        return {}
    return {name: document[name] for name in ("seconds", "requests", "bytes", "retries") if name in document}


def check(job: Job, seed: int) -> None:
    """Whether the tree holds just what the site has; ends the benchmark if not."""
    if not job.target.exists():
        found: list[Path] = []
    else:
        found = sorted(p for p in job.target.rglob("*") if p.is_file() and ".fwsync" not in p.parts)
    wanted = Counter(size for size, _ in job.work.expected)
    if Counter(path.stat().st_size for path in found) != wanted:
        sys.exit(f"{job.target}: {len(found):,} files, {job.work.count:,} wanted, or other sizes")
    hashed, digests = 0, Counter[str]()
    for path in random.Random(seed).sample(found, len(found)):
        if hashed >= MOST_HASHED:
            break
        with path.open("rb") as content:
            digests[hashlib.file_digest(content, "sha384").hexdigest()] += 1
        hashed += path.stat().st_size
    if digests - Counter(digest for _, digest in job.work.expected):
        sys.exit(f"{job.target}: a file differs from the site's")


class Bench:
    """One server at one latency."""

    def __init__(self, server: Server, folder: Path, targets: Path, flags: argparse.Namespace) -> None:
        self.server, self.folder, self.targets, self.flags = server, folder, targets, flags
        self._number = 0

    def once(self, peer: Peer, work: Workload) -> Run:
        """One run with its check, and everything it left removed."""
        self._number += 1
        target = self.targets / f"target-{self._number}"
        home = self.folder / f"home-{self._number}"
        home.mkdir()
        job = Job(work, self.server, target, home)
        try:
            run = timed(peer, job, self.flags.limit)
            check(job, self._number)
        finally:
            shutil.rmtree(home, ignore_errors=True)
            shutil.rmtree(target, ignore_errors=True)
        return run

    def compare(self, peers: list[Peer], work: Workload, pairs: int, slow: int) -> dict[str, list[Run]]:
        """Every peer once in each round, the order turned by one from round to round."""
        runs: dict[str, list[Run]] = {peer.name: [] for peer in peers}
        for number in range(pairs):
            turn = number % len(peers)
            for peer in peers[turn:] + peers[:turn]:
                if (peer.name in self.flags.slow.split(",") and number >= slow) or (work.member and not peer.members):
                    continue
                runs[peer.name].append(self.once(peer, work))
                print(f"  {work.name} {peer.name} {runs[peer.name][-1].wall:.2f} s", file=sys.stderr, flush=True)
        return {name: found for name, found in runs.items() if found}


HEADER = (
    "| who | runs | wall | less start-up | client CPU | server CPU | moved | time / fwsync | fwsync / it"
    " | fwsync / it, both less start-up |\n|---|---|---|---|---|---|---|---|---|---|"
)


def ratio(upper: list[float], lower: list[float]) -> str:
    """Median and extremes of the pairs' ratios."""
    found = sorted(a / b for a, b in zip(upper, lower, strict=False))
    spread = f" ({found[0]:.2f} to {found[-1]:.2f})" if len(found) > 1 else ""
    return f"{statistics.median(found):.2f}{spread}"


def table(runs: dict[str, list[Run]], starts: dict[str, float]) -> str:
    """The table of one workload. The first runs of a peer that ran less often are paired with fwsync's first."""

    def net(name: str) -> list[float]:
        return [max(run.wall - starts.get(name, 0.0), 0.001) for run in runs[name]]

    lines = [HEADER]
    ours = [run.wall for run in runs.get("fwsync", [])]
    for name, found in runs.items():
        walls = [run.wall for run in found]
        moved = [run.moved for run in found if run.moved is not None]
        share = f"{human_bytes(statistics.median(moved))}" if moved else "-"
        ratios = "| - | - | -"
        if ours and name != "fwsync":
            enough = min(statistics.median(net(name)), statistics.median(net("fwsync"))) >= LEAST
            both = ratio(net("fwsync"), net(name)) if enough else "-"
            ratios = f"| {ratio(walls, ours)} | {ratio(ours, walls)} | {both}"
        lines.append(
            f"| {TITLES[name]} | {len(found)} | {statistics.median(walls):.2f} s | {statistics.median(net(name)):.2f} s"
            f" | {statistics.median(run.cpu for run in found):.2f} s"
            f" | {statistics.median(run.server_cpu for run in found):.2f} s | {share} {ratios} |"
        )
    if told := (runs.get("fwsync") or [None])[0]:
        lines.append(f"\nfwsync's own summary of the first run: {json.dumps(told.told)}")
    return "\n".join(lines)


def human_bytes(count: float) -> str:
    """Bytes, three digits."""
    for unit, each in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= each:
            return f"{count / each:.3g} {unit}"
    return f"{count:.0f} B"


def start_ups(folder: Path, targets: Path, kind: str, peers: list[Peer], flags: argparse.Namespace) -> dict[str, float]:
    """Seconds that each takes for an empty project at no latency."""
    with mirror_site.SERVERS[kind](folder, 0) as server:
        bench = Bench(server, folder, targets, flags)
        own = [peer for peer in peers if peer.starts]
        return {peer.name: statistics.median(bench.once(peer, EMPTY).wall for _ in range(3)) for peer in own}


def one_table(
    folder: Path, targets: Path, kind: str, latency: int, peers: list[Peer], works: list[Workload],
    starts: dict[str, float], flags: argparse.Namespace,
) -> list[dict[str, Any]]:  # fmt: skip
    """All workloads at one server and latency: printed, and as records."""
    records = []
    with mirror_site.SERVERS[kind](folder, latency, flags.rate) as server:
        bench = Bench(server, folder, targets, flags)
        rate = f", {human_bytes(flags.rate)}/s a connection" if flags.rate else ""
        for work in works:
            runs = bench.compare(peers, work, flags.pairs, flags.slow_pairs)
            where = "memory disk" if targets == folder else f"target in {flags.folder}"
            print(f"\n{work.title}, {kind}, {latency} ms{rate}, {where}\n\n{table(runs, starts)}", flush=True)
            records.append({
                "workload": work.name, "count": work.count, "size": work.size, "bytes": work.bytes, "server": kind,
                "latency_ms": latency, "rate": flags.rate, "target": "memory" if targets == folder else "folder",
                "start_up": starts,
                "runs": {name: [asdict(run) for run in found] for name, found in runs.items()},
            })  # fmt: skip
    return records


def size_of(text: str) -> int:
    """`200M` as bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1].upper()] if text[-1:].upper() in units else int(text)


def parse() -> argparse.Namespace:
    """The flags; `--quick` only changes the defaults."""
    quick = "--quick" in sys.argv
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--quick", action="store_true", help="small sizes, two rounds, no latency")
    given.add_argument("--server", default="nginx")
    given.add_argument("--latency", default="0" if quick else "0,10,50")
    given.add_argument("--rate", type=size_of, default=0, help="bytes a second on each connection to nginx")
    given.add_argument("--only", default="small,medium,large,zips")
    given.add_argument("--peers", default=",".join(peer.name for peer in PEERS))
    given.add_argument("--pairs", type=int, default=2 if quick else 7)
    given.add_argument("--slow", default="sdk-1", help="peers that run in the first rounds alone")
    given.add_argument("--slow-pairs", type=int, default=1, help="how many rounds those run")
    given.add_argument("--small", type=int, default=200 if quick else 5000)
    given.add_argument("--medium", type=int, default=20 if quick else 500)
    given.add_argument("--large", type=int, default=2 if quick else 4)
    given.add_argument("--zips", type=int, default=20 if quick else 2000)
    given.add_argument("--small-size", type=size_of, default=16 << 10)
    given.add_argument("--medium-size", type=size_of, default=1 << 20)
    given.add_argument("--large-size", type=size_of, default=(64 << 20) if quick else (1 << 30))
    given.add_argument("--zip-size", type=size_of, default=(20 if quick else 200) << 20)
    given.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"))
    given.add_argument("--folder", type=Path, help="a second table with its targets in this folder")
    given.add_argument("--json", type=Path, help="write every run's figures there")
    given.add_argument("--limit", type=float, default=1800, help="seconds after which one run is ended")
    flags = given.parse_args()
    for name, known in (("server", mirror_site.SERVERS), ("only", ("small", "medium", "large", "zips")),
                        ("peers", [peer.name for peer in PEERS])):  # fmt: skip
        if strange := [one for one in getattr(flags, name).split(",") if one not in known]:
            given.error(f"--{name}: {strange[0]!r} is not one of {', '.join(known)}")
    return flags


def able(flags: argparse.Namespace) -> tuple[list[Peer], list[str]]:
    """The peers and servers that are asked for and here; what is missing is said."""
    peers, servers = [], []
    for peer in PEERS:
        if peer.name in flags.peers.split(","):
            lack = peer.lacks()
            peers += [] if lack else [peer]
            if lack:
                print(f"left out: {peer.name}: {lack}")
    for kind in flags.server.split(","):
        lack = mirror_site.missing(kind, [int(one) for one in flags.latency.split(",")])
        servers += [] if lack else [kind]
        if lack:
            print(f"left out: the server {kind}: {lack}")
    if not servers or not peers:
        sys.exit("nothing is left to compare")
    return peers, servers


def main() -> None:
    """Fill the site, print the tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and folders go when it is ended
    flags = parse()
    peers, servers = able(flags)
    only = flags.only.split(",")
    sizes = {"small": flags.small_size, "medium": flags.medium_size, "large": flags.large_size, "zips": flags.zip_size}
    works = [Workload(name, getattr(flags, name), sizes[name], name == "zips") for name in only]
    if not flags.tmpfs.is_dir():
        sys.exit(f"{flags.tmpfs}: no such folder; name a folder on a memory disk by --tmpfs")
    records: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="fwsync-bench-", dir=flags.tmpfs) as name:
        folder = Path(name)
        mirror_site.fill(folder, works)
        cores, version = os.cpu_count(), sys.version.split()[0]
        load = f"load {os.getloadavg()[0]:.1f} before it began"
        print(f"{cores} cores, Python {version}, {flags.pairs} rounds, in turn; they share the cores; {load}")
        for kind in servers:
            starts = start_ups(folder, folder, kind, peers, flags)
            print(f"\nstart-up, {kind}: " + ", ".join(f"{one} {took:.2f} s" for one, took in starts.items()))
            for latency in (int(one) for one in flags.latency.split(",")):
                records += one_table(folder, folder, kind, latency, peers, works, starts, flags)
                if flags.folder:
                    with tempfile.TemporaryDirectory(prefix="fwsync-bench-", dir=flags.folder) as disk:
                        records += one_table(folder, Path(disk), kind, latency, peers, works, starts, flags)
                if flags.json:
                    flags.json.write_text(json.dumps(records, indent=1))


if __name__ == "__main__":
    main()
