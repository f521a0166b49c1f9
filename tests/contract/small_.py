"""A site of small files in one acquisition."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec

from fwsync.client.api import Flywheel
from fwsync.client.upload import Local, send
from fwsync.plan.mirroring import fetch_of
from fwsync.sandbox import Sandbox, SandboxOptions
from fwsync.work import FetchFile, SendFile

FILES = 60


@asynccontextmanager
async def site(
    tmp_path: Path, count: int = FILES, **options: Any
) -> AsyncIterator[tuple[Flywheel, dict[str, bytes], list[FetchFile]]]:
    """A site with one acquisition of so many small files (some empty, some alike), their bytes and how to fetch them."""
    async with Sandbox(SandboxOptions(**options)) as running, Flywheel.from_key(running.key) as fw:
        await fw.groups.create({"_id": "lab", "label": "Lab"})
        project = await fw.projects.create({"group": "lab", "label": "study"})
        subject = await fw.subjects.create({"project": project, "label": "s"})
        session = await fw.sessions.create({"subject": {"_id": subject}, "project": project, "label": "v"})
        acquisition = await fw.acquisitions.create({"session": session, "label": "a"})
        contents = {f"f{n:02}.bin": b"alike" * (n % 2) if n < 6 else os.urandom(40 * n) for n in range(count)}
        wanted: dict[str, FetchFile] = {}

        async def put(name: str, data: bytes) -> None:
            path = tmp_path / name
            path.write_bytes(data)
            held = path.stat()
            file = SendFile(
                container_type="acquisition", container_id=acquisition, name=name, source=str(path),
                size=held.st_size, mtime_ns=held.st_mtime_ns,
            )  # fmt: skip
            entry, _ = await send(fw, file, Local(file), None)
            wanted[name] = msgspec.structs.replace(fetch_of("acquisition", acquisition, entry), path=f"a/{name}")

        async with anyio.create_task_group() as group:
            for name, data in contents.items():
                group.start_soon(put, name, data)
        yield fw, contents, [wanted[name] for name in contents]
