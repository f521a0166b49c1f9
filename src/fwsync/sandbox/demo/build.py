"""Fills a site with the demo projects, once."""

from __future__ import annotations

from fwsync.sandbox.site import Site


async def build_once(site: Site) -> None:
    """Build the demo site unless this data folder has it already."""
