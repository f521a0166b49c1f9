"""Well-formed requests with parts of them replaced by oddities: 4xx or a success, never 500; and nothing that was
stored makes a later read fail, neither here nor in the SDK's models."""

from __future__ import annotations

import copy
import http.client
import json
import random
from collections.abc import Iterator
from typing import Any

import flywheel
import pytest

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, -(2**63), 2**70, 1e308, "", "x", "\u0000", "é" * 50, "x" * 5000, "(a+)+$", "[", "*",
    "a,b=c", "label=~(", [], {}, [[]], [None], {"a": None}, {"": {}}, [{}], "2020-13-45", "null", "nan", "inf",
    {"id": {}}, {"_id": []}, "/", "..", [1, 2], ["x", "x"], {"a.b": 1, "$c": 2}, "\uffff",
]  # fmt: skip
QUERY = "session.age >= 10 AND (file.type = nifti OR acquisition.label LIKE x%) AND NOT subject.label IN [a, b]"
FILE_SPEC = {
    "container": "session", "filter": {"value": "*.csv", "regex": False}, "match": "all", "processFiles": True,
    "columns": [{"src": "structure", "dst": "s", "type": "string"}], "formatOptions": {"delimiter": ",", "quotechar": '"'},
    "zipMember": {"value": ".*csv", "regex": True, "match": "all"}, "format": "csv",
    "analysisFilter": {"label": {"value": "*"}, "gear.name": {"value": "*", "regex": False}},
}  # fmt: skip
GEAR = {
    "category": "utility", "exchange": {},
    "gear": {
        "name": "odd", "version": "1", "inputs": {"a": {"base": "file", "type": {"enum": ["x"]}}},
        "config": {"a": {"type": "integer", "default": 1}},
        "custom": {"sandbox": {"outputs": {"a": "b"}, "log": ["x"], "info": {}}},
    },
}  # fmt: skip


class Site:
    """A demo site, the SDK on it, and bodies that are right."""

    def __init__(self, running: ThreadedSandbox) -> None:
        self.fw: Any = flywheel.Client(running.key)
        host, port = running.url.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=60)
        self.headers = {
            "Authorization": f"scitran-user {running.sandbox.site.secret}",
            "Content-Type": "application/json",
        }
        self.templates = list(self._templates())

    def send(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self.connection.request(method, path, body=None if body is None else json.dumps(body), headers=self.headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def _templates(self) -> Iterator[tuple[str, str, Any]]:
        fw = self.fw
        project, other = fw.lookup("demo/neuro-study"), fw.lookup("demo/tutorial")
        session = fw.lookup("demo/neuro-study/sub-001/ses-1")
        scan = session.acquisitions.find_first("label=T1w_MPR").reload()
        file, gear, subject = scan.files[0], fw.lookup("gears/freesurfer-recon-all"), session.parents.subject
        nodes = [{"level": "session", "_id": session.id}, {"level": "acquisition", "_id": scan.id}]
        place, by_name = (
            {"type": "session", "id": session.id},
            {"type": "acquisition", "id": scan.id, "name": file.name},
        )
        view = {
            "label": "v", "fileSpec": FILE_SPEC, "filter": "subject.sex=male", "includeIds": True, "errorColumn": True,
            "columns": [
                {"src": "subject.label", "dst": "a", "type": "int"}, {"src": "file.info.x"}, {"src": "analysis.label"},
                {"src": "session.age", "expr": "x/2", "type": "float", "accumulator": "mean"},
            ],
            "groupBy": {"columns": [{"src": "subject.sex", "dst": "sex"}]}, "missingDataStrategy": "none", "sort": True,
        }  # fmt: skip
        job = {
            "gear_id": gear.id, "destination": place, "tags": ["a"], "priority": "high",
            "inputs": {"anatomical": by_name, "t2w_anatomical": {"file_id": file.file_id, "version": 1}},
            "config": {"subject_id": "x", "hippocampal_subfields": True},
        }  # fmt: skip
        search = {
            "return_type": "acquisition", "structured_query": QUERY, "search_string": "x", "size": 10, "all_data": True,
            "filters": [{"terms": {"file.type": ["nifti"]}}, {"range": {"session.age": {"gte": 1}}}],
            "sort": {"field": "session.label", "order": "desc"},
        }  # fmt: skip
        download = {
            "nodes": nodes, "optional": True, "container_filters": [{"type": "session", "tags": {"plus": ["x"]}}],
            "filters": [{"types": {"plus": ["nifti"], "minus": ["x"]}, "tags": {"+": ["x"]}, "since": 1}],
        }  # fmt: skip
        tree = {"projects": {
            "fields": ["label", "info.a"], "filter": "label=x", "sort": "label:asc", "limit": 2, "group": {"fields": ["label"]},
            "subjects": {"limit": 1, "analyses": {"job": {"fields": ["state"]}, "files": {"filter": "type=x"}}},
        }}  # fmt: skip
        template = {"acquisitions": [{"label": "x", "minimum": 1, "files": [{"minimum": 1, "classification": "T1"}]}]}
        on_file = f"/api/acquisitions/{scan.id}/files/{file.name}"
        members = {"operation": "add", "nodes": nodes}
        collection = fw.add_collection({"label": "c", "contents": members})
        held = fw.jobs.find_first().id
        yield "PUT", f"/api/collections/{collection}", {"contents": members, "label": "x", "info": {"a": 1}}
        yield "POST", "/api/collections", {"label": "x", "description": "d", "contents": members}
        yield "POST", "/api/dataexplorer/search?simple=true", search
        yield "POST", "/api/dataexplorer/search/parse", {"structured_query": QUERY}
        yield "POST", "/api/dataexplorer/search/suggest", {"structured_query": QUERY}
        yield (
            "POST",
            "/api/dataexplorer/queries",
            {"label": "x", "search": search, "parent": {"type": "user", "id": "x"}},
        )
        yield "POST", f"/api/views/queue?containerId={subject}", view
        yield "POST", f"/api/views/data?containerId={subject}&format=csv", {**view, "groupBy": None}
        yield "POST", f"/api/containers/{project.id}/views", view
        yield (
            "POST",
            "/api/views/save?containerId=" + subject,
            {"view": view, "containerId": session.id, "filename": "x"},
        )
        yield "POST", "/api/jobs/add", job
        yield "POST", f"/api/sessions/{session.id}/analyses?job=true", {"label": "x", "job": job, "info": {}}
        yield "POST", f"/api/sessions/{session.id}/analyses", {"label": "x", "inputs": [by_name]}
        about = {"optional_input_policy": "flexible", "priority": "low", "analysis": {"label": "x"}}
        yield "POST", "/api/batch", {"gear_id": gear.id, "targets": [place], "config": {"a": 1}, "tags": ["x"], **about}
        yield "POST", "/api/batch/jobs", {"jobs": [job]}
        yield "PUT", f"/api/jobs/{held}", {"state": "running", "priority": "low", "failure_reason": "x"}
        yield "PUT", "/api/jobs/priority", {"job_ids": [held], "priority": "low"}
        yield "POST", f"/api/jobs/{held}/logs", [{"fd": 1, "msg": "x"}]
        yield "PUT", f"/api/jobs/{held}/profile", {"elapsed_time_ms": 4}
        yield "POST", "/api/jobs/ask", {"whitelist": {"tag": ["x"]}, "return": {"jobs": 1}}
        yield "POST", "/api/gears/odd", GEAR
        yield "POST", "/api/gears/prepare-add", GEAR
        yield "PUT", "/api/gears/mriqc/permissions", {"users": ["a"], "projects": ["b"]}
        yield "POST", "/api/download", download
        yield "POST", "/api/download/targets?type=full&analyses=true&metadata=true", download
        yield "POST", "/api/download/summary", nodes
        yield "POST", "/api/tree", tree
        yield "POST", "/api/bulk/add/tags", {"containers": [place, scan.id], "tags": ["x"]}
        moved = {"sources": [session.id], "destinations": [other.id], "destination_container_type": "projects"}
        yield "POST", "/api/bulk/move/sessions", {**moved, "conflict_mode": "dry"}
        yield "POST", "/api/users", {"_id": "x", "email": "x", "roles": ["user"], "preferences": {"a": 1}}
        yield "PATCH", "/api/users/self/info", {"set": {"a": 1}, "delete": ["b"]}
        yield "POST", "/api/roles", {"label": "x", "actions": ["a"]}
        yield "POST", "/api/groups/demo/permissions/templates", {"_id": "u", "role_ids": ["x"], "access": "ro"}
        yield (
            "POST",
            "/api/modalities",
            {"_id": "X", "classification": {"a": ["b"]}, "active": True, "description": "x"},
        )
        yield (
            "POST",
            "/api/site/providers",
            {"label": "x", "provider_class": "storage", "provider_type": "aws", "config": {}},
        )
        yield "POST", f"/api/projects/{other.id}/rules", {"name": "x", "gear_id": gear.id, "any": [], "config": {}}
        yield "POST", "/api/uids", {"sessions": ["x"], "acquisitions": ["y"], "project_ids": [project.id]}
        copied = {"dst_project_id": other.id, "dst_session_label": "x", "filter": {"include_rules": ["file.type=x"]}}
        yield "POST", f"/api/sessions/{session.id}/copy", copied
        yield "POST", f"/api/projects/{other.id}/template", {"session": {"label": "x"}, **template}
        yield "POST", f"/api/projects/{other.id}/recalc", {}
        yield "POST", "/api/files", {"uuid": "x", "name": "x", "parent_ref": place, "info": {}, "size": 1}
        yield "PUT", on_file, {"type": "x", "modality": "MR", "classification": {"a": ["b"]}, "tags": ["x"]}
        yield "PATCH", on_file + "/classification", {"add": {"a": ["b"]}, "modality": "x"}
        yield "PATCH", on_file + "/info", {"set": {"a": {"b": 1}}, "delete": ["c"]}
        yield (
            "POST",
            f"/api/projects/{other.id}/upsert-hierarchy",
            {"subject": {"label": "x"}, "session": {"label": "y"}},
        )


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with ThreadedSandbox(SandboxOptions(demo=True, jobs="instant")) as running:
        yield Site(running)


def mutated(draw: random.Random, body: Any) -> Any:
    """A copy of the body with one to three of its parts replaced, taken out or added."""
    body = copy.deepcopy(body)
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        spots = list(_spots(body))
        if not spots:
            return draw.choice(ODD)
        holder, key = draw.choice(spots)
        if draw.random() < 0.8:
            holder[key] = copy.deepcopy(draw.choice(ODD))
        elif isinstance(holder, dict) and draw.random() < 0.5:
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw.choice(["extra", "_id", "id", "label", ""])] = copy.deepcopy(draw.choice(ODD))
        else:
            holder.append(copy.deepcopy(draw.choice(ODD)))
    return body


def _spots(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _spots(value[key])


@pytest.mark.parametrize("seed", range(4))
def test_no_body_makes_a_500(site: Site, seed: int) -> None:
    draw = random.Random(seed)
    for method, path, right in site.templates:
        for _ in range(6):
            body = mutated(draw, right)
            status, told = site.send(method, path, body)
            assert status < 500, (method, path, body, told)
            assert status < 400 or json.loads(told)["message"]


def test_the_bodies_are_right_before_they_are_changed() -> None:
    with ThreadedSandbox(SandboxOptions(demo=True, jobs="manual")) as running:
        fresh = Site(running)
        refused = {path: told for method, path, body in fresh.templates for status, told in [fresh.send(method, path, body)]
                   if status >= 400}  # fmt: skip
    # a download that finds nothing under its filters, a content that was never sent, a job that has ended
    assert len(refused) < 8, refused


def test_what_was_stored_can_be_read(site: Site) -> None:
    fw = site.fw
    for name in (
        "get_all_batches", "collections", "jobs", "sessions", "acquisitions", "subjects", "projects", "gears", "users",
        "get_all_roles", "get_all_modalities", "get_providers", "get_all_saved_searches", "get_all_data_view_executions",
        "get_jobs_stats", "get_current_user_jobs", "analyses", "files", "groups",
    ):  # fmt: skip
        assert getattr(fw, name)() is not None, name
    session = fw.lookup("demo/neuro-study/sub-001/ses-1")
    for analysis in session.reload().analyses:
        assert analysis.reload().id
    assert fw.search({"structured_query": "file.name EXISTS", "return_type": "file"}, size=10000)
