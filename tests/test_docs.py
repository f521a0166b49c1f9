"""What is written down agrees with what runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from fwsync import errors
from fwsync.config import SECTIONS, Settings, load
from fwsync.sandbox.faults import FAULTS
from fwsync.sandbox.options import CAPABILITIES

ROOT = Path(__file__).parent.parent


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_shipped_configuration_is_the_defaults(tmp_path: Path) -> None:
    made = load(config=str(ROOT / "config/fwsync.toml"), env={"HOME": str(tmp_path)}, folder=tmp_path)
    assert (made.site, made.network, made.importing) == (Settings().site, Settings().network, Settings().importing)
    assert (made.upload, made.push) == (Settings().upload, Settings().push)
    assert (made.mirror, made.state, made.log) == (Settings().mirror, Settings().state, Settings().log)
    held = tomllib.loads(text("config/fwsync.toml"))
    assert {name: set(table) for name, table in held.items()} == {
        name: set(struct.__struct_fields__) for name, struct in SECTIONS.items()
    }


def test_every_setting_is_read_by_somebody() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/fwsync").rglob("*.py"))
    for section, struct in SECTIONS.items():
        for name in struct.__struct_fields__:
            assert re.search(rf"\.{name}\b", source), f"[{section}] {name} is never read"


def test_every_exit_code_is_documented() -> None:
    page = text("docs/reference/exit-codes.md")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.FwsyncError)]
    for code in {kind.exit_code for kind in kinds} | {0, 130, 143}:
        assert f"| {code} |" in page


def test_every_fault_and_capability_is_documented() -> None:
    page = text("docs/sandbox.md")
    for name in (*FAULTS, *CAPABILITIES):
        assert f"`{name}`" in page, name


def test_every_row_of_the_feature_table_names_a_test_that_exists() -> None:
    rows = [line for line in text("docs/features.md").splitlines() if line.startswith("| ") and "::" in line]
    assert len(rows) > 20
    for path, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", "\n".join(rows)):
        assert re.search(rf"def {name}\b", text(path)), f"{path}::{name}"


def test_the_example_of_the_sandbox_page_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", text("docs/sandbox.md"), re.DOTALL)
    (tmp_path / "conftest.py").write_text(blocks[0])
    (tmp_path / "test_example.py").write_text(blocks[1])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(tmp_path), "-p", "no:cacheprovider"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_readme_names_the_two_commands() -> None:
    readme = text("README.md")
    for command in ("make demo", "make test", "fwsync import subjects.csv", "fwsync mirror --gear"):
        assert command in readme


def test_the_dockerfile_installs_what_ci_installs() -> None:
    dockerfile, makefile = text("Dockerfile"), text("Makefile")
    assert "USER 10001" in dockerfile
    assert "VOLUME" in dockerfile
    assert dockerfile.count("FROM ") == 2
    for step in ("-c constraints.txt hatchling editables", "--no-build-isolation"):
        assert step in dockerfile
        assert step in makefile
