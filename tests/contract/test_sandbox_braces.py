"""Braces are characters like any other in a tag, a file name and an id."""

from __future__ import annotations

import pytest
from raw_ import Raw

from fwsync.sandbox.pytest_plugin import ThreadedSandbox


@pytest.mark.parametrize("name", ["{}", "{x}.csv", "a{1,2}", "}{"])
def test_braces_in_tags_and_file_names(flywheel_sandbox: ThreadedSandbox, name: str) -> None:
    from urllib.parse import quote

    raw = Raw(flywheel_sandbox)
    raw.json("POST", "/api/groups", {"_id": "g", "label": "G"})
    project = raw.json("POST", "/api/projects", {"group": "g", "label": "p"})["_id"]
    raw.upload(f"/api/projects/{project}/files", {name: b"held"})
    assert raw("GET", f"/api/projects/{project}/files/{quote(name)}")[::2] == (200, b"held")
    raw.json("POST", f"/api/projects/{project}/tags", {"value": name})
    raw.json("DELETE", f"/api/projects/{project}/tags/{quote(name)}")
    assert raw.json("GET", f"/api/projects/{project}/tags") == []
    assert raw.refused("GET", f"/api/projects/{quote(name)}")[0] == 404
