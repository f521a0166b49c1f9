"""The table of the SDK's methods is fresh, and each of its rows is true: every method is really called."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flywheel
import pytest

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

ROOT = Path(__file__).parents[2]
CHOOSING = {"container_name": "projects", "subcontainer_name": "sessions", "permission_type": "users",
            "job_state": "pending"}  # fmt: skip
NOWHERE = "5dc091c169d4f3002d16f32f"


def table() -> dict[str, str]:
    page = (ROOT / "docs/sandbox.md").read_text()
    found = re.findall(r"^\| \w+ \| `(\w+)` \| .* \| (works|501|differs: .*) \|$", page, re.MULTILINE)
    return dict(found)


ROWS = table()


@pytest.fixture(scope="module")
def fw() -> Iterator[Any]:
    with ThreadedSandbox(SandboxOptions(demo=True, signed_urls=True)) as running:
        yield flywheel.Client(running.key)


def test_the_table_is_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "scripts/sdk_table.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_method_has_a_row() -> None:
    from flywheel.flywheel import Flywheel

    methods = {name for name, held in vars(Flywheel).items() if not name.startswith("_") and inspect.isfunction(held)}
    assert methods <= ROWS.keys(), methods - ROWS.keys()
    assert len(ROWS) > 600


def rooms(fw: Any) -> dict[str, Any]:
    found = {}
    for name, room in vars(fw._fw).items():
        if name.endswith("_api"):
            for method in dir(room):
                if method.endswith("_with_http_info"):
                    found[method.removesuffix("_with_http_info")] = room
    return found


@pytest.mark.parametrize("body", [{}, [], {"name": NOWHERE, "_id": 3, "label": ["x"]}], ids=["empty", "list", "odd"])
def test_every_method_is_answered_as_its_row_says(fw: Any, tmp_path: Path, body: Any) -> None:
    """Ids lead nowhere and bodies are wrong: what is served answers 2xx or 4xx and never 500, the rest exactly 501."""
    wrong, called, path = [], 0, tmp_path / "sent.txt"
    path.write_text("sent")
    for name, room in sorted(rooms(fw).items()):
        function = getattr(room, name + "_with_http_info")
        given: list[Any] = []
        for parameter in list(inspect.signature(function).parameters.values()):
            if parameter.kind is parameter.VAR_KEYWORD:
                continue
            if parameter.name == "body":
                given.append(body)
            elif parameter.name == "dest_file":
                given.append(str(tmp_path / "x"))
            elif parameter.name == "file":
                given.append(str(path))
            else:
                given.append(CHOOSING.get(parameter.name, NOWHERE))
        status = answered(function, given)
        called += 1
        expected = {501} if ROWS[name] == "501" else range(200, 500)
        if status not in expected:
            wrong.append((name, ROWS[name], status))
    assert wrong == []
    assert called > 500


def answered(function: Any, given: list[Any]) -> int:
    try:
        response = function(*given, _preload_content=False, _return_http_data_only=True, _request_timeout=20)
    except flywheel.ApiException as error:
        return int(error.status)
    response.close()
    return int(response.status_code)
