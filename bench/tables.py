"""How fast tables are read and planned, on one core and without a site; and a re-import, and the client alone.

usage: tables.py [rows|memory|again|bare ...]        (all of them by default)

rows    100,000 rows of six columns, as text and as a workbook: records, typed rows, plan; medians of five
memory  1,000,000 rows of text, read and planned to the last entry: peak resident memory of the process
again   50,000 and 100,000 rows imported, and again unchanged: seconds, requests, CPU of both processes, peak memory
bare    fwsync against a server that answers upserts and does nothing: rows a second of the client alone
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "e2e"))

from site_ import Person, add_project, sandbox  # noqa: E402

from fwsync.config import ImportSettings  # noqa: E402
from fwsync.operations import tables  # noqa: E402
from fwsync.plan.importing import ImportOptions, Planner  # noqa: E402
from fwsync.run.spool import Spool  # noqa: E402

HEADER = ["Subject ID", "FirstName", "LastName", "sex", "age", "time of scan"]
SETTINGS = ImportSettings()


def rows(count: int) -> Iterator[list[str]]:
    """Distinct subjects in no order."""
    for n in range(count):
        i = n * 7919 % count
        day = f"{1 + i % 12:02}/{1 + i % 28:02}/{2005 + i % 15}"
        yield [f"sub{i:07}", f"First{i}", f"Last{i}", "MF"[i % 2], str(20 + i % 60), f"{day} {i % 24:02}:{i % 60:02}"]


def write_text(path: Path, count: int) -> None:
    """A CSV."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(HEADER) + "\n")
        file.writelines(",".join(row) + "\n" for row in rows(count))


def write_workbook(path: Path, count: int) -> None:
    """An .xlsx of texts and numbers."""
    import openpyxl

    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(HEADER)
    for row in rows(count):
        sheet.append([*row[:4], int(row[4]), row[5]])
    book.save(path)


def stages(path: Path) -> tuple[float, float, float]:
    """Seconds to read the records, to type and judge the rows, and to plan all entries for an empty project."""
    with tempfile.TemporaryDirectory() as folder, Spool(Path(folder)) as spool:
        clock = [time.perf_counter()]
        opened = tables.opened_copy(path, str(path), SETTINGS)
        sheet, columns = opened.sheet, opened.columns
        gatherer = tables.Gatherer(columns)
        table = tables.Table(sheet, columns)
        spool.add_raw(sheet.records, gatherer.see)
        facts = gatherer.facts(tables.reading(SETTINGS), str(path))
        reader = tables.RowReader(columns, facts, tables.RowOptions(), str(path))
        clock.append(time.perf_counter())
        spool.add_rows(tables.good_rows(reader, spool, table))
        clock.append(time.perf_counter())
        spool.judged(lambda found: tables.judge(found, {}), lambda _: None)
        planner = Planner(spool.wanted, spool.held, ImportOptions(project_id="p", project_path="lab/study"))
        entries = sum(1 for _ in planner.entries())
        clock.append(time.perf_counter())
        assert not table.rejected
        assert entries > 0
    return clock[1] - clock[0], clock[2] - clock[1], clock[3] - clock[2]


def rates(count: int = 100_000) -> None:
    """Rows a second by stage."""
    with tempfile.TemporaryDirectory() as name:
        for kind, write in (("text", write_text), ("workbook", write_workbook)):
            path = Path(name) / f"t.{'csv' if kind == 'text' else 'xlsx'}"
            write(path, count)
            found = [stages(path) for _ in range(5)]
            read, typed, planned = (statistics.median(column) for column in zip(*found, strict=True))
            print(
                f"{kind}: records {count / read:,.0f}/s, parsed to typed rows {count / (read + typed):,.0f}/s,"
                f" planned {count / planned:,.0f}/s, all {count / (read + typed + planned):,.0f}/s",
                flush=True,
            )


def _in_a_process(path: str, out: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.perf_counter()
    stages(Path(path))
    out.put((before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - began))


def memory(count: int = 1_000_000) -> None:
    """Peak resident memory over a large table, in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "t.csv"
        write_text(path, count)
        context = multiprocessing.get_context("spawn")
        out = context.Queue()
        process = context.Process(target=_in_a_process, args=(str(path), out))
        process.start()
        before, peak, seconds = out.get()
        process.join()
        print(f"{count:,} rows of text: {seconds:.0f} s, resident {before:.0f} > {peak:.0f} MiB", flush=True)


def again(counts: tuple[int, ...] = (50_000, 100_000)) -> None:
    """Imports of two sizes, and again unchanged: time and memory grow in line with rows, requests with pages."""
    for count in counts:
        with tempfile.TemporaryDirectory() as name, sandbox("--data", str(Path(name) / "data")) as site:
            add_project(site, "study")
            person = Person(Path(name) / "home", site.key)
            write_text(person.work / "t.csv", count)
            for what in ("first", "again"):
                server = _cpu(site.process.pid)
                told, seconds, used = measured(person, "import", "t.csv", "--project", "lab/study", "--json")
                print(
                    f"{what}: {count:,} rows in {seconds:.1f} s, {told['requests']:,} requests,"
                    f" {told['writes']:,} writes, CPU client {used.ru_utime + used.ru_stime:.1f} s,"
                    f" server {_cpu(site.process.pid) - server:.1f} s, peak {used.ru_maxrss / 1024:.0f} MiB",
                    flush=True,
                )
            write_text(person.work / "two.csv", 2)
            told, _, _ = measured(person, "import", "two.csv", "--project", "lab/study", "--json")
            print(f"two rows beside them: {told['requests']} requests, {told['writes']} writes", flush=True)


def measured(person: Person, *command: str) -> tuple[dict[str, Any], float, resource.struct_rusage]:
    """A command's JSON summary, its seconds, and what its process used. Linux counts the peak of the process that it
    was started from too, so that a peak is at least this benchmark's own."""
    began = time.perf_counter()
    process = person.start(*command)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, out
    return json.loads(out.splitlines()[-1]), time.perf_counter() - began, used


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


BARE = """
import asyncio, json, sys
ID = "5dc091c169d4f3002d16f32f"
LEVELS = ("subject", "session", "acquisition")
CREATED = {level: {"_id": ID, "label": "x", "upsert_result": "created"} for level in LEVELS}
ANSWERS = {
    "upsert-hierarchy": CREATED,
    "status": {"origin": {"type": "user", "id": "u"}, "user_is_admin": True, "roles": []},
    "lookup": {"container_type": "project", "_id": ID, "label": "study", "group": "lab"},
}
def answer(path):
    found = ANSWERS.get(path.split("?")[0].rsplit("/", 1)[-1], {"count": 0, "total": 0, "results": []})
    body = json.dumps(found).encode()
    return b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body
class Bare(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.held = transport, b""
    def data_received(self, data):
        self.held += data
        while b"\\r\\n\\r\\n" in self.held:
            head, _, rest = self.held.partition(b"\\r\\n\\r\\n")
            lengths = [line for line in head.lower().split(b"\\r\\n") if line.startswith(b"content-length:")]
            size = int(lengths[0].split(b":")[1]) if lengths else 0
            if len(rest) < size:
                return
            self.held = rest[size:]
            self.transport.write(answer(head.split(b" ", 2)[1].decode()))
async def main():
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def bare(count: int = 20_000) -> None:
    """The client alone: a server on loopback that does nothing but answer."""
    with tempfile.TemporaryDirectory() as name:
        server = subprocess.Popen([sys.executable, "-c", BARE], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            person = Person(Path(name) / "home", f"127.0.0.1:{port}:__force_insecure:not-a-secret-0000")
            write_text(person.work / "t.csv", count)
            told, _, usage = measured(person, "import", "t.csv", "--project", "lab/study", "--json")
            assert told["states"] == {"done": 3 * count}, told
            used = usage.ru_utime + usage.ru_stime
            print(
                f"bare server: {count:,} rows in {told['seconds']:.1f} s, {count / told['seconds']:,.0f} rows/s,"
                f" client CPU {1e6 * used / count:,.0f} us a row with start-up",
                flush=True,
            )
        finally:
            server.terminate()
            server.wait(10)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or ["memory", "again", "bare", "rows"]:
        {"rows": rates, "memory": memory, "again": again, "bare": bare}[wanted]()
