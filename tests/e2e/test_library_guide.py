"""The guide to the library: every example runs, against a real site, as it is written there."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_ import Person, Site, sandbox

GUIDE = Path(__file__).parents[2] / "docs/guides/library.md"
BLOCKS = re.findall(r"```python( notebook)?\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
SCRIPTS = [code for notebook, code in BLOCKS if not notebook]
CELLS = [code for notebook, code in BLOCKS if notebook]


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_an_example_runs_as_a_script(number: int, demo: Site, tmp_path: Path) -> None:
    person = Person(tmp_path, demo.key)
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", SCRIPTS[number]],
        cwd=person.work, env=person.env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = {0: "complete", 1: "files,", 2: "done", 4: "neuro-study", 5: "mean age", 6: "mirror"}
    assert told.get(number, "") in done.stdout


async def cell(code: str, names: dict[str, Any]) -> Any:
    """What IPython does with a cell: on a loop that runs already, `await` allowed at the top; the last value."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        tree.body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], last.value), last)
        ast.fix_missing_locations(tree)
    made = eval(compile(tree, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.iscoroutine(made):
        await made
    return names.get("_")


@pytest.mark.parametrize("number", range(len(CELLS)))
async def test_an_example_runs_as_a_cell_of_a_notebook(
    number: int, demo: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person(tmp_path, demo.key)
    for name in [name for name in os.environ if name.startswith(("FWSYNC_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in person.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(person.work)
    names: dict[str, Any] = {}
    await cell(CELLS[number], names)
    if "people" in names:
        assert set(names["people"]["sex"].dropna()) >= {"female", "male"}
        assert (names["frame"]["state"] == "done").all()
    else:
        assert names["summary"].ok
        assert names["summary"].states["done"] > 0
        assert capsys.readouterr().out == "complete\n"


def test_the_guide_has_scripts_and_cells() -> None:
    assert (len(SCRIPTS), len(CELLS)) == (7, 2)


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([\w./-]+)\)", GUIDE.read_text(encoding="utf-8"))
    assert targets
    assert all((GUIDE.parent / target).exists() for target in targets)
