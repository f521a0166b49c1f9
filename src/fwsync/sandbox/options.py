"""How a sandbox is started: one value, made by the command line or by a test."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

_SECONDS = re.compile(r"\d{1,6}(\.\d{1,6})?\Z")
CAPABILITIES = {
    "upsert-hierarchy": "POST /projects/{id}/upsert-hierarchy answers 404, as on older sites",
    "signed-urls": "no signed upload or download links, whatever --signed-urls says",
    "files-listing": "GET /files answers 404",
    "analyses-listing": "GET /analyses and /projects/{id}/all/analyses answer 404",
    "analysis-outputs": "POST /analyses/{id}/files is refused with 403: outputs come from gears alone",
    "pagination": "the x-accept-feature `pagination` is ignored: lists are always bare arrays",
    "range": "Range is ignored: downloads always answer 200 with the whole file",
    "zip-members": "`info=true` and `member=` on a file answer 404",
    "archives": "POST /download and what goes with it answer 404",
    "archives-of-files": "POST /download with `type=bulk`, a list of files, is refused with 400",
    "duplicate-check": "a second subject with the label of an existing one is created instead of refused",
    "duplicate-sessions": "a second session or acquisition with the label of a sibling is refused with 409",
}
"""What `--without` can switch off, and what the server does then."""


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """Everything a sandbox can be told.

    `data` None means a temporary folder that goes with the server. `api_key` None: the one kept in `data`, else a
    new one. `page_limit` is the most documents that one listing answer holds (0: no cap). `part_threshold` is the
    file size in bytes above which a signed upload is offered in several parts. `jobs` is `manual`, `instant` or a
    number of seconds that a job runs: see `jobs/scheduler.py`. `read_only_key` is a second key that may change nothing.
    """

    host: str = "127.0.0.1"
    port: int = 0
    data: Path | None = None
    api_key: str | None = field(default=None, repr=False)
    read_only_key: str | None = field(default=None, repr=False)
    demo: bool = False
    faults: str = ""
    fault_seed: int = 0
    latency_ms: float = 0.0
    signed_urls: bool = False
    without: frozenset[str] = frozenset()
    page_limit: int = 0
    jobs: str = "manual"
    part_threshold: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse an unknown capability with the list of known ones."""
        unknown = sorted(self.without - CAPABILITIES.keys())
        if unknown:
            raise ValueError(f"unknown capability {unknown[0]!r}; known are {', '.join(CAPABILITIES)}")
        if self.jobs not in ("manual", "instant") and not _SECONDS.match(self.jobs):
            raise ValueError(f"jobs {self.jobs!r}: is not manual, instant or a number of seconds")

    def offers(self, capability: str) -> bool:
        """Whether a capability is switched on."""
        if capability == "signed-urls":
            return self.signed_urls and capability not in self.without
        return capability not in self.without
