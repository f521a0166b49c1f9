"""How far a tree is from what is wanted: each path that differs, in a word."""

from __future__ import annotations

from typing import Literal

from fwsync.plan.mirroring import Indexed, Local, holds, untouched
from fwsync.plan.syncing import Abreast

Drift = Literal["new", "changed", "moved", "gone", "edited", "missing", "in the way"]

DRIFTS: dict[Drift, str] = {
    "new": "new remotely",
    "changed": "changed remotely",
    "moved": "moved remotely",
    "gone": "gone remotely",
    "edited": "changed locally",
    "missing": "missing locally",
    "in the way": "in the way",
}
"""What to call each of them.

new           wanted, and neither known nor there
changed       here as fwsync left it, and another version or another file is wanted at its path
moved         here as fwsync left it, and wanted at another path
gone          here as fwsync left it, and wanted nowhere
edited        fwsync put it there and somebody changed it since, whatever became of it on the site
missing       fwsync put it there, it is wanted and not there any more
in the way    wanted, and something lies there that fwsync did not put there; equal bytes are adopted by a mirror
"""


def drift_of(line: Abreast) -> Drift | None:
    """What differs at one path, as far as that path tells; None where nothing does, or only others want the file.

    A move shows as `new` at one path and `gone` at another: which of them belong together is for `syncing.pairs`.
    """
    entry, local, fetch = line.held.entry if line.held else None, line.local, line.fetch
    if entry is None:
        return "new" if local is None else "in the way"
    if local is None:
        return "missing" if fetch is not None else None
    if not untouched(entry, local):
        return "edited"
    if fetch is not None:
        return None if holds(entry, fetch) else "changed"
    only_others = line.held is not None and line.held.others and not line.held.mine
    return None if only_others else "gone"


def local_drift(entry: Indexed, local: Local | None) -> Drift | None:
    """What differs between the index and the tree alone."""
    if local is None:
        return "missing"
    return None if untouched(entry, local) else "edited"
