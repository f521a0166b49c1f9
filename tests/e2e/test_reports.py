"""`fwsync report`: what the SDK's loops of the tutorial tell, by listings of whole projects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from site_ import Person, Site, sandbox


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    with sandbox("--demo") as site:
        yield site


@pytest.fixture
def person(tmp_path: Path, demo: Site) -> Person:
    return Person(tmp_path, demo.key)


def told(person: Person, *arguments: str, code: int = 0) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The rows of a report and what is said of all of them."""
    done = person.types("report", *arguments, "--json")
    assert done.returncode == code, done.stderr
    *rows, about = [json.loads(line) for line in done.stdout.splitlines()]
    assert about["event"] == "table"
    assert about["rows"] == len(rows)
    return rows, about["facts"]


def tutorial_demographics(project: Any) -> dict[str, list[Any]]:
    """The tutorial's own loop."""
    report: dict[str, list[Any]] = {"subject": [], "age": [], "sex": []}
    for subject in project.subjects():
        subject = subject.reload()
        report["subject"].append(subject.label)
        report["sex"].append(subject.sex)
        session = subject.sessions.find_first()
        age = session.reload().age_years if session else None
        report["age"].append(age or np.nan)
    return report


@pytest.mark.parametrize("label", ["neuro-study", "tutorial", "BIDS-Sample"])
def test_demographics_are_those_of_the_tutorial(demo: Site, person: Person, label: str) -> None:
    project = demo.sdk().projects.find_one(f"label={label}")
    wanted = tutorial_demographics(project)
    rows, facts = told(person, "demographics", f"{project.group}/{label}")
    ages = np.ma.array(wanted["age"], mask=np.isnan(wanted["age"]))
    assert facts["subjects"] == len(wanted["subject"])
    assert facts["without age"] == int(np.isnan(wanted["age"]).sum())
    if ages.count():
        assert facts["mean age"] == pytest.approx(float(np.mean(ages)), rel=1e-12)
        assert facts["std of age"] == pytest.approx(float(np.std(ages)), rel=1e-12)
    else:
        assert facts["mean age"] is facts["std of age"] is None
    for sex in {one or "unknown" for one in wanted["sex"]}:
        count = sum((one or "unknown") == sex for one in wanted["sex"])
        assert facts[f"sex {sex}"] == count
        assert facts[f"percent {sex}"] == pytest.approx(count / len(wanted["sex"]) * 100)
    found = {row["subject"]: (row["age"], row["sex"]) for row in rows}
    expected = {
        one: (None if np.isnan(age) else age, sex)
        for one, age, sex in zip(wanted["subject"], wanted["age"], wanted["sex"], strict=True)
    }
    assert found == expected
