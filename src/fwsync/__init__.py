"""Async, high-throughput ingestion and sync for Flywheel imaging sites.

From Python: `async with fwsync.connect() as fw`, or `with fwsync.connect_blocking() as fw`; docs/guides/library.md
shows both. What is exported here is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fwsync.errors import AuthError as AuthError
    from fwsync.errors import ConfigError as ConfigError
    from fwsync.errors import FwsyncError as FwsyncError
    from fwsync.errors import NotAsAskedError as NotAsAskedError
    from fwsync.errors import RemoteError as RemoteError
    from fwsync.errors import UnreachableError as UnreachableError
    from fwsync.errors import UsageError as UsageError
    from fwsync.library.blocking import BlockingListing as BlockingListing
    from fwsync.library.blocking import BlockingRunning as BlockingRunning
    from fwsync.library.blocking import BlockingSite as BlockingSite
    from fwsync.library.blocking import connect_blocking as connect_blocking
    from fwsync.library.listing import Listing as Listing
    from fwsync.library.running import Running as Running
    from fwsync.library.site import Site as Site
    from fwsync.library.site import connect as connect
    from fwsync.work import Outcome as Outcome
    from fwsync.work import Summary as Summary
    from fwsync.work import WorkItem as WorkItem

__version__ = "0.1.0"

_HOMES = {
    "fwsync.errors": (
        "AuthError", "ConfigError", "FwsyncError", "NotAsAskedError", "RemoteError", "UnreachableError", "UsageError",
    ),
    "fwsync.library.blocking": ("BlockingListing", "BlockingRunning", "BlockingSite", "connect_blocking"),
    "fwsync.library.listing": ("Listing",),
    "fwsync.library.running": ("Running",),
    "fwsync.library.site": ("Site", "connect"),
    "fwsync.work": ("Outcome", "Summary", "WorkItem"),
}  # fmt: skip
_HOME = {name: module for module, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fwsync' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
