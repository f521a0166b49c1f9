"""What `bench/mirrors.py` runs against: a site of files on a memory disk, the sandbox, and nginx in front of it.

The sandbox serves its own files from Python, on the cores that the client needs. nginx in front of it hands every API
call on and serves whole files (with Range) from a folder of hard links to the sandbox's blobs, so that the client is
what is measured. Both wait `--latency` before they serve a request, each by itself: there is no proxy that delays, so
no CPU goes into delaying; bandwidth, slow start and the handshake are as on loopback.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from fwsync.sandbox.demo.builder import Builder
from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.site import Site
from fwsync.sandbox.store import files
from fwsync.sandbox.store.blobs import Blob

SECRET = "bench-secret-0001"
MEMBER = "out/stats/values.bin"
PIECE = 1 << 20
PER_ACQUISITION, PER_SESSION = 10, 10
DISTINCT_ZIPS = 4
"""How many different archives there are: the entries beyond that share their contents, not their names or places."""


@dataclass
class Workload:
    """One project of the site. `expected` are (size, SHA-384) of what must lie in a tree, once for each file."""

    name: str
    count: int
    size: int
    member: bool = False
    expected: list[tuple[int, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """`/api/acquisitions/{id}/files/{name}?view=true`, or with `?member=`."""

    @property
    def title(self) -> str:
        """As the table says it."""
        whole = f"{self.count:,} files of {human(self.size)}"
        return f"one member of {self.count:,} zips of {human(self.size)}" if self.member else whole

    @property
    def bytes(self) -> int:
        """The content of all files that are fetched."""
        return sum(size for size, _ in self.expected)


def human(size: int) -> str:
    """Bytes as people say them."""
    for unit, each in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= each:
            return f"{size / each:g} {unit}"
    return f"{size} B"


async def _noise(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, PIECE):
        yield os.urandom(min(PIECE, size - start))


async def _archive(site: Site, size: int, number: int) -> tuple[Blob, tuple[int, str]]:
    """A zip of `size` bytes, nearly all of it one incompressible member, and the small member that is wanted."""
    wanted = bytes(random.Random(number).choices(range(64), k=133_000))  # deflates to about 100 KB
    path = site.folder / f"archive-{number}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        with made.open(zipfile.ZipInfo("out/first.bin"), "w", force_zip64=True) as out:  # ZipInfo's own way: stored
            async for piece in _noise(size // 2):
                out.write(piece)
        made.writestr(MEMBER, wanted)
        with made.open(zipfile.ZipInfo("out/second.bin"), "w", force_zip64=True) as out:
            async for piece in _noise(size - size // 2):
                out.write(piece)

    async def pieces() -> AsyncIterator[bytes]:
        with path.open("rb") as held:
            while piece := held.read(PIECE):
                yield piece

    blob = await site.blobs.put(pieces())
    path.unlink()
    return blob, (len(wanted), hashlib.sha384(wanted).hexdigest())


async def _blobs(site: Site, work: Workload) -> list[tuple[Blob, tuple[int, str]]]:
    """The content of each file entry, and what is expected of it in a tree."""
    if work.member:
        made = [await _archive(site, work.size, number) for number in range(min(work.count, DISTINCT_ZIPS))]
        return [made[number % len(made)] for number in range(work.count)]
    blobs = [await site.blobs.put(_noise(work.size)) for _ in range(work.count)]
    return [(blob, (blob.size, blob.digest)) for blob in blobs]


async def _fill(folder: Path, bodies: Path, works: list[Workload]) -> None:
    site = Site(SandboxOptions(api_key=SECRET), folder)
    contents = {work.name: await _blobs(site, work) for work in works}

    def build(conn: sqlite3.Connection) -> None:
        builder = Builder(conn, site.blobs)
        group = builder.group("lab", "Lab")
        builder.add("project", "empty", group)
        for work in works:
            place = builder.add("project", work.name, group)
            each = 1 if work.member else PER_ACQUISITION
            for number, (blob, expected) in enumerate(contents[work.name]):
                if number % (each * PER_SESSION) == 0:
                    subject = builder.add("subject", f"sub-{number // (each * PER_SESSION):04}", place)
                    session = builder.add("session", "ses-1", subject)
                if number % each == 0:
                    scan = builder.add("acquisition", f"run-{number // each:05}", session)
                    (bodies / scan.id).mkdir(parents=True)
                name = f"f{number:06}.{'zip' if work.member else 'dat'}"
                files.add(conn, scan, name, blob, {})
                os.link(site.blobs.path(blob.digest), bodies / scan.id / name)
                query = f"member={quote(MEMBER, safe='')}" if work.member else "view=true"
                work.paths.append(f"/api/acquisitions/{scan.id}/files/{name}?{query}")
                work.expected.append(expected)

    await site.db.write(build)
    site.close()


def fill(folder: Path, works: list[Workload]) -> None:
    """The site's data in `folder/site`, the same files by container and name in `folder/bodies`."""
    asyncio.run(_fill(folder / "site", folder / "bodies", works))


@dataclass
class Server:
    """A running server: where it listens, and the processes it is made of."""

    kind: str
    port: int
    pids: list[int]
    log: Path | None = None

    @property
    def key(self) -> str:
        """The API key for it."""
        return f"127.0.0.1:{self.port}:__force_insecure:{SECRET}"

    @property
    def base(self) -> str:
        """`http://host:port`."""
        return f"http://127.0.0.1:{self.port}"

    def cpu(self) -> float:
        """Seconds of CPU that its processes have used (what clock_getcpuclockid(3) names)."""
        return sum(time.clock_gettime((~pid << 3) | 2) for pid in self.pids)

    def moved(self) -> int | None:
        """Bytes sent to clients so far, headers included; None where the server does not count them."""
        if self.log is None:
            return None
        os.kill(self.pids[-1], signal.SIGUSR1)  # reopen: what is buffered is written
        time.sleep(0.1)
        return sum(int(line) for line in self.log.read_text().split())


@contextmanager
def sandbox(folder: Path, latency: int, _rate: int = 0, without: str = "") -> Iterator[Server]:
    """The sandbox over `folder/site`; it sends as fast as it can. `without` is what it does not offer."""
    command = [sys.executable, "-m", "fwsync.sandbox", "--api-key", SECRET, "--data", str(folder / "site")]
    command += ["--latency", str(latency), *(["--without", without] if without else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            sys.exit("the sandbox did not start")
        yield Server("sandbox", int(line.split(":")[1]), [process.pid])
    finally:
        process.terminate()
        process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


@contextmanager
def nginx(folder: Path, latency: int, rate: int = 0, without: str = "") -> Iterator[Server]:
    """nginx in front of a sandbox (`without` as there). `rate` is the most bytes a second that it sends on one
    connection, 0 for any."""
    with sandbox(folder, latency, without=without) as behind:
        own = folder / "nginx"
        shutil.rmtree(own, ignore_errors=True)
        own.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (own / "nginx.conf").write_text(_configuration(folder, port, behind.port, latency, rate))
        with (own / "error.log").open("w") as errors:
            command = ["nginx", "-p", str(own), "-c", str(own / "nginx.conf")]
            process = subprocess.Popen(command, stderr=errors)
        try:
            _wait_for(port, process, own / "error.log")
            yield Server("nginx", port, [behind.pids[0], process.pid], own / "access.log")
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], errors: Path) -> None:
    for _ in range(100):
        if process.poll() is not None:
            sys.exit(f"nginx did not start: {errors.read_text().strip()}")
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionError:
            time.sleep(0.05)
        else:
            return
    sys.exit("nginx does not answer")


def echo_module() -> Path | None:
    """nginx's echo module, which is what can wait before a file is served; None where it is not installed."""
    told = subprocess.run(["nginx", "-V"], capture_output=True, text=True, check=False).stderr
    found = re.search(r"--modules-path=(\S+)", told)
    path = Path(found.group(1)) / "ngx_http_echo_module.so" if found else None
    return path if path and path.exists() else None


def missing(kind: str, latencies: list[int]) -> str:
    """Why this server cannot be run here; empty if it can."""
    if kind.startswith("nginx") and shutil.which("nginx") is None:
        return "nginx is not installed"
    if kind.startswith("nginx") and any(latencies) and echo_module() is None:
        return "nginx has no echo module (Debian: libnginx-mod-http-echo), which latencies need"
    return ""


def _configuration(folder: Path, port: int, behind: int, latency: int, rate: int) -> str:
    module = f"load_module {echo_module()};" if latency else ""
    user = "user root;" if os.geteuid() == 0 else ""
    serve = f"root {folder}/bodies; try_files /$cid/$fname =404;"
    first = f"echo_sleep {latency / 1000}; echo_exec @body;" if latency else serve
    temporary = "\n".join(
        f"  {kind}_temp_path {folder}/nginx/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Without tcp_nopush: an answer of just over one segment (64 KiB on loopback) would wait 40 ms for an ACK.
    return f"""
{module} {user}
daemon off; master_process off; pid {folder}/nginx/pid; error_log stderr;
events {{ worker_connections 4096; }}
http {{
{temporary}
  log_format sent "$bytes_sent"; access_log {folder}/nginx/access.log sent buffer=256k;
  default_type application/octet-stream; sendfile on; limit_rate {rate}; keepalive_requests 1000000;
  client_max_body_size 0; client_body_buffer_size 1m;
  upstream api {{ server 127.0.0.1:{behind}; keepalive 128; keepalive_requests 1000000; }}
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
  proxy_max_temp_file_size 0; proxy_read_timeout 600s;
  map "$request_method $args" $whole {{ "~^GET (&?(view=true|version=[0-9]+))*$" 1; default 0; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location ~ ^/api/[a-z]+/(?<cid>[0-9a-f]+)/files/(?<fname>[^/]+)$ {{
      error_page 418 = @api;
      if ($http_authorization = "") {{ return 401; }}
      if ($whole = 0) {{ return 418; }}
      {first}
    }}
    location @body {{ {serve} }}
    location @api {{ proxy_pass http://api; }}
    location / {{ proxy_pass http://api; }}
  }}
}}
"""


SERVERS = {"sandbox": sandbox, "nginx": nginx, "nginx-single": partial(nginx, without="archives")}
"""`nginx-single` offers no bulk archives: every file is a request of its own."""
