"""Metadata beside files: `<file name>.json` with what the platform says of the file and of the containers above it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from fwsync.model import Container, Parents
from fwsync.plan.candidates import Candidate
from fwsync.plan.paths import Step
from fwsync.run.shelf import Place, Shelf
from fwsync.work import FetchFile

LEFT_OUT = ("files", "analyses", "inputs")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Sidecars:
    """Keeps the metadata of containers on the shelf until their files come."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def keep(self, container: Container, level: str) -> None:
        """Remember a container's metadata. An embedded subject says nothing that its own does not."""
        left_out = (*LEFT_OUT, "subject") if level == "session" else LEFT_OUT
        self._shelf.keep_document(container.id, _encode(_told(container, left_out)))

    def beside(self, steps: list[Step], fetch: FetchFile, one: Candidate) -> Place:
        """The sidecar of a file, as something to write: its hash tells whether the one that is there is still right."""
        document: dict[str, Any] = {"file": _told(one.entry, ("parents", "parent_ref"))}
        for kind, above in reversed(one.above.items()):
            held = self._shelf.document(above.id)
            document[kind] = msgspec.Raw(held) if held else {"_id": above.id, "label": above.label}
        content = msgspec.json.format(_encode(document), indent=2) + b"\n"
        last = steps[-1]
        written = msgspec.structs.replace(
            fetch,
            file_id=f"{fetch.file_id or fetch.container_id + '/' + fetch.name}:sidecar",
            version=None,
            size=len(content),
            hash=f"v0-sha384-{hashlib.sha384(content).hexdigest()}",
            modified=None,
            content=content,
        )
        return [*steps[:-1], Step(f"{last.id}\x00sidecar", f"{last.name}.json")], written


def _told(document: msgspec.Struct, left_out: tuple[str, ...]) -> dict[str, Any]:
    """What is known of a document: fields that are absent stay away."""
    names = dict(zip(document.__struct_fields__, document.__struct_encode_fields__, strict=True))
    held = {names[name]: getattr(document, name) for name in names if name not in left_out}
    if isinstance(parents := held.get("parents"), Parents):
        held["parents"] = {name: ident for name, ident in msgspec.structs.asdict(parents).items() if ident}
    return {name: value for name, value in held.items() if value is not None}
