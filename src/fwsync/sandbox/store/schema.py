"""The tables. One row per document of any kind, one per version of a file.

    nodes   id PK, kind (singular: project, session, analysis, gear, job ...), parent_id, the ids of all ancestors,
            label, doc (JSON without info, files and ancestors), info (JSON, kept apart: listings leave it out)
    files   one row per version; `current` = 1 for the newest that is not deleted
    tickets download tickets and signed uploads, JSON
    members which acquisitions a collection holds; also on the acquisition itself, as `collections`
    records everything that is no container: saved views, executions, searches, batches, users, roles ...
    facts   single values: schema version, API key, whether the demo site was built

Every listing walks an index whose last column is the id, so that the next page costs what the first one did. Each
index is written with every new row: they are as few as listings, lookups by label and deletes below a container need.
An index starts with the ancestor, not the kind, so that it serves with and without one. A label that is looked for in
the whole site, not in a project, is looked for in each project in turn. The children of a container are ordered by
`+id`: by `id`, SQLite would rather walk all documents of the kind than sort the few that there are.
"""

from __future__ import annotations

VERSION = 1

_DROPPED = ("parent", "parent_label", "label", "group", "project", "project_label", "subject", "session")
"""Indexes of earlier versions, which a kept data folder may still have."""

STATEMENTS = (
    """create table if not exists nodes (
        id text primary key, kind text not null, parent_id text,
        group_id text, project_id text, subject_id text, session_id text, acquisition_id text,
        label text, doc text not null, info text not null default '{}')""",
    "create index if not exists nodes_kind on nodes (kind, id)",
    "create index if not exists nodes_child on nodes (parent_id, kind, label, id)",
    "create index if not exists nodes_in_project on nodes (project_id, kind, id)",
    "create index if not exists nodes_in_project_label on nodes (project_id, kind, label, id)",
    "create index if not exists nodes_in_subject on nodes (subject_id, kind, id) where subject_id is not null",
    "create index if not exists nodes_in_session on nodes (session_id, kind, id) where session_id is not null",
    *(f"drop index if exists nodes_{old}" for old in _DROPPED),
    """create table if not exists files (
        row integer primary key, file_id text not null, version integer not null, current integer not null,
        parent_kind text not null, parent_id text not null,
        group_id text, project_id text, subject_id text, session_id text, acquisition_id text, analysis_id text,
        name text not null, size integer not null, blob text not null,
        doc text not null, info text not null default '{}')""",
    "create unique index if not exists files_version on files (file_id, version)",
    "create unique index if not exists files_name on files (parent_id, name) where current = 1",
    # Partial, as files_name is: an index that starts with `current` would be taken for "the files of a container" too.
    "create index if not exists files_now on files (file_id) where current = 1",
    "create index if not exists files_in_project on files (project_id, file_id) where current = 1",
    "drop index if exists files_current",
    "drop index if exists files_project",
    "create table if not exists tickets (id text primary key, made real not null, doc text not null)",
    "create table if not exists facts (name text primary key, value text)",
    """create table if not exists members (
        collection_id text not null, acquisition_id text not null,
        primary key (collection_id, acquisition_id)) without rowid""",
    "create index if not exists members_acquisition on members (acquisition_id, collection_id)",
    """create trigger if not exists members_of_a_deleted_acquisition after delete on nodes
        when old.kind = 'acquisition' begin
        delete from members where acquisition_id = old.id; end""",
    """create table if not exists records (
        id text primary key, kind text not null, parent text, doc text not null) without rowid""",
    "create index if not exists records_kind on records (kind, parent, id)",
)
