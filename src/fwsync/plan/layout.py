"""Where a file goes in the tree: templates such as `{project}/{subject}/{session}/{file.name}`.

A template is components joined by `/`; in each of them `{field}` stands for a value, `{{` and `}}` for braces. A field
that a file does not have (the session of a project's file) goes together with the text that follows it in its
component, and a component of which nothing is left goes too. Containers are told apart by their id, so that two
sessions of one label never share a folder; other values (a date, a type) make one folder for all that have them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from fwsync.errors import UsageError
from fwsync.model import FileEntry
from fwsync.plan.candidates import Above, Candidate
from fwsync.plan.paths import Step
from fwsync.selection import near

Value = tuple[str, str]
"""What a field is for one file: the id by which it is told apart, and its text."""

DEFAULT: Final = "{project}/{subject}/{session}/{acquisition}/{analysis}/{file.name}"
GEAR: Final = "{project}/{subject}/{session}/{acquisition}/{analysis}_{name}"
FLAT: Final = "{subject}_{session}_{acquisition}_{analysis}_{name}"
NAMED: Final[dict[str, str]] = {"default": DEFAULT, "gear": GEAR, "flat": FLAT}
"""Layouts by name; `bids` is one more, which takes path and name from the BIDS info on the files."""
BIDS: Final = "bids"


def _container(kind: str) -> Callable[[Candidate], Value | None]:
    return lambda one: ((held := one.above.get(kind)) and (held.id, held.label)) or None


def _of(kind: str, read: Callable[[Above], str]) -> Callable[[Candidate], Value | None]:
    def value(one: Candidate) -> Value | None:
        held = one.above.get(kind)
        text = read(held) if held is not None else ""
        return (f"={text}", text) if text else None

    return value


def _of_file(read: Callable[[Candidate], str]) -> Callable[[Candidate], Value | None]:
    def value(one: Candidate) -> Value | None:
        text = read(one)
        return (f"={text}", text) if text else None

    return value


def stem_of(name: str) -> tuple[str, str]:
    """A file's name without its ending, and the ending: `T1w` and `.nii.gz`, `scan` and `.dicom.zip`."""
    found = re.search(r"(\.(nii|tar|dicom|dcm|parrec|qa|json|csv|tsv))?\.[A-Za-z0-9]{1,8}\Z", name)
    return (name[: found.start()], found.group()) if found and found.start() > 0 else (name, "")


def _file_name(one: Candidate) -> str:
    """The file's name; with the version in it where it is not the newest one: `T1w~v1.nii.gz`."""
    if not one.superseded:
        return one.entry.name
    stem, ending = stem_of(one.entry.name)
    return f"{stem}~v{one.entry.version}{ending}"


def member_name(path: str) -> str:
    """The last part of a member's path."""
    return path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def _day(text: str) -> str:
    return text[:10] if re.match(r"\d{4}-\d\d-\d\d", text) else ""


FIELDS: Final[dict[str, tuple[str, Callable[[Candidate], Value | None]]]] = {
    "group": ("id of the project's group", _of("project", lambda held: held.note)),
    "project": ("label of the project", _container("project")),
    "project.id": ("id of the project", _of("project", lambda held: held.id)),
    "subject": ("label of the subject", _container("subject")),
    "subject.id": ("id of the subject", _of("subject", lambda held: held.id)),
    "subject.code": ("the subject's code", _of("subject", lambda held: held.note)),
    "session": ("label of the session", _container("session")),
    "session.id": ("id of the session", _of("session", lambda held: held.id)),
    "session.date": ("day of the session's timestamp, as the site tells it", _of("session", lambda h: _day(h.note))),
    "session.timestamp": ("the session's timestamp", _of("session", lambda held: held.note)),
    "acquisition": ("label of the acquisition", _container("acquisition")),
    "acquisition.id": ("id of the acquisition", _of("acquisition", lambda held: held.id)),
    "acquisition.date": ("day of the acquisition's timestamp", _of("acquisition", lambda held: _day(held.note))),
    "acquisition.timestamp": ("the acquisition's timestamp", _of("acquisition", lambda held: held.note)),
    "analysis": ("label of the analysis", _container("analysis")),
    "analysis.id": ("id of the analysis", _of("analysis", lambda held: held.id)),
    "gear.name": ("name of the gear that ran the analysis", _of("analysis", lambda held: held.note.split("/")[0])),
    "gear.version": ("its version", _of("analysis", lambda held: held.note.partition("/")[2])),
    "file.name": ("name of the file, with `~v1` before its ending where it is an older version", _of_file(_file_name)),
    "file.stem": ("the name without its ending", _of_file(lambda one: stem_of(_file_name(one))[0])),
    "file.ext": ("its ending with the dot, such as `.nii.gz`", _of_file(lambda one: stem_of(one.entry.name)[1])),
    "file.id": ("id of the file", _of_file(lambda one: one.entry.file_id or "")),
    "file.version": ("number of the version", _of_file(lambda one: str(one.entry.version or ""))),
    "file.type": ("the file's type, such as `nifti`", _of_file(lambda one: one.entry.type or "")),
    "file.modality": ("the file's modality, such as `MR`", _of_file(lambda one: one.entry.modality or "")),
    "name": (
        "base name of the zip member, or the file's name",
        _of_file(lambda one: member_name(one.member.path) if one.member else _file_name(one)),
    ),
    "member.name": (
        "base name of the zip member",
        _of_file(lambda one: member_name(one.member.path) if one.member else ""),
    ),
    "member.path": ("the member's whole path; alone in the last component", _of_file(lambda _one: "")),
}
"""Every field of a template, what it is, and how it is read."""

_OF_CONTAINERS: Final = frozenset({"group", "project", "subject", "session", "acquisition", "analysis", "gear"})
"""The first words of the fields that are alike for all files of one container."""
_ANY: Final = FileEntry(name="")

_PARTS = re.compile(r"(\{\{|\}\}|\{[^{}]*\}|[{}])")


class _Field(msgspec.Struct, frozen=True):
    name: str


class Layout(msgspec.Struct, frozen=True):
    """A parsed template. `folders` and `last` are components, each of them texts and fields."""

    folders: tuple[tuple[str | _Field, ...], ...]
    last: tuple[str | _Field, ...]
    by_member_path: bool = False
    bids: bool = False

    def shared_folders(self, above: dict[str, Above], held_by: tuple[str, str]) -> tuple[Step, ...] | None:
        """The folders of every file of these containers; None where they are another for each file."""
        fields = [part for parts in self.folders for part in parts if isinstance(part, _Field)]
        if self.bids or any(field.name.partition(".")[0] not in _OF_CONTAINERS for field in fields):
            return None
        return tuple(self._folders(Candidate(entry=_ANY, above=above, held_by=held_by)))

    def _folders(self, one: Candidate) -> Iterator[Step]:
        for parts in self.folders:
            if step := _folder(parts, one):
                yield step

    @classmethod
    def parse(cls, text: str, *, gear: bool = False) -> Layout:
        """From a template or a layout's name; empty means the default, which is another one for a gear alone.

        UsageError for an unknown field, a brace left open, and a template that leaves the tree.
        """
        if text == BIDS:
            return cls((), (_Field("file.name"),), bids=True)
        template = NAMED.get(text or ("gear" if gear else "default"), text)
        if "{" not in template:
            raise UsageError(f"--layout {text!r}: no such layout{near(text, (*NAMED, BIDS))}; or write a template")
        parts = [_component(part, text) for part in template.split("/")]
        if any(not part or part in (("..",), (".",)) for part in parts):
            raise UsageError(f"--layout {text!r}: an empty, `.` or `..` component; paths are relative to the target")
        path_at = [at for at, part in enumerate(parts) if _Field("member.path") in part]
        if path_at and (path_at != [len(parts) - 1] or len(parts[-1]) > 1 or len(parts) == 1):
            raise UsageError(f"--layout {text!r}: {{member.path}} must be the last component, and alone in it")
        if path_at:
            return cls(tuple(parts[:-2]), parts[-2], by_member_path=True)
        return cls(tuple(parts[:-1]), parts[-1])

    def places(self, one: Candidate, *, whole: bool = False) -> list[Step] | None:
        """The steps from the root down to a file; None where a BIDS layout has no place for it.

        `whole` tells that its archive is unpacked as it is: then the last component is a folder named as the archive
        without its ending, and the member's own path goes below it. So it is, too, where a template with members
        names none of their fields.
        """
        if self.bids:
            return _bids(one)
        steps = [*(self._folders(one) if one.folders is None else one.folders)]
        if one.is_input:
            steps.append(Step("=inputs", "inputs"))
        if one.member is not None and (whole or self.by_member_path or not self._names_member()):
            steps += self._unpacked(one, one.member.path)
        else:
            steps.append(Step(one.ident, "".join([text for _, text in _filled(self.last, one)]) or one.entry.name))
        return steps

    def _names_member(self) -> bool:
        return any(isinstance(part, _Field) and part.name in ("name", "member.name") for part in self.last)

    def _unpacked(self, one: Candidate, path: str) -> Iterator[Step]:
        archive = msgspec.structs.replace(one, member=None)
        filled = _filled(self.last, archive)
        name = "".join(text for _, text in filled) or one.entry.name
        yield Step(archive.ident, name if self.by_member_path else stem_of(name)[0])
        *folders, last = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
        at = archive.ident
        for folder in folders:
            at += f"/{folder}"
            yield Step(at, folder)
        yield Step(one.ident, last)


def _component(text: str, whole: str) -> tuple[str | _Field, ...]:
    parts: list[str | _Field] = []
    for piece in _PARTS.split(text):
        if piece in ("{{", "}}"):
            parts.append(piece[0])
        elif len(piece) > 1 and piece.startswith("{"):
            name = piece[1:-1].strip().removesuffix(".label")
            if name not in FIELDS:
                raise UsageError(f"--layout {whole!r}: no field {name!r}{near(name, tuple(FIELDS))}")
            parts.append(_Field(name))
        elif piece in ("{", "}"):
            raise UsageError(f"--layout {whole!r}: a single {piece}; write {piece * 2} for it")
        elif piece:
            parts.append(piece)
    return tuple(parts)


def _filled(parts: tuple[str | _Field, ...], one: Candidate) -> list[Value]:
    """Ids and texts of a component. An absent field takes the text after it along."""
    out: list[Value] = []
    absent = False
    for part in parts:
        if isinstance(part, str):
            if not absent:
                out.append(("", part))
            absent = False
            continue
        value = FIELDS[part.name][1](one)
        absent = value is None
        if value is not None:
            out.append(value)
    if absent and out and not out[-1][0]:
        out.pop()  # `sub-01_` where the session that would follow is absent
    return out


def _folder(parts: tuple[str | _Field, ...], one: Candidate) -> Step | None:
    filled = _filled(parts, one)
    fielded = any(isinstance(part, _Field) for part in parts)
    if not filled or (fielded and not any(ident for ident, _ in filled)):
        return None
    ids = [ident for ident, _ in filled if ident]
    name = "".join(text for _, text in filled)
    return Step(ids[0] if len(ids) == 1 else "\x00".join(ids) or f"={name}", name)


def _bids(one: Candidate) -> list[Step] | None:
    """By the info that Flywheel's BIDS curation leaves on files: `{"BIDS": {"Path": ..., "Filename": ...}}`."""
    held = (one.entry.info or {}).get("BIDS")
    if not isinstance(held, dict) or held.get("ignore") is True:
        return None
    path, name = held.get("Path"), held.get("Filename")
    if not isinstance(name, str) or not name or not isinstance(path, (str, type(None))):
        return None
    steps = [Step(project.id, project.label)] if (project := one.above.get("project")) else []
    return [*steps, *(Step(f"={part}", part) for part in (path or "").split("/") if part), Step(one.ident, name)]
