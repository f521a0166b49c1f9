"""Tags on containers: what is so already is fine, whatever happened meanwhile."""

from __future__ import annotations

from typing import Any

import flywheel
import pytest

from fwsync.client.api import Flywheel
from fwsync.run.pool import LocalPool
from fwsync.run.tagging import Tagger
from fwsync.sandbox.pytest_plugin import ThreadedSandbox
from fwsync.work import Outcome, Plan, TagContainer, WorkItem

HOSTILE = "a/b?c#d %2F"


@pytest.fixture
def scan(flywheel_sandbox: ThreadedSandbox) -> Any:
    """An acquisition of an otherwise empty site."""
    fw = flywheel.Client(flywheel_sandbox.key)
    fw.add_group({"_id": "lab", "label": "Lab"})
    project = fw.get_group("lab").add_project(label="study")
    return project.add_subject(label="s").add_session(label="x").add_acquisition(label="a")


async def tag(key: str, ident: str, *, add: tuple[str, ...] = (), remove: tuple[str, ...] = ()) -> Outcome:
    """Carry out one item."""
    payload = TagContainer(level="acquisition", id=ident, add=add, remove=remove)
    item = WorkItem(kind="tag.acquisition", key=ident, target="a", payload=payload)
    found: list[Outcome] = []
    async with Flywheel.from_key(key) as fw:
        await LocalPool(Tagger(fw).handlers()).run(Plan.of([item]), found.append)
    [outcome] = found
    return outcome


async def test_tags_are_added_and_removed(flywheel_sandbox: ThreadedSandbox, scan: Any) -> None:
    scan.add_tag("old")
    scan.add_tag("mine")
    outcome = await tag(flywheel_sandbox.key, scan.id, add=("new", HOSTILE), remove=("old",))
    assert (outcome.state, outcome.ref) == ("done", scan.id)
    assert set(scan.reload().tags) == {"new", "mine", HOSTILE}
    assert (await tag(flywheel_sandbox.key, scan.id, remove=(HOSTILE,))).state == "done"
    assert set(scan.reload().tags) == {"new", "mine"}


async def test_what_someone_else_did_meanwhile_is_no_failure(flywheel_sandbox: ThreadedSandbox, scan: Any) -> None:
    scan.add_tag("there")
    outcome = await tag(flywheel_sandbox.key, scan.id, add=("there",), remove=("gone",))
    assert outcome.state == "done"
    assert scan.reload().tags == ["there"]


@pytest.mark.parametrize("change", [{"add": ("x",)}, {"remove": ("x",)}])
async def test_a_container_that_is_gone_is_a_failure(
    flywheel_sandbox: ThreadedSandbox, scan: Any, change: dict[str, tuple[str, ...]]
) -> None:
    flywheel.Client(flywheel_sandbox.key).delete_acquisition(scan.id)
    outcome = await tag(flywheel_sandbox.key, scan.id, **change)
    assert outcome.state == "failed"
    assert "not found" in outcome.reason.lower()
