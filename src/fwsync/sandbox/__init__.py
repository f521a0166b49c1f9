"""An embedded Flywheel-compatible server over SQLite and a blob folder.

It stands on its own: nothing here imports the rest of fwsync, so that one misread wire fact can't be wrong on both
sides at once. `docs/sandbox.md` tells what it serves.
"""

from fwsync.sandbox.options import SandboxOptions
from fwsync.sandbox.server import Sandbox, serve

__all__ = ["Sandbox", "SandboxOptions", "serve"]
