"""Rules about quality: what is read from their text, what they say of a file, and that nothing makes them crash."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fwsync.errors import UsageError
from fwsync.report.rules import MRIQC, Rule, number, parse_rule, value_at

WORDS = st.from_regex(r"[A-Za-z][A-Za-z0-9_*.-]{0,8}", fullmatch=True).filter(lambda word: word not in ("and", "where"))
RULES = st.builds(
    Rule,
    WORDS,
    WORDS,
    st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.tuples(WORDS, WORDS), max_size=3).map(tuple),
)
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=4), below, max_size=3),
    max_leaves=8,
)


@given(RULES)
def test_a_rule_reads_back_as_it_is_written(rule: Rule) -> None:
    assert parse_rule(str(rule)) == rule


@given(st.text() | st.text(alphabet="ab :<>=!0123.eE-\n\twhereandKT*,/", max_size=60))
@example("x" * 5000)
@example(": snr < 1")
@example("A: snr < 1" + " " * 900)
@example("A: snr < ٣")
def test_any_text_is_a_rule_or_one_clear_line(text: str) -> None:
    try:
        rule = parse_rule(text)
    except UsageError as error:
        assert "\n" not in error.line
        assert "--flag" in error.line
        assert error.exit_code == 2
    else:
        assert rule.flag
        assert rule.metric
        assert math.isfinite(rule.limit)
        assert parse_rule(str(rule)) == rule


def test_the_rules_of_the_tutorial() -> None:
    texts = (
        "LOW_SNR: snr < 1.0 where Measurement=T2*",
        "HIGH_FD: fd_mean > 2.5 where Measurement=T2*",
        "LOW_SNR: snr_total < 6 where Measurement=T1",
    )
    assert tuple(map(parse_rule, texts)) == MRIQC


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "at character 1 the text ends; wanted: a name and a colon"),
        ("LOW_SNR snr < 1", "at character 1 there is 'LOW_SNR snr < 1'; wanted: a name"),
        ("LOW_SNR:", "at character 9 the text ends; wanted: a metric"),
        ("LOW_SNR: snr", "at character 13 the text ends; wanted: one of < <= > >= = !="),
        ("LOW_SNR: snr ~ 1", "at character 14 there is '~ 1'; wanted: one of"),
        ("LOW_SNR: snr << 1", "at character 15 there is '< 1'; wanted: a number"),
        ("LOW_SNR: snr < low", "at character 16 there is 'low'; wanted: a number"),
        ("LOW_SNR: snr < 1.0.0", "at character 16 there is '1.0.0'; wanted: a number"),
        ("LOW_SNR: snr < nan", "there is 'nan'; wanted: a number"),
        ("LOW_SNR: snr < 1e999", "too large"),
        ("LOW_SNR: snr < 1 if T1", "at character 18 there is 'if T1'; wanted: where KEY=VALUE, or the end"),
        ("LOW_SNR: snr < 1 where", "at character 23 the text ends; wanted: KEY=VALUE"),
        ("LOW_SNR: snr < 1 where T1", "at character 24 there is 'T1'; wanted: KEY=VALUE"),
        ("LOW_SNR: snr < 1 where Measurement=", "wanted: KEY=VALUE"),
        ("LOW_SNR: snr < 1 where Measurement=T1 and", "at character 42 the text ends; wanted: KEY=VALUE"),
        ("..: snr < 1", "'..' is no name for a tag"),
    ],
)
def test_the_line_about_a_wrong_rule_names_the_place(text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(text)
    assert told in caught.value.line


def test_values_of_conditions_are_meant_to_the_letter() -> None:
    rule = parse_rule("F: snr<1 where Measurement=T2* and Intent=Resting State and Custom=a and b=c")
    assert rule.where == (("Measurement", "T2*"), ("Intent", "Resting State"), ("Custom", "a"), ("b", "c"))
    assert MRIQC[0].applies({"Measurement": ["T2*", "x"]})
    assert not MRIQC[0].applies({"Measurement": ["T2"]})
    assert not MRIQC[0].applies({"Measurement": "T2*w"})
    assert MRIQC[0].applies({"Measurement": "T2*"})
    assert not MRIQC[0].applies({})
    assert not MRIQC[0].applies(None)
    assert parse_rule("F: snr < 1").applies(None)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.5, True), (1.0, False), (0, True), ("0.5", True), (" 2e0 ", False), (True, None), (None, None), ("n/a", None),
        ("", None), (math.nan, None), (math.inf, None), ("nan", None), ([0.5], None), ({"a": 1}, None), (10**400, None),
        ("1_0", None), ("٠", None),
    ],
)  # fmt: skip
def test_what_is_a_number_and_what_is_no_value(value: Any, verdict: bool | None) -> None:
    assert parse_rule("LOW: snr < 1").verdict({"snr": value}) is verdict


def test_metrics_lead_into_info() -> None:
    info = {"a": {"b": 1, "c.d": 2}, "a.x": 3, "e": [1]}
    assert [value_at(info, path) for path in ("a.b", "a.c.d", "a.x", "a.z", "e.0", "z", "a", ".", "")] == [
        1, 2, 3, None, None, None, {"b": 1, "c.d": 2}, None, None,
    ]  # fmt: skip
    assert value_at(None, "a") is None


@given(RULES, ANYTHING, ANYTHING)
def test_no_document_makes_a_rule_crash(rule: Rule, value: Any, other: Any) -> None:
    info = {rule.metric: value, "other": other}
    found = number(value)
    assert rule.verdict(info) is (None if found is None else rule._replace(where=()).verdict({rule.metric: found}))
    assert rule.applies({key: other for key, _ in rule.where}) in (True, False)
    assert rule.verdict(value if isinstance(value, dict) else None) in (True, False, None)
