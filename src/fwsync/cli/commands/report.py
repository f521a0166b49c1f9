"""`fwsync report`: the group of reports."""

from __future__ import annotations

import click

from fwsync.cli.lazy import LazyGroup

REPORTS = {
    "gear-status": ("report_gears:gear_status", "Has a gear run on each session, and how did it end?"),
    "qc": ("report_qc:qc", "Values about quality in the info of files, judged by rules; tags for what is bad."),
}


@click.group(cls=LazyGroup, lazy=REPORTS)
def report() -> None:
    """Reports on projects."""
