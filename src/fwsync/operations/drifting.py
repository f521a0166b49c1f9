"""`fwsync status DIR`: how far a tree is from what its last mirror wanted, without a transfer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio.to_thread
import msgspec

from fwsync.errors import UsageError
from fwsync.operations.context import Context
from fwsync.operations.mirroring import wishes_of
from fwsync.operations.retrying import mirror_settings
from fwsync.operations.scope import Scope
from fwsync.operations.selections import selection_of
from fwsync.operations.shelving import shelve
from fwsync.run.drifting import Drifted, local_lines
from fwsync.run.index import LocalIndex
from fwsync.run.journal import Journal, RunRecord
from fwsync.run.roots import open_tree
from fwsync.run.shelf import Shelf
from fwsync.run.tree import Tree
from fwsync.run.verifying import rows

Tell = Callable[[str, str, str], None]
"""Told of each path that differs: kind (of `plan.drifting`, or `unknown`), path, where a move begins or empty."""


class Status(msgspec.Struct, kw_only=True):
    """How a tree stands. `wanted` files are those of the selection (or of the index, locally), `counts` those that
    differ, by kind. `unknown` ones are nobody's: they are told and no drift. `run` is the mirror that was asked again,
    empty for a comparison with the index alone."""

    folder: str
    run: str = ""
    wanted: int = 0
    counts: Counter[str] = msgspec.field(default_factory=Counter)
    unknown: int = 0
    unreadable: list[str] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def in_step(self) -> bool:
        """Nothing differs, and everything could be looked at."""
        return not self.counts.total() and not self.unreadable

    @property
    def exit_code(self) -> int:
        """0 in step, 3 otherwise."""
        return 0 if self.in_step else 3


async def status(context: Context, folder: str, tell: Tell | None = None) -> Status:
    """Select again what the newest mirror of the tree at `folder` selected, and compare. Nothing is written.

    UsageError where no mirror of it is in the journal, or it was from another site than the key is for.
    """
    tree, root = await _known(context, folder)
    record = await _newest(context.journal, root)
    if record is None:
        raise UsageError(f"{folder}: no mirror run of it is in the journal; --local compares it with the index alone")
    if record.site != context.fw.site:
        raise UsageError(f"{folder}: is a mirror of {record.site}, the API key in use is for {context.fw.site}")
    if record.arguments.get("from_file") == "-":
        raise UsageError(f"{folder}: was selected by paths from standard input, which are gone; use --local")
    settings = mirror_settings(record.arguments)
    selection = selection_of(settings)
    context.reporter.phase("listing")
    scope = await Scope.open(context.fw, selection)
    with Shelf(context.settings.state_folder, settings.platform) as shelf:
        found = await shelve(context.fw, selection, scope, shelf, wishes_of(settings, selection))
        shelf.settle()
        context.reporter.phase("comparing with the local tree")
        index = LocalIndex(context.journal, root, record.arguments.get("selection", ""))
        drifted = Drifted(shelf)
        await anyio.to_thread.run_sync(drifted.run, index.rows(), tree.walk())
        if found.troubles and (gone := drifted.spare_the_gone()):
            found.notes.append(f"{gone:,} files were not found, which means nothing: not all could be looked at")
        if tell is not None:
            for line in drifted.lines():
                tell(*line)
        return Status(
            folder=str(tree.real),
            run=record.id,
            wanted=shelf.files,
            counts=drifted.counts(),
            unknown=drifted.unknown,
            unreadable=[f"{one.target}: {one.reason}" for one in found.troubles],
            notes=found.notes,
        )


async def local_status(context: Context, folder: str, tell: Tell | None = None) -> Status:
    """Compare the tree with the journal's index alone: no site is asked."""
    tree, root = await _known(context, folder)
    out = Status(folder=str(tree.real))

    def compare() -> list[tuple[str, str]]:
        differ: list[tuple[str, str]] = []
        for kind, path, ours in local_lines(rows(context.journal.path, root), tree.walk()):
            out.wanted += ours
            out.unknown += not ours
            if kind is not None:
                out.counts[kind] += 1
            if tell is not None and (kind is not None or not ours):
                differ.append((kind or "unknown", path))
        return differ

    for kind, path in await anyio.to_thread.run_sync(compare):
        if tell is not None:
            tell(kind, path, "")
    return out


async def _known(context: Context, folder: str) -> tuple[Tree, str]:
    """The tree at a folder, and the path under which the journal knows it."""
    tree = Tree(Path(folder).expanduser())
    tree.resolve()
    if tree.marker() is None and not tree.real.exists():
        raise UsageError(f"{folder}: there is no such folder")
    opened = await open_tree(tree, context.journal, write=False)
    if not await LocalIndex(context.journal, opened.root, "").count():
        raise UsageError(f"{folder}: fwsync has put nothing there; name the folder that mirror filled")
    return tree, opened.root


async def _newest(journal: Journal, root: str) -> RunRecord | None:
    """The newest mirror run of a tree."""
    query = (
        "select id from runs where command = 'mirror' and json_extract(arguments, '$.to') = ?"
        " order by started desc limit 1"
    )
    found = await journal.write(lambda c: next((str(row[0]) for row in c.execute(query, (root,))), None))
    return await journal.run(found) if found is not None else None
