"""Conditions in CEL: what is let through, and what holds."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.base import written
from schemas.condition import Condition
from services.core.contracts.check import check
from services.core.contracts.conditions import Unfit, checked, holds
from services.core.settling.one_period import Unsettled
from tests.core.contracts.test_contract_check import programme, read
from tests.core.told import HEAD, LEVEL, Circumstances, agreement, evaluation, outcomes, settled

READS = [
    {"kind": "stated", "name": "strike", "circumstance": "strike"},
    {"kind": "figure", "name": "delay", "metric": "delay"},
    {"kind": "circumstance", "name": "alarm", "circumstance": "alarm"},
    {"kind": "text", "name": "cause", "circumstance": "alarm", "value": "cause"},
]


def condition(text: str, unknown: str = "wait") -> Condition:
    """A condition that may read everything."""
    return Condition.model_validate({"holds": text, "reads": READS, "unknown": unknown})


def contract(text: str, *reads: int, unknown: str = "wait") -> str:
    """The usual contract with a condition that reads some of the names."""
    listed = ", ".join(
        "{" + ", ".join(f"{key}: {value}" for key, value in READS[place].items()) + "}"
        for place in reads
    )
    when = f'        when: {{holds: "{text}", reads: [{listed}], unknown: {unknown}}}\n'
    head, found, rest = LEVEL.partition("        quantity")
    return HEAD.lstrip() + head + when + found + rest


WRONG: list[tuple[str, int, str]] = [
    ("result", 1, "a yes or no is wanted, and this is a number"),
    ("strike && 1", 11, "a yes or no is wanted, and this is a number"),
    ("strike || delay", 11, "a yes or no is wanted, and this is a number"),
    ("!delay", 2, "a yes or no is wanted, and this is a number"),
    ("delay == 'late'", 10, "a number is wanted, and this is a word"),
    ("cause < 'a'", 7, "'<' compares numbers, and this is a word"),
    ("strike > true", 8, "'>' compares numbers, and this is a yes or no"),
    ("dely > 1", 1, "'dely' is not declared"),
    ("delay > 1 ? true : false", 11, "'?' cannot be read here"),
    ("delay + 1 > 2", 7, "'+' cannot be read here"),
    ("delay > 1e3", 9, "'1' cannot be read here"),
    ("delay > 1u", 9, "'1' cannot be read here"),
    ("delay > .5", 9, "'.' cannot be read here"),
    (r"cause == 'a\'", 10, "''' cannot be read here"),
    ("[1, 2].exists(x, x > 1)", 7, "'.' cannot be read here"),
    ("[1] == [2]", 1, "something is missing here"),
    ("size(cause) > 1", 1, "'size' is not declared"),
    ("cause.matches('a')", 6, "'.' cannot be read here"),
    ("delay < 1 < 2", 11, "'<' is not expected here"),
    ("(delay < 1", 11, "the bracket does not end"),
    ("delay in 3", 10, "a list is wanted after 'in'"),
    ("delay in [1, 'a']", 14, "a number is wanted, and this is a word"),
    ("delay in [1", 12, "the list does not end"),
    ("delay <", 8, "something is missing here"),
    ("strike strike", 8, "'strike' is not expected here"),
]
NO_CONDITIONS = [text for text, _, _ in WRONG]


@pytest.mark.parametrize(("text", "column", "reason"), WRONG)
def test_what_is_no_condition_is_refused_with_its_place(
    text: str, column: int, reason: str
) -> None:
    with pytest.raises(Unfit) as refused:
        checked(condition(text))
    assert refused.value.column == column
    assert refused.value.reason == f"line 1, column {column} of the condition: {reason}"
    assert refused.value.remedy


def test_the_place_counts_lines() -> None:
    with pytest.raises(Unfit) as refused:
        checked(condition("strike\n  && delay"))
    assert (refused.value.line, refused.value.column) == (2, 6)


@pytest.mark.parametrize("text", ["(" * 21 + "strike" + ")" * 21, "!" * 21 + "strike"])
def test_what_is_nested_too_deep_is_refused(text: str) -> None:
    with pytest.raises(Unfit, match="nested too deep"):
        checked(condition(text))
    fits = text.replace("(", "", 1).replace(")", "", 1).replace("!", "", 1)
    assert checked(condition(fits))
    assert checked(condition(" && ".join([fits] * 3)))
    with pytest.raises(Unfit, match="nested too deep"):
        checked(condition(f"{fits} && {fits} && {text}"))


def test_a_condition_is_at_most_two_thousand_characters() -> None:
    assert checked(condition("strike".ljust(2000)))
    with pytest.raises(ValidationError, match="2000"):
        condition("strike".ljust(2001))


@pytest.mark.parametrize("name", ["result", "in", "true"])
def test_a_name_with_a_meaning_is_not_given_another(name: str) -> None:
    reads = [{"kind": "stated", "name": name, "circumstance": "strike"}]
    with pytest.raises(ValidationError, match="has a meaning already"):
        Condition.model_validate({"holds": "true", "reads": reads, "unknown": "wait"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("strike && delay > 250 || cause == 'flood'", False),
        ("!strike && delay > 250 || cause == 'flood'", True),
        ("strike || cause in ['storm', \"rain\"]", True),
        ("!(strike || cause in ['storm'])", False),
        ("strike == false", True),
        ("alarm in [-1, 3.0]", True),
        ("alarm != 3", False),
        ("true", True),
        ("alarm > -3 && alarm < 3.01 && delay >= 250.5 && delay <= 250.5", True),
    ],
)
def test_a_condition_holds_as_it_reads(text: str, expected: bool) -> None:
    values = {"strike": False, "delay": Fraction("250.5"), "alarm": Fraction(3), "cause": "storm"}
    assert holds(condition(text), values) is expected


numbers = st.fractions() | st.integers(-(10**20), 10**20).map(Fraction)
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


@given(numbers, numbers, st.sampled_from(sorted(COMPARED)), st.booleans())
def test_numbers_compare_exactly_whatever_their_size(
    left: Fraction, right: Fraction, sign: str, near: bool
) -> None:
    right = left + Fraction(1, 10**40) if near else right
    found = holds(condition(f"delay {sign} alarm"), {"delay": left, "alarm": right})
    assert found is COMPARED[sign](left, right)


@given(st.integers(-(10**24) + 1, 10**24 - 1), st.integers(0, 10**9), numbers)
def test_a_number_is_taken_as_it_is_written(whole: int, part: int, value: Fraction) -> None:
    limit = Fraction(f"{whole}.{part:010}")
    found = holds(condition(f"delay < {whole}.{part:010}"), {"delay": value})
    assert found is (value < limit), written(limit)


@given(st.text(alphabet="abd=!<>&|()[]' ,.19?+*:{}\\\n", max_size=40))
def test_what_is_let_through_always_says_yes_or_no(text: str) -> None:
    try:
        checked(condition(text or " "))
    except Unfit:
        return
    assert holds(condition(text), {}) in (True, False)


def test_the_contract_check_says_where_a_condition_fails() -> None:
    (refusal,) = check(read(contract("result < 'a'")).documents[0], programme())
    assert refusal.path == "levels[0].credits[0].when.holds"
    assert refusal.reason.startswith("line 1, column 10 of the condition")
    assert refusal.line > 1


def test_a_metric_that_is_not_there_and_a_name_never_used_are_refused() -> None:
    text = contract("delay > 1", 0, 1).replace("metric: delay", "metric: dely")
    found = {one.path for one in check(read(text).documents[0], programme())}
    assert found == {
        "levels[0].credits[0].when.reads",
        "levels[0].credits[0].when.reads[1].metric",
    }


def test_a_credit_is_due_only_where_its_condition_holds() -> None:
    terms = agreement(contract("!strike && result < 98 && settlement > 1", 0))
    statements = settled(
        terms,
        [
            evaluation("2025-01", 97),
            evaluation("2025-02", 97),
            evaluation("2025-03", "98.5"),
            evaluation("2025-04", 97, circumstances=[("strike", {})]),
            evaluation("2025-05", 97, circumstances=[("strike", {"values": {"holds": False}})]),
        ],
    )
    assert [one.total_minor for one in statements] == [0, 10000, 0, 0, 10000]
    (first, *_) = statements[1].lines[0].steps
    assert (first.rule, first.term) == ("condition", "levels[0].credits[0].when")
    assert first.text == (
        "'!strike && result < 98 && settlement > 1' holds: strike is false, result is 97, "
        "settlement is 2"
    )


@pytest.mark.parametrize(("unknown", "total"), [("wait", None), ("due", 10000), ("not_due", 0)])
def test_what_is_unknown_waits_or_counts_as_declared(unknown: str, total: int | None) -> None:
    terms = agreement(contract("alarm > 2", 2, unknown=unknown))
    (outcome,) = outcomes(terms, [evaluation("2025-01", 97)])
    if isinstance(outcome, Unsettled):
        assert total is None
        assert outcome.reasons == ("the condition of a credit of uptime needs alarm of 2025-01",)
    else:
        assert outcome.total_minor == total


@pytest.mark.parametrize(
    ("value", "cause", "total"), [(3, "storm", 10000), (2, "storm", 0), (3, "rain", 0)]
)
def test_a_condition_reads_a_circumstance_and_its_words(value: int, cause: str, total: int) -> None:
    terms = agreement(contract("alarm > 2 && cause == 'storm' && period == '2025-01'", 2, 3))
    stated: Circumstances = [("alarm", {"value": value, "values": {"cause": cause}})]
    (statement,) = settled(terms, [evaluation("2025-01", 97, circumstances=stated)])
    assert statement.total_minor == total


def test_a_condition_reads_a_figure_of_another_metric() -> None:
    terms = agreement(contract("delay > 250", 1))
    found = [
        settled(terms, [evaluation("2025-01", 97, figures={"delay": value})])[0].total_minor
        for value in (250, "250.0000001")
    ]
    assert found == [0, 10000]
