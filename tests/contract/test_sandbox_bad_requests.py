"""Bad requests of every kind, at every route: an answer in Flywheel's form, never a 500, never a hang.

`FWSYNC_TEST_SCALE=7` makes it 10,000 requests.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from fuzz_ import Maker, Request, rounds, routes
from raw_ import Raw

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox

SCALE = float(os.environ.get("FWSYNC_TEST_SCALE", "1"))
SEED = int(os.environ.get("FWSYNC_TEST_SEED", "1"))
ANY_ROUTE, SEARCHES = int(1100 * SCALE), int(330 * SCALE)
LONGEST = 10.0


class Attacker:
    """Sends requests over one kept connection and judges the answers."""

    def __init__(self, running: ThreadedSandbox) -> None:
        self.raw, self.address = Raw(running), running.url.removeprefix("http://")
        self.statuses = Counter[int]()
        self.wrong: list[str] = []
        self.connection = http.client.HTTPConnection(self.address, timeout=LONGEST)

    def refill(self, maker: Maker) -> None:
        """Containers and files for requests to hit: what they deleted must not make the rest of them toothless."""
        raw, run = self.raw, f"g{secrets.token_hex(4)}"
        raw.json("POST", "/api/groups", {"_id": run, "label": run})
        ids = {"groups": run}
        ids["projects"] = raw.json("POST", "/api/projects", {"group": run, "label": "p"})["_id"]
        levels = {"subject": {"label": "s", "tags": ["x"]}, "session": {"label": "v"}, "acquisition": {"label": "a"}}
        upsert = raw.json("POST", f"/api/projects/{ids['projects']}/upsert-hierarchy", levels)
        ids |= {"subjects": upsert["subject"]["_id"], "sessions": upsert["session"]["_id"]}
        ids["acquisitions"] = ids["containers"] = upsert["acquisition"]["_id"]
        raw.json("PATCH", f"/api/subjects/{ids['subjects']}/info", {"set": {"a": {"b": [1, "x", None]}}})
        for name, content in (("a.csv", b"a,b\n1,2\n"), ("b.json", b"[1"), ("c.zip", b"PK\x03\x04broken")):
            (held,) = raw.upload(f"/api/acquisitions/{ids['acquisitions']}/files", {name: content})
        ids["files"] = held["file_id"]
        ids["collections"] = raw.json("POST", "/api/collections", {"label": "c"})["_id"]
        ids["analyses"] = raw.json("POST", f"/api/sessions/{ids['sessions']}/analyses", {"label": "n"})["_id"]
        manifest = {"name": f"gear-{run}", "version": "1", "inputs": {}, "config": {"n": {"type": "integer"}}}
        gear = {"category": "utility", "gear": manifest}
        ids["gears"] = raw.json("POST", f"/api/gears/gear-{run}", gear)["_id"]
        job = {"gear_id": ids["gears"], "inputs": {}, "destination": {"type": "session", "id": ids["sessions"]}}
        ids["jobs"] = raw.json("POST", "/api/jobs/add", job)["_id"]
        view = {"label": "v", "columns": [{"src": "subject.label"}]}
        ids["views"] = raw.json("POST", f"/api/containers/{ids['projects']}/views", view)["_id"]
        maker.ids, maker.file_names = ids, ["a.csv", "b.json", "c.zip"]

    def send(self, request: Request) -> None:
        """One request; what is wrong with its answer is kept."""
        began = time.monotonic()
        headers = {"Authorization": f"scitran-user {self.raw.secret}", **request.headers}
        try:
            self.connection.request(request.method, request.path, request.body, headers)
            answer = self.connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return self._blame(request, repr(error))
        self.statuses[answer.status] += 1
        if time.monotonic() - began > LONGEST:
            self._blame(request, "took too long")
        if answer.status >= 400 and request.method != "HEAD":
            self._judge(request, answer.status, body)
        elif answer.status >= 500 and answer.status != 501:
            self._blame(request, f"{answer.status}")
        return None

    def _judge(self, request: Request, status: int, body: bytes) -> None:
        try:
            told: Any = json.loads(body)
        except ValueError:
            return self._blame(request, f"{status}, not JSON: {body[:200]!r}")
        named = isinstance(told, dict) and told.get("status_code") == status and told.get("message")
        if not named or (status >= 500 and not (status == 501 and told.get("route"))):
            self._blame(request, f"{status} {told}")
        return None

    def _blame(self, request: Request, what: str) -> None:
        self.wrong.append(
            f"{request.route or request.method} {request.path[:300]} {(request.body or b'')[:500]!r}: {what}"
        )


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(signed_urls=True)) as running:
        yield running


@pytest.mark.timeout(300)
def test_every_route_answers_whatever_it_is_asked(running: ThreadedSandbox) -> None:
    table = routes(running.sandbox._runner.app)
    maker, attacker = Maker(SEED), Attacker(running)
    for number, route in enumerate(rounds(table, SEED, ANY_ROUTE)):
        if number % 40 == 0:
            attacker.refill(maker)
        attacker.send(maker.one(route))
    assert not attacker.wrong, "\n".join(attacker.wrong[:20])
    assert attacker.statuses[400] > ANY_ROUTE // 20, attacker.statuses
    assert sum(n for status, n in attacker.statuses.items() if status < 300) > ANY_ROUTE // 5, attacker.statuses


@pytest.mark.timeout(300)
def test_filters_queries_and_views_are_answered_or_refused(running: ThreadedSandbox) -> None:
    maker, attacker = Maker(SEED + 1), Attacker(running)
    attacker.refill(maker)
    project = maker.ids["projects"]
    for number in range(SEARCHES):
        kind = ("subjects", "acquisitions", "files", "jobs", "collections", "analyses")[number % 6]
        text = maker.filter()
        attacker.send(Request("GET", f"/api/{kind}?" + _query(filter=text, sort=maker._query("sort"))))
        return_type = maker.dice.choice(("file", "acquisition", "session", "analysis", "project", "subject", "group"))
        body = {
            "structured_query": maker.query(),
            "return_type": return_type,
            "size": maker.dice.choice((1, 10, "all")),
        }
        attacker.send(_post("/api/dataexplorer/search?simple=true", body))
        attacker.send(_post("/api/dataexplorer/search/parse", body))
        attacker.send(_post(f"/api/views/data?containerId={project}&format=json", maker.view()))
    assert not attacker.wrong, "\n".join(attacker.wrong[:20])
    assert min(attacker.statuses[200], attacker.statuses[400], attacker.statuses[422]) > SEARCHES // 10, (
        attacker.statuses
    )


def _query(**values: str) -> str:
    from urllib.parse import urlencode

    return urlencode(values)


def _post(path: str, body: Any) -> Request:
    return Request("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"})
