"""What a command loads. Python itself tells, by `-X importtime`; no time is judged."""

from __future__ import annotations

import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from site_ import Person, Site, add_project, sandbox, write_rows

SLOW = {"rich", "pygments", "structlog", "openpyxl", "python_calamine", "pandas", "pathvalidate"}
"""What no command needs that draws no bar, logs nothing, and meets neither a workbook nor a hostile name."""

OF_TABLES = {
    "pytz",
    "csv",
    "fwsync.operations.tables",
    "fwsync.plan.importing",
    "fwsync.plan.dates",
    "fwsync.run.spool",
}
"""What only tables need."""

OF_TREES = {"fwsync.run.fetching", "fwsync.run.rearranging", "fwsync.operations.gathering", "fwsync.client.archives"}
"""What only downloads and mirrors need."""


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with sandbox() as running:
        import flywheel

        add_project(running, "study").upload_file(flywheel.FileSpec("hello.txt", "hello", "text/plain"))
        yield running


def loads(person: Person, *arguments: str) -> set[str]:
    """The modules that a command loads which ends well."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fwsync", *arguments],
        cwd=person.work,
        env=person.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(re.findall(r"^import time:[\d |]+\|\s*([\w.]+)$", done.stderr, re.MULTILINE))


@pytest.mark.parametrize(
    ("arguments", "needed", "not_needed"),
    [
        ("mirror --project lab/study --to out --json", OF_TREES, SLOW | OF_TABLES),
        (
            "download lab/study/files/hello.txt --to here --json",
            OF_TREES - {"fwsync.operations.gathering"},
            SLOW | OF_TABLES,
        ),
        ("upload new.txt --to lab/study --json", {"fwsync.run.sending"}, SLOW | OF_TABLES | OF_TREES),
        ("import rows.csv --project lab/study --json", OF_TABLES, SLOW | OF_TREES),
        (
            "report demographics lab/study --json",
            {"fwsync.operations.gathering", "fwsync.report.demographics"},
            SLOW | OF_TABLES - {"csv"} | OF_TREES - {"fwsync.operations.gathering"} | {"fwsync.report.missing"},
        ),
        ("ls lab/study --json", {"aiohttp"}, SLOW | OF_TABLES | OF_TREES),
        ("gear list --json", {"fwsync.report.gears"}, (SLOW | OF_TABLES | OF_TREES) - {"csv"}),
        ("gear jobs lab/study --json", {"fwsync.report.gears"}, (SLOW | OF_TABLES) - {"csv"}),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
def test_a_command_loads_nothing_that_it_does_not_need(
    site: Site, tmp_path: Path, arguments: str, needed: set[str], not_needed: set[str]
) -> None:
    person = Person(tmp_path, site.key)
    (person.work / "new.txt").write_text("new", encoding="utf-8")
    write_rows(person.work / "rows.csv", 3)
    loaded = loads(person, *arguments.split())
    assert needed <= loaded, "the modules are read aright"
    assert loaded & not_needed == set()


def test_help_loads_no_room(tmp_path: Path) -> None:
    loaded = loads(Person(tmp_path, ""), "--help")
    assert "click" in loaded
    assert {name for name in loaded if name.startswith("fwsync")} == {
        "fwsync",
        "fwsync.cli",
        "fwsync.cli.garbage",
        "fwsync.cli.lazy",
        "fwsync.cli.main",
    }
    assert loaded & {"aiohttp", "anyio", "asyncio", "msgspec", "ssl"} == set()


def test_what_is_left_out_comes_when_it_is_needed(site: Site, tmp_path: Path) -> None:
    person = Person(tmp_path, site.key)
    bars = loads(person, "mirror", "--project", "lab/study", "--to", "out", "--progress", "bar")
    assert {"rich"} == bars & SLOW - {"pygments"}


TRUST = """
import ssl
from yarl import URL
from fwsync.cli import start
from aiohttp import connector
from fwsync.client.key import ApiKey
from fwsync.client.session import ApiSession
key = ApiKey.parse("127.0.0.1:1:__force_insecure:secret")
session = ApiSession(key)
assert session.tls_for(URL("http://127.0.0.1/x")) is True
context = session.tls_for(URL("https://bucket.example/x"))
assert context is session.tls_for(URL("http://127.0.0.1/x"), "https://proxy.example:3128")
required = context.verify_mode is ssl.CERT_REQUIRED
print(context.cert_store_stats()["x509_ca"], required, context.check_hostname)
print(connector._SSL_CONTEXT_VERIFIED.cert_store_stats()["x509_ca"])
print(ssl.create_default_context(cafile=ssl.get_default_verify_paths().cafile).cert_store_stats()["x509_ca"])
"""


def test_a_command_loads_certificates_once_and_only_its_own_context_trusts(tmp_path: Path) -> None:
    where = ssl.get_default_verify_paths()
    if where.cafile is None:
        pytest.skip("this machine has no file of certificates")
    env = {**Person(tmp_path, "").env, "SSL_CERT_FILE": where.cafile}
    done = subprocess.run([sys.executable, "-c", TRUST], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ours, others, python = done.stdout.splitlines()
    count, rest = ours.split(" ", 1)
    assert (int(count) > 0, rest) == (True, "True True")
    assert others == "0", "aiohttp's own contexts trust nobody, and are never used"
    assert python == count, "everybody else's contexts are as usual"
