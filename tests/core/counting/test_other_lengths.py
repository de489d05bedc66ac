"""Charges, circumstances and figures for a longer or shorter time than what they are read for."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from schemas.evaluation import MetricFigure, PeriodEvaluation
from services.core.counting.evaluation import evaluate
from services.core.events.facts import Row, columns
from services.core.events.rejections import Rejection, RejectionCode
from services.core.events.rules import rules_of
from services.core.inputs.blockers import InvalidDeclaration
from services.core.inputs.known import PeriodInputs
from services.core.visibility.parties import Parties
from services.core.visibility.references import References
from tests.core.counting.test_evaluation import charge, circumstance
from tests.core.said import (
    FINANCE,
    NUMBERS,
    PROGRAMME,
    Said,
    agreement,
    facts,
    judged,
    moment,
    programme,
)

AT = "2025-02-03 10:00"
STATED = [
    charge("year", AT, "12.00", period="2025"),
    charge("quarter", AT, "3.00", period="2025-Q1"),
    charge("day", AT, "1.00", period="2025-01-31"),
    charge("later", AT, "2.00", period="2025-02"),
    circumstance("whole", AT, period="2025-H1"),
    circumstance("one", AT, period="2025-02-28"),
]


@pytest.mark.parametrize(
    ("period", "carried"),
    [
        ("2024-12", set()),
        ("2025-01", {"year", "quarter", "day", "whole"}),
        ("2025-02", {"year", "quarter", "later", "whole", "one"}),
        ("2025-04", {"year", "whole"}),
        ("2025-07", {"year"}),
    ],
)
def test_an_evaluation_carries_what_is_stated_for_time_of_it(
    period: str, carried: set[str]
) -> None:
    base = {"base": "invoice", "of_period": "same", "if_missing": "wait"}
    base |= {"part_of_period": "full_charge", "longer_charge": "by_days"}
    known = [agreement([{"metric": "total"}], bases=[base])]
    rules = rules_of([PROGRAMME], known, NUMBERS)
    rows = [row for one in STATED if isinstance(row := judged(one, rules), Row)]
    assert len(rows) == len(STATED)
    found = evaluate([PROGRAMME], known, period, columns(rows), NUMBERS, 1, "closed")
    events = [one.event for one in found.charges] + [one.event for one in found.circumstances]
    assert {event.id for event in events} == carried


# --- declared figures ---------------------------------------------------------------------------


def declared(name: str, period: str, value: str = "98", **more: object) -> Said:
    data = {"metric": "declared", "period": period, "value": value, "unit": "percent"}
    return Said(FINANCE, name, "figure", moment(AT), data | more)


def inputs_of(found: PeriodEvaluation) -> PeriodInputs:
    return PeriodInputs(found, References(found, "nimbus", Parties("town")))


def read(period: str, *events: Said, subject: str | None = None) -> MetricFigure | None:
    level = {"subject": subject} if subject else {}
    known = [agreement([{"metric": "declared"} | level])]
    found = evaluate([PROGRAMME], known, "2025-01", facts(events), NUMBERS, 1, "closed")
    return inputs_of(found).figure("declared", subject, period)


def test_a_figure_for_the_window_counts_whatever_else_is_declared() -> None:
    found = read("2025-01", declared("q", "2025-Q1", "90"), declared("m", "2025-01"))
    assert found is not None
    assert (found.value, found.others) == (Fraction(98), ())


def test_without_any_there_is_no_data() -> None:
    found = read("2025-01", declared("n", "2025-02"), declared("x", "2024"))
    assert found is not None
    assert (found.value, found.others) == (None, ())


@pytest.mark.parametrize(
    ("events", "said"),
    [
        ([declared("q", "2025-Q1")], "declared are declared for 2025-Q1 (event q), and none"),
        ([declared("d", "2025-01-07")], "for 2025-01-07 (event d), and none for 2025-01"),
        (
            [declared(f"d{day}", f"2025-01-0{day}") for day in range(1, 6)],
            "2025-01-01 (event d1), 2025-01-02 (event d2), 2025-01-03 (event d3) and 2 more",
        ),
    ],
)
def test_one_for_a_longer_or_shorter_period_is_named_by_what_reads_it(
    events: list[Said], said: str
) -> None:
    with pytest.raises(InvalidDeclaration) as waits:
        read("2025-01", *events)
    assert said in str(waits.value)
    assert str(waits.value).endswith("declare one for 2025-01")


def test_one_of_another_subject_is_not() -> None:
    found = read("2025-01", declared("q", "2025-Q1", subject="a"), subject="b")
    assert found is not None
    assert found.others == ()
    with pytest.raises(InvalidDeclaration, match="figures of declared of a are declared"):
        read("2025-01", declared("q", "2025-Q1", subject="a"), subject="a")


def test_each_subject_of_a_longer_figure_is_a_subject_of_the_month() -> None:
    events = facts([declared("q", "2025-Q1", subject="a")])
    known = [agreement([{"metric": "declared", "each_subject": True}])]
    for month in ("2025-01", "2025-02", "2025-03"):
        found = inputs_of(evaluate([PROGRAMME], known, month, events, NUMBERS, 1, "closed"))
        assert found.subjects("declared") == ("a",)


def accepted(period: str, *levels: dict[str, Any], **more: Any) -> Row | Rejection:
    known = [agreement(list(levels), **more)] if levels else []
    return judged(declared("f", period), rules_of([PROGRAMME], known, NUMBERS))


DECLARED = {"metric": "declared"}


@pytest.mark.parametrize(
    ("period", "levels"),
    [
        ("2025-01", [DECLARED]),
        ("2025-01-07", [DECLARED, DECLARED | {"level": "daily", "measured": "day"}]),
        ("2025-Q1", [{"metric": "samples"}]),
        ("2025-Q1", []),
    ],
)
def test_a_figure_is_taken_in_the_lengths_that_are_asked_for(
    period: str, levels: list[dict[str, Any]]
) -> None:
    assert isinstance(accepted(period, *levels), Row)


@pytest.mark.parametrize(
    ("period", "level", "remedy"),
    [
        ("2025-Q1", DECLARED, "declare it by month, such as 2025-01"),
        ("2025-01-07", DECLARED, "declare it by month, such as 2025-01"),
        ("2025-01", DECLARED | {"measured": "day"}, "declare it by day, such as 2025-01-01"),
    ],
)
def test_a_figure_of_another_length_is_refused(
    period: str, level: dict[str, Any], remedy: str
) -> None:
    problem = accepted(period, level)
    assert isinstance(problem, Rejection)
    assert (problem.code, problem.field) == (RejectionCode.WRONG_PERIOD, "/data/period")
    assert "no agreement asks for declared by" in problem.reason
    assert problem.remedy == remedy


def test_what_a_composite_is_made_of_is_asked_for_as_the_composite_is() -> None:
    both = {
        "metric": "both",
        "name": "Both",
        "unit": "percent",
        "better": "higher",
        "measure": {"kind": "series", "parts": ["declared"]},
    }
    versions = [programme(metrics=[*PROGRAMME.model_dump(mode="json")["metrics"], both])]
    known = [agreement([{"metric": "both"}])]
    numbers = NUMBERS | {("acme", "both"): 99}
    rules = rules_of(versions, known, numbers)
    assert isinstance(judged(declared("f", "2025-01"), rules), Row)
    assert isinstance(judged(declared("f", "2025-Q1"), rules), Rejection)
    found = evaluate(
        versions, known, "2025-01", facts([declared("q", "2025-Q1")]), numbers, 1, "closed"
    )
    with pytest.raises(InvalidDeclaration, match=r"declared for 2025-Q1 \(event q\)"):
        inputs_of(found).figure("both", None, "2025-01")
