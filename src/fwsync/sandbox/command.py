"""Start-up from the command line: flags to SandboxOptions. `fwsync sandbox` and `python -m fwsync.sandbox` share it."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from fwsync.sandbox import faults
from fwsync.sandbox.options import CAPABILITIES, SandboxOptions
from fwsync.sandbox.server import serve

KEY_VARIABLE = "FWSYNC_SANDBOX_KEY"


def parser(prog: str = "fwsync sandbox") -> argparse.ArgumentParser:
    """The flags of the sandbox."""
    made = argparse.ArgumentParser(
        prog=prog,
        description="An embedded Flywheel-compatible server. It prints the API key to use, and runs until Ctrl-C.",
    )
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    made.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    made.add_argument("--data", type=Path, help="folder to keep everything in (default: a temporary one)")
    made.add_argument("--demo", action="store_true", help="fill an empty site with the demo projects")
    made.add_argument("--api-key", help="secret part of the key; for test keys only: others can see command lines")
    made.add_argument("--read-only-key", help="secret of a second key, whose holder may read and change nothing")
    made.add_argument("--api-key-file", type=Path, help="file that holds the secret")
    made.add_argument(
        "--faults", default="", metavar="SPEC", help="faults to give, e.g. create:drop_reply=3%%,stall=1%%:60"
    )
    made.add_argument("--fault-seed", type=int, default=0, help="seed of the draws (default: %(default)s)")
    made.add_argument("--latency", type=float, default=0.0, metavar="MS", help="milliseconds added to each request")
    made.add_argument("--signed-urls", action="store_true", help="offer signed upload and download links")
    made.add_argument("--page-limit", type=int, default=0, help="most documents in one page (default: no limit)")
    made.add_argument(
        "--jobs", default="manual", metavar="HOW", help="run jobs: instant, SECONDS, or manual (default: %(default)s)"
    )
    made.add_argument(
        "--part-threshold", type=int, default=SandboxOptions.part_threshold, metavar="BYTES",
        help="signed uploads larger than this get several links (default: %(default)s)",
    )  # fmt: skip
    known = ", ".join(CAPABILITIES)
    made.add_argument("--without", default="", metavar="NAMES", help=f"capabilities to switch off, of: {known}")
    return made


def options_from(argv: Sequence[str], *, prog: str = "fwsync sandbox") -> SandboxOptions:
    """The options that flags and `FWSYNC_SANDBOX_KEY` give; ValueError or OSError with one clear line."""
    given = parser(prog).parse_args(argv)
    key = given.api_key or os.environ.get(KEY_VARIABLE)
    if given.api_key_file is not None:
        key = given.api_key_file.read_text(encoding="utf-8").strip()
    if key is not None and (not key or ":" in key or any(c.isspace() for c in key)):
        raise ValueError("the API key must be a secret without blanks and colons")
    reader = given.read_only_key
    if reader is not None and (not reader or ":" in reader or any(c.isspace() for c in reader) or reader == key):
        raise ValueError("the read-only key must be another secret without blanks and colons")
    faults.parse(given.faults)
    without = frozenset(name.strip() for name in given.without.split(",") if name.strip())
    return SandboxOptions(
        host=given.host,
        port=given.port,
        data=given.data,
        api_key=key,
        demo=given.demo,
        faults=given.faults,
        fault_seed=given.fault_seed,
        latency_ms=given.latency,
        signed_urls=given.signed_urls,
        without=without,
        page_limit=given.page_limit,
        jobs=given.jobs,
        read_only_key=reader,
        part_threshold=given.part_threshold,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, where it is installed."""
    try:
        import uvloop  # noqa: PLC0415 - an optional extra
    except ImportError:
        return None
    return cast("Callable[[], asyncio.AbstractEventLoop]", uvloop.new_event_loop)


def main(argv: Sequence[str] | None = None, *, prog: str = "fwsync sandbox") -> int:
    """Run a sandbox; the exit code."""
    try:
        options = options_from(sys.argv[1:] if argv is None else argv, prog=prog)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(options))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{prog}: {error}\n")
        return 2
    return 0
