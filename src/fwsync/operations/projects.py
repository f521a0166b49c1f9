"""Which project, container or gear a person means; one clear line, with near names, when there is none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from fwsync.client import query as q
from fwsync.client.api import Flywheel, Node
from fwsync.client.nouns import NO_SUCH_ROUTE
from fwsync.errors import NotFoundError, RemoteError, UsageError
from fwsync.model import Project, Reference
from fwsync.selection import segment_id, split_path

HOW_TO_NAME = "name it by --project group/label, or as `project` under [site] in fwsync.toml"


def near(word: str, known: Iterable[str], *, most: int = 3) -> str:
    """`; did you mean a or b?`, or what there is, or nothing."""
    names = list(dict.fromkeys(known))
    folded = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(word.casefold(), list(folded), n=most, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(folded[name] for name in close)}?"
    return f"; there is {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else ""


async def find_project(fw: Flywheel, path: str) -> Project:
    """The project at `group/label` (or a label alone, or `<id:HEX>`); with an empty path the only one the key sees."""
    segments = split_path(path)
    if not segments:
        return await _only_project(fw)
    if len(segments) > 2:
        raise UsageError(f"{path}: a project is group/label; {HOW_TO_NAME}")
    if (ident := segment_id(segments[-1])) is not None:
        try:
            return await fw.projects.get(ident)
        except NotFoundError:
            raise UsageError(f"project {path}: {fw.site} has no project with this id") from None
    if len(segments) == 1:
        return await _by_label(fw, segments[0])
    return await _in_group(fw, *segments)


async def _only_project(fw: Flywheel) -> Project:
    seen: list[Project] = []
    async for project in fw.projects.iter():
        seen.append(project)
        if len(seen) > 8:
            break
    if len(seen) == 1:
        return seen[0]
    there = ", ".join(project_path(project) for project in seen[:8]) or "none at all"
    raise UsageError(f"which project? {HOW_TO_NAME}; your key sees {there}{' ...' if len(seen) > 8 else ''}")


async def _by_label(fw: Flywheel, label: str) -> Project:
    filters = q.where("label", "=", label) if q.expressible(label) else ""
    found = [project async for project in fw.projects.iter(filters=filters) if project.label == label]
    if len(found) == 1:
        return found[0]
    if not found:
        names = [project_path(project) async for project in fw.projects.iter()]
        raise UsageError(f"project {label}: {fw.site} has none of this name{near(label, names)}")
    there = ", ".join(project_path(project) for project in found)
    raise UsageError(f"project {label}: several groups have one ({there}); write group/label")


async def _in_group(fw: Flywheel, group: str, label: str) -> Project:
    try:
        node = await fw.lookup([segment_id(group) or group, label])
        if isinstance(node.document, Project):
            return node.document
    except RemoteError as error:
        if error.status not in NO_SUCH_ROUTE | {400}:
            raise
    # Either there is none, or the site has no lookup: the listing knows, and gives near names.
    names = []
    async for project in fw.projects.iter():
        if group_of(project) == group and project.label == label:
            return project
        names.append(project_path(project))
    in_group = [name for name in names if name.startswith(group + "/")]
    raise UsageError(f"project {group}/{label}: not found on {fw.site}{near(f'{group}/{label}', in_group or names)}")


def group_of(project: Project) -> str:
    """The id of a project's group."""
    return project.group or (project.parents.group if project.parents else None) or ""


def project_path(project: Project) -> str:
    """`group/label`, for people."""
    return f"{group_of(project)}/{project.label}"


async def find_container(fw: Flywheel, path: str) -> Node:
    """What a path leads to, down to files; UsageError with the segment that was not found."""
    segments = split_path(path)
    if not segments:
        raise UsageError("an empty path names nothing; begin with a group")
    try:
        return await fw.lookup(segments)
    except NotFoundError as error:
        raise UsageError(f"{path}: not found on {fw.site} ({error.reason})") from None


def reference(node: Node) -> Reference:
    """A node as a parent for listings."""
    return Reference(type=node.container_type, id=node.id)
