"""fwsync from Python: against a real site, in every way of leaving a run before its end."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from site_ import SECRET, Site, add_project, counts, digests, sandbox, write_rows

import fwsync
from fwsync.library import backlog, running
from fwsync.model import FileEntry, Project, Subject

BIDS = "scitran/BIDS-Sample"
NEURO = "demo/neuro-study"
FILES = 94
"""Files in BIDS-Sample."""


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture(scope="module")
def slow_site() -> Iterator[Site]:
    with sandbox("--demo", "--faults", "download:latency=100%:0.4", "--without", "archives") as site:
        yield site


@pytest.fixture
def slow(slow_site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Each file takes a while and comes by itself, so that a run can be left in its midst."""
    monkeypatch.setattr("fwsync.run.small_files.SMALL", -1)
    return slow_site


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, no settings from outside, and no test that hangs."""
    for name in ("FWSYNC_API_KEY", "FWSYNC_CONFIG", "FWSYNC_PROFILE", "FWSYNC_STATE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("HOME", ""), ("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config")):
        monkeypatch.setenv(name, str(tmp_path / value))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    left = [one.name for one in threading.enumerate() if one.name in ("fwsync-loop", "fwsync-journal")]
    assert left == []


def limited(test: Callable[..., Any]) -> Callable[..., Any]:
    """No asyncio test takes more than a minute."""
    import functools

    @functools.wraps(test)
    async def run(*given: Any, **named: Any) -> None:
        async with asyncio.timeout(60):
            await test(*given, **named)

    return run


async def verdicts(key: str) -> list[tuple[str, str | None]]:
    """What the journal says of each run, newest first."""
    async with fwsync.connect(api_key=key) as fw:
        return [(record.command, record.verdict) for record in await fw.runs()]


async def assert_settled(site: Site, folder: Path) -> None:
    """A run that was left is closed in the journal, half files have no final name, and the next run completes it."""
    [(command, verdict), *_] = await verdicts(site.key)
    assert command == "mirror"
    assert verdict is not None
    assert "stopped" in verdict
    async with fwsync.connect(api_key=site.key) as fw:
        [left, *_] = await fw.runs()
        became = Counter(outcome.state for outcome in await fw.outcomes(left.id))
        assert became["done"] + became["stopped"] == FILES
        held = digests(folder)
        assert len(held) == became["done"], "just what is done has a final name"
        summary = await fw.mirror(project=BIDS, to=folder)
    assert summary.ok
    assert summary.states == {"done": became["stopped"], "unchanged": became["done"]}
    assert held.items() <= digests(folder).items()


# --- runs ---------------------------------------------------------------------------------------------------------


@limited
async def test_outcomes_come_as_they_are_settled_and_sum_up(demo: Site, tmp_path: Path) -> None:
    async with fwsync.connect(api_key=demo.key) as fw:
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        assert repr(run) == "<fwsync mirror: not begun>"
        seen = [outcome async for outcome in run]
        assert {(outcome.state, outcome.kind) for outcome in seen} == {("done", "download.file")}
        assert len({outcome.key for outcome in seen}) == FILES
        assert run.summary.ok
        assert run.summary.states == {"done": FILES}
        assert sum(outcome.bytes for outcome in seen) == run.summary.bytes
        again = await fw.mirror(project=BIDS, to=tmp_path / "out")
        assert (again.states, again.bytes) == ({"unchanged": FILES}, 0)
        assert 0 < again.requests <= 7, "the requests of this run, not of the connection"
        held = await fw.outcomes(run.summary.run)
    assert {outcome.key for outcome in held} == {outcome.key for outcome in seen}
    assert len(digests(tmp_path / "out")) == FILES


@limited
async def test_a_dry_run_gives_the_plan_and_touches_nothing(demo: Site, tmp_path: Path) -> None:
    async with fwsync.connect(api_key=demo.key) as fw:
        dry = fw.mirror(project=BIDS, subject="sub-01", to=tmp_path / "out").dry_run()
        items = [entry async for entry in dry]
        assert all(isinstance(entry, fwsync.WorkItem) for entry in items)
        assert all("/sub-01/" in entry.target for entry in items)
        assert dry.summary.would == {"download.file": len(items)}
        assert not (tmp_path / "out").exists()
        await fw.mirror(project=BIDS, subject="sub-01", to=tmp_path / "out")
        then = [entry async for entry in fw.mirror(project=BIDS, to=tmp_path / "out").dry_run()]
        kinds = Counter(type(entry) for entry in then)
        assert kinds == {fwsync.Outcome: len(items), fwsync.WorkItem: FILES - len(items)}
        assert [record.command for record in await fw.runs()] == ["mirror"], "a dry run is no run"


@limited
async def test_frames_of_runs_summaries_and_listings(demo: Site, tmp_path: Path) -> None:
    async with fwsync.connect(api_key=demo.key) as fw:
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        frame = await run.to_pandas()
        assert frame["state"].value_counts().to_dict() == {"done": FILES}
        assert run.summary.to_pandas().loc["download.file", "done"] == FILES
        people = await fw.subjects(NEURO).to_pandas()
        assert people.groupby("sex").size().sum() > 10
        assert (await fw.runs().to_pandas())["command"].tolist() == ["mirror"]


@limited
async def test_every_other_job(demo: Site, tmp_path: Path) -> None:
    project = add_project(demo, "jobs")
    write_rows(tmp_path / "rows.csv", 4)
    (tmp_path / "tree/sub-x/ses-1/T1").mkdir(parents=True)
    (tmp_path / "tree/sub-x/ses-1/T1/a.txt").write_text("a")
    (tmp_path / "note.txt").write_text("note")
    async with fwsync.connect(api_key=demo.key) as fw:
        planned = [entry async for entry in fw.plan_import("rows.csv", "plan.jsonl", project="lab/jobs")]
        assert len(planned) == 12
        assert counts(project) == (0, 0, 0)
        assert (await fw.apply("plan.jsonl")).states["done"] == 12
        assert (await fw.import_table("rows.csv", project="lab/jobs")).states == {"unchanged": 12}
        assert (await fw.import_table("rows.csv", project="lab/jobs", limit=1)).states == {"unchanged": 3}
        sent = [outcome async for outcome in fw.upload(tmp_path / "tree", "lab/jobs")]
        assert Counter(outcome.kind for outcome in sent)["upload.file"] == 1
        [note] = [outcome async for outcome in fw.upload("note.txt", "lab/jobs/sub-x")]
        assert note.state == "done"
        down = await fw.download("lab/jobs/sub-x/ses-1/T1", tmp_path / "down")
        assert down.states == {"done": 1}
        assert (tmp_path / "down/T1/a.txt").read_text() == "a"
        assert (await fw.export("lab/jobs", tmp_path / "table.csv")).subjects == 5
        nothing = await fw.retry(down.run)
        assert (nothing.ok, nothing.settled) == (True, 0)


@limited
async def test_typed_objects(demo: Site) -> None:
    async with fwsync.connect(api_key=demo.key) as fw:
        project = await fw.lookup(NEURO)
        assert isinstance(project, Project)
        women = await fw.find("subject", "sex=female", project=NEURO)
        assert women
        assert all(isinstance(one, Subject) and one.sex == "female" for one in women)
        assert {one.id for one in women} < {one.id for one in await fw.subjects(NEURO)}
        assert all(one.parents.project == project.id for one in await fw.sessions(NEURO))
        assert await fw.acquisitions(NEURO)
        lines = [line async for line in fw.tree(NEURO, depth=4, files=True)]
        [entry] = [line for line in lines if line.type == "file"][:1]
        assert isinstance(await fw.lookup(entry.path), FileEntry)
        assert {line.label for line in await fw.ls(NEURO)} >= {one.label for one in women}
        assert {group.id for group in await fw.groups()} >= {"demo", "scitran"}
        assert NEURO.split("/")[1] in {one.label for one in await fw.projects()}
        assert "bids-freesurfer" in {gear.gear.name for gear in await fw.gears()}
        assert (await fw.whoami()).id


@limited
async def test_two_runs_at_once(demo: Site, tmp_path: Path) -> None:
    async with fwsync.connect(api_key=demo.key) as fw, asyncio.TaskGroup() as group:

        async def bring(name: str) -> fwsync.Summary:
            return await fw.mirror(project=BIDS, to=tmp_path / name)

        tasks = [group.create_task(bring(name)) for name in ("one", "two")]
    assert [task.result().states for task in tasks] == [{"done": FILES}] * 2
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


# --- leaving early ------------------------------------------------------------------------------------------------


async def by_break(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    async for _ in run:
        break


async def by_error(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    async def read() -> None:
        async for _ in run:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()


async def by_cancel(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    async for _ in run:
        await run.cancel()
    assert "stopped" in run.summary.verdict
    assert (await run).verdict == run.summary.verdict


async def by_task(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async for _ in run:
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "stopped" in run.summary.verdict, "it had ended before the cancellation went on"


async def by_scope(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    with anyio.CancelScope() as scope:
        async for _ in run:
            scope.cancel()
            await anyio.sleep(5)
    assert scope.cancelled_caught


async def by_waiting_task(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    async def wait() -> None:
        await run

    task = asyncio.create_task(wait())
    while not digests(Path("out")):
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "stopped" in run.summary.verdict, "it had ended before the cancellation went on"


async def by_closing(fw: fwsync.Site, run: fwsync.Running[Any]) -> None:
    reading = run.__aiter__()
    await anext(reading)
    await fw.__aexit__(None, None, None)
    rest = [outcome async for outcome in reading]
    assert {outcome.state for outcome in rest} == {"done", "stopped"}
    assert "stopped" in run.summary.verdict


@pytest.mark.parametrize(
    "leave",
    [by_break, by_error, by_cancel, by_task, by_scope, by_waiting_task, by_closing],
    ids=lambda one: one.__name__,
)
@limited
async def test_leaving_early_settles_the_run(slow: Site, tmp_path: Path, leave: Any) -> None:
    async with fwsync.connect(api_key=slow.key) as fw:
        await leave(fw, fw.mirror(project=BIDS, to=tmp_path / "out"))
    await assert_settled(slow, tmp_path / "out")


@limited
async def test_closing_waits_also_when_it_is_cancelled_itself(slow: Site, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def work() -> None:
        async with fwsync.connect(api_key=slow.key) as fw:
            async for _ in fw.mirror(project=BIDS, to=tmp_path / "out"):
                begun.set()

    task = asyncio.create_task(work())
    await begun.wait()
    for _ in range(5):
        task.cancel()
        await asyncio.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        await task
    await assert_settled(slow, tmp_path / "out")


@limited
async def test_a_reader_that_stands_still_holds_nothing_up(
    demo: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "Backlog", partial(backlog.Backlog, most=10))
    async with fwsync.connect(api_key=demo.key) as fw:
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        reading = run.__aiter__()
        first = await anext(reading)
        while len(digests(tmp_path / "out")) < FILES or "ended" not in repr(run):
            await asyncio.sleep(0.05)
        assert run._backlog is not None
        assert run._backlog.in_file
        rest = [outcome async for outcome in reading]
    assert len({first.key, *(outcome.key for outcome in rest)}) == FILES


@limited
async def test_a_run_that_nobody_began_warns_and_does_nothing(demo: Site, tmp_path: Path) -> None:
    async with fwsync.connect(api_key=demo.key) as fw:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            fw.mirror(project=BIDS, to=tmp_path / "out")
            gc.collect()
        assert "mirror was neither iterated nor awaited" in str(told[0].message)
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        await run.cancel()
        assert await fw.runs() == []
        assert (await run).ok


# --- mistakes -----------------------------------------------------------------------------------------------------


@limited
async def test_errors_reach_whoever_iterates_or_awaits(demo: Site, tmp_path: Path) -> None:
    async with fwsync.connect(api_key=demo.key) as fw:
        with pytest.raises(fwsync.UsageError, match=r"demo/nothing: not found .*demo/neuro-study"):
            await fw.mirror(project="demo/nothing", to=tmp_path / "out")
        with pytest.raises(fwsync.UsageError, match="--subject sub-9999"):
            [one async for one in fw.mirror(project=NEURO, subject="sub-9999", to=tmp_path / "out")]
        with pytest.raises(fwsync.ConfigError, match=r"mirror\(projct=...\).*did you mean project"):
            fw.mirror(projct=BIDS)  # type: ignore[call-arg]
        with pytest.raises(fwsync.UsageError, match="filter 'label~x'"):
            await fw.subjects(NEURO, "label~x")
        with pytest.raises(fwsync.UsageError, match="did you mean subject"):
            fw.find("subjekt")
        with pytest.raises(fwsync.UsageError, match="no-run: not in the journal"):
            await fw.outcomes("no-run")
        with pytest.raises(fwsync.UsageError, match="is for uploading a folder"):
            fw.upload(__file__, "demo/neuro-study", hidden=True)
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        with pytest.raises(fwsync.UsageError, match="has not ended"):
            _ = run.summary
        await run
        with pytest.raises(fwsync.UsageError, match="has begun without a reader"):
            [one async for one in run]
        with pytest.raises(fwsync.UsageError, match="has begun"):
            run.dry_run()
        with pytest.raises(fwsync.UsageError, match="already connected"):
            await fw.__aenter__()
    with pytest.raises(fwsync.UsageError, match="not connected"):
        await fw.mirror(project=BIDS, to=tmp_path / "out")
    with pytest.raises(fwsync.UsageError, match="not connected"):
        await fw.groups()


@limited
async def test_a_bad_key_is_an_auth_error_and_leaves_nothing_open(demo: Site) -> None:
    for key in (f"{demo.host}:__force_insecure:wrong-secret-000000", "nonsense"):
        with pytest.raises(fwsync.AuthError) as caught:
            async with fwsync.connect(api_key=key):
                pytest.fail("signed in")
        assert "wrong-secret" not in str(caught.value)
        with pytest.raises(fwsync.AuthError):
            fwsync.connect_blocking(api_key=key)
    with pytest.raises(fwsync.AuthError, match="no API key: run fwsync login"):
        async with fwsync.connect():
            pytest.fail("signed in")


@limited
async def test_key_and_settings_are_found_as_the_command_line_finds_them(
    demo: Site, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "key").write_text(demo.key)
    (home / "fwsync.toml").write_text(
        f"[site]\nproject = '{BIDS}'\n[profiles.few.mirror]\nsubject = ['sub-01']\nto = 'few'\n[state]\nfolder = 'mine'\n"
    )
    monkeypatch.setenv("FWSYNC_API_KEY_FILE", str(home / "key"))
    async with fwsync.connect(profile="few") as fw:
        monkeypatch.chdir("/")
        few = await fw.mirror(to=home / "few")
    assert {path.split("/")[1] for path in digests(home / "few")} == {"sub-01"}
    assert few.states["done"] == len(digests(home / "few")) < FILES
    assert (home / "mine/journal.db").exists() or Path("mine/journal.db").exists()
    with pytest.raises(fwsync.ConfigError, match="no profile 'fw'; did you mean few"):
        fwsync.connect(config=home / "fwsync.toml", profile="fw")


@limited
async def test_no_secret_in_any_repr(demo: Site, tmp_path: Path) -> None:
    fw = fwsync.connect(api_key=demo.key)
    shown = [repr(fw), repr(fw._connection._options)]
    async with fw:
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        shown += [repr(fw), repr(run), repr(fw.groups()), repr(await run)]
        blocking = await asyncio.to_thread(fwsync.connect_blocking, api_key=demo.key)
        shown += [repr(blocking), repr(blocking.groups()), repr(vars(blocking))]
        blocking.close()
    assert demo.host in shown[2]
    assert SECRET not in "".join(shown)


# --- blocking -----------------------------------------------------------------------------------------------------


def test_the_blocking_twin(demo: Site, tmp_path: Path) -> None:
    with fwsync.connect_blocking(api_key=demo.key) as fw:
        run = fw.mirror(project=BIDS, to=tmp_path / "out")
        items = list(run.dry_run())
        seen = list(run)
        assert {item.key for item in items} == {outcome.key for outcome in seen}
        assert run.summary.states == {"done": FILES}
        assert fw.mirror(project=BIDS, to=tmp_path / "out").wait().states == {"unchanged": FILES}
        assert len(fw.mirror(project=BIDS, to=tmp_path / "out").to_pandas()) == FILES
        assert len(fw.subjects(NEURO).to_pandas()) == len(list(fw.subjects(NEURO)))
        assert next(iter(fw.tree("demo", depth=4, files=True))).label == "Demo"
        assert fw.lookup(NEURO).label == "neuro-study"
        with pytest.raises(fwsync.UsageError, match="not found"):
            list(fw.mirror(project="demo/nothing", to=tmp_path / "out"))
        with pytest.raises(fwsync.UsageError, match="not found"):
            list(fw.tree("demo/nothing"))
    fw.close()


@limited
async def test_it_works_where_a_loop_runs_already(demo: Site, tmp_path: Path) -> None:
    """As in a notebook: this very function runs on a loop."""
    with fwsync.connect_blocking(api_key=demo.key, progress=True) as fw:
        assert len(list(fw.mirror(project=BIDS, to=tmp_path / "out"))) == FILES
        assert fw.mirror(project=BIDS, to=tmp_path / "out").wait().ok


def test_every_call_has_its_twin() -> None:
    import inspect

    def calls(kind: type[Any]) -> dict[str, list[str]]:
        public = {name: one for name, one in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
        return {name: [str(p) for p in inspect.signature(one).parameters.values()] for name, one in public.items()}

    twin = calls(fwsync.BlockingSite)
    twin.pop("close")
    assert twin == calls(fwsync.Site)


def test_a_listing_is_read_only_as_far_as_it_is_wanted(demo: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fwsync.library.blocking.AHEAD", 3)
    with fwsync.connect_blocking(api_key=demo.key) as fw:
        everyone = [one.id for one in fw.acquisitions(NEURO)]
        reading = iter(fw.acquisitions(NEURO))
        assert [next(reading).id for _ in range(5)] == everyone[:5]
        del reading
        assert len(everyone) > 20


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts, also where the tests run in the background of a shell, which has it ignored."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


def interrupt() -> None:
    """Ctrl-C."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@pytest.mark.parametrize("where", ["in the loop", "while it waits"])
def test_ctrl_c_stops_the_run_and_leaves_it_settled(slow: Site, tmp_path: Path, where: str) -> None:
    folder = tmp_path / "out"

    def once_begun() -> None:
        while not digests(folder):
            time.sleep(0.02)
        interrupt()

    with fwsync.connect_blocking(api_key=slow.key) as fw:
        run = fw.mirror(project=BIDS, to=folder)

        def in_the_loop() -> None:
            for _ in run:
                interrupt()
                time.sleep(10)

        def waiting() -> None:
            threading.Thread(target=once_begun).start()
            run.wait()

        with pytest.raises(KeyboardInterrupt):
            in_the_loop() if where == "in the loop" else waiting()
        assert fw.groups().to_pandas()["id"].tolist() == ["demo", "scitran"], "the connection is as good as before"
    asyncio.run(assert_settled(slow, folder))


def test_ctrl_c_ends_a_listing(demo: Site) -> None:
    with fwsync.connect_blocking(api_key=demo.key) as fw:
        timer = threading.Timer(0.1, interrupt)
        timer.start()

        def endless() -> None:
            while True:
                list(fw.tree("", depth=5, files=True))

        with pytest.raises(KeyboardInterrupt):
            endless()
        timer.join()
        assert set(fw.groups().to_pandas()["id"]) >= {"demo", "scitran"}


def test_leaving_the_blocking_loop_early_settles_the_run(slow: Site, tmp_path: Path) -> None:
    with fwsync.connect_blocking(api_key=slow.key) as fw:
        for _ in fw.mirror(project=BIDS, to=tmp_path / "out"):
            break
        assert [record.verdict is not None for record in fw.runs()] == [True], "settled before anything goes on"
    asyncio.run(assert_settled(slow, tmp_path / "out"))


# --- the package --------------------------------------------------------------------------------------------------


def test_importing_fwsync_loads_next_to_nothing() -> None:
    code = "import sys, fwsync; print([m for m in sys.modules if m.startswith('fwsync.') or m in ('aiohttp', 'rich')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_is_exported_is_there() -> None:
    for name in fwsync.__all__:
        assert getattr(fwsync, name) is not None
        assert name in dir(fwsync)
    with pytest.raises(AttributeError, match="no attribute 'conect'"):
        fwsync.conect  # noqa: B018
    assert (Path(fwsync.__file__).parent / "py.typed").exists()


@limited
async def test_progress_is_drawn_where_it_is_asked_for(
    demo: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for wish in (None, False, True):
        async with fwsync.connect(api_key=demo.key, progress=wish) as fw:
            await fw.mirror(project=BIDS, to=tmp_path / f"out-{wish}")
        told = capsys.readouterr()
        assert told.out == ""
        assert (f"{FILES} items" in told.err) == bool(wish), wish
