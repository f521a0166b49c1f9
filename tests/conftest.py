"""Fixtures for all tests: sandboxes in a thread, for the blocking SDK as for our own client."""

from __future__ import annotations

from hypothesis import settings

# No deadline for a single example: on a busy machine it would fail for being slow, and timings are never asserted.
settings.register_profile("fwsync", deadline=None)
settings.load_profile("fwsync")

pytest_plugins = ["fwsync.sandbox.pytest_plugin"]
