"""The settings as keyword arguments, for type checkers and editors. Written by scripts/reference.py."""

# fmt: off
# ruff: noqa: E501
from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from os import PathLike
from typing import Literal, TypedDict


class GearKeywords(TypedDict, total=False):
    """Some settings of [mirror]."""

    project: str | Sequence[str]
    """Projects as group/label or patterns, if others than site.project."""
    group: str
    """All projects of this group."""
    collection: str
    """The acquisitions of this collection."""
    all_projects: bool
    """Every project that the key sees."""
    subject: str | Sequence[str]
    """Patterns over labels of subjects; none: all."""
    session: str | Sequence[str]
    """Patterns over labels of sessions; none: all."""
    acquisition: str | Sequence[str]
    """Patterns over labels of acquisitions; none: all."""
    tag: str | Sequence[str]
    """Patterns over tags of containers: what is at or below one of them."""
    where: str | Sequence[str]
    """Conditions, e.g. ['session.age>=20y', 'subject.sex=female']."""
    query: str
    """A structured query over files."""
    from_file: str | PathLike[str]
    """A file of paths, one a line: what is at or below one of them."""
    level: Literal["project", "subject", "session", "acquisition"] | Sequence[Literal["project", "subject", "session", "acquisition"]]
    """Levels whose files are wanted: project, subject, session, acquisition; none: all."""
    include: str | Sequence[str]
    """Patterns over file names; none: all."""
    exclude: str | Sequence[str]
    """Patterns over file names to leave out."""
    type: str | Sequence[str]
    """File types, e.g. nifti; none: all."""
    modality: str | Sequence[str]
    """Modalities, e.g. MR; none: all."""
    classification: str | Sequence[str]
    """Classifications, e.g. ['Intent=Structural']; none: all."""
    tagged: str | Sequence[str]
    """Patterns over tags of files; none: all."""
    newer: str | date
    """Only files changed after this time, or within this age, e.g. 7d."""
    older: str | date
    """Only files not changed since this time, or within this age."""
    min_size: str | int
    """Only files of at least this size, e.g. 10M."""
    max_size: str | int
    """Only files of at most this size."""
    analyses: bool
    """Files of analyses too."""
    analysis_files: Literal["outputs", "inputs", "both"]
    """Which files of analyses: outputs, inputs or both."""
    select: str
    """The selection [selections.NAME] to use."""
    allow_empty: bool
    """A pattern that matches nothing is no error."""


class SelectionKeywords(GearKeywords, total=False):
    """Some settings of [mirror]."""

    gear: str
    """Gear whose outputs to fetch, as name or name/version."""
    run: Literal["latest-complete", "latest", "all", "failed"]
    """Which runs of it: latest-complete, latest, all or failed."""


class DownloadKeywords(SelectionKeywords, total=False):
    """Some settings of [mirror]."""

    file_version: Literal["latest", "all"]
    """The latest version of each file, or all."""
    members: str | Sequence[str]
    """Patterns over members of zips; none: whole files."""
    unzip: bool
    """Unpack zips."""
    layout: str
    """default, gear, flat, bids, or a template; empty: default, or gear where only a gear is wanted."""
    on_collision: Literal["suffix", "error"]
    """Several files for one path: suffix or error."""
    sidecar: Literal["none", "json"]
    """Metadata beside each file: none or json."""


class MirrorKeywords(DownloadKeywords, total=False):
    """The settings of [mirror]."""

    to: str | PathLike[str]
    """Target folder."""
    link: bool
    """Make equal files hard links to one."""
    chmod: str
    """Permission bits of the files, e.g. 640; empty: as the umask says."""
    local_changes: Literal["keep", "overwrite", "error"]
    """Files changed locally: keep, overwrite (theirs go to the trash), or error."""
    delete: Literal["no", "trash", "permanent"]
    """What this selection fetched and finds no more: no (it stays), trash, or permanent."""
    max_delete: str
    """Remove nothing if more files would go, e.g. 500 or 20%; empty: more than 50 and than 10%."""
    trash_days: int
    """After a complete run, remove what went to .fwsync/trash more days ago; 0: never."""
    keep_times: bool
    """Give files the modification times that `upload --keep-times` stored in their info."""
    platform: Literal["auto", "universal", "linux", "windows", "macos"]
    """Whose rules for file names to follow: auto, universal, linux, windows or macos."""
    zip_members: int
    """Zips with more members are refused."""
    zip_bytes: str | int
    """Zips that unpack to more are refused."""
    zip_ratio: int
    """Members that unpack to more than so many times their packed size are refused."""
    max_transfer: str
    """A run stops before the file that would exceed this size; empty: no limit. download too."""
    order: Literal["path", "smallest", "largest", "newest", "oldest"]
    """Which files come first: path, smallest, largest, newest or oldest. download too."""


class ImportKeywords(TypedDict, total=False):
    """The settings of [import]."""

    project: str
    """Project to import into, if another than site.project."""
    timezone: str
    """Zone of times without an offset of their own; empty: UTC, and dates without a time are refused."""
    site_column: str
    """Column that tells the site of a row, for site_zones."""
    site_zones: Mapping[str, str]
    """Zone of each site, by what the site column says, e.g. { Basel = 'Europe/Zurich' }."""
    subject_label: str
    """Label of subjects as a template, e.g. '{site}-{id}'; empty: the subject column."""
    session_label: str
    """Label of sessions as a template; empty: the session column, else Session1."""
    acquisition_label: str
    """Label of acquisitions as a template; empty: the acquisition column, else Struct_T1."""
    deepest: Literal["", "subject", "session", "acquisition"]
    """Level down to which rows create: subject, session or acquisition; empty: found out."""
    mapping: Mapping[str, str]
    """What columns mean, e.g. { MRN = 'subject.label', Site = 'subject.info.site' }."""
    maps: str | Sequence[str]
    """The same as texts, as --map gives them; these columns must exist."""
    extra: Literal["ignore", "info", "subject.info", "session.info", "acquisition.info", "error"]
    """Unknown columns: ignore, info (of the subject), session.info, acquisition.info, or error."""
    require: str | Sequence[str]
    """Fields that no row may lack, e.g. ['age', 'timestamp']."""
    date_formats: str | Sequence[str]
    """Forms of dates, as in strptime; none: found out from the whole column."""
    day_order: Literal["", "day-first", "month-first"]
    """'day-first' or 'month-first', where a column of dates could be read both ways."""
    dst: Literal["earlier", "later", "shift-forward"] | Sequence[Literal["earlier", "later", "shift-forward"]]
    """How to settle local times that happened twice (earlier, later) or never (shift-forward)."""
    days_per_year: float
    """Days in a year of age; 365.25 is how the SDK reads ages back."""
    delimiter: str
    """Column delimiter; empty: found out."""
    encoding: str
    """Text encoding; empty: found out."""
    sheet: str
    """Sheet of a workbook; empty: the first that is not hidden and not empty."""
    files_from: str | PathLike[str]
    """Folder in which the files lie that rows name; empty: the table's own."""
    on_conflict: Literal["skip", "update", "error"]
    """Containers that exist with other values: skip, update, or error."""
    tag: str
    """Tag for whatever an import creates."""
    note: str
    """Note for whatever an import creates."""
    rejects: str | PathLike[str]
    """Where rows in error go; empty: NAME.rejects.csv beside the table."""
    strict: bool
    """Send nothing when any row is wrong."""


class UploadKeywords(TypedDict, total=False):
    """The settings of [upload]."""

    layout: str
    """What the paths in the folder say; see docs/guides/uploading-folders.md."""
    include: str | Sequence[str]
    """Patterns over paths to take; none: all."""
    exclude: str | Sequence[str]
    """Patterns over paths of files and folders to leave out."""
    hidden: bool
    """Take hidden files and folders too."""
    sidecar: Literal["json", "none"]
    """json: NAME.json beside NAME tells of it; none: it is a file like any other."""
    keep_times: bool
    """Keep modification times in the files' info, as fwsync_mtime."""
    on_conflict: Literal["skip", "update", "error"]
    """Files that exist with other bytes: skip, update (a new version), or error."""
    max_transfer: str
    """A run stops before the file that would exceed this size; empty: no limit."""
    checksum: bool
    """A dry run reads files that may be unchanged, instead of saying so."""
