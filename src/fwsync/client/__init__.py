"""Talks to the platform: the only aiohttp client code in fwsync."""
