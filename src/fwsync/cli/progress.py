"""Which progress the flags ask for."""

from __future__ import annotations

from fwsync.cli.options import Common
from fwsync.progress import ClosableReporter, choose, duration, printable
from fwsync.work import human

__all__ = ["duration", "human", "printable", "reporter_for"]


def reporter_for(common: Common) -> ClosableReporter:
    """The reporter that flags and terminal ask for."""
    return choose("none" if common.quiet else common.progress, lines=not common.json and not common.quiet)
