"""The manifest: what fwsync put into a tree, in the tree itself, to rebuild an index that was lost.

`.fwsync/manifest` is gzip of JSON lines, sorted by path:

    {"format": 1}
    [path, file_id, version, hash, member, size, mtime_ns, [selections that claim it]]

It is replaced as a whole at the end of a run that changed something, by way of `manifest.new`.
"""

from __future__ import annotations

import gzip
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from fwsync import logs
from fwsync.plan.mirroring import Indexed
from fwsync.plan.paths import OWN_FOLDER, is_contained
from fwsync.run.tree import Tree, disk_errors

NAME = "manifest"
_ROW = tuple[str, str, int | None, str | None, str | None, int, int, list[str]]
_decode = msgspec.json.Decoder(_ROW).decode
_QUERY = """select path, file_id, version, hash, member, size, mtime_ns,
    (select group_concat(selection, ' ') from claims c where c.root = f.root and c.path = f.path)
    from files f where root = ? and state = 'present' order by path"""
log = logs.get("run")


def write(tree: Tree, journal: Path, root: str) -> int:
    """Write the manifest from a journal's index; how many files. Blocking."""
    own = tree.real / OWN_FOLDER
    encode = msgspec.json.Encoder().encode
    count = 0
    with disk_errors(own / NAME), closing(sqlite3.connect(journal, timeout=60)) as connection:
        with gzip.open(own / f"{NAME}.new", "wb", compresslevel=1) as out:
            out.write(encode({"format": 1}) + b"\n")
            rows = connection.execute(_QUERY, (root,))
            while some := rows.fetchmany(1000):
                out.write(b"".join(encode([*row[:7], (row[7] or "").split()]) + b"\n" for row in some))
                count += len(some)
        (own / f"{NAME}.new").replace(own / NAME)
    return count


def exists(tree: Tree) -> bool:
    """Whether the tree has one."""
    return (tree.real / OWN_FOLDER / NAME).is_file()


def read(tree: Tree) -> Iterator[tuple[Indexed, list[str]]]:
    """Rows and who claims them, by path; nothing where there is no manifest, or no more than what can be read."""
    last = ""
    try:
        with gzip.open(tree.real / OWN_FOLDER / NAME, "rb") as lines:
            next(lines, None)
            for line in lines:
                path, *rest, claims = _decode(line)
                if path <= last or not is_contained(path) or path.split("/")[0] == OWN_FOLDER:
                    continue  # written by someone else: the comparison needs sorted paths below the root
                last = path
                yield _indexed(path, rest), claims
    except FileNotFoundError:
        return
    except (OSError, EOFError, msgspec.DecodeError) as error:
        log.warning("the tree's manifest can't be read; known files are compared by their hashes", error=str(error))


def _indexed(path: str, values: list[Any]) -> Indexed:
    return Indexed(**dict(zip(Indexed.__struct_fields__, (path, *values), strict=True)))
