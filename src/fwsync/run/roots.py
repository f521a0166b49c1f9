"""Which tree a folder is: told by its marker, and by what the journal remembers of the path.

    marker      journal knows the path as     then
    none        nothing                       a new tree; what lies there is left alone
    none        some tree                     refused: an unmounted disk, or a wrong folder
    another     some tree                     refused likewise
    the same    that tree                     go on
    some id     nothing                       the tree was moved here (what is known of it follows), was copied here
                                              (it gets an id of its own), or its journal is lost (its manifest tells)

`--new-tree` begins anew: the path gets a new id, nothing is known of what lies there, and equal files are adopted by
their hashes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread

from fwsync.errors import NotAsAskedError
from fwsync.plan.mirroring import Indexed, untouched
from fwsync.run import index, manifest
from fwsync.run.journal import Journal
from fwsync.run.tree import MARKER, Tree


class Opened(NamedTuple):
    """A tree that may be worked on. `root` is the path under which the journal knows it; `note` a line for a person."""

    root: str
    id: str
    note: str = ""


async def open_tree(tree: Tree, journal: Journal, *, write: bool, new_tree: bool = False) -> Opened:
    """Recognise the tree, and unless `write` is off make or complete its marker. The caller holds its lock.

    NotAsAskedError, before anything is written, if the folder is not the tree that was last there.
    """
    tree.resolve()
    here = str(tree.real)
    if new_tree:
        if write:
            await index.forget_root(journal, here)
        return await _go_on(tree, journal, here if write else "", secrets.token_hex(16), write=write)
    known, marked = await index.id_of(journal, here), tree.marker()
    if known is not None and (marked is None or (known and marked != known)):
        raise NotAsAskedError(_refused(here, gone=marked is None))
    if known is not None:
        return await _go_on(tree, journal, here, known or marked or "", write=write)
    if not marked:
        return await _go_on(tree, journal, here, "", write=write)
    return await _arrived(tree, journal, here, marked, write=write)


def _refused(here: str, *, gone: bool) -> str:
    why = f"its marker .fwsync/{MARKER} is missing" if gone else "another tree is marked there now"
    return f"{here}: fwsync had a tree here, and {why}; mount the right disk, or say --new-tree to begin anew here"


async def _go_on(tree: Tree, journal: Journal, here: str, ident: str, *, write: bool) -> Opened:
    if write:
        ident = await tree.prepare(ident)
        await index.register(journal, here, ident)
    return Opened(here, ident)


async def _arrived(tree: Tree, journal: Journal, here: str, ident: str, *, write: bool) -> Opened:
    """A marked tree at a path of which nothing is known."""
    seen = await index.places_of(journal, ident)
    still = next((place for place in seen if _is_at(place, ident)), None)
    if still is not None:
        if not write:
            return Opened(still, ident)
        await index.copy(journal, still, here)
        opened = await _go_on(tree, journal, here, secrets.token_hex(16), write=True)
        return opened._replace(note=f"a copy of the tree at {still}: a tree of its own from now on")
    if seen:
        if write:
            await index.follow(journal, seen[0], here)
            await _go_on(tree, journal, here, ident, write=True)
        return Opened(
            here if write else seen[0], ident, f"the tree that was at {seen[0]}: what is known of it followed"
        )
    if not write:
        return Opened(here, ident)
    count = await index.fill(journal, here, _remembered(tree))
    await _go_on(tree, journal, here, ident, write=True)
    return Opened(here, ident, f"the index was lost: {count:,} files are known again by the tree's manifest")


def _is_at(place: str, ident: str) -> bool:
    other = Tree(Path(place))
    return other.marker() == ident


def _remembered(tree: Tree) -> Iterator[tuple[Indexed, list[str]]]:
    """The rows of the manifest whose files are as they were left; the others are not ours to judge: what the run after
    the manifest did is not known."""
    found = iter(tree.walk())
    at = next(found, None)
    for entry, claims in manifest.read(tree):
        while at is not None and at[0] < entry.path:
            at = next(found, None)
        if at is not None and at[0] == entry.path and untouched(entry, at[1]):
            yield entry, claims


async def keep_manifest(tree: Tree, journal: Journal, root: str) -> None:
    """Replace the tree's manifest by what the index says now."""
    await journal.write(lambda _: None)
    await anyio.to_thread.run_sync(manifest.write, tree, journal.path, root)
