"""The sandbox over raw HTTP: errors, ranges, tickets, signed parts, names, durability."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox


class Raw:
    """Requests without any client library's help."""

    def __init__(self, running: ThreadedSandbox) -> None:
        self.url, self.secret = running.url, running.sandbox.site.secret

    def __call__(
        self, method: str, path: str, body: Any = None, *, key: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"scitran-user {self.secret if key is None else key}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def json(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        status, _, raw = self(method, path, body, **more)
        assert status < 300, raw
        return json.loads(raw)

    def upload(self, path: str, name: str, content: bytes) -> Any:
        boundary = "x" * 20
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
        body = head + content + f"\r\n--{boundary}--\r\n".encode()
        return self.json("POST", path, body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    with ThreadedSandbox(SandboxOptions(demo=True)) as running:
        yield Raw(running)


@pytest.fixture(scope="module")
def project(raw: Raw) -> str:
    raw.json("POST", "/api/groups", {"_id": "raw", "label": "Raw"})
    return str(raw.json("POST", "/api/projects", {"group": "raw", "label": "p"})["_id"])


def test_a_wrong_key_is_401_with_the_platform_s_body(raw: Raw) -> None:
    for path in ("/api/projects", "/api/auth/status", "/api/projects?ticket=abc", "/api/files?ticket=abc"):
        status, _, body = raw("GET", path, key="wrong")
        assert (status, json.loads(body)["status_code"]) == (401, 401), path


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/no/such/route", None, 501),
        ("POST", "/api/dataexplorer/search", {}, 400),
        ("PATCH", "/api/projects", {}, 501),
        ("GET", "/api/projects/nonsense", None, 404),
        ("GET", "/api/projects/5dc091c169d4f3002d16f32f", None, 404),
        ("GET", "/api/projects?filter=nonsense", None, 422),
        ("GET", "/api/projects?filter=a=1&filter=b=1", None, 422),
        ("GET", "/api/projects?limit=x", None, 422),
        ("POST", "/api/projects", b"{", 400),
        ("POST", "/api/projects", b"\xff\xfe", 400),
        ("POST", "/api/projects", [], 400),
        ("POST", "/api/projects", {"label": "x"}, 422),
        ("POST", "/api/projects", {"label": 3, "group": "demo"}, 422),
        ("POST", "/api/projects", {"label": "neuro-study", "group": "demo"}, 409),
        ("POST", "/api/groups", {"_id": "demo", "label": "x"}, 409),
        ("POST", "/api/subjects", {"project": "5dc091c169d4f3002d16f32f", "label": "x"}, 404),
        ("POST", "/api/sessions", {"project": "x", "label": "y"}, 422),
        ("POST", "/api/lookup", {"path": "demo"}, 400),
        ("POST", "/api/lookup", {"path": ["demo", "zz"]}, 404),
    ],
)
def test_errors_are_4xx_or_501_never_500(raw: Raw, method: str, path: str, body: Any, status: int) -> None:
    found, _, answer = raw(method, path, body)
    assert found == status, answer
    assert json.loads(answer)["message"]
    if status == 501:
        assert path in answer.decode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sex", "x"),
        ("age", "old"),
        ("firstname", 3),
        ("info", []),
        ("tags", "a"),
        ("tags", [1]),
        ("date_of_birth", "soon"),
    ],
)
def test_wrong_kinds_are_422(raw: Raw, project: str, field: str, value: Any) -> None:
    status, _, body = raw("POST", "/api/subjects", {"project": project, "label": f"bad-{field}", field: value})
    assert status == 422, body
    assert field in json.loads(body)["message"]


def test_every_page_is_reached_and_the_envelope_counts(raw: Raw) -> None:
    (found,) = raw.json("GET", "/api/projects?filter=label=neuro-study")
    base = f"/api/projects/{found['_id']}/acquisitions"
    seen: list[str] = []
    while True:
        after = f"&after_id={seen[-1]}" if seen else ""
        page = raw.json("GET", f"{base}?limit=37{after}")
        seen += [one["_id"] for one in page]
        if not page:
            break
    whole = raw.json("GET", base, headers={"x-accept-feature": "pagination"})
    assert whole["total"] == whole["count"] == len(seen) == len(set(seen)) == 160
    assert raw.json("GET", f"{base}?limit=5&page=3&sort=created:desc") == raw.json(
        "GET", f"{base}?limit=5&skip=10&sort=created:desc"
    )
    assert all("info" not in one for one in whole["results"])
    assert "files" not in raw.json("GET", f"{base}?limit=1", headers={"x-accept-feature": "exclude-files"})[0]


def test_files_are_listed_in_an_envelope(raw: Raw) -> None:
    page = raw.json("GET", "/api/files?filter=type=nifti&limit=10")
    assert (page["count"], len(page["results"])) == (10, 10)
    assert page["total"] > 160
    assert all(one["type"] == "nifti" and one["parents"]["project"] for one in page["results"])


@pytest.mark.parametrize("name", ["..", "a/b", "%41", "two words", "plus+plus", "größe.txt", "q?x#y", "a%2Fb"])
def test_any_file_name_is_one_segment(raw: Raw, project: str, name: str) -> None:
    (entry,) = raw.upload(f"/api/projects/{project}/files", name.replace('"', ""), b"content of " + name.encode())
    assert entry["name"] == name
    path = f"/api/projects/{project}/files/{urllib.parse.quote(name, safe='')}"
    if name == "..":
        path = f"/api/files/{entry['file_id']}/download"  # the standard library, like any client, folds %2E%2E away
    assert raw("GET", path)[2] == b"content of " + name.encode()


def test_ranges_of_a_viewed_file(raw: Raw, project: str) -> None:
    content = bytes(range(256)) * 3000
    raw.upload(f"/api/projects/{project}/files", "range.bin", content)
    path = f"/api/projects/{project}/files/range.bin"
    status, headers, body = raw("GET", path + "?view=true", headers={"Range": "bytes=10-19"})
    assert (status, headers["Content-Range"], body) == (206, f"bytes 10-19/{len(content)}", content[10:20])
    assert raw("GET", path + "?view=true", headers={"Range": "bytes=-5"})[2] == content[-5:]
    assert raw("GET", path + "?view=true", headers={"Range": f"bytes={len(content)}-"})[0] == 416
    assert raw("GET", path, headers={"Range": "bytes=10-19"})[0] == 200, "without view Range is ignored"
    status, headers, body = raw("GET", path + "?view=true", headers={"Range": "bytes=0-3,500000-500003"})
    boundary = re.search(r"boundary=(\w+)", headers["Content-Type"])
    assert status == 206
    assert boundary
    parts = body.split(b"--" + boundary.group(1).encode())
    assert [part.split(b"\r\n\r\n")[1][:4] for part in parts[1:3]] == [content[:4], content[500000:500004]]
    status, headers, body = raw("GET", path)
    assert (headers["Content-Disposition"].split(";")[0], int(headers["Content-Length"]), body) == (
        "attachment",
        len(content),
        content,
    )
    digest = "v0-sha384-" + hashlib.sha384(content).hexdigest()
    assert raw("GET", f"{path}?hash={digest}")[0] == 200
    assert raw("GET", f"{path}?hash=v0-sha384-00")[0] == 409


def test_a_ticket_needs_no_key_and_opens_one_file(raw: Raw, project: str) -> None:
    raw.upload(f"/api/projects/{project}/files", "t.txt", b"one")
    raw.upload(f"/api/projects/{project}/files", "other.txt", b"other")
    path = f"/api/projects/{project}/files/t.txt"
    ticket = raw.json("GET", path + "?ticket=")["ticket"]
    raw.upload(f"/api/projects/{project}/files", "t.txt", b"two")
    assert raw("GET", f"{path}?ticket={ticket}", key="")[2] == b"one", "a ticket keeps its version"
    assert raw("GET", f"/api/projects/{project}/files/other.txt?ticket={ticket}", key="")[0] == 400
    assert raw("GET", f"{path}?ticket=nonsense", key="")[0] == 404


def test_upserts_are_idempotent_and_never_touch_a_parent_named_alone(raw: Raw, project: str) -> None:
    path = f"/api/projects/{project}/upsert-hierarchy"
    body = {"subject": {"label": "u", "sex": "female"}, "session": {"label": "v"}, "acquisition": {"label": "w"}}
    first, second = raw.json("POST", path, body), raw.json("POST", path, body)
    assert {one["upsert_result"] for one in first.values()} == {"created"}
    assert {one["upsert_result"] for one in second.values()} == {"ignored"}
    assert {k: v["_id"] for k, v in first.items()} == {k: v["_id"] for k, v in second.items()}
    third = raw.json("POST", path, {"subject": {"label": "u"}, "session": {"label": "v", "age": 5}})
    assert (third["subject"]["upsert_result"], third["session"]["upsert_result"]) == ("ignored", "updated")
    assert raw.json("GET", f"/api/subjects/{first['subject']['_id']}")["sex"] == "female"


def test_signed_uploads_in_many_parts_need_every_byte() -> None:
    with ThreadedSandbox(SandboxOptions(signed_urls=True, part_threshold=512 * 1024)) as running:
        raw = Raw(running)
        raw.json("POST", "/api/groups", {"_id": "g", "label": "G"})
        ident = raw.json("POST", "/api/projects", {"group": "g", "label": "p"})["_id"]
        content = bytes(range(256)) * 40_000
        path = f"/api/projects/{ident}/files?ticket="
        body = {"metadata": {"name": "big.bin", "size": len(content)}, "filenames": ["big.bin"]}
        begun = raw.json("POST", path, body, headers={"x-accept-feature": "multipart_signed_url"})
        links = begun["urls"]["big.bin"]
        assert len(links) > 1
        assert begun["headers"] == {}
        size = -(-len(content) // len(links))
        pieces = [content[n * size : (n + 1) * size] for n in range(len(links))]
        for link, piece in list(zip(links, pieces, strict=True))[:-1]:
            assert raw("PUT", link.removeprefix(raw.url), piece, key="")[0] == 200
        assert raw("POST", path + begun["ticket"])[0] == 409
        assert raw("PUT", links[-1].removeprefix(raw.url).replace("signature=", "signature=0"), pieces[-1])[0] == 403
        assert raw("PUT", links[-1].removeprefix(raw.url), pieces[-1], key="")[0] == 200
        (entry,) = raw.json("POST", path + begun["ticket"])
        assert entry["hash"] == "v0-sha384-" + hashlib.sha384(content).hexdigest()
        assert raw.json("POST", path + begun["ticket"])[0]["version"] == 1, "completing again makes no second version"


def test_acknowledged_writes_survive_sigkill(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fwsync.sandbox", "--data", str(tmp_path)]
    created: list[str] = []
    secrets = set()
    for round_ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        _, port, _, secret = process.stdout.readline().strip().split(":")
        secrets.add(secret)
        base = f"http://127.0.0.1:{port}"

        def post(path: str, body: dict[str, Any], base: str = base, secret: str = secret) -> Any:
            request = urllib.request.Request(base + path, data=json.dumps(body).encode(), method="POST")
            request.add_header("Authorization", f"scitran-user {secret}")
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["_id"]

        if round_ == 0:
            post("/api/groups", {"_id": "g1", "label": "G"})
        project = post("/api/projects", {"group": "g1", "label": f"p{round_}"})
        created += [project, *(post("/api/subjects", {"project": project, "label": f"s{n}"}) for n in range(30))]
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert len(secrets) == 1, "the key is kept across restarts"
    with ThreadedSandbox(SandboxOptions(data=tmp_path)) as running:
        raw = Raw(running)
        for ident in created:
            assert raw.json("GET", f"/api/containers/{ident}")["_id"] == ident


def test_the_demo_is_the_same_every_time(raw: Raw, tmp_path: Path) -> None:
    with ThreadedSandbox(SandboxOptions(demo=True, data=tmp_path)) as running:
        first = Raw(running).json("GET", "/api/files?filter=parents.group=scitran")["results"]
    with ThreadedSandbox(SandboxOptions(demo=True, data=tmp_path)) as running:
        other = Raw(running)
        for path in ("/api/files?filter=parents.group=scitran", "/api/gears?all_versions=true", "/api/jobs"):
            mine, theirs = raw.json("GET", path), other.json("GET", path)
            assert mine == theirs
        assert other.json("GET", "/api/files?filter=parents.group=scitran")["results"] == first
        assert len(other.json("GET", "/api/projects")) == 4, "a restart does not build it twice"


def test_stats_count_routes_and_hold_no_secret(raw: Raw) -> None:
    raw.json("GET", "/api/groups")
    with urllib.request.urlopen(raw.url + "/sandbox/stats") as answer:
        text = answer.read().decode()
    assert json.loads(text)["requests"]["GET /api/{kind}"] >= 1
    assert raw.secret not in text
