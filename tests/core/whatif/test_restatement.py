"""How a standing statement and today's outcome are compared, and what is no difference."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from schemas.statement import RULES, SettlementStatement
from services.core.settling.one_period import Unsettled
from services.core.whatif.restatement import LineDifference, held_difference


def a_line(line: str = "uptime", minor: int = 15000, **given: Any) -> dict[str, Any]:
    """A service credit of a level."""
    fields = {"kind": "service_credit", "level": "uptime", "for_period": "2025-01", "version": 1}
    return {"line": line, "minor_units": minor, "steps": [], **fields, **given}


def a_result(**given: Any) -> dict[str, Any]:
    """How a level stood."""
    fields = {"level": "uptime", "metric": "availability", "period": "2025-01", "figure": "98.5"}
    judged = {"result": "98.5", "expected": "99", "standing": "below_expected", "defaulted": True}
    return {**fields, **judged, **given}


def a_statement(*lines: dict[str, Any], **given: Any) -> SettlementStatement:
    """A statement of January with these lines."""
    return SettlementStatement.model_validate(
        {
            "programme": "campus",
            "agreement": "hosting",
            "version": 1,
            "vendor": "nimbus",
            "buyer": "town",
            "period": "2025-01",
            "currency": "EUR",
            "results": [],
            "lines": list(lines),
            "total_minor": sum(one["minor_units"] for one in lines),
            "facts_digest": "0" * 64,
            **given,
        }
    )


def differs(standing: SettlementStatement, today: SettlementStatement) -> tuple[str, ...]:
    """What differs beside the lines."""
    found = held_difference(standing, today)
    assert found is not None
    assert found.lines == ()
    return found.other


def test_the_same_said_by_later_rules_and_in_other_words_is_no_difference() -> None:
    step = {"rule": "rounding", "term": "conventions", "text": "in other words"}
    standing = a_statement(a_line(), results=[a_result()], figures={"headroom": "5"})
    today = a_statement(
        a_line(steps=[step]),
        results=[a_result(steps=[step])],
        figures={"headroom": "5", "named since": "1"},
        rules=RULES,
    )
    assert held_difference(standing, today) is None
    assert held_difference(standing, None) is None


def test_each_line_with_another_amount_is_shown_with_both() -> None:
    standing = a_statement(a_line(), a_line("gone", 100), a_line("same", 7))
    today = a_statement(a_line(minor=10000), a_line("same", 7), a_line("new", 300))
    found = held_difference(standing, today)
    assert found is not None
    assert found.lines == (
        LineDifference(
            "uptime", "service_credit", "uptime", "2025-01", standing_minor=15000, today_minor=10000
        ),
        LineDifference(
            "new", "service_credit", "uptime", "2025-01", standing_minor=None, today_minor=300
        ),
        LineDifference(
            "gone", "service_credit", "uptime", "2025-01", standing_minor=100, today_minor=None
        ),
    )


def test_another_currency_alone_is_a_difference() -> None:
    found = held_difference(a_statement(), a_statement(currency="USD"))
    assert found is not None
    assert (found.lines, found.other) == ((), ())


def test_results_that_are_judged_otherwise_are_said_in_words() -> None:
    standing = a_statement(results=[a_result(), a_result(level="gone")])
    today = a_statement(
        results=[
            a_result(standing="met", defaulted=False, result="99", points="3"),
            a_result(level="new", subject="site-1", result=None, standing="no_result"),
        ]
    )
    assert differs(standing, today) == (
        "level uptime in 2025-01: below expected, a default, result 98.5, "
        "today met, result 99, 3 points",
        "level new of site-1 in 2025-01: not judged, today no result, a default",
        "level gone in 2025-01: below expected, a default, result 98.5, today not judged",
    )


def test_rights_and_named_figures_are_compared() -> None:
    def right(term: str, until: str | None) -> dict[str, Any]:
        return {"term": term, "because": "three misses", "exercise_until": until}

    standing = a_statement(
        rights=[right("lost", None), right("moved", "2025-03-01")],
        figures={"headroom": "5", "open": True, "third": Fraction(1, 3)},
    )
    today = a_statement(
        rights=[right("moved", None), right("won", None)],
        figures={"headroom": "4", "open": False, "third": Fraction(1, 3)},
    )
    assert differs(standing, today) == (
        "right moved: until 2025-03-01, today any day",
        "right won: not opened, today opened",
        "right lost: opened, today not",
        "figure headroom: 5, today 4",
        "figure open: True, today False",
    )


def test_a_period_that_waits_today_is_shown_without_amounts() -> None:
    waits = Unsettled("2025-01", ("charge monthly of 2025-01",))
    found = held_difference(a_statement(a_line()), waits)
    assert found is not None
    assert (found.today, found.lines, found.other) == (waits, (), ())
