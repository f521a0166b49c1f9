"""Draws docs/demo.svg from the real output of `make demo`: python scripts/picture.py < demo-output.txt"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

FONT = 'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="13"'
WIDTH, LINE, TOP, LEFT = 860, 19, 44, 18
SHOWN = ("$ fwsync import subjects.csv", "$ fwsync mirror --gear bids-freesurfer", "$ find mirror", "$ fwsync tree")
MOST_OF_ONE = 10


def chosen(text: str) -> list[str]:
    """The commands to show with their output, long listings cut with a mark."""
    out: list[str] = []
    for block in text.split("\n$ ")[1:]:
        lines = ("$ " + block.rstrip()).splitlines()
        if lines[0].startswith(SHOWN):
            body = [line[:98] + ("…" if len(line) > 98 else "") for line in lines[1:]]
            cut = (
                [*body[: MOST_OF_ONE - 1], f"… {len(body) - MOST_OF_ONE + 1} more lines"]
                if len(body) > MOST_OF_ONE
                else body
            )
            out += [lines[0], *cut, ""]
    return out[:-1]


def draw(lines: list[str]) -> str:
    """The terminal as an SVG."""
    height = TOP + LINE * len(lines) + 14
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" {FONT}>',
        f'<rect width="{WIDTH}" height="{height}" rx="9" fill="#14191f"/>',
        *(
            f'<circle cx="{20 + 20 * n}" cy="18" r="6" fill="{c}"/>'
            for n, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))
        ),
    ]
    for number, line in enumerate(lines):
        colour = "#8bd5ff" if line.startswith("$ ") else "#a6e3a1" if line == "complete" else "#d7dde5"
        y = TOP + LINE * number + 8
        out.append(f'<text x="{LEFT}" y="{y}" fill="{colour}" xml:space="preserve">{escape(line)}</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "docs" / "demo.svg"
    target.write_text(draw(chosen("\n" + sys.stdin.read())), encoding="utf-8")
