"""The same SDK calls on random data, against the sandbox and against a plain model."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import flywheel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_ import MISSING, Test, leaves, order_key, ordered_by

from fwsync.sandbox.pytest_plugin import ThreadedSandbox

SCALE = float(os.environ.get("FWSYNC_TEST_SCALE", "1"))
COUNT = 60
WORDS = ["", "a", "b", "ab", "Ab", "é", "x,y", "42", "true", "null", "[z]", "q r", "c*"]
NUMBERS = [-3, 0, 1, 2, 2.5, 41, 10**12]
TIMES = [f"2024-0{month}-1{day}T0{day}:30:00+00:00" for month in (1, 2) for day in (1, 5)]
SCALARS = [*WORDS, *NUMBERS, None, True, False, *TIMES]


def examples(count: int) -> Any:
    """Settings for a test that talks to a server."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=int(count * SCALE), deadline=None, suppress_health_check=checks)


def any_info(dice: random.Random) -> dict[str, Any]:
    """Info with fields of many kinds, each there or not."""
    made: dict[str, Any] = {
        "v": dice.choice(SCALARS),
        "n": dice.choice([*NUMBERS, None]),
        "s": dice.choice([*WORDS, None]),
        "deep": {"v": dice.choice(SCALARS), "er": {"v": dice.choice(SCALARS)}},
        "list": [dice.choice(SCALARS) for _ in range(dice.randrange(4))],
        "items": [
            {name: dice.choice(SCALARS) for name in ("k", "l") if dice.random() < 0.7}
            for _ in range(dice.randint(1, 3))
        ],
        "time": dice.choice(TIMES),
    }
    return {name: value for name, value in made.items() if dice.random() < 0.75}


class Filled:
    """A project of subjects with random fields, and the same as the model's documents."""

    def __init__(self, running: ThreadedSandbox) -> None:
        self.fw: Any = flywheel.Client(running.key)
        self.fw.add_group({"_id": "lab", "label": "Lab"})
        self.project = self.fw.get_group("lab").add_project(label="random")
        self.documents: list[dict[str, Any]] = []
        dice = random.Random(5)
        for number in range(COUNT):
            given: dict[str, Any] = {"label": f"{dice.choice(['s', 'S', 't-'])}{number:02}", "info": any_info(dice)}
            given |= {"tags": dice.sample(["a", "b", "c d"], dice.randrange(3))}
            for name, values in (
                ("sex", ["male", "female", "other"]),
                ("firstname", ["Ada", "Bo"]),
                ("cohort", WORDS[1:]),
            ):
                if dice.random() < 0.6:
                    given[name] = dice.choice(values)
            made = self.project.add_subject(given)
            session = made.add_session(label="v", age=dice.choice([0, 86400, 10**9]))
            names = dice.sample(["f.csv", "g.nii.gz", "h.txt"], dice.randrange(3))
            for name in names:
                made.upload_file(flywheel.FileSpec(name, name.encode()))
            files = [{"name": name, "size": len(name)} for name in names]
            self.documents.append({"_id": made.id, "files": files, "session": session.id, **given})


@pytest.fixture(scope="module")
def running() -> Iterator[ThreadedSandbox]:
    with ThreadedSandbox() as running:
        yield running


@pytest.fixture(scope="module")
def filled(running: ThreadedSandbox) -> Filled:
    return Filled(running)


PATHS = ["info.v", "info.n", "info.s", "info.deep.v", "info.deep.er.v", "info.items.k", "info.items.l"]
FIELDS = [*PATHS, "info.list", "info.nothing", "sex", "firstname", "cohort", "tags", "label"]
SORTABLE = ["info.v", "info.n", "info.s", "info.deep.v", "info.deep.er.v", "info.nothing", "sex", "cohort", "label"]
_moments = st.sampled_from([datetime(2024, 1, 11, 1, 30, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)])
_plain = st.sampled_from([one for one in SCALARS if one not in TIMES] + ["male", "Ada", "s01", "t-"])
_equal = st.builds(Test, st.sampled_from(FIELDS), st.sampled_from(["=", "!="]), _plain)
_range = st.builds(
    Test,
    st.sampled_from(FIELDS),
    st.sampled_from(["<", "<=", ">", ">="]),
    _plain.filter(lambda one: not isinstance(one, bool) and one is not None),
)
_when = st.builds(
    Test, st.sampled_from(["info.time", "info.v"]), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), _moments
)
_among = st.builds(
    Test,
    st.sampled_from(FIELDS),
    st.just("=|"),
    st.lists(_plain.filter(lambda one: one != "[z]"), min_size=1, max_size=3),
)
_patterns = st.sampled_from(["a", "^s", "^(s0[1-4]|S10)$", "b$", "[0-9]", "^$", "é|x", "^((?!s).)*$", "q r", "c[*]"])
_match = st.builds(Test, st.sampled_from(FIELDS), st.just("=~"), _patterns)
_files = st.builds(
    Test, st.sampled_from(["files.name"]), st.sampled_from(["=", "!="]), st.sampled_from(["f.csv", "g.nii.gz", "x"])
)
_tests = st.lists(st.one_of(_equal, _range, _when, _among, _match, _files), max_size=3)
_orders = st.lists(st.tuples(st.sampled_from(SORTABLE), st.booleans()), max_size=2, unique_by=lambda one: one[0])


def expected(filled: Filled, tests: list[Test], orders: list[tuple[str, bool]]) -> list[str]:
    """The ids that the model finds, in its order."""
    kept = [one for one in filled.documents if all(test.holds(one) for test in tests)]
    return [one["_id"] for one in ordered_by(kept, orders)]


def query(tests: list[Test], orders: list[tuple[str, bool]]) -> dict[str, str]:
    """The SDK's keywords for them."""
    made = {"filter": ",".join(test.written() for test in tests)} if tests else {}
    if orders:
        made["sort"] = ",".join(f"{field}:{'desc' if down else 'asc'}" for field, down in orders)
    return made


@examples(250)
@given(tests=_tests, orders=_orders)
def test_filters_and_sorting(filled: Filled, tests: list[Test], orders: list[tuple[str, bool]]) -> None:
    found = [one.id for one in filled.project.subjects(**query(tests, orders))]
    assert found == expected(filled, tests, orders), query(tests, orders)


@examples(40)
@given(tests=_tests.map(lambda some: some[:1]), orders=_orders, limit=st.integers(1, 40))
def test_pages(filled: Filled, tests: list[Test], orders: list[tuple[str, bool]], limit: int) -> None:
    """By `page` where sorted, else by `after_id`; and `skip` as the same."""
    read, whole = filled.fw.get_project_subjects, expected(filled, tests, orders)
    how, seen = {**query(tests, orders), "limit": limit}, []
    for number in range(1, COUNT + 2):
        place = {"page": number} if orders else {"after_id": seen[-1]} if seen else {}
        page = [one.id for one in read(filled.project.id, **how, **place)]
        assert page == whole[len(seen) : len(seen) + limit]
        if not page:
            break
        assert page == [one.id for one in read(filled.project.id, **how, skip=len(seen))]
        seen += page
    assert seen == whole
    assert [one.id for one in filled.project.subjects.iter_find(how.get("filter", ""))] == expected(filled, tests, [])


_QUERIED = [path for path in FIELDS if path not in ("info.items.k", "info.items.l", "info.list")]
_words = st.sampled_from(["a", "ab", "Ab", "é", "male", "Ada", "q r", "c*"])
_conditions = st.one_of(
    st.tuples(st.sampled_from(_QUERIED), st.sampled_from(["=", "!="]), _words),
    st.tuples(
        st.sampled_from(["info.n", "info.deep.v"]),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        st.sampled_from(NUMBERS),
    ),
    st.tuples(st.sampled_from(_QUERIED), st.just("IN"), st.lists(_words, min_size=1, max_size=3)),
)
_trees = st.recursive(
    _conditions,
    lambda inner: st.one_of(st.tuples(st.sampled_from(["AND", "OR"]), inner, inner), st.tuples(st.just("NOT"), inner)),
    max_leaves=5,
)


def said(tree: Any) -> str:
    """A tree of conditions in the language of queries."""
    if tree[0] == "NOT":
        return f"NOT ({said(tree[1])})"
    if tree[0] in ("AND", "OR"):
        return f"({said(tree[1])} {tree[0]} {said(tree[2])})"
    field, operator, value = tree
    quoted = [f'"{one}"' if isinstance(one, str) else str(one) for one in (value if operator == "IN" else [value])]
    text = f"[{', '.join(quoted)}]" if operator == "IN" else quoted[0]
    return f"subject.{field} {operator} {text}"


def meant(tree: Any, document: dict[str, Any]) -> bool:
    """Whether a document satisfies it."""
    match tree[0]:
        case "NOT":
            return not meant(tree[1], document)
        case "AND":
            return meant(tree[1], document) and meant(tree[2], document)
        case "OR":
            return meant(tree[1], document) or meant(tree[2], document)
    field, operator, value = tree
    return Test(field, "=|" if operator == "IN" else operator, value).holds(document)


@examples(60)
@given(tree=_trees)
def test_queries(filled: Filled, tree: Any) -> None:
    found = filled.fw.search({"structured_query": said(tree), "return_type": "subject"}, size=1000)
    assert {one.subject.id for one in found} == {one["_id"] for one in filled.documents if meant(tree, one)}, said(tree)


@examples(25)
@given(
    fields=st.lists(
        st.sampled_from(["label", "info.n", "info.s", "info.deep.er.v", "sex", "info.nothing"]),
        min_size=1,
        max_size=4,
        unique=True,
    ),
    drop=st.booleans(),
    tests=st.lists(
        st.builds(Test, st.sampled_from(["subject.info.n", "subject.label"]), st.sampled_from(["=", "!="]), _plain),
        max_size=1,
    ),
)
def test_views(filled: Filled, fields: list[str], drop: bool, tests: list[Test]) -> None:
    """Columns of subjects: what is missing is null, or its row is dropped."""
    names = [f"subject.{field}" for field in fields]
    view = filled.fw.View(columns=names, include_ids=False, include_labels=False, sort=False)
    view.missing_data_strategy = "drop-row" if drop else None
    kept = [one for one in filled.documents if all(test.holds({"subject": one}) for test in tests)]
    rows = []
    for one in ordered_by(kept, []):
        (values,) = ([leaves(one, field)[0] for field in fields],)
        if not (drop and any(value is None or value is MISSING for value in values)):
            rows.append({name: None if value is MISSING else value for name, value in zip(names, values, strict=True)})
    how = {"filter": ",".join(test.written() for test in tests)} if tests else {}
    with filled.fw.read_view_data(view, filled.project.id, **how) as answer:
        found = json.load(answer)["data"]

    def written(row: dict[str, Any]) -> str:
        return repr(sorted(row.items()))

    shown = [{name: row.get(name) for name in names} for row in found]
    assert sorted(shown, key=written) == sorted(rows, key=written)


_keys = st.sampled_from(["a", "b", "c", "d e", "é"])
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(-1e6, 1e6), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(_keys, inner, max_size=3)),
    max_leaves=6,
)
_info = st.dictionaries(_keys, _json, max_size=3)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), _info.filter(bool)),
        st.tuples(st.just("replace"), _info),
        st.tuples(st.just("delete"), st.lists(_keys, min_size=1, max_size=2)),
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture(scope="module")
def scan(filled: Filled) -> Any:
    """An acquisition with a file, to be changed at will."""
    session = filled.fw.get_session(filled.documents[0]["session"])
    made = session.add_acquisition(label="changing")
    made.upload_file(flywheel.FileSpec("held.txt", b"held"))
    return made


@examples(40)
@given(steps=_steps, of_file=st.booleans())
def test_info(scan: Any, steps: list[tuple[str, Any]], of_file: bool) -> None:
    target = scan.reload().get_file("held.txt") if of_file else scan
    target.replace_info({})
    model: dict[str, Any] = {}
    for verb, value in steps:
        if verb == "delete":
            target.delete_info(*value)
            model = {name: held for name, held in model.items() if name not in value}
        elif verb == "set":
            target.update_info(copy.deepcopy(value))
            model = {**model, **value}
        else:
            target.replace_info(copy.deepcopy(value))
            model = dict(value)
    held = scan.reload().get_file("held.txt") if of_file else scan.reload()
    assert plain(held.info) == model


def plain(value: Any) -> Any:
    """The SDK's dicts as plain ones."""
    if hasattr(value, "items"):
        return {name: plain(inner) for name, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value


_tag = st.sampled_from(["a", "b", "c d", "{e}", "f/g", "é"])
_tagging = st.lists(
    st.one_of(
        st.tuples(st.just("add"), _tag), st.tuples(st.just("remove"), _tag), st.tuples(st.just("rename"), _tag, _tag)
    ),
    min_size=1,
    max_size=8,
)


@examples(40)
@given(steps=_tagging)
def test_tags(filled: Filled, scan: Any, steps: list[tuple[str, ...]]) -> None:
    """409 for a tag that is there, 404 for one that is not; nothing is changed then."""
    scan.update(tags=[])
    model: list[str] = []
    for verb, tag, *new in steps:
        refused = tag in model if verb == "add" else tag not in model
        status = 409 if verb == "add" else 404
        if verb == "rename" and not refused and new[0] != tag and new[0] in model:
            refused, status = True, 409
        with pytest.raises(flywheel.ApiException) if refused else contextlib.nullcontext() as caught:
            if verb == "add":
                scan.add_tag(tag)
            elif verb == "remove":
                scan.delete_tag(tag)
            else:
                scan.rename_tag(tag, new[0])
        if refused:
            assert caught.value.status == status
        elif verb == "add":
            model.append(tag)
        elif verb == "remove":
            model.remove(tag)
        else:
            model[model.index(tag)] = new[0]
        assert scan.reload().tags == model


_contents = st.binary(max_size=200)
_filing = st.lists(
    st.one_of(
        st.tuples(st.just("upload"), st.sampled_from(["x.txt", "y z.bin"]), _contents),
        st.tuples(st.just("delete"), st.sampled_from(["x.txt", "y z.bin"]), st.none()),
    ),
    min_size=1,
    max_size=8,
)


@examples(25)
@given(steps=_filing)
def test_versions(filled: Filled, steps: list[tuple[str, str, bytes | None]]) -> None:
    """Every upload is a version that stays readable by its number; a deleted name starts anew."""
    session = filled.fw.get_session(filled.documents[1]["session"])
    scan = session.add_acquisition(label="versions")
    model: dict[str, list[bytes]] = {}
    for verb, name, content in steps:
        if verb == "upload" and content is not None:
            scan.upload_file(flywheel.FileSpec(name, io.BytesIO(content), size=len(content)))
            model.setdefault(name, []).append(content)
        elif name in model:
            scan.delete_file(name)
            del model[name]
        else:
            with pytest.raises(flywheel.ApiException):
                scan.delete_file(name)
    scan = scan.reload()
    assert {entry.name: (entry.version, entry.size) for entry in scan.files} == {
        name: (len(held), len(held[-1])) for name, held in model.items()
    }
    for entry in scan.files:
        held = model[entry.name]
        assert scan.read_file(entry.name) == held[-1]
        assert sorted(one.version for one in filled.fw.get_file_versions(entry.file_id)) == list(
            range(1, len(held) + 1)
        )
        for number, content in enumerate(held, start=1):
            assert scan.read_file(entry.name, version=number) == content


def test_the_model_itself() -> None:
    """A few sentences of the rules, so that model and sandbox can't be wrong together unnoticed."""
    document = {"tags": ["a", "b"], "none": None, "empty": [], "n": 5, "items": [{"k": 1}, {}], "yes": True}
    holds = {
        "tags=a": Test("tags", "=", "a"), "n<6": Test("n", "<", 6), "none=null": Test("none", "=", None),
        "missing=null": Test("other.x", "=", None), "missing!=1": Test("other", "!=", 1), "k=null": Test("items.k", "=", None),
    }  # fmt: skip
    assert all(test.holds(document) for test in holds.values())
    fails = [
        Test("empty", "=", None),
        Test("n", "=", "5"),
        Test("yes", "=", 1),
        Test("tags", "!=", "a"),
        Test("n", "<", "6"),
    ]
    assert not any(test.holds(document) for test in fails)
    assert [order_key({"v": one}, "v")[0] for one in (None, 1, "a", {}, True)] == [0, 1, 2, 3, 4]
