"""What the sandbox promises beyond single routes: days of birth, labels that must be unique, lists that agree."""

from __future__ import annotations

import datetime as dt
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import flywheel
import pytest

from fwsync.sandbox import SandboxOptions
from fwsync.sandbox.pytest_plugin import ThreadedSandbox
from fwsync.sandbox.query import splice
from fwsync.sandbox.query.listing import Listing, select
from fwsync.sandbox.store import documents


def ask(running: ThreadedSandbox, method: str, path: str, body: Any = None, features: str = "") -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(running.url + path, data=data, method=method)
    request.add_header("Authorization", f"scitran-user {running.sandbox.site.secret}")
    request.add_header("x-accept-feature", features)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def project_in(running: ThreadedSandbox) -> str:
    ask(running, "POST", "/api/groups", {"_id": "g", "label": "G"})
    return str(ask(running, "POST", "/api/projects", {"group": "g", "label": "p"})[1]["_id"])


@pytest.fixture(scope="module")
def site() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox(SandboxOptions(demo=True)) as running:
        yield running


@pytest.mark.parametrize(
    "given", ["1990-05-03", "1990-05-03T00:00:00+02:00", "1990-05-03T23:30:00-05:00", "1990-05-03T00:00:00Z"]
)
def test_a_day_of_birth_is_the_day_that_was_written(flywheel_sandbox: ThreadedSandbox, given: str) -> None:
    body = {"project": project_in(flywheel_sandbox), "label": "s", "date_of_birth": given}
    status, made = ask(flywheel_sandbox, "POST", "/api/subjects", body)
    assert status == 200
    assert ask(flywheel_sandbox, "GET", f"/api/subjects/{made['_id']}")[1]["date_of_birth"] == "1990-05-03"
    client = flywheel.Client(flywheel_sandbox.key)
    assert client.get_subject(made["_id"]).date_of_birth == dt.date(1990, 5, 3)
    client.modify_subject(made["_id"], {"date_of_birth": dt.date(1991, 1, 2)})
    assert client.get_subject(made["_id"]).date_of_birth == dt.date(1991, 1, 2)


@pytest.mark.parametrize(("without", "second"), [(frozenset(), 200), (frozenset({"duplicate-sessions"}), 409)])
def test_a_second_session_or_acquisition_of_one_label(without: frozenset[str], second: int) -> None:
    with ThreadedSandbox(SandboxOptions(without=without)) as running:
        project = project_in(running)
        subject = ask(running, "POST", "/api/subjects", {"project": project, "label": "s"})[1]["_id"]
        other = ask(running, "POST", "/api/subjects", {"project": project, "label": "t"})[1]["_id"]
        session = {"project": project, "subject": {"_id": subject}, "label": "v"}
        status, made = ask(running, "POST", "/api/sessions", session)
        assert status == 200
        scan = {"session": made["_id"], "label": "T1w"}
        assert ask(running, "POST", "/api/acquisitions", scan)[0] == 200
        assert ask(running, "POST", "/api/sessions", session)[0] == second
        assert ask(running, "POST", "/api/acquisitions", scan)[0] == second
        elsewhere = {**session, "subject": {"_id": other}}
        assert ask(running, "POST", "/api/sessions", elsewhere)[0] == 200, "siblings only"


def test_a_failed_request_takes_nothing_else_with_it(site: ThreadedSandbox) -> None:
    """The session's wrong field is found after its unknown subject was made: the subject goes, its neighbours stay."""
    (project,) = ask(site, "GET", "/api/projects?filter=label=first-import")[1]
    path = f"/api/projects/{project['_id']}/subjects"
    bad = {"project": project["_id"], "subject": {"label": "gone"}, "label": "v", "age": "old"}
    assert ask(site, "POST", "/api/sessions", bad)[0] == 422
    assert ask(site, "GET", path)[1] == []


@pytest.mark.parametrize("kind", splice.KINDS)
@pytest.mark.parametrize("info", [False, True])
@pytest.mark.parametrize("features", ["", "exclude-files", "exclude-files,pagination"])
def test_spliced_lists_hold_what_rendered_ones_do(site: ThreadedSandbox, kind: str, info: bool, features: str) -> None:
    conn = site.sandbox.site.db.reader
    query = "?include_all_info=true" if info else ""
    _, answer = ask(site, "GET", f"/api/{documents.PLURAL[kind]}{query}", features=features)
    found = answer["results"] if "pagination" in features else answer
    rendered = select(conn, kind, Listing(info=info), with_files="exclude-files" not in features)
    assert found == json.loads(json.dumps(rendered))
    assert len(found) > 20
    if "pagination" in features:
        assert answer["count"] == answer["total"] == len(found)


def test_a_subject_s_code_is_its_label_where_it_has_none(flywheel_sandbox: ThreadedSandbox) -> None:
    project = project_in(flywheel_sandbox)
    hard = 'say "code":null \\ \u00e9\n'
    for body in ({"label": hard}, {"label": "b", "code": ""}, {"label": "c", "code": "C"}, {"label": "d"}):
        assert ask(flywheel_sandbox, "POST", "/api/subjects", {"project": project, **body})[0] == 200
    found = ask(flywheel_sandbox, "GET", f"/api/projects/{project}/subjects")[1]
    assert [one["code"] for one in found] == [hard, "b", "C", "d"]
    assert [one["label"] for one in found] == [hard, "b", "c", "d"]


@pytest.mark.parametrize(
    "clause",
    ["label=~^(sub-001|sub-003)$", "label=~^sub.00[13]$", "label=~1$", "label=|[sub-001|none]", "label=~^sub\\-002$",
     "label=~^(sub-001|sub-003)$,label=~3", "label=~^(?:sub-001|)$", "label=~sub,sex=female", "label=sub-001,label=~2"],
)  # fmt: skip
def test_filters_on_labels_choose_what_the_documents_would(site: ThreadedSandbox, clause: str) -> None:
    (project,) = ask(site, "GET", "/api/projects?filter=label=neuro-study")[1]
    base = f"/api/projects/{project['_id']}/subjects"
    whole = ask(site, "GET", base)[1]
    wanted = [one["_id"] for one in whole if _holds(clause, one)]
    path = f"{base}?filter={urllib.parse.quote(clause)}"
    answer = ask(site, "GET", path, features="pagination")[1]
    assert [one["_id"] for one in answer["results"]] == wanted
    assert answer["total"] == len(wanted)
    paged, after = [], ""
    while page := ask(site, "GET", f"{path}&limit=2&after_id={after}")[1]:
        paged += [one["_id"] for one in page]
        after = paged[-1]
    assert paged == wanted


def _holds(clause: str, document: dict[str, Any]) -> bool:
    from fwsync.sandbox.query import filters

    return filters.predicate(filters.parse(clause))(document)


def test_the_total_follows_every_write(flywheel_sandbox: ThreadedSandbox) -> None:
    project = project_in(flywheel_sandbox)
    path = f"/api/projects/{project}/subjects?limit=1"
    for number in range(3):
        assert ask(flywheel_sandbox, "GET", path, features="pagination")[1]["total"] == number
        ask(flywheel_sandbox, "POST", "/api/subjects", {"project": project, "label": f"s{number}"})
