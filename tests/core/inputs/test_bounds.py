"""Days from 1990 to 2199; exact figures up to 1,000 digits, rounded to 100 decimals beyond."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.agreement import Agreement
from schemas.base import MOST_DIGITS, Day, Instant, WorkedOut, kept, written
from schemas.evaluation import PeriodEvaluation
from schemas.period import PeriodLabel
from schemas.statement import SettlementStatement, canonical
from services.core.settling.one_period import Unsettled
from services.core.settling.settlement import settle
from services.core.visibility.parties import Parties
from tests.settlement.builders import an_agreement, an_evaluation

LONG = 10**MOST_DIGITS


@pytest.mark.parametrize(
    ("kind", "taken", "refused"),
    [
        (Day, ("1990-01-01", "2199-12-31"), ("1989-12-31", "2200-01-01", "0001-01-01")),
        (PeriodLabel, ("1990", "2199-12-31"), ("1989-12", "2200-Q1", "9999-12-31", "0001-01")),
        (
            Instant,
            ("1990-01-01T00:00:00+14:00", "2199-12-31T23:59:59-12:00"),
            ("1905-06-01T00:00:00Z", "2205-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        ),
    ],
)
def test_days_periods_and_instants_have_bounds(
    kind: Any, taken: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    read = TypeAdapter(kind).validate_python
    for text in taken:
        read(text)
    for text in refused:
        with pytest.raises(ValidationError, match="1990 to 2199"):
            read(text)


@given(st.integers(-(10**850), 10**850), st.integers(1, LONG), st.integers(0, 400))
def test_what_was_worked_out_reads_back_as_it_was_written(
    above: int, below: int, more: int
) -> None:
    worked = TypeAdapter(WorkedOut)
    value = Fraction(above, below * 10**more + 1)
    stored = kept(value)
    assert worked.validate_json(worked.dump_json(stored)) == stored == kept(stored)
    assert abs(stored - value) <= Fraction(1, 2 * 10**100)
    if max(abs(value.numerator), value.denominator) < LONG:
        assert stored == value


def test_a_number_too_long_before_its_point_is_refused() -> None:
    with pytest.raises(ValueError, match="digits before the point"):
        kept(Fraction(LONG * 7, 3))


def circumstance(name: str, period: str, **values: Any) -> dict[str, Any]:
    return {
        "event": {"source": "urn:town:probe/1", "id": f"{name}-{period}"},
        "at": "2025-02-02T00:00:00Z",
        "circumstance": {
            "agreement": "hosting",
            "circumstance": name,
            "period": period,
            "values": values,
        },
    }


def with_facts(evaluation: PeriodEvaluation, *facts: dict[str, Any]) -> PeriodEvaluation:
    body = evaluation.model_dump(mode="json")
    return PeriodEvaluation.model_validate({**body, "circumstances": list(facts)})


@pytest.mark.parametrize("days", [10**20, "9" * 24, "1/999999999999999999999999", 0])
def test_days_in_use_of_any_length_are_settled_or_waited_for(days: Any) -> None:
    document = an_agreement(needs_charge=True, per_point="1").model_dump(mode="json")
    document["bases"][0]["part_of_period"] = "by_days_in_use"
    stated = circumstance("service_in_use", "2025-01", days_in_use=days, days_in_period=31)
    said = with_facts(an_evaluation(9700, charge="46116860184273879.00"), stated)
    (outcome,) = settle(
        [Agreement.model_validate(document)], [said], parties=Parties("town"), time_zone="UTC"
    )
    if isinstance(outcome, SettlementStatement):
        assert SettlementStatement.model_validate_json(canonical(outcome)) == outcome
    else:
        assert outcome.reasons


def test_an_invoice_dated_at_the_end_of_the_calendar_is_waited_for() -> None:
    document = an_agreement(per_point="1").model_dump(mode="json")
    document["invoicing"] = {
        "deducted_from": "same_period",
        "invoice": "invoice",
        "if_absent": "wait",
        "rest": {"kind": "cash", "within_days": 30},
    }
    agreement = Agreement.model_validate(document)
    stated = circumstance("invoice", "2025-01", date="9999-12-31", charges="1.00")
    said = with_facts(an_evaluation(9700), stated)
    (outcome,) = settle([agreement], [said], parties=Parties("town"), time_zone="UTC")
    assert isinstance(outcome, Unsettled)
    assert "a day from 1990 to 2199" in outcome.reasons[0]


def test_a_ratchet_that_is_never_rounded_stays_within_the_bound() -> None:
    """Settled daily, halfway to the mean of three: its ratio doubles its digits again and again."""
    document = an_agreement(per_point="1").model_dump(mode="json")
    document["settled"] = "day"
    document["levels"][0]["moves"] = {
        "kind": "ratchet",
        "periods": 1,
        "asks": "any_result",
        "way_to_mean": "1/7",
        "rounded": "exact",
        "no_data": "starts_anew",
    }
    agreement = Agreement.model_validate(document)
    days = [(date(2025, 1, 1) + timedelta(days=n)).isoformat() for n in range(500)]
    known = [an_evaluation(9000 + n % 900, period=day) for n, day in enumerate(days)]
    outcomes = settle([agreement], known, parties=Parties("town"), time_zone="UTC")
    last = outcomes[-1]
    assert isinstance(last, SettlementStatement), last
    assert SettlementStatement.model_validate_json(canonical(last)) == last
    expected = last.results[0].expected
    assert expected is not None
    assert len(written(expected)) <= 2 * MOST_DIGITS + 1
