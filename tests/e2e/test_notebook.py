"""In a notebook, carried out by a real kernel: the blocking twins and `await`, each with progress below its own cell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from site_ import Person, Site, sandbox
from test_library_guide import CELLS

COUNT = re.compile(r"fwsync: (\d+) of (\d+) items, [\d.]+ (B|kB|MB), [\d,]+/s")


class Watched(NotebookClient):  # type: ignore[misc,unused-ignore]
    """Carries a notebook out, and keeps what the kernel shows on the way."""

    def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
        if message["msg_type"] in ("display_data", "update_display_data"):
            self.shown.setdefault(cell_index, []).append((message["msg_type"], message["content"]["data"]))
        return super().process_message(message, cell, cell_index)


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture
def person(demo: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return Person(tmp_path / "home", demo.key)


def carried_out(person: Person, *cells: str) -> Watched:
    """The notebook after its end, in a kernel of its own. An error in a cell is raised."""
    notebook = new_notebook(cells=[new_code_cell(one) for one in cells])
    folder = {"metadata": {"path": str(person.work)}}
    client = Watched(notebook, timeout=100, kernel_name="python3", resources=folder)
    client.shown = {}
    client.execute(env=person.env)
    return client


def texts(client: Watched, cell: int) -> list[str]:
    """What was shown as progress below a cell, from first to last: one display that changes."""
    kinds = [kind for kind, _ in client.shown.get(cell, ())]
    assert kinds == ["display_data", *["update_display_data"] * (len(kinds) - 1)]
    return [data["text/plain"] for _, data in client.shown[cell]]


def printed(client: Watched, cell: int) -> str:
    """What a cell wrote; nothing of it on standard error."""
    streams = [one for one in client.nb.cells[cell].outputs if one.output_type == "stream"]
    assert {one.name for one in streams} <= {"stdout"}
    return "".join(one.text for one in streams)


def last_count(client: Watched, cell: int) -> tuple[int, int]:
    """What is left of a cell's progress in the notebook: items done, of so many. As text, and as HTML with a bar."""
    (left,) = [one.data for one in client.nb.cells[cell].outputs if one.output_type == "display_data"]
    found = COUNT.fullmatch(left["text/plain"])
    assert found is not None, left
    done, items = int(found[1]), int(found[2])
    assert left["text/html"] == (f'<div><progress value="{done}" max="{items}"></progress> {left["text/plain"]}</div>')
    return done, items


def test_progress_below_the_cell_of_each_run(person: Person) -> None:
    """The blocking site is opened in one cell and used in others: its thread is older than these."""
    client = carried_out(
        person,
        "import fwsync\nfw = fwsync.connect_blocking()",
        "summary = fw.mirror(project='demo/neuro-study', to='data').wait()\nprint(summary.verdict)",
        "print(len(list(fw.mirror(project='demo/neuro-study', to='data'))))",
        "fw.close()\nwith fwsync.connect_blocking(progress=False) as quiet:\n"
        "    print(quiet.mirror(project='demo/neuro-study', to='data').wait().verdict)",
        "async with fwsync.connect() as fw:\n"
        "    run, states = fw.mirror(project='demo/neuro-study', to='other'), []\n"
        "    async for outcome in run:\n"
        "        states.append(outcome.state)\n"
        "print(set(states), len(states), run.summary.verdict)",
    )
    files = len([path for path in (person.work / "data").rglob("*") if path.is_file() and ".fwsync" not in path.parts])
    assert files > 100
    for cell in (1, 2, 4):
        assert texts(client, cell)[0] == "fwsync: listing"
        assert "fwsync: working" in texts(client, cell)
        assert last_count(client, cell) == (files, files)
    assert [printed(client, cell) for cell in range(5)] == [
        "", "complete\n", f"{files}\n", "complete\n", f"{{'done'}} {files} complete\n",
    ]  # fmt: skip
    assert set(client.shown) == {1, 2, 4}, "no progress where it is not wished, and none below another cell"


@pytest.mark.parametrize("number", range(len(CELLS)))
def test_the_guide_s_cells_run_in_a_kernel(person: Person, number: int) -> None:
    client = carried_out(person, CELLS[number])
    if texts(client, 0)[-1] == "fwsync: nothing to do":
        assert "allow_empty=True" in CELLS[number]
    else:
        done, items = last_count(client, 0)
        assert done == items > 0


def test_labels_are_text_in_the_display(person: Person) -> None:
    """What a phase tells may hold a name from the site: it is no markup."""
    code = "from fwsync.progress import wished\nshown = wished(None)\nshown.phase('reading <b>\\x1b[31m&</b>')"
    (_, data), *_ = carried_out(person, code).shown[0]
    assert data["text/plain"] == "fwsync: reading <b>\ufffd[31m&</b>"
    assert data["text/html"] == "<div>fwsync: reading &lt;b&gt;\ufffd[31m&amp;&lt;/b&gt;</div>"


def test_an_error_is_one_line_and_the_kernel_lives(person: Person) -> None:
    client = carried_out(
        person,
        "import fwsync\n"
        "with fwsync.connect_blocking() as fw:\n"
        "    try:\n"
        "        fw.mirror(project='demo/nothing', to='data').wait()\n"
        "    except fwsync.FwsyncError as error:\n"
        "        print(error)",
        "print('alive')",
    )
    assert re.fullmatch(r"[^\n]*demo/nothing[^\n]*\n", printed(client, 0))
    assert printed(client, 1) == "alive\n"
