"""Requests without any client library's help, for the contract tests."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

from fwsync.sandbox.pytest_plugin import ThreadedSandbox


class Raw:
    """A running sandbox over plain HTTP; bodies are JSON unless bytes."""

    def __init__(self, running: ThreadedSandbox, key: str | None = None) -> None:
        self.url, self.secret = running.url, key or running.sandbox.site.secret

    def __call__(
        self, method: str, path: str, body: Any = None, *, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of the answer."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        request.add_header("Authorization", f"scitran-user {self.secret}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers), error.read()

    def json(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The JSON of an answer that must be a success."""
        status, _, raw = self(method, path, body, **more)
        assert status < 300, (status, raw)
        return json.loads(raw)

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Status and message of an answer that must be an error in Flywheel's form."""
        status, _, raw = self(method, path, body)
        assert 400 <= status < 500, (status, raw)
        told = json.loads(raw)
        assert told["status_code"] == status
        return status, told["message"]

    def upload(self, path: str, files: dict[str, bytes], metadata: Any = None) -> Any:
        """A multipart upload: the metadata part first, then one part per file."""
        edge, parts = "x" * 24, []
        if metadata is not None:
            told = json.dumps(metadata)
            parts.append(f'--{edge}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{told}\r\n'.encode())
        for number, (name, content) in enumerate(files.items(), start=1):
            head = f'--{edge}\r\nContent-Disposition: form-data; name="file{number}"; filename="{name}"\r\n\r\n'
            parts.append(head.encode() + content + b"\r\n")
        whole = b"".join([*parts, f"--{edge}--\r\n".encode()])
        return self.json("POST", path, whole, headers={"Content-Type": f"multipart/form-data; boundary={edge}"})
