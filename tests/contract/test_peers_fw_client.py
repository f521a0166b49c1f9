"""fw-client 2.3.4, the platform's other Python client, against the sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from peers_ import needs_peers, run_script

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

pytestmark = needs_peers

SCRIPT = """
import asyncio, io, json, sys
from fw_client import FWClient, errors

fw = FWClient(sys.argv[1], retry_backoff=0.01)
told = {"version": fw.core_version, "user": fw.auth_status["info"]["_id"], "features": fw.core_config["features"]}
fw.post("/api/groups", json={"_id": "lab", "label": "Lab"})
project = fw.post("/api/projects", json={"group": "lab", "label": "study"})["_id"]
for number in range(30):
    subject = fw.post("/api/subjects", json={"project": project, "label": f"sub-{number:02}"})["_id"]

pages, after = [], None
while True:
    query = {"limit": 12, "filter": f"project={project}", **({"after_id": after} if after else {})}
    page = fw.get("/api/subjects", params=query)
    if not page["results"]:
        break
    pages.append([one["label"] for one in page.results])  # answers can be read as attributes
    after = page["results"][-1]["_id"]
    total = page["total"]
told["pages"], told["total"] = pages, total

body = bytes(range(256)) * 4000
files = {"file": ("a b+c.bin", io.BytesIO(body))}
(made,) = fw.post(f"/api/subjects/{subject}/files", files=files)
told["name"], told["size"] = made["name"], made["size"]
with fw.stream("GET", f"/api/subjects/{subject}/files/a b+c.bin") as answer:
    told["same"] = b"".join(answer.iter_bytes()) == body
ticket = fw.post(f"/api/subjects/{subject}/files", params={"ticket": ""}, json={"filenames": ["s.bin"], "metadata": {"name": "s.bin", "size": len(body)}})
if ticket:
    fw.put(ticket["urls"]["s.bin"], content=body, headers={"authorization": None})
    fw.post(f"/api/subjects/{subject}/files", params={"ticket": ticket["ticket"]})
    told["signed"] = fw.get(f"/api/subjects/{subject}/files/s.bin", raw=True).content == body
told["range"] = fw.get(f"/api/subjects/{subject}/files/a b+c.bin", params={"view": "true"}, headers={"range": "bytes=256-259"}, raw=True).content.hex()

async def read():
    return [one["label"] for one in (await fw.aget("/api/subjects", params={"limit": 2}))["results"]]

told["async"] = asyncio.run(read())
fw.patch(f"/api/subjects/{subject}/info", json={"set": {"a": 1}})
told["info"] = fw.get(f"/api/subjects/{subject}")["info"]
for path in ("/api/subjects/5dc091c169d4f3002d16f32f", "/api/subjects?filter=nonsense"):
    try:
        fw.get(path)
    except errors.ClientError as error:
        told.setdefault("errors", []).append(error.status_code)
told["deleted"] = fw.delete(f"/api/projects/{project}")["deleted"]
print(json.dumps(told))
"""

RETRIES = """
import json, sys
from fw_client import FWClient

fw = FWClient(sys.argv[1], retry_backoff=0.01, retry_total=12)
print(json.dumps([fw.get("/api/groups")["total"] for _ in range(60)]))
"""


@pytest.mark.parametrize("signed", [False, True])
def test_it_lists_uploads_and_downloads(tmp_path: Path, signed: bool) -> None:
    with ThreadedSandbox(SandboxOptions(signed_urls=signed)) as running:
        told = run_script(tmp_path, SCRIPT, f"{running.url}:{running.sandbox.site.secret}")
    labels = [f"sub-{number:02}" for number in range(30)]
    assert told["pages"] == [labels[:12], labels[12:24], labels[24:]]
    assert (told["total"], told["user"], told["errors"]) == (30, "admin@example.org", [404, 422])
    assert (told["name"], told["size"], told["same"], told["range"]) == ("a b+c.bin", 1024000, True, "00010203")
    assert (told["async"], told["info"], told["deleted"]) == (labels[:2], {"a": 1}, 1)
    assert told.get("signed", False) is signed
    assert told["features"]["signed_url"] is signed


def test_it_retries_until_it_is_answered(tmp_path: Path) -> None:
    faults = "status_503=20%,status_502=10%,status_429=10%:0,drop_request=10%"
    with ThreadedSandbox(SandboxOptions(faults=faults)) as running:
        told = run_script(tmp_path, RETRIES, f"{running.url}:{running.sandbox.site.secret}")
        dealt = running.sandbox.stats()["faults"]
    assert told == [0] * 60
    assert {name.split(":")[-1] for name in dealt} >= {"status_503", "status_502", "status_429", "drop_request"}
