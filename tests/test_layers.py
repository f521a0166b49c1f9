"""The import rule of docs/architecture.md, enforced by parsing every import in src."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "fwsync"

_BASE = {"errors", "logs", "__init__"}
_VALUES = _BASE | {"model"}
_SHARED = _VALUES | {"selection", "work", "config", "events", "credentials", "csvtext"}
ALLOWED: dict[str, set[str]] = {
    "__init__": {"errors", "work", "library"},
    "errors": set(),
    "logs": _BASE,
    "model": _BASE,
    "selection": _VALUES,
    "frames": _BASE,
    "csvtext": set(),
    "work": _VALUES | {"selection", "frames"},
    "config": _VALUES | {"selection"},
    "events": _VALUES | {"work"},
    "credentials": _VALUES | {"config"},
    "client": _SHARED | {"client"},
    "plan": _SHARED | {"plan"},
    "report": _SHARED | {"report", "frames"},
    "run": _SHARED | {"client", "plan", "report", "run"},
    "operations": _SHARED | {"client", "plan", "report", "run", "operations"},
    "progress": _VALUES | {"work", "events"},
    "library": _SHARED | {"client", "plan", "report", "run", "operations", "progress", "frames", "library"},
    "daemon": _SHARED | {"client", "plan", "report", "run", "operations", "daemon"},
    "cli": _SHARED | {"client", "plan", "report", "run", "operations", "daemon", "progress", "cli", "sandbox"},
    "__main__": {"cli"},
    "sandbox": {"sandbox"},
}
AIOHTTP_ROOMS = {"client", "sandbox", "daemon"}
BLOCKING = {"requests", "httpx", "urllib3", "flywheel"}
LATE_EXTRAS = {
    "uvloop",
    "distributed",
    "polars",
    "openpyxl",
    "python_calamine",
    "pandas",
    "pathvalidate",
    "rich",
    "structlog",
}
"""What may be imported inside a function: optional extras, and what is slow to load and seldom needed (workbooks,
hostile names, bars, logs).
`cli` loads its rooms late on purpose."""


def room_of(path: Path, root: Path) -> str:
    parts = path.relative_to(root).parts
    return parts[0] if len(parts) > 1 else path.stem


def imports_of(tree: ast.AST) -> list[tuple[str, int]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                found.append(("." * node.level + (node.module or ""), node.lineno))
            elif node.module == "fwsync":
                found += [(f"fwsync.{alias.name}", node.lineno) for alias in node.names]
            elif node.module:
                found.append((node.module, node.lineno))
    return found


def late_imports(tree: ast.AST) -> list[tuple[str, int]]:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [one for function in functions for one in imports_of(function)]


def violations(root: Path) -> list[str]:
    out = []
    for path in sorted(root.rglob("*.py")):
        room, tree = room_of(path, root), ast.parse(path.read_text(encoding="utf-8"))
        where = str(path.relative_to(root))
        for name, line in imports_of(tree):
            top, _, rest = name.partition(".")
            target = rest.partition(".")[0] or "__init__"
            if name.startswith("."):
                out.append(f"{where}:{line} relative import")
            elif top == "fwsync" and target != room and target not in ALLOWED.get(room, set()):
                out.append(f"{where}:{line} {room} may not import {target}")
            elif top == "aiohttp" and room not in AIOHTTP_ROOMS:
                out.append(f"{where}:{line} aiohttp belongs to {', '.join(sorted(AIOHTTP_ROOMS))}")
            elif top in BLOCKING:
                out.append(f"{where}:{line} {top} blocks the loop")
        if room != "cli":
            out += [
                f"{where}:{line} late import of {name}"
                for name, line in late_imports(tree)
                if name.partition(".")[0] not in LATE_EXTRAS
            ]
        if "pytz" in {name.partition(".")[0] for name, _ in imports_of(tree)}:
            out += [f"{where}:{line} pytz zone through tzinfo=" for line in zone_as_tzinfo(tree)]
    return out


def zone_as_tzinfo(tree: ast.AST) -> list[int]:
    """Lines where something called a zone is given as `tzinfo=`: with pytz that means local mean time."""
    return [
        keyword.value.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "tzinfo" and "zone" in ast.unparse(keyword.value).lower()
    ]


def test_every_room_imports_only_what_it_may() -> None:
    assert violations(SOURCE) == []


def test_every_room_is_known() -> None:
    rooms = {room_of(path, SOURCE) for path in SOURCE.rglob("*.py")}
    assert rooms <= set(ALLOWED), rooms - set(ALLOWED)


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("plan/x.py", "from fwsync.client.api import Flywheel", "plan may not import client"),
        ("client/x.py", "import fwsync.plan.table", "client may not import plan"),
        ("sandbox/x.py", "from fwsync.errors import FwsyncError", "sandbox may not import errors"),
        ("sandbox/x.py", "from fwsync import logs", "sandbox may not import logs"),
        ("operations/x.py", "from fwsync.sandbox import Sandbox", "operations may not import sandbox"),
        ("model.py", "from fwsync.work import Plan", "model may not import work"),
        ("run/x.py", "import aiohttp", "aiohttp belongs to"),
        ("client/x.py", "import requests", "requests blocks the loop"),
        ("run/x.py", "def f():\n    from fwsync.plan import table", "late import of fwsync.plan"),
        ("plan/x.py", "from . import table", "relative import"),
        ("plan/x.py", "import pytz\nd.replace(tzinfo=zone)", "through tzinfo="),
    ],
)
def test_the_rule_can_fail(tmp_path: Path, path: str, text: str, message: str) -> None:
    target = tmp_path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    assert any(message in found for found in violations(tmp_path))
