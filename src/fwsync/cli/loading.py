"""aiohttp, loaded without the system's certificates, which it reads twice while it is imported: 30 ms of every command.

Whatever fwsync connects to by TLS it connects to with a context of its own (`client.environment.tls_context`), so that
aiohttp's are never used; used all the same, they would trust nobody. Python code that uses fwsync as a library loads
aiohttp as it is.
"""

from __future__ import annotations

import importlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _without_certificates() -> Iterator[None]:
    usual = ssl.SSLContext.load_default_certs
    setattr(ssl.SSLContext, "load_default_certs", _nothing)  # noqa: B010 - a method, which a type checker minds
    setattr(ssl.SSLContext, "set_default_verify_paths", _nothing)  # noqa: B010 - hides that of the base class
    try:
        yield
    finally:
        setattr(ssl.SSLContext, "load_default_certs", usual)  # noqa: B010
        delattr(ssl.SSLContext, "set_default_verify_paths")


def _nothing(*_given: object) -> None:
    """Trust nobody."""


with _without_certificates():
    importlib.import_module("aiohttp")
