"""How a gear stands with a container, by its runs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fwsync.report.gear_status import GearRun, Standing, csv_name, gear_status_table, standing

STATES = ("pending", "scheduled", "running", "failed", "complete", "cancelled", "unknown", "something-new")
RUNS = st.lists(
    st.builds(
        GearRun,
        st.sampled_from("ab"),
        st.sampled_from(["", "2020-01-01T00:00:00+00:00", "2020-01-02T00:00:00+00:00"]),
        st.uuids().map(str),
        st.sampled_from(STATES),
    ),
    max_size=6,
)


def run(created: str, state: str, on: str = "ses", ident: str = "") -> GearRun:
    return GearRun(on, created, ident or created, state)


def test_the_newest_run_tells() -> None:
    runs = [run("2", "complete"), run("3", "failed"), run("1", "failed")]
    assert standing(runs) == Standing(runs[1], 3, 1, True)
    assert standing(runs, "latest-complete") == Standing(runs[0], 3, 1, True)
    failed = [run("1", "failed"), run("2", "cancelled")]
    assert standing(failed, "latest-complete") == Standing(failed[1], 2, 0, False)
    assert standing([]) == Standing(None, 0, 0, False)
    assert standing([]).state == "never ran"
    twins = [run("1", "failed", ident="b"), run("1", "complete", ident="a")]
    assert standing(twins).state == "failed"


def test_of_several_containers_below_the_least_good_tells() -> None:
    runs = [run("1", "failed", "a"), run("2", "complete", "a"), run("3", "complete", "b")]
    assert standing(runs) == Standing(runs[2], 3, 2, True)
    more = [*runs, run("0", "running", "c")]
    assert standing(more).state == "running"
    assert not standing(more).succeeded
    assert standing([*more, run("0", "failed", "d")]).state == "failed"


@given(RUNS)
def test_the_order_of_the_runs_never_matters(runs: list[GearRun]) -> None:
    held = standing(runs)
    assert standing(list(reversed(runs))) == held
    assert (held.run is None) == (not runs)
    assert held.runs == len(runs)
    assert held.complete == sum(one.state == "complete" for one in runs)
    assert not held.succeeded or held.complete
    if held.state == "complete":
        assert held.succeeded, "what tells is the least good"
    if len({one.on for one in runs}) == 1:
        assert held.run is max(runs, key=lambda one: (one.created, one.id))


def test_the_table_and_its_facts() -> None:
    rows = [
        ({"project": "p", "subject": "s", "session": "1"}, standing([GearRun("x", "t", "i", "complete", "1.0", "l")])),
        ({"project": "p", "subject": "s", "session": "2"}, standing([run("1", "pending")])),
        ({"project": "p", "subject": "s", "session": "3"}, standing([run("1", "complete"), run("2", "cancelled")])),
        ({"project": "p", "subject": "s", "session": "4"}, standing([])),
    ]
    table = gear_status_table("session", rows, "g", ["note"])
    assert [column.name for column in table.columns] == [
        "project", "subject", "session", "ran", "state", "created", "version", "analysis", "id", "runs", "complete",
    ]  # fmt: skip
    assert table.rows[0] == ("p", "s", "1", True, "complete", "t", "1.0", "l", "i", 1, 1)
    assert table.rows[3] == ("p", "s", "4", False, "never ran", None, None, None, None, 0, 0)
    assert table.facts == {
        "sessions": 4, "complete": 1, "failed": 0, "running": 1, "never ran": 1, "cancelled": 1,
        "without a complete run": 2,
    }  # fmt: skip
    assert len(gear_status_table("project", [], "g").columns) == 9


def test_the_name_of_the_file() -> None:
    assert csv_name("grp13-container-export", "01_02_2026-03_04_05") == (
        "grp13-container-export_RunReport_01_02_2026-03_04_05.csv"
    )
    assert csv_name("../a b/1.0", "T") == ".._a_b_1.0_RunReport_T.csv"
