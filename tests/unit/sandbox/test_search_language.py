"""The language of structured queries, and patterns that must end soon."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwsync.sandbox.query import filters, grammar
from fwsync.sandbox.query.patterns import CostlyError, compiled, wildcard

RECORD = {
    "acquisition": {"label": "x y", "tags": ["a", "b"], "info": {"Echo Time": 3, "ok": True, "deep": [{"n": 1}]}},
    "file": {
        "name": "f.nii.gz",
        "classification": {"Measurement": ["T2*"]},
        "size": 10,
        "created": "2020-01-01T00:00:00+00:00",
    },
    "session": {"age": 630720000, "label": "A(1)"},
    "subject": {"label": "001", "_id": "5dc091c169d4f3002d16f32f"},
}


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("", True),
        ("session.age >= 630720000 AND session.age < 946080000", True),
        ("session.age > 630720000", False),
        ("session.age <= 630720000", True),
        ("session.age == 630720000", True),
        ("session.age <> 1", True),
        ("file.classification.Measurement = T2*", True),
        ("file.classification.Measurement IN [T2*, BOLD]", True),
        ("file.classification.Measurement NOT IN [T2*, BOLD]", False),
        ("file.classification.Features != SBRef", True),
        ("file.size IN []", False),
        ('acquisition.label = "x y"', True),
        ("acquisition.label IN [x y, z]", True),
        ("acquisition.tags = b", True),
        ("acquisition.info.'Echo Time' = 3", True),
        ("acquisition.info.ok = true", True),
        ("acquisition.info.deep.n = 1", True),
        ("subject.label = 001", True),
        ("subject.label = 1", False),
        ("subject.id = 5dc091c169d4f3002d16f32f", True),
        ("subject.label < 1", False),
        ('subject.label < "1"', True),
        ("file.foo = null", True),
        ("file.foo EXISTS", False),
        ("NOT file.foo EXISTS AND file.size EXISTS", True),
        ("file.created > 2019-12-31", True),
        ("file.created = 2020-01-01T01:00:00+01:00", True),
        ("session.label = A(1)", True),
        ("(session.label = A(1) OR file.size = 1) AND NOT (subject.label = 002)", True),
        ("file.size = 1 OR file.size = 10 AND session.age = 1", False),
        ("NOT NOT file.size = 10", True),
        ("NOT acquisition.label CONTAINS .*SBRef.*", True),
        ("acquisition.label CONTAINS *y", True),
        ("acquisition.label NOT CONTAINS q", True),
        ("file.size CONTAINS ^1", True),
        ("acquisition.label LIKE x%", True),
        ("acquisition.label LIKE %", True),
        ("acquisition.label LIKE x_y", True),
        ("acquisition.label LIKE y", False),
        ("acquisition.label =~ ^(x|z) AND file.size=10", True),
        ("acquisition.label !~ ^x", False),
        ("analysis.label != anything", True),
    ],
)
def test_what_a_query_means(query: str, holds: bool) -> None:
    assert grammar.parse(query).holds(RECORD) is holds


@pytest.mark.parametrize(
    ("query", "offset", "message"),
    [
        ("file.size=10 and file.size=10", 13, "expected AND or OR, found 'and'"),
        ("(file.size=10", 0, "never closed"),
        ("file.size=10)", 12, "never opened"),
        ("bad.size=1", 0, "is no field"),
        ("file = 1", 0, "is no field"),
        ("file.size", 9, "expected a comparison"),
        ("file.size 3", 10, "expected a comparison"),
        ("file.size NOT = 3", 14, "expected a comparison"),
        ("file.size IN 3", 13, "expected ["),
        ("file.size IN [3", 13, "never closed"),
        ("file.size IN [3,]", 16, "expected a value"),
        ("file.size = ", 12, "expected a value"),
        ("acquisition.label = 'x", 20, "quote is never closed"),
        ("acquisition.label CONTAINS (", 27, "bad pattern"),
        ("acquisition.label CONTAINS (a+)+$", 27, "many ways"),
        ("file.size = 1 AND", 17, "expected a field"),
        ("file..size = 1", 5, "expected a field"),
        ("(" * 200, 100, "nested deeper"),
        ("file.size = 1 OR\n x = 2", 18, "is no field"),
        ("x" * 30_000, 20_000, "longer than"),
    ],
)
def test_errors_name_their_place(query: str, offset: int, message: str) -> None:
    with pytest.raises(grammar.QueryError) as refused:
        grammar.parse(query)
    assert (refused.value.offset, message in refused.value.message) == (offset, True), refused.value
    lines = query[:offset].split("\n")
    assert (refused.value.line, refused.value.column) == (len(lines), len(lines[-1]) + 1)


_names = st.sampled_from(["session.age", "file.size", "acquisition.label", "file.info.x", "subject.label"])
_words = st.sampled_from(["1", "10", "x", '"x y"', "2020-01-01", "null", "true", "T2*", "630720000"])


def _condition(name: str, operator: str, value: str) -> str:
    return f"{name} {operator} {value}"


_conditions = st.builds(_condition, _names, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), _words)
_queries = st.recursive(
    _conditions,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: (" AND ", *pair)),
        st.tuples(inner, inner).map(lambda pair: (" OR ", *pair)),
        inner.map(lambda one: ("NOT ", one)),
    ),
    max_leaves=8,
)


def _text(tree: Any) -> str:
    if isinstance(tree, str):
        return tree
    if tree[0] == "NOT ":
        return f"NOT ({_text(tree[1])})"
    return f"({_text(tree[1])}{tree[0]}{_text(tree[2])})"


def _model(tree: Any) -> bool:
    if isinstance(tree, str):
        return grammar.parse(tree).holds(RECORD)
    if tree[0] == "NOT ":
        return not _model(tree[1])
    left, right = _model(tree[1]), _model(tree[2])
    return (left and right) if tree[0] == " AND " else (left or right)


@given(_queries)
def test_words_and_parentheses_mean_what_they_say(tree: Any) -> None:
    assert grammar.parse(_text(tree)).holds(RECORD) is _model(tree)


@given(st.text(alphabet="abfile.size=<>!~()[]'\"\\ ,ANDORTIX01*\n", max_size=60))
def test_any_text_is_a_query_or_a_query_error(text: str) -> None:
    try:
        assert isinstance(grammar.parse(text).holds(RECORD), bool)
    except grammar.QueryError as error:
        assert 0 <= error.offset <= len(text)


HOSTILE = ["a" * 5_000, "ab" * 2_500, "x" * 100_000, "aabbccdd" * 700, "a" * 40 + "!", " " * 3_000, "0" * 3_000 + "x"]


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$", "(a|a)*b", "(a|ab)*c", "(.*)*x", "a?" * 25 + "a" * 25, "(a?){25}a{25}", "(x+x+)+y", "x*x*x*x*y",
        "((a{0,9}){0,9}){0,9}b", r"(\w+\s?)*$", "(?:a+|b)*c", "((?!a+b)a)*c", "(a{1,50}){1,50}b", r"(a*)\1*\1*\1*b",
    ],
)  # fmt: skip
def test_patterns_that_could_hang_are_refused(text: str) -> None:
    with pytest.raises(CostlyError):
        compiled(text)


@pytest.mark.parametrize(
    "text",
    [
        r"^((?!SBRef).)*$", ".*SBRef.*", ".*.*.*x", "a.*b.*c", r"\d+-\d+", "^sub-[0-9]{3}$", "(foo|bar)*x", "a.*b.*c.*d",
        "(?=.*a)(?=.*b)c", "foo|bar.*|baz", r"\s+$", "(?:(?:a{1000}){1000}){1000}", "x.*x.*x.*x$",
    ],
)  # fmt: skip
def test_accepted_patterns_end_soon_and_mean_what_re_says(text: str) -> None:
    found = compiled(text)
    for value in HOSTILE:  # ends within the time-out of the test
        assert found.search(value) in (True, False)
    for value in ("", "a", "sub-001", "T1_SBRef", "foo", "abcd", "foobarx", "12-3", "xaxbxcxdx"):
        assert found.search(value) is (re.search(text, value) is not None)


@given(st.text(alphabet="ab*?.", max_size=12), st.text(alphabet="ab.\n", max_size=12))
def test_wildcards_mean_what_fnmatch_says(pattern: str, value: str) -> None:
    assert wildcard(pattern).search(value) is fnmatch.fnmatchcase(value, pattern)


def test_a_list_filter_refuses_them_too() -> None:
    for text in ("label=~(a+)+$", "label=~("):
        with pytest.raises(Exception, match="pattern") as refused:
            filters.parse(text)
        assert refused.value.status == 422  # type: ignore[attr-defined]
