"""Python's search for cycles of garbage, put off while a command is loaded.

Modules, classes and functions stay to the end of the process. To look through all of them again and again while they
are made, and once more when they go, is a quarter of the start and end of a short command.
"""

from __future__ import annotations

import gc

WHILE_LOADING = 100_000
"""New objects between two searches; loading makes some 80,000. That it has an end keeps a command whole that never
says that it is loaded."""

_USUAL = gc.get_threshold()


def put_off() -> None:
    """Search seldom from here on, until the command is `loaded`."""
    gc.set_threshold(WHILE_LOADING, *_USUAL[1:])


def loaded() -> None:
    """Search as usual from here on, but not through what is there by now. Does nothing where nothing was put off."""
    if gc.get_threshold()[0] == WHILE_LOADING:
        gc.freeze()
        gc.set_threshold(*_USUAL)


def leave() -> None:
    """Nothing is worth a search any more: the process ends."""
    gc.disable()
    gc.freeze()
