"""Fixtures for all tests: sandboxes in a thread, for the blocking SDK as for our own client."""

from __future__ import annotations

pytest_plugins = ["fwsync.sandbox.pytest_plugin"]
