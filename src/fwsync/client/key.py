"""An API key as the SDK takes it: `host:secret`, `host:port:secret`, with `__force_insecure` for plain HTTP."""

from __future__ import annotations

import re

import msgspec

from fwsync.errors import AuthError
from fwsync.logs import hide

_INSECURE = "__force_insecure"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z")
_FORM = "it must look like host:secret or host:port:secret"
BEARER_LENGTH = 57
"""A secret of exactly so many characters is sent as `Bearer`, any other as `scitran-user`, as the SDK does."""


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """Where the site is and how to sign in. The secret never shows in a repr, log or error."""

    scheme: str
    host: str
    port: int
    secret: str

    @classmethod
    def parse(cls, text: str) -> ApiKey:
        """The key in `text`; AuthError with one line, which never holds the text, if it is malformed."""
        bare = text.strip()
        for prefix in ("bearer ", "scitran-user "):
            if bare.lower().startswith(prefix):
                bare = bare[len(prefix) :].strip()
        insecure_scheme = bare.lower().startswith("http://")
        bare = re.sub(r"^https?://", "", bare, flags=re.IGNORECASE)
        parts = bare.split(":")
        insecure = _INSECURE in parts or insecure_scheme
        parts = [part for part in parts if part != _INSECURE]
        if len(parts) not in (2, 3):
            raise AuthError(f"the API key is malformed: {_FORM}; copy it anew from your Flywheel profile page")
        host, secret = parts[0].rstrip("/"), parts[-1]
        if not _HOST.match(host) or not secret or not secret.isascii() or any(c.isspace() for c in secret):
            raise AuthError(f"the API key is malformed: {_FORM}; copy it anew from your Flywheel profile page")
        port = 443
        if len(parts) == 3:
            if not parts[1].isdigit() or not 0 < int(parts[1]) < 65536:
                raise AuthError(f"the API key is malformed: the part after the host is no port; {_FORM}")
            port = int(parts[1])
        hide(secret)
        return cls(scheme="http" if insecure else "https", host=host, port=port, secret=secret)

    @property
    def base(self) -> str:
        """The address of the API, e.g. `https://host:443/api`."""
        return f"{self.scheme}://{self.host}:{self.port}/api"

    @property
    def site(self) -> str:
        """The site's name for people: the host, with its port unless it is the usual one."""
        usual = {"https": 443, "http": 80}[self.scheme]
        return self.host if self.port == usual else f"{self.host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The value of the Authorization header."""
        scheme = "Bearer" if len(self.secret) == BEARER_LENGTH else "scitran-user"
        return f"{scheme} {self.secret}"

    def __repr__(self) -> str:
        return f"ApiKey({self.site}, ***)"
