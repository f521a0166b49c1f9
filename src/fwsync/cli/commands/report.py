"""`fwsync report`: a group of commands, each of which ends in a table."""

from __future__ import annotations

import click

from fwsync.cli.lazy import LazyGroup

REPORTS = {
    "demographics": ("reporting:demographics", "Age and sex of the subjects."),
    "overview": ("reporting:overview", "What there is: subjects, sessions, acquisitions, files."),
    "missing": ("reporting:missing", "Which sessions or subjects lack which acquisitions."),
    "gear-status": ("report_gears:gear_status", "Has a gear run on each session, and how did it end?"),
    "qc": ("report_qc:qc", "Values about quality in the info of files, judged by rules; tags for what is bad."),
}
"""Command to where it is defined and its one line of help."""


@click.group(cls=LazyGroup, lazy=REPORTS)
def report() -> None:
    """Tables about the containers of a selection: for people, as CSV or TSV, or as JSON.

    \b
    Examples:
      fwsync report demographics lab/study
      fwsync report overview lab/study --by session --files
      fwsync report missing lab/study --expect T1w --expect 'rest*'
      fwsync report gear-status bids-fmriprep lab/study
      fwsync report qc lab/study
    """
