"""What goes wrong around a mirror while it runs: each a clear line, the rest goes on, and the next run makes it whole."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import SECRET, Person, Site, digests, sandbox
from test_mirror_killed import build, partials
from wire_ import Wire, wire

SUBJECTS = 6
LARGE = 3 * 2**20
COMMAND = ("mirror", "--project", "lab/study", "--to", "out")


def study(builder: Any, project: Any) -> None:
    """Small files and a large one in each of a few subjects."""
    values = random.Random(9)
    for number in range(SUBJECTS):
        subject = builder.add("subject", f"sub-{number}", project)
        for part in range(30):
            builder.file(subject, f"{part:02}.bin", values.randbytes(20_000))
        builder.file(subject, "large.bin", values.randbytes(LARGE))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    build(tmp_path / "data", study)
    return tmp_path / "data"


@pytest.fixture
def site(data: Path) -> Iterator[Site]:
    with sandbox("--data", str(data)) as running:
        yield running


@pytest.fixture
def line(site: Site) -> Iterator[Wire]:
    with wire(site.host) as made:
        yield made


@pytest.fixture
def person(tmp_path: Path, line: Wire) -> Person:
    return Person(tmp_path / "home", f"127.0.0.1:{line.port}:__force_insecure:{SECRET}")


def expected(site: Site) -> dict[str, str]:
    """The tree as it should be, fetched by a run without trouble."""
    with tempfile.TemporaryDirectory() as home:
        calm = Person(Path(home), site.key)
        done = calm.types(*COMMAND)
        assert done.returncode == 0, done.stdout + done.stderr
        return digests(calm.work / "out")


def told(process: subprocess.Popen[str], code: int, *words: str) -> str:
    """What a command said; it must end with this code, and say these words without a traceback."""
    out, err = process.communicate(timeout=100)
    assert process.returncode == code, out + err
    assert "Traceback" not in out + err
    assert "bug in fwsync" not in out + err
    for word in words:
        assert word in out + err, out + err
    return out + err


def right(person: Person, whole: dict[str, str]) -> dict[str, str]:
    """What lies under final names, every file with the right bytes."""
    found = {path: one for path, one in digests(person.work / "out").items() if "/.fw~" not in path}
    assert found.items() <= whole.items()
    return found


def made_whole(person: Person, whole: dict[str, str], *more: str) -> None:
    """The next run, with the trouble gone."""
    done = person.types(*COMMAND, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(person.work / "out") == whole
    assert partials(person) == []


def test_a_target_removed_while_running(person: Person, site: Site, line: Wire) -> None:
    whole = expected(site)
    line.limit, line.at_limit = 8 * 2**20, lambda: shutil.rmtree(person.work / "out")
    told(person.start(*COMMAND), 3, "No such file or directory")
    assert not (person.work / "out").exists(), "a target that was taken away is not made again"
    assert "--new-tree" in person.types(*COMMAND).stderr, "it may be a disk that is not mounted"
    made_whole(person, whole, "--new-tree")


def test_permission_lost_while_running(person: Person, site: Site, line: Wire) -> None:
    whole, closed = expected(site), person.work / "out/study/sub-3"

    def close() -> None:
        closed.mkdir(parents=True, exist_ok=True)
        closed.chmod(0o555)

    line.limit, line.at_limit = 100_000, close
    command = [sys.executable, "-m", "fwsync", *COMMAND]
    if os.geteuid() == 0:  # root may write anywhere, unless it gives that up
        if shutil.which("setpriv") is None:
            pytest.skip("root, and no setpriv to give up its rights with")
        less = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}", "--", *command]
    process = subprocess.Popen(
        command, cwd=person.work, env=person.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    told(process, 3, "Permission denied", "sub-3")
    found = right(person, whole)
    assert {path for path in whole if "sub-3" not in path} <= found.keys(), "the rest goes on"
    assert len(found) < len(whole)
    closed.chmod(0o755)
    made_whole(person, whole)


def test_a_file_too_large_for_the_disk_fails_alone(person: Person, site: Site, line: Wire) -> None:
    """As on a disk whose files have a largest size; here it is the process that may not write larger ones."""
    whole = expected(site)
    limited = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20));"
        " os.execv(sys.executable, [sys.executable, '-m', 'fwsync', *sys.argv[1:]])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", limited, *COMMAND],
        cwd=person.work, env=person.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    told(process, 3, "large.bin: 3,145,728 bytes", "the file is too large")
    assert line.down < 2 * LARGE, "the site is not asked for what can't be stored"
    assert right(person, whole).keys() == {path for path in whole if "large" not in path}
    made_whole(person, whole)


@pytest.mark.parametrize("jump", [86_400 * 400, -86_400 * 400])
def test_a_clock_that_jumps(person: Person, site: Site, jump: int) -> None:
    whole = expected(site)
    (person.home / "clock").mkdir()
    (person.home / "clock/sitecustomize.py").write_text(
        "import itertools, time\n"
        "real, calls = time.time, itertools.count()\n"
        f"time.time = lambda: real() + ({jump} if next(calls) % 50 > 25 else 0)\n"
        "real_ns = time.time_ns\n"
        "time.time_ns = lambda: int(time.time() * 1e9)\n"
    )
    path = os.pathsep.join([str(person.home / "clock"), os.environ.get("PYTHONPATH", "")])
    told(person.start(*COMMAND, PYTHONPATH=path), 0)
    assert right(person, whole) == whole
    again = person.types(*COMMAND, "--json", PYTHONPATH=path)
    assert json.loads(again.stdout.splitlines()[-1])["states"] == {"unchanged": len(whole)}, again.stdout + again.stderr
    made_whole(person, whole)


def last_large(site: Site) -> tuple[Any, str]:
    """The container of the file that comes last, and its name."""
    return site.sdk().lookup(f"lab/study/sub-{SUBJECTS - 1}"), "large.bin"


def test_files_deleted_and_replaced_on_the_site_meanwhile(
    person: Person, site: Site, line: Wire, tmp_path: Path
) -> None:
    whole, (subject, _) = expected(site), last_large(site)
    (tmp_path / "05.bin").write_bytes(b"another version")

    def change() -> None:
        subject.delete_file("04.bin")
        subject.upload_file(str(tmp_path / "05.bin"))

    line.limit, line.at_limit = 200_000, change
    told(person.start(*COMMAND), 3, f"study/sub-{SUBJECTS - 1}/04.bin", "not found")
    gone = f"study/sub-{SUBJECTS - 1}/04.bin"
    replaced = f"study/sub-{SUBJECTS - 1}/05.bin"
    found = right(person, whole)  # of the replaced one: the version that was listed, or none
    assert whole.keys() - found.keys() <= {gone, replaced}
    assert gone not in found
    now = expected(site)
    assert now.keys() == whole.keys() - {gone}
    made_whole(person, now)


@pytest.mark.parametrize("what", ["deleted", "replaced"])
def test_a_file_changed_on_the_site_while_it_is_being_read(
    tmp_path: Path, site: Site, line: Wire, person: Person, what: str
) -> None:
    """The connection is cut in the middle of a body; when it goes on, the file is another one or none."""
    whole, (subject, name) = expected(site), last_large(site)
    (tmp_path / name).write_bytes(random.Random(5).randbytes(LARGE))

    def change() -> None:
        subject.delete_file(name)
        if what == "replaced":
            subject.upload_file(str(tmp_path / name))
        line.cut()

    command = (*COMMAND, "--subject", subject.label, "--include", name)
    line.limit, line.at_limit = LARGE // 2, change
    told(person.start(*command), 3, f"study/{subject.label}/{name}")
    assert right(person, whole) == {}, "half of one file and half of another are no file"
    made_whole(person, expected(site))
