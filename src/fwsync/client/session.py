"""One HTTP session with a site: sign-in, time-outs, TLS, proxies, redirects, the retry loop, error mapping."""

from __future__ import annotations

import json as plain_json
import platform
import re
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import anyio
import msgspec
from yarl import URL

import fwsync
from fwsync import logs
from fwsync.client import retry, urls
from fwsync.client.environment import proxies, proxy_for, tls_context
from fwsync.client.key import ApiKey
from fwsync.client.pacing import Pacer
from fwsync.config import NetworkSettings
from fwsync.errors import (
    AuthError,
    ConflictError,
    ForbiddenError,
    FwsyncError,
    LostAnswerError,
    NotFoundError,
    ProtocolError,
    RemoteError,
    UnreachableError,
)

log = logs.get("client")

FEATURES = "Safe-Redirect,multipart_signed_url"
"""Sent as `x-accept-feature`: we drop credentials on redirects, and can upload in parts."""

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 5
READING_POSTS = ("POST /lookup", "POST /resolve", "POST /dataexplorer/search", "POST /download")
LINK_EXPIRED = frozenset({400, 401, 403, 404, 410})
MOST_ERROR_BYTES = 64 * 1024
CALL_BUFFER = 64 * 1024
BODY_BUFFER = 256 * 1024
"""Bytes that may wait unread before the connection is told to pause; twice this is held at most."""

USER_AGENT = f"fwsync/{fwsync.__version__} (Python {platform.python_version()}; {sys.platform})"

Query = Mapping[str, str | int | None]


class Answer(msgspec.Struct, frozen=True):
    """A whole answer to a small call."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    attempts: int = 1


class FailedTryError(Exception):
    """One failed try, before it is decided whether there is another. `error` is what the caller gets in the end."""

    def __init__(
        self,
        error: FwsyncError,
        *,
        again: bool,
        untouched: bool = False,
        wait: float | None = None,
        slow_down: bool = False,
        expired: bool = False,
    ) -> None:
        """`again`: worth another try; `untouched`: the server surely did nothing; `wait`: its Retry-After; `expired`:
        a link that the site gave us was refused, so that one fresh link is worth asking for."""
        super().__init__(str(error))
        self.error, self.again, self.untouched = error, again, untouched
        self.wait, self.slow_down, self.expired = wait, slow_down, expired


class ApiSession:
    """Sends requests to one site. Use as an async context manager."""

    def __init__(
        self,
        key: ApiKey,
        settings: NetworkSettings | None = None,
        *,
        on_retry: Callable[[str, int, float], None] | None = None,
    ) -> None:
        """`on_retry(reason, attempt, wait)` is told of each retry; it must not block."""
        self.key = key
        self.settings = settings or NetworkSettings()
        self.policy = retry.Policy(tries=self.settings.tries, seconds=self.settings.retry_seconds)
        self.calls = retry.AdaptiveLimiter(self.settings.calls, self.settings.max_calls)
        self.bodies = retry.AdaptiveLimiter(self.settings.bodies, self.settings.max_bodies)
        self.pacer = Pacer.of(self.settings.bwlimit)
        self.requests = 0
        self.writes = 0
        self.retries = 0
        self._on_retry = on_retry
        self.reached = False
        self._tls: ssl.SSLContext | None = None
        self._proxies = proxies()
        self._headers = {
            "Authorization": key.authorization,
            "User-Agent": USER_AGENT,
            "x-accept-feature": FEATURES,
            "Accept": "application/json",
        }

    async def __aenter__(self) -> Self:
        # No limit in the connector: the two limiters bound what is in flight.
        if self.key.base.startswith("https:") or self.settings.ca_bundle:
            self._tls = tls_context(self.settings.ca_bundle)  # its errors are told before anything is asked
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300)
        self._http = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self.settings.connect_timeout, sock_read=self.settings.read_timeout
            ),
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._http.close()

    def share(self, parts: int) -> None:
        """Keep to one of so many equal parts of the limits: the others are for processes beside this one."""
        self.calls.cap(max(self.settings.max_calls // parts, 1))
        self.bodies.cap(max(self.settings.max_bodies // parts, 1))

    def relay(self, requests: int, retried: Sequence[tuple[str, int, float]]) -> None:
        """Count what another process asked this site for, and tell of its retries (reason, attempt, wait)."""
        self.requests += requests
        self.retries += len(retried)
        for told in retried:
            if self._on_retry is not None:
                self._on_retry(*told)

    async def call(
        self,
        method: str,
        *segments: str,
        query: Query | None = None,
        json: Any = None,
        safe: bool | None = None,
        features: Sequence[str] = (),
    ) -> Answer:
        """A small call, repeated as the rules allow.

        `safe` tells that repeating it does no harm (default: every method but POST). A call that is not safe and
        whose answer is lost raises LostAnswerError; 429 and 503, and failures to connect, are repeated all the same.
        """
        url = urls.build(self.key.base, segments, query)
        what = f"{method} /{'/'.join(segments)}"
        repeatable = method != "POST" if safe is None else safe
        data = None if json is None else msgspec.json.encode(json)
        headers = {"Content-Type": "application/json"} if data is not None or method == "POST" else {}
        if features:
            headers["x-accept-feature"] = ",".join((FEATURES, *features))
        return await self.retried(
            lambda attempt: self.once(method, url, what, data, headers, attempt), what, repeatable=repeatable
        )

    async def retried(self, once: Callable[[int], Awaitable[Answer]], what: str, *, repeatable: bool) -> Answer:
        """`once`, given the number of the try, again and again as the rules allow; see `call`."""
        attempt, idle_since = 0, time.monotonic()
        while True:
            attempt += 1
            try:
                async with self.calls.slot():
                    answer = await once(attempt)
                self.calls.went_well()
                return answer
            except FailedTryError as failure:
                if failure.slow_down:
                    self.calls.too_much()
                if not failure.again:
                    raise failure.error from failure.__cause__
                if not (repeatable or failure.untouched):
                    raise LostAnswerError(f"{what}: the answer was lost ({failure})", attempts=attempt) from failure
                await self.pause(failure, attempt, idle_since)

    async def pause(self, failure: FailedTryError, attempt: int, idle_since: float) -> None:
        """Wait before the next try, or raise the failure's error when there is none left."""
        wait = retry.back_off(self.policy, attempt, retry.chance(), failure.wait)
        policy = self.policy
        if not self.reached and isinstance(failure.error, UnreachableError):
            # A wrong host or a closed port on the very first request is a person's mistake: don't take minutes.
            policy = msgspec.structs.replace(policy, tries=min(policy.tries, 3))
        if not retry.may_go_on(policy, attempt, time.monotonic() - idle_since, wait):
            error = failure.error
            if isinstance(error, (RemoteError, UnreachableError)):
                error.attempts = attempt
            raise error from failure
        self.retries += 1
        log.info("retry", reason=str(failure), attempt=attempt, wait=round(wait, 2))
        if self._on_retry is not None:
            self._on_retry(str(failure), attempt, wait)
        await anyio.sleep(wait)

    async def once(
        self, method: str, url: URL, what: str, data: bytes | None, headers: dict[str, str], attempt: int
    ) -> Answer:
        """One try of a small call, with its whole answer. Raises FailedTryError."""
        async with self.open(method, url, what, data=data, headers=headers) as response:
            try:
                body = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self.transport_failure(error, what) from error
            return Answer(response.status, response.headers, body, attempt)

    def tls_for(self, url: URL, proxy: str | None = None) -> ssl.SSLContext | bool:
        """How to trust what a URL leads to: the one context of this session, which a site without TLS needs only where
        its links lead to a storage with it."""
        if url.scheme != "https" and not (proxy or "").startswith("https:"):
            return True
        if self._tls is None:
            self._tls = tls_context(self.settings.ca_bundle)
        return self._tls

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: URL,
        what: str,
        *,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
        raw: bool = False,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One try of one request, redirects followed by hand; the body is the caller's to read.

        Only 2xx and 416 answers come out, everything else raises FailedTryError. `signed` False leaves our headers out
        (links to a bucket). `raw` asks for the bytes as they are stored. A redirect to another origin carries neither
        Authorization nor any other header that names us.
        """
        sent = {**(self._headers if signed else {"User-Agent": USER_AGENT}), **(headers or {})}
        if raw:
            sent["Accept-Encoding"] = "identity"
        first = url
        for _ in range(MOST_REDIRECTS):
            self.requests += 1
            self.writes += method not in ("GET", "HEAD") and not what.startswith(READING_POSTS)
            proxy = proxy_for(url, self._proxies)
            try:
                response = await self._http.request(
                    method,
                    url,
                    data=data,
                    headers=sent,
                    allow_redirects=False,
                    proxy=proxy,
                    ssl=self.tls_for(url, proxy),
                    auto_decompress=not raw,
                    read_bufsize=BODY_BUFFER if raw else CALL_BUFFER,
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise self.transport_failure(error, what) from error
            self.reached = True
            try:
                location = response.headers.get("Location")
                if response.status in REDIRECTS and location and method in ("GET", "HEAD"):
                    target = urls.joined(url, location)
                    if urls.origin(target) != urls.origin(url):
                        sent = {k: v for k, v in sent.items() if k in ("User-Agent", "Range", "Accept-Encoding")}
                    url = target
                    continue
                if response.status >= 300 and response.status != 416:
                    raise await self._refused(response, what, linked=url != first)
                yield response
                return
            finally:
                response.release()
        raise FailedTryError(ProtocolError("too many redirects", status=310, request=what), again=False)

    async def _refused(self, response: aiohttp.ClientResponse, what: str, *, linked: bool) -> FailedTryError:
        try:
            raw = await response.content.read(MOST_ERROR_BYTES)
        except (aiohttp.ClientError, TimeoutError, OSError):
            raw = b""
        reason, request_id = _error_body(raw, response)
        error = status_error(response.status, reason, what, request_id, self.key.site)
        expired = linked and response.status in LINK_EXPIRED
        if expired:
            # A bucket's 401 says nothing about our key: the link has expired.
            error = ForbiddenError(f"the site's own link was refused ({reason})", status=response.status, request=what)
        wait = retry.retry_after(response.headers.get("Retry-After"), time.time())
        return FailedTryError(
            error,
            again=response.status in retry.RETRIED,
            untouched=response.status in retry.REFUSED_UNTOUCHED,
            wait=wait,
            slow_down=response.status in retry.SLOW_DOWN,
            expired=expired,
        )

    def transport_failure(self, error: BaseException, what: str) -> FailedTryError:
        """A failure below HTTP: the one place where aiohttp's and the system's errors are mapped."""
        site = self.key.site
        if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
            reason = getattr(error, "certificate_error", None) or error
            hint = "if your network has its own certificate authority, name its file by --ca-bundle"
            return FailedTryError(
                UnreachableError(f"{site}: the TLS certificate is not trusted ({reason}); {hint}"), again=False
            )
        if isinstance(error, (aiohttp.ClientConnectorDNSError, socket.gaierror)):
            return FailedTryError(
                UnreachableError(f"{site}: unknown host; check the name in the API key"), again=True, untouched=True
            )
        if isinstance(error, (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError)):
            return FailedTryError(
                UnreachableError(f"{site}: the proxy from the environment failed: {error}"), again=True, untouched=True
            )
        if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
            why = getattr(error, "strerror", None) or "timed out"
            line = f"{site}: can't connect ({why}); check host, port and network"
            return FailedTryError(UnreachableError(line), again=True, untouched=True)
        if isinstance(error, (aiohttp.ServerTimeoutError, TimeoutError)):
            line = f"{what}: no bytes from {site} for {self.settings.read_timeout:g} s"
            return FailedTryError(UnreachableError(line), again=True, slow_down=True)
        detail = logs.scrub(str(error)) or type(error).__name__
        return FailedTryError(UnreachableError(f"{what}: the connection to {site} broke ({detail})"), again=True)


def decode(answer: Answer, kind: type[Any], what: str) -> Any:
    """The JSON body of an answer as `kind`; ProtocolError if it is not that."""
    try:
        return _decoded(answer.body, kind)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError, RecursionError) as error:
        start = answer.body[:80].decode("utf-8", "replace")
        html = " (an HTML page: a proxy or a wrong host?)" if re.match(r"\s*<", start) else ""
        raise ProtocolError(f"not the expected JSON{html}: {error}", status=answer.status, request=what) from error


def _decoded(body: bytes, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind, strict=False)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        # A gear's values may be NaN, which is no JSON, and which some sites write all the same.
        if b"NaN" not in body and b"Infinity" not in body:
            raise
        return msgspec.convert(plain_json.loads(body), kind, strict=False)


def _error_body(raw: bytes, response: aiohttp.ClientResponse) -> tuple[str, str | None]:
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    if isinstance(body, dict):
        reason = body.get("message") or body.get("detail") or response.reason or ""
        return logs.scrub(str(reason))[:500], body.get("request_id")
    return response.reason or "no reason given", None


def status_error(status: int, reason: str, what: str, request_id: str | None, site: str) -> FwsyncError:
    """The error for a final status."""
    if status == 401:
        return AuthError(
            f"{site} refuses the API key ({reason}); get a new one from your profile page, then fwsync login"
        )
    if status in retry.RETRIED:
        return UnreachableError(f"{what}: {site} answered {status} ({reason})")
    kind = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError, 422: ConflictError}.get(status, RemoteError)
    return kind(reason, status=status, request=what, request_id=request_id)
