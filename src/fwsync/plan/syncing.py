"""A whole tree compared: what is wanted, what the index remembers, and what lies there, as three streams by path.

What is neither wanted at its path nor changed locally is *surplus*: it is moved to where the same content is wanted,
and else it may be removed. Nothing here holds more than one path at a time, but for what is surplus or missing under
one identity.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Literal, NamedTuple

from fwsync.errors import ConfigError
from fwsync.plan.mirroring import Indexed, Judged, Local, holds, judge, untouched
from fwsync.work import DeleteFile, FetchFile, Outcome, WorkItem

LocalChanges = Literal["keep", "overwrite", "error"]

Fate = Literal["settled", "displaced", "surplus", "changed", "gone"]
"""What becomes of an index row.

settled      its path is wanted, and what was said of the wanted file is all there is to say
displaced    its path is wanted by something else, which will replace it: it may be moved away before that
surplus      nothing wants its path, and the file is as it was left: it may be moved or removed
changed      nothing wants its path, and the file was changed locally: it stays
gone         nothing wants its path, and there is no file
"""


class Claimed(NamedTuple):
    """An index row; whether the selection at work has claimed it, and whether others have."""

    entry: Indexed
    mine: bool
    others: bool


class Abreast(NamedTuple):
    """What the three streams say of one path. `number` stands for the wanted file where it is kept."""

    path: str
    number: int | None
    fetch: FetchFile | None
    held: Claimed | None
    local: Local | None


def abreast(
    wanted: Iterable[tuple[int, FetchFile]], index: Iterable[Claimed], found: Iterable[tuple[str, Local]]
) -> Iterator[Abreast]:
    """Three streams, each sorted by path, side by side. What only lies there (nobody's) is left out."""
    wishes, rows, files = iter(wanted), iter(index), iter(found)
    want, held, local = next(wishes, None), next(rows, None), next(files, None)
    while want is not None or held is not None:
        at_want = want[1].path if want is not None else None
        at_held = held.entry.path if held is not None else None
        path = min(at_want, at_held) if at_want is not None and at_held is not None else at_want or at_held or ""
        while local is not None and local[0] < path:
            local = next(files, None)
        here = local[1] if local is not None and local[0] == path else None
        number, fetch = want if want is not None and at_want == path else (None, None)
        yield Abreast(path, number, fetch, held if at_held == path else None, here)
        if at_want == path:
            want = next(wishes, None)
        if at_held == path:
            held = next(rows, None)


def weigh(line: Abreast, changes: LocalChanges) -> tuple[Judged | None, Fate | None]:
    """What is to be done about the wanted file, and what becomes of the index row, as far as one path tells."""
    entry, local, fetch = line.held.entry if line.held else None, line.local, line.fetch
    state: Judged | None = None
    if fetch is not None:
        state = judge(fetch, entry, local)
        if state == "changed" and changes == "overwrite":
            state = "overwrite"
    if entry is None:
        return state, None
    if fetch is None:
        return None, "gone" if local is None else "surplus" if untouched(entry, local) else "changed"
    displaced = state == "download" and local is not None and identity(entry) != identity(fetch)
    return state, "displaced" if displaced or _older(entry, fetch, state, local) else "settled"


def _older(entry: Indexed, fetch: FetchFile, state: Judged | None, local: Local | None) -> bool:
    """Another version of the same file lies here: where all versions are wanted, it may be wanted elsewhere."""
    return state == "download" and local is not None and entry.version != fetch.version


def may_receive(line: Abreast) -> bool:
    """Whether a file may be moved to this path: nothing lies here, or what fwsync left."""
    return line.local is None or (line.held is not None and untouched(line.held.entry, line.local))


def identity(one: Indexed | FetchFile) -> str:
    """Which file and member; empty where the site gave the file no id: then nothing is known to be the same."""
    return f"{one.file_id}#{one.member or ''}" if one.file_id else ""


def pairs(
    surplus: Iterable[tuple[str, Indexed]], missing: Iterable[tuple[str, int, FetchFile]]
) -> Iterator[tuple[Indexed, int]]:
    """Which surplus row is moved to which missing file (by number): the same content, each used once at most.

    Both come sorted by identity and, in that, by path.
    """
    groups = groupby(missing, key=lambda one: one[0])
    group = next(groups, None)
    for key, rows in groupby(surplus, key=lambda one: one[0]):
        while group is not None and group[0] < key:
            group = next(groups, None)
        if group is None:
            return
        if group[0] != key or not key:
            continue
        wanted = list(group[1])
        for _, row in rows:
            fits = next((at for at, one in enumerate(wanted) if same(row, one[2])), None)
            if fits is not None:
                yield row, wanted.pop(fits)[1]
        group = next(groups, None)


def same(row: Indexed, fetch: FetchFile) -> bool:
    """Whether a row is surely of the content that is wanted: stricter than `holds`, since nothing was fetched there."""
    if fetch.content is not None:
        return row.file_id == fetch.file_id and row.version is None  # a sidecar moves along, and is written anew then
    if not holds(row, fetch):
        return False
    if fetch.member is not None:
        return fetch.version is not None and (fetch.member_crc is None or row.hash == f"crc32-{fetch.member_crc:08x}")
    return bool(row.hash and row.hash == fetch.hash) or (fetch.version is not None and fetch.size == row.size)


class Brake(NamedTuple):
    """How much may be removed in one run: it trips when more than `files` and more than `share` (of 1) would go."""

    files: int = 50
    share: float = 0.1

    @classmethod
    def parse(cls, text: str, flag: str = "--max-delete") -> Brake:
        """From `--max-delete`: a number of files, a percentage of the tree's files, or nothing for the default."""
        if not text:
            return cls()
        found = re.fullmatch(r"(\d+)(%?)|(\d+\.\d+)%", text.strip())
        if found is None or (float(text.strip().rstrip("%")) > 100 and "%" in text):
            raise ConfigError(f"{flag} {text!r}: write a number such as 500, or a share such as 20%")
        if "%" in text:
            return cls(0, float(text.strip().rstrip("%")) / 100)
        return cls(int(text), 0.0)

    def trips(self, files: int, of: int) -> bool:
        """Whether to remove so many files of so many is too much."""
        return files > self.files and files > self.share * of


def halted(reason: str) -> Outcome:
    """What stands in a plan for removals that do not happen."""
    return Outcome(
        key="delete.local", kind="delete.local", state="failed", reason=reason, target="--delete", attempts=0
    )


def removal(entry: Indexed, *, permanent: bool) -> WorkItem:
    """The removal of one local file."""
    return WorkItem(
        kind="delete.local",
        key=f"{entry.file_id}#{entry.member or ''}<{entry.path}",
        target=entry.path,
        bytes=entry.size,
        payload=DeleteFile(entry.path, entry.file_id, entry.size, entry.mtime_ns, permanent),
    )


def kept(entry: Indexed) -> Outcome:
    """A file that would have been removed, had nobody changed it."""
    return Outcome(
        key=f"{entry.file_id}#{entry.member or ''}<{entry.path}",
        kind="delete.local",
        state="skipped",
        target=entry.path,
        reason="no longer wanted here, but changed locally; kept as it is",
        attempts=0,
    )
