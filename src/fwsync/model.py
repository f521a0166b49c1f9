"""What lives on the platform, as frozen msgspec structs.

Shapes are those of the Flywheel API (the models of `flywheel-sdk` 23.0.0): ids are 24 lowercase hex characters but
for groups and users; times are ISO 8601 text with an offset; ages are whole seconds; sizes are bytes. Every field
but the id may be absent, and unknown fields are ignored: sites differ by version.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec


class Parents(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The ids of all ancestors of a container or file."""

    group: str | None = None
    project: str | None = None
    subject: str | None = None
    session: str | None = None
    acquisition: str | None = None
    analysis: str | None = None


class Reference(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A pointer to a container: its type in the singular (`session`) and its id."""

    type: str
    id: str


class GearInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What an analysis or file remembers of the gear that made it."""

    id: str | None = None
    name: str | None = None
    version: str | None = None
    category: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a gear. `state`: pending, scheduled, running, failed, complete, cancelled."""

    id: str | None = None
    state: str | None = None
    gear_info: GearInfo | None = None
    created: str | None = None
    modified: str | None = None
    previous_job_id: str | None = None
    failure_reason: str | None = None


class ListedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a gear as listings of jobs show it. `destination` is where its outputs go: an analysis, or for a gear
    that makes none a container. `inputs` are `{input, type, id, name}` each."""

    id: str = msgspec.field(name="_id")
    state: str | None = None
    gear_info: GearInfo | None = None
    created: str | None = None
    destination: Reference | None = None
    parents: Parents | None = None
    inputs: Any = None
    attempt: int | None = None
    previous_job_id: str | None = None
    failure_reason: str | None = None


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one file on a container. `hash` is the platform's, e.g. `v0-sha384-<hex>`."""

    name: str
    file_id: str | None = None
    version: int | None = None
    size: int | None = None
    hash: str | None = None
    client_hash: str | None = None
    mimetype: str | None = None
    type: str | None = None
    modality: str | None = None
    classification: dict[str, Any] | None = None
    tags: list[str] | None = None
    info: dict[str, Any] | None = None
    created: str | None = None
    modified: str | None = None
    parent_ref: Reference | None = None
    parents: Parents | None = None
    gear_info: GearInfo | None = None
    zip_member_count: int | None = None


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """Fields that every container has."""

    id: str = msgspec.field(name="_id")
    label: str | None = None
    created: str | None = None
    modified: str | None = None
    revision: int | None = None
    parents: Parents | None = None
    tags: list[str] | None = None
    notes: list[dict[str, Any]] | None = None
    files: list[FileEntry] | None = None
    info: dict[str, Any] | None = None
    info_exists: bool | None = None


class Group(Container, frozen=True, kw_only=True):
    """A group; its id is a readable string."""


class Analysis(Container, frozen=True, kw_only=True):
    """The output of a gear run (or an ad-hoc one). `job` is an id in listings and an object when inflated."""

    parent: Reference | None = None
    gear_info: GearInfo | None = None
    job: Job | str | None = None
    inputs: list[FileEntry] | None = None
    description: str | None = None

    @property
    def state(self) -> str | None:
        """The state of the job, where the job came along."""
        return self.job.state if isinstance(self.job, Job) else None


class Collection(Container, frozen=True, kw_only=True):
    """Acquisitions from anywhere, put together by hand."""

    description: str | None = None
    curator: Any = None


class Project(Container, frozen=True, kw_only=True):
    """A project in a group."""

    group: str | None = None
    description: str | None = None
    analyses: list[Analysis] | None = None


class Subject(Container, frozen=True, kw_only=True):
    """A subject in a project; `code` is the older name of `label`."""

    project: str | None = None
    code: str | None = None
    firstname: str | None = None
    lastname: str | None = None
    sex: str | None = None
    date_of_birth: str | None = None
    cohort: str | None = None
    race: str | None = None
    ethnicity: str | None = None
    species: str | None = None
    strain: str | None = None
    type: str | None = None
    analyses: list[Analysis] | None = None


class Session(Container, frozen=True, kw_only=True):
    """A session; `age` is in seconds; `subject` is embedded as an object in listings."""

    project: str | None = None
    group: str | None = None
    subject: Any = None
    age: float | None = None
    weight: float | None = None
    operator: str | None = None
    uid: str | None = None
    timestamp: str | None = None
    timezone: str | None = None
    analyses: list[Analysis] | None = None


class Acquisition(Container, frozen=True, kw_only=True):
    """An acquisition in a session."""

    session: str | None = None
    uid: str | None = None
    timestamp: str | None = None
    timezone: str | None = None
    analyses: list[Analysis] | None = None


def parent_of(container: Container) -> str:
    """The id of what a session or an acquisition is in, which sites tell in several ways; empty where none does."""
    parents = container.parents
    above: Any = None
    if isinstance(container, Session):
        above = (parents.subject if parents else None) or container.subject
        above = above.get("_id") if isinstance(above, dict) else above
    elif isinstance(container, Acquisition):
        above = container.session or (parents.session if parents else None)
    return above if isinstance(above, str) else ""


class GearDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest part of a gear that fwsync reads. `inputs` and `config` are specifications by name; what a gear's
    author wrote there comes as it is."""

    name: str
    label: str | None = None
    version: str | None = None
    inputs: Any = None
    config: Any = None


class Gear(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a gear."""

    id: str = msgspec.field(name="_id")
    category: str | None = None
    gear: GearDocument
    disabled: Any = None
    created: str | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """Who a key belongs to."""

    id: str = msgspec.field(name="_id")
    firstname: str | None = None
    lastname: str | None = None
    email: str | None = None


class ZipMember(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a zip file's directory; `path` as the archive spells it, `size` in bytes uncompressed.

    `crc`, `packed` (bytes compressed), `offset` (of the local header), `method` and `link` (it stands for a symbolic
    link) are known only where the archive's own directory was read.
    """

    path: str
    size: int | None = None
    timestamp: str | None = None
    crc: int | None = None
    packed: int | None = None
    offset: int | None = None
    method: int | None = None
    link: bool = False

    @property
    def is_folder(self) -> bool:
        """Zip archives spell a folder with a trailing slash."""
        return self.path.endswith(("/", "\\"))


LEVELS = ("group", "project", "subject", "session", "acquisition")
"""The hierarchy from the top, in the singular as in `Reference.type`."""

PLURALS = {
    "group": "groups",
    "project": "projects",
    "subject": "subjects",
    "session": "sessions",
    "acquisition": "acquisitions",
    "analysis": "analyses",
    "collection": "collections",
    "gear": "gears",
    "file": "files",
    "job": "jobs",
}
"""Container type to the path segment of its routes."""


def instant(text: str | None) -> datetime | None:
    """The moment that a platform time text names, in UTC; naive text counts as UTC; None if it is no time."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # the second: in UTC it would be before the year 1, or after 9999
        return None
