"""The plan of an upload, sidecars, and times in info."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fwsync.plan import filetimes, sidecar
from fwsync.plan.importing import Held, ImportOptions, Planner
from fwsync.plan.uploading import HeldFile, TreeFile, TreePlanner, decide
from fwsync.plan.wanted import Wanted
from fwsync.run.order import Order, Ready
from fwsync.work import Outcome, WorkItem


def file(name: str, digest: str | None = None, held: HeldFile | None = None) -> TreeFile:
    return TreeFile(name, f"/t/{name}", 5, 1, digest, {}, held)


@pytest.mark.parametrize(
    ("digest", "held", "decision"),
    [
        (None, None, "send"),
        ("h", None, "send"),
        ("h", HeldFile(5, "h", 1, "f"), "unchanged"),
        ("h", HeldFile(5, "g", 1, "f"), "conflict"),
        (None, HeldFile(5, "g", 1, "f"), "send"),
        (None, HeldFile(6, "g", 1, "f"), "conflict"),
        ("h", HeldFile(6, None, 1, "f"), "conflict"),
        ("h", HeldFile(5, None, 1, "f"), "send"),
        ("h", HeldFile(None, None, None, None), "send"),
    ],
)
def test_what_is_decided_without_reading_a_file(digest: str | None, held: HeldFile | None, decision: str) -> None:
    assert decide(file("a", digest, held)) == decision


def planner(
    wanted: list[Wanted], held: list[Held], files: dict[tuple[str, ...], list[TreeFile]], how: Any
) -> TreePlanner:
    containers = Planner(lambda: wanted, lambda: held, ImportOptions(project_id="p", project_path="lab/study"))
    return TreePlanner(
        containers.entries, lambda labels, _: files.get(labels, []), project_id="p", project_path="lab/study",
        on_conflict=how,
    )  # fmt: skip


class Follower:
    """Carries a plan out in the executor's order; items are settled at once, or all at the end."""

    def __init__(self, early: bool) -> None:
        self.order, self.early = Order(), early
        self.started: dict[str, str | None] = {}
        self.waiting: list[WorkItem] = []

    def follow(self, entries: list[Any]) -> None:
        for entry in entries:
            if isinstance(entry, WorkItem):
                decision = self.order.offer(entry)
                assert decision is None or isinstance(decision, Ready), "nothing may be skipped"
                if isinstance(decision, Ready):
                    self.start(decision)
        while self.waiting:
            self.settle(self.waiting.pop())

    def start(self, ready: Ready) -> None:
        for one in ready.item.everyone():
            self.started[one.key] = ready.ref
        if self.early:
            self.settle(ready.item)
        else:
            self.waiting.append(ready.item)

    def settle(self, item: WorkItem) -> None:
        for one in item.everyone():
            ready, skipped = self.order.settle(one.outcome("done", ref=f"ref-{one.key}"))
            assert not skipped
            for below in ready:
                self.start(below)


LABEL = st.text("ab/% é", min_size=1, max_size=3)


@given(st.sets(st.tuples(LABEL, LABEL, LABEL), max_size=6), st.sets(LABEL, max_size=3), st.booleans())
@example({("a", "a", "b"), ("a", "a", "c")}, set(), True)
def test_every_file_goes_below_its_own_container(
    paths: set[tuple[str, str, str]], there: set[str], early: bool
) -> None:
    """The plan is in an order that the executor can follow, whether items are settled at once or at the end."""
    wanted: list[Wanted] = []
    seen: set[tuple[str, ...]] = set()
    files = {(): [file("top")]}
    for path in sorted(paths):
        for depth in range(3):
            if path[: depth + 1] not in seen:
                seen.add(path[: depth + 1])
                wanted.append(Wanted(depth, path[depth], {}, 0))
                files[path[: depth + 1]] = [file(f"{depth}-{n}") for n in range(2)]
    held = [Held((label,), f"id-{label}", "p", {}) for label in sorted(there)]
    plan = planner(wanted, held, files, "update")
    entries = list(plan.entries())
    assert entries == list(plan.entries()), "a plan can be read again"
    follower = Follower(early)
    follower.follow(entries)
    started = follower.started
    items = [one for entry in entries if isinstance(entry, WorkItem) for one in entry.everyone()]
    assert {one.key for one in items} == set(started)
    sent = [one for one in items if one.kind == "upload.file"]
    assert len(sent) == 1 + 2 * len(seen)
    assert len({one.key for one in items}) == len(items)
    for one in sent:
        container = one.key.partition(":file:")[0]
        if one.payload.container_id:
            assert one.payload.container_id == "p" if container == "project" else container.startswith("subject:")
        else:
            assert started[one.key] == f"ref-{container}"


@pytest.mark.parametrize(("how", "state"), [("skip", "skipped"), ("error", "failed"), ("update", None)])
def test_a_conflict_is_settled_as_asked(how: str, state: str | None) -> None:
    files = {(): [file("a", "h", HeldFile(5, "g", 3, "f1")), file("b", "h", HeldFile(5, "h", 1, "f2"))]}
    one, other = planner([], [], files, how).entries()
    assert isinstance(other, Outcome)
    assert (other.state, other.ref) == ("unchanged", "f2")
    if state is None:
        assert isinstance(one, WorkItem)
        assert (one.payload.held_version, one.payload.listed, one.payload.digest) == (3, True, "h")
    else:
        assert isinstance(one, Outcome)
        assert (one.state, one.reason, one.ref) == (state, "exists with other bytes", "f1")


# --- sidecars -----------------------------------------------------------------------------------------------------


def test_a_sidecar_tells_of_its_file() -> None:
    about = {
        "type": "nifti", "modality": "MR", "classification": {"Intent": ["Structural"]}, "info": {"a": {"b": 1}},
        "tags": ["good"],
    }  # fmt: skip
    raw = msgspec.json.encode({"file": {**about, "size": 5, "hash": "x", "mimetype": None}, "parents": {"subject": {}}})
    assert sidecar.read(raw) == about


@pytest.mark.parametrize("raw", [b"{", b"[]", b"5", b'{"a": 1}', b'{"file": "x"}', b"\xff\xfe", b""])
def test_other_json_is_no_sidecar(raw: bytes) -> None:
    assert sidecar.read(raw) is None


@pytest.mark.parametrize("about", [{"type": 5}, {"tags": "x"}, {"info": []}, {"classification": {"Intent": "T1"}}])
def test_a_wrong_sidecar_is_refused(about: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="its sidecar is wrong"):
        sidecar.read(msgspec.json.encode({"file": about}))


# --- times --------------------------------------------------------------------------------------------------------


@given(st.integers(-62_000_000_000 * 10**9, 250_000_000_000 * 10**9))
def test_times_come_back_to_the_nanosecond(mtime_ns: int) -> None:
    assert filetimes.to_ns(filetimes.to_text(mtime_ns)) == mtime_ns


def test_the_form_of_a_time() -> None:
    assert filetimes.to_text(1_570_109_520_123_456_789) == "2019-10-03T13:32:00.123456789Z"
    assert filetimes.to_ns("2019-10-03T13:32:00Z") == 1_570_109_520 * 10**9
    assert filetimes.to_text(10**30) == "9999-12-31T23:59:59.000000000Z"
    for other in (None, 5, "", "2019-10-03", "2019-13-03T13:32:00Z", "2019-10-03T13:32:00+01:00"):
        assert filetimes.to_ns(other) is None
