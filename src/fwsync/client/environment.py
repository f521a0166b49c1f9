"""Certificates to trust and proxies to go through, as the environment and the settings say."""

from __future__ import annotations

import os
import ssl
import urllib.request
from collections.abc import Mapping

from yarl import URL

from fwsync.errors import ConfigError


def proxies() -> dict[str, str]:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say now."""
    return urllib.request.getproxies_environment()


def tls_context(ca_bundle: str) -> ssl.SSLContext:
    """One context: the given CA file, else SSL_CERT_FILE or REQUESTS_CA_BUNDLE, else the system's store."""
    path = ca_bundle or os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or None
    try:
        if path and os.path.isdir(path):  # noqa: PTH112 - one stat at start-up
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{path}: is no usable CA file ({error}); give one by --ca-bundle") from error


def proxy_for(url: URL, proxies: Mapping[str, str]) -> str | None:
    """The proxy for a URL, of those that HTTPS_PROXY, HTTP_PROXY and NO_PROXY named at the start."""
    if not proxies:
        return None
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or urllib.request.proxy_bypass_environment(  # type: ignore[attr-defined]
        f"{url.host}:{url.port}", proxies
    ):
        return None
    return found if "://" in found else f"http://{found}"
