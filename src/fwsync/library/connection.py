"""An open site, an open journal, and the runs that are under way on them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import anyio
import msgspec

from fwsync import logs
from fwsync.client.api import Flywheel
from fwsync.config import Settings, load
from fwsync.credentials import find_key
from fwsync.errors import UsageError
from fwsync.events import Reporter
from fwsync.library.waiting import until_ended
from fwsync.operations.context import Context
from fwsync.progress import ClosableReporter, wished
from fwsync.run.journal import Journal

T = TypeVar("T")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect. The key never shows in the repr."""

    api_key: str = ""
    api_key_file: str = ""
    config: str = ""
    profile: str = ""
    state_folder: str = ""
    ca_bundle: str = ""
    progress: bool | None = None

    def __repr__(self) -> str:
        return f"Options(profile={self.profile!r}, config={self.config!r})"


class Connection:
    """Opened and closed by a `Site`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._base = self.settings()
        # The file that was found now serves every call, also after a change of folder.
        self._options = msgspec.structs.replace(options, config=self._base.source)
        self._stack: AsyncExitStack | None = None
        self._fw: Flywheel | None = None
        self._journal: Journal | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._tellers: set[Reporter] = set()
        self.scopes: set[anyio.CancelScope] = set()

    @property
    def site(self) -> str:
        """The site's name, empty while it is not open."""
        return self._fw.site if self._fw is not None else ""

    @property
    def fw(self) -> Flywheel:
        """The open site; UsageError where it is not open."""
        if self._fw is None:
            raise UsageError("not connected: use it inside `async with fwsync.connect() as fw`")
        return self._fw

    @property
    def journal(self) -> Journal:
        """The open journal; UsageError where it is not open."""
        if self._journal is None:
            raise UsageError("not connected: use it inside `async with fwsync.connect() as fw`")
        return self._journal

    @property
    def state_folder(self) -> Path:
        """Where journal, locks and temporary files lie."""
        return self._base.state_folder

    def settings(self, flags: dict[str, Any] | None = None) -> Settings:
        """The settings of one call, as the command line would have them; ConfigError for a wrong one."""
        given = self._options
        connecting = {"state.folder": given.state_folder or None, "network.ca_bundle": given.ca_bundle or None}
        return load({**connecting, **(flags or {})}, config=given.config or None, profile=given.profile or None)

    async def open(self) -> None:
        """Sign in and open the journal. UsageError where it is open already."""
        if self._fw is not None:
            raise UsageError("already connected: each `async with` needs a fwsync.connect() of its own")
        if not logs.is_set_up():
            logs.set_up(form=self._base.log.format, level=self._base.log.level)
        key = self._options.api_key or find_key(self._base, flag=self._options.api_key_file or None).text
        async with AsyncExitStack() as stack:
            fw = await stack.enter_async_context(Flywheel.from_key(key, self._base.network, on_retry=self._retried))
            await fw.auth_status()
            self._journal = await stack.enter_async_context(Journal(self.state_folder))
            self._fw, self._stack = fw, stack.pop_all()

    async def close(self) -> None:
        """Stop what is under way, settle it in the journal, and close. Nothing happens where it is closed."""
        stack, self._stack = self._stack, None
        for scope in tuple(self.scopes):
            scope.cancel()
        try:
            await until_ended(self._tasks)
        finally:
            if stack is not None:
                with anyio.CancelScope(shield=True):
                    await stack.aclose()
            self._fw = self._journal = None

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that is waited for before the connection is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def context(self, settings: Settings, reporter: Reporter) -> Context:
        """The surroundings of one operation."""
        fw = self.fw
        before = (fw.requests, fw.writes, fw.retries)
        return Context(fw=fw, journal=self.journal, settings=settings, reporter=reporter, before=before)

    def progress(self) -> ClosableReporter:
        """Who shows progress to a person."""
        return wished(self._options.progress)

    def listen(self, teller: Reporter) -> None:
        """Tell a reporter of the retries of the connection too, until it is `unlisten`ed."""
        self._tellers.add(teller)

    def unlisten(self, teller: Reporter) -> None:
        """Tell it no more."""
        self._tellers.discard(teller)

    def _retried(self, reason: str, attempt: int, wait: float) -> None:
        for teller in tuple(self._tellers):
            teller.retry(reason, attempt, wait)
