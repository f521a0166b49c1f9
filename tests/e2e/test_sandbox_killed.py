"""SIGKILL of the sandbox at random moments under load: every acknowledged write is there, and it starts again by itself.

`FWSYNC_TEST_SCALE=4` makes it 32 kills.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import random
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from site_ import SECRET, sandbox

KILLS = int(8 * float(os.environ.get("FWSYNC_TEST_SCALE", "1")))
WORKERS = 8
HEADERS = {"Authorization": f"scitran-user {SECRET}", "Content-Type": "application/json"}


class Gone(Exception):
    """The server went before it answered: nobody knows whether the write was done."""


@dataclass
class Told:
    """What the server has acknowledged, by the workers' own bookkeeping."""

    containers: dict[str, tuple[str, str]] = field(default_factory=dict)  # id: (kind in the plural, label)
    info: dict[str, Any] = field(default_factory=dict)
    files: dict[tuple[str, str], str] = field(default_factory=dict)  # (container, name): SHA-384
    deleted: dict[str, str] = field(default_factory=dict)  # id: kind in the plural
    unsure: set[str] = field(default_factory=set)  # containers whose delete, info or upload nobody answered
    writes: int = 0
    cut: int = 0


class Worker(threading.Thread):
    """Writes what comes to its mind until the server goes. It only touches what it made itself."""

    def __init__(self, address: str, project: str, told: Told, seed: int) -> None:
        super().__init__()
        self.address, self.project, self.told = address, project, told
        self.dice, self.name_ = random.Random(seed), f"w{seed}"
        self.mine: list[tuple[str, str]] = []
        self.failure: BaseException | None = None

    def run(self) -> None:
        self.connection = http.client.HTTPConnection(self.address, timeout=20)
        try:
            while True:
                self.dice.choice(
                    (self.create, self.upsert, self.direct, self.direct, self.signed, self.inform, self.delete)
                )()
        except Gone:
            self.told.cut += 1
        except BaseException as error:
            self.failure = error
        finally:
            self.connection.close()

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            self.connection.request(method, path, data, HEADERS if headers is None else headers)
            answer = self.connection.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Gone from error
        assert answer.status == 200, (method, path, answer.status, raw)
        self.told.writes += method != "GET"
        return json.loads(raw) if raw else None

    def label(self) -> str:
        return f"{self.name_}-{self.dice.getrandbits(60):x}"

    def keep(self, kind: str, ident: str, label: str) -> None:
        self.told.containers[ident] = (kind, label)
        self.mine.append((kind, ident))

    def create(self) -> None:
        label = self.label()
        self.keep(
            "subjects", self.call("POST", "/api/subjects", {"project": self.project, "label": label})["_id"], label
        )

    def upsert(self) -> None:
        label = self.label()
        body = {level: {"label": label} for level in ("subject", "session", "acquisition")}
        made = self.call("POST", f"/api/projects/{self.project}/upsert-hierarchy", body)
        self.keep("acquisitions", made["acquisition"]["_id"], label)
        for level in ("subject", "session"):  # kept, but never deleted: the acquisition would go with them
            self.told.containers[made[level]["_id"]] = (f"{level}s", label)

    def content(self) -> bytes:
        return self.dice.randbytes(self.dice.choice((0, 10, 5_000, 300_000, 700_000)))

    def direct(self) -> None:
        if self.mine:
            kind, ident = self.dice.choice(self.mine)
            name, content, edge = f"d{self.dice.randrange(3)}.bin", self.content(), "e" * 30
            head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
            headers = {**HEADERS, "Content-Type": f"multipart/form-data; boundary={edge}"}
            body = head + content + f"\r\n--{edge}--\r\n".encode()
            with self.unsure(ident):
                self.call("POST", f"/api/{kind}/{ident}/files", body, headers)
            self.told.files[ident, name] = hashlib.sha384(content).hexdigest()

    def signed(self) -> None:
        if self.mine:
            kind, ident = self.dice.choice(self.mine)
            name, content = f"s{self.dice.randrange(3)}.bin", self.content()
            path, metadata = f"/api/{kind}/{ident}/files?ticket=", {"name": name, "size": len(content)}
            ticket = self.call("POST", path, {"metadata": metadata, "filenames": [name]})
            link = urlsplit(ticket["urls"][name])
            self.call("PUT", f"{link.path}?{link.query}", content, {})
            with self.unsure(ident):
                self.call("POST", path + ticket["ticket"])
            self.told.files[ident, name] = hashlib.sha384(content).hexdigest()

    def inform(self) -> None:
        if self.mine:
            kind, ident = self.dice.choice(self.mine)
            value = self.dice.getrandbits(50)
            with self.unsure(ident):
                self.call("PATCH", f"/api/{kind}/{ident}/info", {"set": {"v": value}})
            self.told.info[ident] = {"v": value}

    def delete(self) -> None:
        if len(self.mine) > 4:
            kind, ident = self.mine.pop(self.dice.randrange(len(self.mine)))
            with self.unsure(ident):
                self.call("DELETE", f"/api/{kind}/{ident}")
            self.told.deleted[ident] = kind
            del self.told.containers[ident]
            self.told.info.pop(ident, None)
            for key in [key for key in self.told.files if key[0] == ident]:
                del self.told.files[key]

    def unsure(self, ident: str) -> Unsure:
        return Unsure(self.told, ident)


class Unsure:
    """A write within, if not answered, may or may not have changed this container."""

    def __init__(self, told: Told, ident: str) -> None:
        self.told, self.ident = told, ident

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Gone):
            self.told.unsure.add(self.ident)


def merged(parts: list[Told]) -> Told:
    """One account of all workers'."""
    whole = Told()
    for part in parts:
        whole.containers |= part.containers
        whole.info |= part.info
        whole.files |= part.files
        whole.deleted |= part.deleted
        whole.unsure |= part.unsure
        whole.writes += part.writes
        whole.cut += part.cut
    return whole


def check(address: str, told: Told, data: Path) -> None:
    """Everything acknowledged is what the server now answers; every file entry has its bytes."""
    connection = http.client.HTTPConnection(address, timeout=30)

    def get(path: str) -> tuple[int, bytes]:
        connection.request("GET", path, headers=HEADERS)
        answer = connection.getresponse()
        return answer.status, answer.read()

    for ident, (kind, label) in told.containers.items():
        if ident in told.unsure:
            continue
        status, raw = get(f"/api/{kind}/{ident}")
        assert status == 200, (kind, ident, label)
        held = json.loads(raw)
        assert (held["label"], held["info"]) == (label, told.info.get(ident, {}))
    for (ident, name), digest in told.files.items():
        if ident not in told.unsure:
            status, raw = get(f"/api/containers/{ident}/files/{quote(name)}")
            while status in (302, 303, 307):
                pytest.fail("a redirect without safe-redirect")
            assert status == 200, (ident, name)
            assert hashlib.sha384(raw).hexdigest() == digest, (ident, name)
    for ident, kind in told.deleted.items():
        assert get(f"/api/{kind}/{ident}")[0] == 404, (kind, ident)
    connection.close()
    with sqlite3.connect(f"file:{data / 'sandbox.db'}?mode=ro", uri=True) as conn:
        entries = conn.execute("select distinct blob, size from files").fetchall()
        assert conn.execute("pragma integrity_check").fetchone()[0] == "ok"
        lost = conn.execute(
            "select count(*) from files where not exists (select 1 from nodes where nodes.id = files.parent_id)"
        ).fetchone()[0]
        assert lost == 0, "entries of containers that are gone"
    conn.close()
    for blob, size in entries:
        held = data / "blobs" / blob[:2] / blob[2:]
        assert held.stat().st_size == size, blob
        assert hashlib.sha384(held.read_bytes()).hexdigest() == blob


@pytest.mark.timeout(60 + 15 * KILLS)
def test_killed_again_and_again_under_load(tmp_path: Path) -> None:
    data, told, dice = tmp_path / "data", Told(), random.Random(11)
    flags = ("--data", str(data), "--signed-urls")
    project = ""
    for round_ in range(KILLS):
        with sandbox(*flags) as site:
            if round_:
                check(site.host, told, data)
            else:
                fw = site.sdk()
                fw.add_group({"_id": "lab", "label": "Lab"})
                project = fw.get_group("lab").add_project(label="killed").id
            workers = [Worker(site.host, project, Told(), round_ * 100 + number) for number in range(WORKERS)]
            for worker in workers:
                worker.start()
            time.sleep(dice.uniform(0.2, 1.0))
            site.process.kill()
            for worker in workers:
                worker.join(30)
            assert not [worker.failure for worker in workers if worker.failure], workers[0].failure
            told = merged([told, *(worker.told for worker in workers)])
    with sandbox(*flags) as site:
        check(site.host, told, data)
        assert not list((data / "blobs" / "incoming").iterdir())
    assert told.writes > KILLS * 20, told.writes
    assert told.cut == KILLS * WORKERS
    print(f"{KILLS} kills, {told.writes} writes, {len(told.containers)} containers, {len(told.files)} files")
