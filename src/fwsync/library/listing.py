"""A listing, from Python: read it piece by piece, or whole, or as a pandas frame."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, Generic, TypeVar

import msgspec

from fwsync import frames

S = TypeVar("S", bound=msgspec.Struct)


class Listing(Generic[S]):
    """What the site lists, asked for anew by each use: `async for one in listing`, or `await listing` for a list."""

    def __init__(self, kind: type[S], read: Callable[[], AsyncIterator[S]]) -> None:
        self.kind, self._read = kind, read

    def __repr__(self) -> str:
        return f"<fwsync listing of {self.kind.__name__}>"

    def __aiter__(self) -> AsyncIterator[S]:
        return self._read()

    def __await__(self) -> Generator[Any, None, list[S]]:
        return self._whole().__await__()

    async def _whole(self) -> list[S]:
        return [one async for one in self._read()]

    async def to_pandas(self) -> Any:
        """A `pandas.DataFrame`, a row each. UsageError if pandas is not installed."""
        return frames.frame(await self._whole(), self.kind)
