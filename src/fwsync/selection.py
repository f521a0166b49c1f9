"""What a person selected, as a value, and the one rule for patterns.

Patterns match from the right at a `/`: `*` and `?` stop at `/`, `**` does not, a leading `/` anchors the pattern at
the root. So `aseg.stats` and `*/stats/aseg.stats` both match `5dee7faa/sub-01/stats/aseg.stats`, and
`/sub-*/x` matches at the top alone. Matching is case-sensitive.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

import msgspec

RunChoice = Literal["latest-complete", "latest", "all", "failed"]


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which files of which containers.

    `project` is `group/label` (a segment may be `<id:HEX>`). `gear` is a gear's name, `run` which of its runs.
    `members` are patterns over the members of zip outputs; none means whole files. `include` and `exclude` are
    patterns over file names: in if any include matches (or none is given) and no exclude does.
    """

    project: str | None = None
    gear: str | None = None
    run: RunChoice = "latest-complete"
    members: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes_name(self, name: str) -> bool:
        """Whether a file of this name is in; the order of patterns never matters."""
        included = not self.include or any(matches(pattern, name) for pattern in self.include)
        return included and not any(matches(pattern, name) for pattern in self.exclude)

    def takes_member(self, path: str) -> bool:
        """Whether a zip member of this path is in. Call only when `members` is not empty."""
        return any(matches(pattern, path) for pattern in self.members)


def matches(pattern: str, path: str) -> bool:
    """Whether `path` (separated by `/`) matches `pattern` by the rule at the top of this file."""
    return _compiled(pattern).search(path) is not None


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    anchored = pattern.startswith("/")
    body = pattern[1:] if anchored else pattern
    out: list[str] = []
    position = 0
    while position < len(body):
        if body.startswith("**/", position):
            out.append("(?:.*/)?")  # `a/**/b` matches `a/b` too
            position += 3
        elif body.startswith("**", position):
            out.append(".*")
            position += 2
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(body[position]) or re.escape(body[position]))
            position += 1
    start = r"\A/?" if anchored else r"(?:\A|(?<=/))"
    return re.compile(start + "".join(out) + r"\Z", re.DOTALL)


_ID_SEGMENT = re.compile(r"<id:([^<>/]+)>\Z")


def split_path(path: str) -> tuple[str, ...]:
    """The segments of a container path such as `group/project/sub-01`; `fw://` in front and slashes at the ends go.

    A label that itself holds a slash can't be written so: its container is named by `<id:HEX>`.
    """
    body = path.removeprefix("fw://").strip("/")
    return tuple(body.split("/")) if body else ()


def segment_id(segment: str) -> str | None:
    """The id in a segment `<id:HEX>`, else None."""
    found = _ID_SEGMENT.match(segment)
    return found.group(1) if found else None
