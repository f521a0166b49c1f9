"""How an operation tells what it is doing: the CLI draws it, a library user may ignore it."""

from __future__ import annotations

from typing import Protocol

from fwsync.work import Outcome, WorkItem


class Reporter(Protocol):
    """Called on the event loop; must not block and must not raise."""

    def phase(self, text: str) -> None:
        """A new phase begins: reading, listing, planning, working."""

    def planned(self, items: int | None, size: int | None) -> None:
        """How many items, and bytes, are to come."""

    def outcome(self, outcome: Outcome) -> None:
        """An item is settled."""

    def item(self, item: WorkItem) -> None:
        """An item that would be carried out if this were no dry run."""

    def retry(self, reason: str, attempt: int, wait: float) -> None:
        """A request is repeated after `wait` seconds."""

    def line(self, text: str) -> None:
        """A line for a person, such as an item of a dry run."""


class SilentReporter:
    """Says nothing."""

    def phase(self, text: str) -> None:
        """Nothing."""

    def planned(self, items: int | None, size: int | None) -> None:
        """Nothing."""

    def outcome(self, outcome: Outcome) -> None:
        """Nothing."""

    def item(self, item: WorkItem) -> None:
        """Nothing."""

    def retry(self, reason: str, attempt: int, wait: float) -> None:
        """Nothing."""

    def line(self, text: str) -> None:
        """Nothing."""
