"""The guides are followed to the letter: their files are written, their tests run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

GUIDE = Path(__file__).parent.parent / "docs/guides/test-your-sdk-scripts-offline.md"


def run(folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", str(folder), "-p", "no:cacheprovider"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_an_offline_test_in_ten_lines(tmp_path: Path) -> None:
    script, conftest, test, demo, gears = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    (tmp_path / "tag_large_files.py").write_text(script)
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_tag_large_files.py").write_text(test)
    told = run(tmp_path)
    assert "1 passed" in told, told
    assert len([line for line in (conftest + test).splitlines() if line.strip()]) <= 11  # conftest's one, and ten
    (tmp_path / "test_demo.py").write_text(demo)
    (tmp_path / "test_gears.py").write_text(gears)
    told = run(tmp_path)
    assert "4 passed" in told, told


def test_its_links_lead_somewhere() -> None:
    text = GUIDE.read_text()
    for target, anchor in re.findall(r"\]\(([\w./-]+)(?:#([\w-]+))?\)", text):
        page = (GUIDE.parent / target).resolve()
        assert page.exists(), target
        if anchor:
            heads = [re.sub(r"[^\w -]", "", line.lstrip("# ")).lower().replace(" ", "-")
                     for line in page.read_text().splitlines() if line.startswith("#")]  # fmt: skip
            assert anchor in heads
